# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task with zstack_host_info returns the same as virsh and the system's own programs."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any
from uuid import UUID

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.in_process import start
from ansible_collections.zstack.kvm.tests.support.playbook import run_task, run_tasks
from ansible_collections.zstack.kvm.tests.support.virsh import virsh
from lxml import etree

URI = "qemu:///system"


def ask(uri: str = URI, check: bool = False) -> dict[str, Any]:
    run = run_task("zstack.kvm.zstack_host_info", {"uri": uri}, check=check)
    assert not run.failed, run.output
    assert run.result["changed"] is False
    return run.result


@pytest.fixture(scope="module")
def memory() -> tuple[int, int]:
    """Return the host's whole and its available memory."""
    total, available = subprocess.check_output(["free", "--bytes"], text=True).splitlines()[1].split()[1::5]
    return int(total), int(available)


@pytest.fixture(scope="module")
def host(memory: tuple[int, int]) -> dict[str, Any]:
    return ask()


@pytest.fixture(scope="module")
def capabilities() -> etree._Element:
    return etree.fromstring(virsh("capabilities"))


def test_it_is_the_hypervisor_that_virsh_talks_to(host: dict[str, Any], capabilities: etree._Element) -> None:
    assert host["uuid"] == capabilities.findtext("host/uuid")
    assert host["hostname"] == virsh("hostname")
    assert host["arch"] == capabilities.findtext("host/cpu/arch") == os.uname().machine


def test_versions_are_those_of_the_daemon_and_its_qemu(host: dict[str, Any]) -> None:
    versions = virsh("version", "--daemon")
    assert re.search(r"against daemon: (\S+)", versions)[1] == host["libvirt_version"]
    assert re.search(r"hypervisor: QEMU (\S+)", versions)[1] == host["qemu_version"]


def test_processors_and_memory_are_those_of_the_machine(host: dict[str, Any], memory: tuple[int, int]) -> None:
    assert f"CPU(s): {host['cpus']}" in re.sub(" +", " ", virsh("nodeinfo"))
    total, available = memory
    assert host["memory"]["total"] == total
    assert host["memory"]["free"] == pytest.approx(available, rel=0.2)


def test_guests_are_those_of_the_capabilities(host: dict[str, Any], capabilities: etree._Element) -> None:
    there = {
        (arch.get("name"), domain.get("type"))
        for arch in capabilities.iterfind("guest[os_type='hvm']/arch")
        if arch.get("name") in ("x86_64", "aarch64")
        for domain in arch.iterfind("domain")
    }
    assert {(guest["arch"], guest["domain_type"]) for guest in host["guests"]} == there
    assert set(host["domain_types"]) == {domain_type for arch, domain_type in there if arch == host["arch"]}


def test_every_machine_can_have_what_virsh_says(host: dict[str, Any]) -> None:
    asked = 0
    for guest in host["guests"]:
        for machine, facts in guest["machines"].items():
            kind = ["--arch", guest["arch"], "--machine", machine, "--virttype", guest["domain_type"]]
            capabilities = etree.fromstring(virsh("domcapabilities", *kind))
            offered = [value.text for value in capabilities.iterfind("devices/video/enum[@name='modelType']/value")]
            assert set(facts["video_types"]) == set(offered) & {"cirrus", "vga", "qxl", "virtio"}
            offered = [value.text for value in capabilities.iterfind("devices/graphics/enum[@name='type']/value")]
            assert set(facts["console_modes"]) == set(offered) & {"vnc", "spice"}
            assert facts["max_cpus"] == int(capabilities.find("vcpu").get("max"))
            assert guest["emulator"] == capabilities.findtext("path")
            asked += 1
    assert asked


def test_bridges_are_those_of_the_kernel(host: dict[str, Any]) -> None:
    shown = subprocess.check_output(["ip", "-oneline", "link", "show", "type", "bridge"], text=True)
    assert host["bridges"] == sorted(re.findall(r"^\d+: ([^:@]+)", shown, re.MULTILINE))
    assert host["bridges"]


def test_control_groups_are_those_that_are_mounted(host: dict[str, Any]) -> None:
    kind = subprocess.check_output(["stat", "--file-system", "--format=%T", "/sys/fs/cgroup"], text=True).strip()
    assert host["cgroup_version"] == (2 if kind == "cgroup2fs" else 1)


def test_vms_are_active_while_they_run_or_are_paused(new_vm: NewVm) -> None:
    runs, paused, off = (new_vm() for _number in range(3))
    start(runs, paused, off)
    virsh("suspend", paused["uuid"])
    virsh("destroy", off["uuid"])

    active = {vm["uuid"]: vm["active"] for vm in ask(check=True)["vms"]}

    assert [active[vm["uuid"]] for vm in (runs, paused, off)] == [True, True, False]


def test_a_libvirt_that_does_not_answer_is_an_error_with_a_hint() -> None:
    run = run_task("zstack.kvm.zstack_host_info", {"uri": "qemu+unix:///system?socket=/run/nobody-listens"})
    assert run.failed
    assert "/run/nobody-listens" in run.result["msg"]
    assert run.result["error"]["code"] == "libvirt_unavailable"


def test_module_defaults_of_the_action_group_reach_every_module() -> None:
    uri = "qemu+unix:///system?socket=/run/nobody-listens"
    arguments: dict[str, dict[str, Any]] = {
        "zstack_host_info": {},
        "zstack_vm_info": {},
        "zstack_vm_start": {"vms": []},
        "zstack_vm_stop": {"vms": [str(UUID(int=1))]},
        "zstack_libvirt_secret": {"uuid": str(UUID(int=1)), "state": "absent"},
    }
    defaults = {"group/zstack.kvm.all": {"uri": uri}}
    results = run_tasks(
        [{f"zstack.kvm.{name}": given, "module_defaults": defaults} for name, given in arguments.items()]
    )
    assert [result["invocation"]["module_args"]["uri"] for result in results] == [uri] * len(arguments)
