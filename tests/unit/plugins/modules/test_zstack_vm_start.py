# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zstack_vm_start returns one result for each VM, even if libvirt is unavailable."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID
from ansible_collections.zstack.kvm.tests.unit.plugins.modules import in_process
from ansible_collections.zstack.kvm.tests.unit.plugins.modules.in_process import Host

OTHER = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
SECRET = "Sekr3t"
UUID_OF_HOST = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Host:
    return Host("zstack_vm_start", monkeypatch, capsys)


def vm(uuid: str = UUID, **options: Any) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "name": "web",
        "memory": "64MiB",
        "cpu_num": 1,
        "domain_type": "qemu",
        "machine": "pc",
        "console_mode": "none",
        "root_volume": {"install_path": f"/{uuid}.qcow2", "format": "qcow2"},
        **options,
    }


def test_it_starts_vms_and_returns_them_in_their_order(host: Host) -> None:
    result = host.run(vms=[vm(OTHER), vm()])
    assert (result["changed"], [entry["uuid"] for entry in result["vms"]]) == (True, [OTHER, UUID])
    assert [entry["actions"] for entry in result["vms"]] == [["define", "start"]] * 2
    assert "failed" not in result
    assert host.libvirt.calls[-1] == ("close",)
    assert {uuid: domain.state for uuid, domain in host.libvirt.domains.items()} == {UUID: "running", OTHER: "running"}


def test_a_second_run_changes_nothing(host: Host) -> None:
    host.run(vms=[vm()])
    result = host.run(vms=[vm()])
    assert (result["changed"], result["vms"][0]["actions"], result["vms"][0]["state"]) == (False, [], "running")


def test_check_mode_reports_the_same_and_changes_nothing(host: Host) -> None:
    result = host.run(check=True, vms=[vm()])
    assert (result["changed"], result["vms"][0]["actions"]) == (True, ["define", "start"])
    assert (result["diff"][0]["before"], "<domain" in result["diff"][0]["after"]) == ("state: absent\n", True)
    assert host.libvirt.domains == {}


def test_check_mode_returns_the_hypervisor_and_what_is_active_there(host: Host) -> None:
    host.run(vms=[vm(OTHER)])
    assert "hypervisor" not in host.run(vms=[vm(OTHER)])
    seen = host.run(check=True, vms=[vm()])["hypervisor"]
    assert (seen["hostname"], seen["active"]) == ("hv1", [OTHER])
    assert UUID_OF_HOST.fullmatch(seen["uuid"])


def test_check_mode_returns_no_hypervisor_if_libvirt_is_lost_meanwhile(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> str:
        raise VmError("connection_lost", "the connection to libvirt is lost")

    monkeypatch.setattr(host.libvirt, "hostname", lost)
    result = host.run(check=True, vms=[vm()])
    assert (len(result["vms"]), "hypervisor" in result) == (1, False)


def test_all_problems_of_the_input_are_reported_at_once(host: Host) -> None:
    result = host.run(vms=[vm(cpu_num=0), vm(OTHER, memory="much")], parallel=0)
    assert result["failed"] and "3 problems in the input" in result["msg"]
    paths = ("vms[0].cpu_num: ", "vms[1].memory: ", "parallel: ")
    assert [path for path in paths if path not in result["msg"]] == []
    assert host.libvirt.calls == []


def test_every_vm_fails_if_libvirt_is_unavailable(host: Host) -> None:
    host.is_available = False
    result = host.run(vms=[vm(), vm(OTHER)])
    assert result["failed"] and "2 of 2 VMs failed" in result["msg"]
    errors = [entry["error"] for entry in result["vms"]]
    assert [(error["code"], error["phase"]) for error in errors] == [("libvirt_unavailable", "look")] * 2
    assert all(error["hint"] and error["hint"] in result["msg"] for error in errors)


def test_a_secret_that_an_error_repeats_is_masked(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.is_available = False
    error = in_process.UNAVAILABLE.replaced(message=f"refused {SECRET}")
    monkeypatch.setattr(in_process, "UNAVAILABLE", error)
    result = host.run(vms=[vm(console_password=SECRET, console_mode="vnc")])
    assert "refused ********" in result["msg"]
    assert SECRET not in json.dumps(result)
