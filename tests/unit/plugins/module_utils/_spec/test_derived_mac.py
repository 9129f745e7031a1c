# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NIC without a given MAC has the same one in every release, and shares it with no other."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._spec.derived_mac import derived_mac
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.options import OTHER_UUID, UUID


def test_is_the_same_in_every_release() -> None:
    """A guest that got this address from an earlier release must keep it."""
    assert derived_mac(UUID, 1) == "fa:18:f5:c1:e6:11"


def test_depends_on_the_vm_and_on_the_device_id() -> None:
    assert len({derived_mac(UUID, 0), derived_mac(UUID, 1), derived_mac(OTHER_UUID, 0)}) == 3


def test_is_locally_administered_and_unicast() -> None:
    assert int(derived_mac(UUID, 0)[:2], 16) & 0b11 == 0b10
