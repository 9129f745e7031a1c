# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conflicts with the claims of other domains, even where the hypervisor's files can't be read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.serial import console_log
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import DomainList, ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._start.conflicts import Conflicts, find_conflicts
from ansible_collections.zstack.kvm.plugins.module_utils._start.other_domains import OtherDomains
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Use
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor, parsed_vm
from lxml import etree

RUNNING, OFF = (f"{number}d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5" for number in (1, 2))
NIC = "<interface><mac address='fa:00:00:00:00:01'/><target dev='vnic1.0'/></interface>"
START = Use(starts=True)
NAME = UUID.replace("-", "")
CHANNEL = "<channel type='unix'><source mode='bind' path='/run/agent'/></channel>"


def domain(uuid: str, devices: str) -> str:
    return "<domain><name>n</name><uuid>%s</uuid><devices>%s</devices></domain>" % (uuid, devices)


class Libvirt(FakeHypervisor):
    """A libvirt with a running domain and one that is off."""

    def __init__(self, running: str = "", off: str = "") -> None:
        super().__init__({RUNNING: FakeDomain(running=running), OFF: FakeDomain("shutoff", defined=off)})

    def others(self) -> OtherDomains:
        domains = DomainList({RUNNING: "r", OFF: "o"}, frozenset([RUNNING]), frozenset())
        libvirt: Any = self
        return OtherDomains(libvirt, domains, [UUID])


def conflicts(others: OtherDomains, devices: str, use: Use = START) -> Conflicts:
    """Return the conflicts of a VM with a NIC and a channel of the same names, on a remote hypervisor."""
    vm = parsed_vm(
        nics=[{"bridge_name": "br0", "nic_internal_name": "vnic1.0", "mac": "fa:00:00:00:00:01"}],
        channels=[{"socket_path": "/run/agent", "target_name": "agent"}],
    )
    desired = etree.fromstring(domain(UUID, devices))
    return find_conflicts(vm, desired, ObservedVm(), use, RemoteSystem("qemu+ssh://hv1/system"), others)


def test_a_vm_without_any_claim_queries_nothing() -> None:
    libvirt = Libvirt()
    conflicts(libvirt.others(), "")
    assert libvirt.calls == []


def test_what_a_running_vm_has_is_a_problem() -> None:
    found = conflicts(Libvirt(running=NIC + CHANNEL).others(), NIC + CHANNEL)
    assert [(problem.option_path, problem.code) for problem in found.problems] == [
        ("vms[0].nics[0].nic_internal_name", "nic_name_taken"),
        ("vms[0].channels[0].socket_path", "address_in_use"),
    ]
    assert all("the running VM vm-%s (%s)" % (RUNNING, RUNNING) in problem.message for problem in found.problems)
    assert [text.partition(" ")[0] for text in found.warnings] == ["vms[0].nics[0].mac:"]


def test_what_one_has_that_is_off_is_a_warning() -> None:
    found = conflicts(Libvirt(off=NIC + CHANNEL).others(), NIC + CHANNEL)
    assert found.problems == []
    assert [text.partition(" ")[0] for text in found.warnings] == [
        "vms[0].nics[0].nic_internal_name:",
        "vms[0].nics[0].mac:",
        "vms[0].channels[0].socket_path:",
    ]


def test_a_vm_that_only_gets_a_nic_needs_no_other_checks() -> None:
    found = conflicts(Libvirt(running=NIC + CHANNEL).others(), NIC + CHANNEL, Use(attaches=True))
    assert [problem.code for problem in found.problems] == ["nic_name_taken"]


@pytest.mark.parametrize(
    ("kind", "disk", "warned"),
    [
        ("off", "<disk><source file='/a'/></disk>", True),
        ("running", "<disk><source file='/b'/><backingStore><source file='/a'/></backingStore></disk>", True),
        ("off", "<disk><source file='/b'/></disk>", False),
    ],
)
def test_an_image_that_another_vm_has_is_a_warning(kind: str, disk: str, warned: bool) -> None:
    found = conflicts(Libvirt(**{kind: disk}).others(), "<disk><source file='/a'/></disk>")
    assert (found.problems, ["/a is also an image of" in text for text in found.warnings]) == ([], [True] * warned)


@pytest.mark.parametrize("mark", ["<readonly/>", "<shareable/>"])
def test_an_image_that_is_not_written_or_is_shared_may_be_in_another_vm_too(mark: str) -> None:
    disk = "<disk><source file='/a'/>%s</disk>" % mark
    assert conflicts(Libvirt(running=disk).others(), disk).warnings == []


FILE = "<serial type='file'><source path='/var/log/a'/></serial>"


@pytest.mark.parametrize("holder", ["running", "off"])
@pytest.mark.parametrize("use", [Use(starts=True), Use()])
def test_a_file_of_another_vm_is_a_problem_as_soon_as_it_is_in_the_definition(holder: str, use: Use) -> None:
    found = conflicts(Libvirt(**{holder: FILE}).others(), FILE, use)
    assert [(problem.option_path, problem.code) for problem in found.problems] == [
        ("vms[0].domain_patches", "path_taken")
    ]


@pytest.mark.parametrize(
    ("options", "device", "option"),
    [
        ({"console_log": True}, "<serial type='pty'><log file='%s'/></serial>" % console_log(NAME), "console_log"),
        ({}, "<serial type='pty'><log file='%s'/></serial>" % console_log(NAME), "domain_patches"),
        ({"firmware": "uefi", "nvram": "/vars.fd"}, "<serial type='file'><source path='/vars.fd'/></serial>", "nvram"),
        (
            {"additional_qmp": True},
            "<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/zstack/%s.sock'/></channel>" % NAME,
            "additional_qmp",
        ),
    ],
)
def test_the_problem_names_the_option_that_a_path_follows_from(
    options: dict[str, Any], device: str, option: str
) -> None:
    system = RemoteSystem("qemu+ssh://hv1/system")
    desired = etree.fromstring(domain(UUID, device))
    others = Libvirt(running=device).others()
    (problem,) = find_conflicts(parsed_vm(**options), desired, ObservedVm(), START, system, others).problems
    assert problem.option_path == "vms[0]." + option


class TestOneOfSeveralPatches:
    """The problem names the patch that it comes from."""

    @staticmethod
    def option_paths(devices: str, *values: str) -> list[str]:
        patches = [{"action": "add", "xpath": "/domain/devices", "value": value} for value in values]
        desired = etree.fromstring(domain(UUID, devices))
        others = Libvirt(running=devices, off="<disk><source file='/var/log/a'/></disk>").others()
        system = RemoteSystem("qemu+ssh://hv1/system")
        found = find_conflicts(parsed_vm(domain_patches=patches), desired, ObservedVm(), START, system, others)
        return [problem.option_path for problem in found.problems]

    def test_by_its_path(self) -> None:
        longer = FILE.replace("/var/log/a", "/var/log/a.log")
        assert self.option_paths(FILE, "<title>a</title>", FILE, longer) == ["vms[0].domain_patches[1]"]

    def test_by_a_path_that_is_escaped(self) -> None:
        patches = ["<title/>", FILE.replace("/log/", "&#47;log/")]
        assert self.option_paths(FILE, *patches) == ["vms[0].domain_patches[1]"]

    def test_by_its_port(self) -> None:
        vnc = "<graphics type='vnc' port='590%d' autoport='no'/>"
        patches = [vnc % 1, vnc % 2, "<title>15901</title>"]
        assert self.option_paths(vnc % 1, *patches) == ["vms[0].domain_patches[0]"]

    def test_unless_several_make_it_up_together(self) -> None:
        assert self.option_paths(FILE, "<serial type='file'/>") == ["vms[0].domain_patches"]


@pytest.mark.parametrize(
    ("device", "code"),
    [
        ("<shmem name='a'><server path='/image'/></shmem>", "socket_unreachable"),
        ("<serial type='unix'><source mode='connect' path='/image'/></serial>", "socket_unreachable"),
        ("<shmem name='a'><server path='/later'/></shmem>", ""),
        ("<serial type='pipe'><source path='/image'/></serial>", "path_taken"),
        ("<serial type='pipe'><source path='/pair'/></serial>", "path_taken"),
        ("<pstore backend='acpi-erst'><path>/image</path></pstore>", "path_taken"),
    ],
)
def test_a_file_is_neither_a_socket_nor_a_pipe(tmp_path: Path, device: str, code: str) -> None:
    for name in ("image", "pair.out"):
        (tmp_path / name).write_bytes(b"somebody's")
    vm = parsed_vm(domain_patches=[{"action": "add", "xpath": "/domain/devices", "value": device}])
    desired = etree.fromstring(domain(UUID, device))
    found = find_conflicts(vm, desired, ObservedVm(), START, HostSystem(str(tmp_path)), Libvirt().others())
    expected = [("vms[0].domain_patches[0]", code)] if code else []
    assert [(problem.option_path, problem.code) for problem in found.problems] == expected


def test_a_special_file_is_shared_also_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    os.mkfifo(tmp_path / "dev/port")
    (tmp_path / "dev/by-id").symlink_to("port")
    for path in ("/dev/port", "/dev/by-id"):
        serial = "<serial type='dev'><source path='%s'/></serial>" % path
        desired = etree.fromstring(domain(UUID, serial))
        others = Libvirt(running=serial, off=serial).others()
        for system in (HostSystem(str(tmp_path)), RemoteSystem("qemu+ssh://hv1/system")):
            found = find_conflicts(parsed_vm(), desired, ObservedVm(), START, system, others)
            assert (found.problems, found.warnings) == ([], [])
