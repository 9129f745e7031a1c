# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""UUIDs are compared in any notation."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuid_digits import digits_of


def test_neither_dashes_nor_capitals_matter() -> None:
    assert digits_of("001F-00d0") == "001f00d0"
