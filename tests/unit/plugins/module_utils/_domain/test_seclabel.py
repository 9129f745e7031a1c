# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confinement of QEMU by a security driver of the host."""

from __future__ import annotations

from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain


def test_qemu_is_not_confined_as_in_zstack() -> None:
    assert attributes(domain(), "seclabel") == [{"type": "none"}]


def test_the_hosts_configuration_decides_if_the_default_is_desired() -> None:
    assert attributes(domain(security_label="default"), "seclabel") == []
