# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of a host's desired VMs, without secrets."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.filter.vm_names import FilterModule

vm_names = FilterModule().filters()["vm_names"]


def test_names_by_uuid() -> None:
    assert vm_names([{"uuid": "u1", "name": "web", "console_password": "x"}, {"uuid": 7}]) == {"u1": "web", "7": ""}
