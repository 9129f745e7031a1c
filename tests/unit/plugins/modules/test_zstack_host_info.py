# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zstack_host_info describes the hypervisor, or fails with a code and a hint."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor
from ansible_collections.zstack.kvm.tests.unit.plugins.modules.in_process import Host


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Host:
    libvirt = FakeHypervisor({UUID: FakeDomain(name="web")})
    return Host("zstack_host_info", monkeypatch, capsys, libvirt)


@pytest.mark.parametrize("check", [False, True])
def test_it_describes_the_hypervisor_and_changes_nothing(host: Host, check: bool) -> None:
    result = host.run(check)
    assert (result["changed"], result["hostname"], result["libvirt_version"]) == (False, "hv1", "10.5.0")
    assert result["vms"] == [{"uuid": UUID, "name": "web", "active": True}]
    assert host.libvirt.changes == [("close",)]


def test_it_fails_with_the_code_and_hint_of_the_error_if_libvirt_is_unavailable(host: Host) -> None:
    host.is_available = False
    result = host.run()
    assert (result["failed"], result["error"]["code"]) == (True, "libvirt_unavailable")
    assert result["error"]["hint"] and result["error"]["hint"] in result["msg"]


def test_it_fails_if_libvirt_is_lost_meanwhile(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> str:
        raise VmError("connection_lost", "the connection to libvirt is lost")

    monkeypatch.setattr(host.libvirt, "hostname", lost)
    assert host.run()["error"]["code"] == "connection_lost"
