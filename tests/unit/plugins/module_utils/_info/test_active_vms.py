# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The active domains of a hypervisor, and what tells it from others."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import parse_capabilities
from ansible_collections.zstack.kvm.plugins.module_utils._info.active_vms import active_vms
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor

OFF = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"


def test_those_that_are_off_are_left_out() -> None:
    libvirt = FakeHypervisor({UUID: FakeDomain(name="web"), OFF: FakeDomain(name="mail", state="shutoff")})
    assert active_vms(libvirt) == {
        "uuid": parse_capabilities(libvirt.capabilities()).host_uuid,
        "hostname": libvirt.hostname(),
        "active": [UUID],
    }
