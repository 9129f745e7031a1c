# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zstack_vm_stop returns one result for each VM, even if libvirt is unavailable."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Removal
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import KvmModule
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor
from ansible_collections.zstack.kvm.tests.unit.plugins.modules.in_process import Host

OTHER = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Host:
    libvirt = FakeHypervisor({UUID: FakeDomain(), OTHER: FakeDomain()})
    return Host("zstack_vm_stop", monkeypatch, capsys, libvirt)


def test_it_stops_vms_and_returns_them_in_their_order(host: Host) -> None:
    result = host.run(vms=[OTHER, UUID], force=True, timeout=0)
    assert (result["changed"], [entry["uuid"] for entry in result["vms"]]) == (True, [OTHER, UUID])
    assert [(entry["state"], entry["actions"]) for entry in result["vms"]] == [("shutoff", ["destroy"])] * 2
    assert "failed" not in result
    assert host.libvirt.calls[-1] == ("close",)


def test_a_vm_that_is_off_is_not_changed(host: Host) -> None:
    host.libvirt.domains[UUID].state = "shutoff"
    assert host.run(vms=[UUID])["changed"] is False


def test_check_mode_reports_the_same_and_changes_nothing(host: Host) -> None:
    result = host.run(check=True, vms=[UUID], undefine=True)
    assert (result["changed"], result["vms"][0]["actions"]) == (True, ["shutdown", "undefine"])
    assert host.libvirt.domains[UUID].state == "running"


def test_it_removes_only_what_is_named(host: Host) -> None:
    host.run(vms=[UUID], force=True, timeout=0, undefine=True, nvram="remove", snapshots="remove")
    assert host.libvirt.undefined == [Removal(nvram=True, snapshots=True)]


def test_warnings_of_a_vm_are_shown_by_the_task(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(KvmModule, "warn", lambda module, warning: shown.append(warning))
    host.libvirt.domains[UUID].defined = "<channel type='unix'><source mode='bind' path='/run/a'/></channel>"
    result = host.run(vms=[UUID], force=True, timeout=0)
    (warning,) = result["vms"][0]["warnings"]
    assert [text.endswith(f"({UUID}): {warning}") for text in shown] == [True]


def test_one_vm_that_fails_does_not_keep_another_from_being_stopped(host: Host) -> None:
    host.libvirt.errors["destroy"] = VmError("libvirt_error", "no")
    result = host.run(vms=[UUID, OTHER], force=True, timeout=0)
    assert result["failed"] and "1 of 2 VMs failed" in result["msg"]
    assert sorted(entry["state"] for entry in result["vms"]) == ["running", "shutoff"]


def test_all_problems_of_the_input_are_reported_at_once(host: Host) -> None:
    result = host.run(vms=["7", UUID, UUID], timeout=-1)
    assert result["failed"]
    assert [path for path in ("vms[0]: ", "vms[2]: ", "timeout: ") if path not in result["msg"]] == []
    assert host.libvirt.calls == []


def test_no_time_to_shut_down_needs_force(host: Host) -> None:
    result = host.run(vms=[UUID], timeout=0)
    assert result["failed"] and "use force: true" in result["msg"]


def test_every_vm_fails_if_libvirt_is_unavailable(host: Host) -> None:
    host.is_available = False
    result = host.run(vms=[UUID, OTHER])
    assert result["failed"] and "2 of 2 VMs failed" in result["msg"]
    assert [entry["error"]["code"] for entry in result["vms"]] == ["libvirt_unavailable"] * 2
