# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources that a VM needs and the hypervisor lacks, on a simulated file tree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError, VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import CommandResult
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._start.preflight import (
    host_problems,
    memory_warnings,
    missing_channel_directories,
    missing_explained,
    network_filter_problems,
    network_problems,
    qmp_directory_problems,
    shared_qmp_directory,
)
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import as_failure
from ansible_collections.zstack.kvm.tests.unit.fakes import FakePrograms, parsed_vm

CHANNEL = {"target_name": "agent"}
MDEV = "c2177883-f1bb-47f0-914d-32a22e3a8804"
VF = {"mac": "fa:00:00:00:00:01", "pci_device_address": "0a:00.3"}


@pytest.fixture
def system(tmp_path: Path) -> HostSystem:
    """Return a hypervisor with a bridge, a NIC, devices of all kinds, a ROM file and a directory.

    They are br0, eth0, 0000:0a:00.1 behind an IOMMU, 0000:0a:00.2 without, the virtual function 0000:0a:00.3, a
    mediated device, 046d:c077 as 1:3, /rom.bin and /run/vm.
    """
    pci = "sys/bus/pci/devices/0000:0a:00."
    virtual_function = (pci + "3/iommu_group", pci + "3/physfn", "sys/bus/mdev/devices/" + MDEV)
    networks = ("sys/class/net/br0/bridge", "sys/class/net/eth0")
    for directory in (*networks, pci + "1/iommu_group", pci + "2", *virtual_function, "run/vm"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "rom.bin").write_text("")
    stick = tmp_path / "sys/bus/usb/devices/1-2"
    stick.mkdir(parents=True)
    for name, text in (("busnum", "1"), ("devnum", "3"), ("idVendor", "046d"), ("idProduct", "c077")):
        (stick / name).write_text(text + "\n")
    (tmp_path / "run/file").write_text("")
    return HostSystem(str(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"nics": [{"bridge_name": "br0"}]},
        {"nics": [{"network_name": "default"}]},
        {"nics": [VF]},
        {"nics": [{"bridge_name": "br0", "queues": 4}], "domain_type": "qemu"},
        {"pci_devices": ["0a:00.1"]},
        {"pci_devices": ["0a:00.1,/rom.bin"]},
        {"pci_devices": ["0a:00.1,8f14e45fceea167a5a36dedd4bea2543"]},
        {"mdev_devices": [MDEV]},
        {"usb_devices": ["1:3:046D:C077:2.0"]},
        {"channels": [{**CHANNEL, "socket_path": "/run/vm/agent"}]},
        {"channels": [{**CHANNEL, "socket_path": "/run/vm/a/b/agent"}]},
        {"channels": [{**CHANNEL, "socket_path": "/agent"}]},
    ],
)
def test_existing_resources_are_no_problem(options: dict[str, Any], system: HostSystem) -> None:
    assert host_problems(parsed_vm(**options), system) == []


NO_USB = "vms[0].usb_devices[0]: no USB device %s is plugged in as device %d of bus %d"
BRIDGE, ADDRESS = "Create the bridge", "Compare the address"


@pytest.mark.parametrize(
    ("options", "code", "message", "hint"),
    [
        (
            {"nics": [{"bridge_name": "br1"}]},
            "bridge_missing",
            "vms[0].nics[0].bridge_name: the hypervisor has no bridge br1",
            BRIDGE,
        ),
        (
            {"nics": [{"bridge_name": "eth0"}]},
            "bridge_missing",
            "vms[0].nics[0].bridge_name: the hypervisor has no bridge eth0",
            BRIDGE,
        ),
        (
            {"pci_devices": ["0a:00.0"]},
            "device_missing",
            "vms[0].pci_devices[0]: the hypervisor has no PCI device 0000:0a:00.0",
            ADDRESS,
        ),
        (
            {"pci_devices": ["0001:0a:00.1"]},
            "device_missing",
            "vms[0].pci_devices[0]: the hypervisor has no PCI device 0001:0a:00.1",
            ADDRESS,
        ),
        (
            {"pci_devices": ["0a:00.2"]},
            "iommu_missing",
            "vms[0].pci_devices[0]: the PCI device 0000:0a:00.2 is not behind an IOMMU, so it cannot be passed through",
            "Enable VT-d",
        ),
        (
            {"pci_devices": ["0a:00.1,/none.bin"]},
            "device_missing",
            "vms[0].pci_devices[0]: the ROM file /none.bin does not exist",
            ADDRESS,
        ),
        (
            {"nics": [{**VF, "pci_device_address": "0a:00.7"}]},
            "device_missing",
            "vms[0].nics[0].pci_device_address: the hypervisor has no PCI device 0000:0a:00.7",
            ADDRESS,
        ),
        (
            {"nics": [{**VF, "pci_device_address": "0a:00.1"}]},
            "device_missing",
            "vms[0].nics[0].pci_device_address: the PCI device 0000:0a:00.1 is not a virtual function",
            "name a virtual function",
        ),
        (
            {"nics": [{**VF, "pci_device_address": "0a:00.2"}]},
            "iommu_missing",
            "vms[0].nics[0].pci_device_address: the PCI device 0000:0a:00.2 is not behind an IOMMU, so it cannot be "
            "passed through",
            "Enable VT-d",
        ),
        (
            {"nics": [{"bridge_name": "br0", "queues": 4}]},
            "device_missing",
            "vms[0].nics[0].queues: the hypervisor has no /dev/vhost-net, which a NIC with several queues needs",
            "load the kernel module vhost_net",
        ),
        (
            {"mdev_devices": [MDEV.replace("c2", "d2")]},
            "device_missing",
            "vms[0].mdev_devices[0]: the hypervisor has no mediated device " + MDEV.replace("c2", "d2"),
            ADDRESS,
        ),
        ({"usb_devices": ["1:4:046d:c077:2.0"]}, "device_missing", NO_USB % ("046d:c077", 4, 1), ADDRESS),
        ({"usb_devices": ["2:3:046d:c077:2.0"]}, "device_missing", NO_USB % ("046d:c077", 3, 2), ADDRESS),
        ({"usb_devices": ["1:3:0781:c077:2.0"]}, "device_missing", NO_USB % ("0781:c077", 3, 1), ADDRESS),
        ({"usb_devices": ["1:3:046d:5567:2.0"]}, "device_missing", NO_USB % ("046d:5567", 3, 1), ADDRESS),
        (
            {"channels": [{**CHANNEL, "socket_path": "/run/file/a/agent"}]},
            "path_unwritable",
            "vms[0].channels[0].socket_path: /run/file is not a directory",
            "Check that the task runs",
        ),
    ],
)
def test_a_missing_resource_is_a_problem_with_a_hint(
    options: dict[str, Any], code: str, message: str, hint: str, system: HostSystem
) -> None:
    problems = host_problems(parsed_vm(**options), system)
    error = as_failure(VmProblems(problems)).error

    assert [str(problem) for problem in problems] == [message]
    assert (error.code, error.hint.startswith(hint)) == (code, True)


def openvswitch(root: Path, broken: str = "") -> FakePrograms:
    """Return a hypervisor whose ovs-vsctl knows the bridge ovsbr."""

    def answer(argv: Sequence[str]) -> CommandResult:
        if broken == "command_missing":
            raise VmError("command_missing", "the program ovs-vsctl is not installed")
        return CommandResult(1 if broken else 0 if argv[-1] == "ovsbr" else 2, "", broken)

    return FakePrograms(root, answer)


@pytest.mark.parametrize(
    ("bridge", "kind", "broken", "code", "message", "hint"),
    [
        ("ovsbr", "openvswitch", "", None, "", ""),
        (
            "ovsbr9",
            "openvswitch",
            "",
            "bridge_missing",
            "Open vSwitch has no bridge ovsbr9",
            "create it with ovs-vsctl",
        ),
        (
            "br0",
            "openvswitch",
            "",
            "bridge_missing",
            "br0 is a bridge of the kernel, not of Open vSwitch",
            "set bridge_",
        ),
        (
            "ovsbr",
            "linux",
            "",
            "bridge_missing",
            "the hypervisor has no bridge ovsbr",
            "ovsbr is a bridge of Open vSwitch",
        ),
        ("eth0", "linux", "", "bridge_missing", "the hypervisor has no bridge eth0", "Create the bridge"),
        ("ovsbr", "linux", "down", "bridge_missing", "the hypervisor has no bridge ovsbr", "Create the bridge"),
        (
            "ovsbr",
            "openvswitch",
            "down",
            "openvswitch_failed",
            "cannot query Open vSwitch: down",
            "Check that ovsdb-",
        ),
        (
            "ovsbr",
            "openvswitch",
            "command_missing",
            "command_missing",
            "the program ovs-vsctl is not installed",
            "install openvswitch-switch",
        ),
    ],
)
def test_a_bridge_is_one_of_its_kind(
    tmp_path: Path,
    system: HostSystem,
    bridge: str,
    kind: str,
    broken: str,
    code: Optional[str],
    message: str,
    hint: str,
) -> None:
    (tmp_path / "sys/class/net/ovsbr").mkdir()
    found = host_problems(parsed_vm(nics=[{"bridge_name": bridge, "bridge_type": kind}]), openvswitch(tmp_path, broken))
    if code is None:
        assert found == []
        return
    error = as_failure(VmProblems(found)).error
    assert (error.code, error.message) == (code, "vms[0].nics[0].bridge_name: " + message)
    assert error.hint.startswith(hint)


def test_all_missing_resources_are_named(system: HostSystem) -> None:
    lacking = parsed_vm(
        nics=[{"bridge_name": "br1"}], pci_devices=["0b:00.0", "0c:00.0"], usb_devices=["9:9:046d:c077:1.0"]
    )

    assert [problem.option_path for problem in host_problems(lacking, system)] == [
        "vms[0].nics[0].bridge_name",
        "vms[0].pci_devices[0]",
        "vms[0].pci_devices[1]",
        "vms[0].usb_devices[0]",
    ]


@pytest.mark.parametrize("filters", [None, ["clean-traffic", "no-arp-spoofing"]])
def test_a_filter_that_exists_or_is_unknown_is_no_problem(filters: Optional[list[str]]) -> None:
    assert network_filter_problems(parsed_vm(nics=[{"bridge_name": "br0", "ip": "10.0.0.5"}]), filters) == []


def test_a_filter_that_is_missing_is_one_for_each_nic_with_an_address() -> None:
    nics = [{"bridge_name": "br0", "ip": ip} for ip in ("10.0.0.5", "", "10.0.0.6")]
    problems = network_filter_problems(parsed_vm(nics=nics), ["no-arp-spoofing"])
    assert [problem.option_path for problem in problems] == ["vms[0].nics[0].ip", "vms[0].nics[2].ip"]
    assert {problem.code for problem in problems} == {"filter_failed"}


def test_on_a_remote_hypervisor_nothing_is_checked() -> None:
    lacking = parsed_vm(pci_devices=["0b:00.0"], channels=[{**CHANNEL, "socket_path": "/none/agent"}])
    system = RemoteSystem("qemu+ssh://hv1/system")

    assert (host_problems(lacking, system), missing_channel_directories(lacking, system)) == ([], [])


def test_a_directory_that_several_channels_lack_is_created_once(system: HostSystem) -> None:
    paths = ("/run/vm/a", "/run/new/b", "/run/new/c")
    channels = [{"socket_path": path, "target_name": path} for path in paths]

    assert missing_channel_directories(parsed_vm(channels=channels), system) == ["/run/new"]


@pytest.mark.parametrize(
    ("free", "warnings"),
    [
        (None, []),
        (1 << 30, []),
        ((1 << 30) - 1, ["the hypervisor has 1023 MiB of memory free, and the VM needs 1024 MiB"]),
    ],
)
def test_too_little_memory_is_a_warning(free: Optional[int], warnings: list[str]) -> None:
    assert memory_warnings(parsed_vm(), free) == warnings


def test_a_network_that_is_missing_or_inactive_is_a_problem_of_each_nic_on_it() -> None:
    names = ("default", "stopped", "nowhere")
    problems = network_problems(
        parsed_vm(nics=[{"network_name": name} for name in names]), {"default": True, "stopped": False}
    )
    assert [(problem.option_path, problem.code) for problem in problems] == [
        ("vms[0].nics[1].network_name", "network_inactive"),
        ("vms[0].nics[2].network_name", "network_missing"),
    ]
    assert str(problems[1]) == "vms[0].nics[2].network_name: the hypervisor has no libvirt network nowhere"


@pytest.mark.parametrize("nic", [{"bridge_name": "br0"}, {"network_name": "default"}])
def test_unknown_networks_are_no_problem(nic: dict[str, str]) -> None:
    assert network_problems(parsed_vm(nics=[nic]), None) == []


def test_a_network_daemon_that_does_not_answer_is_a_problem_of_nics_on_networks_alone() -> None:
    error = VmError("daemon_unavailable", "cannot list the networks: virtnetworkd does not listen")
    problems = network_problems(parsed_vm(nics=[{"bridge_name": "br0"}, {"network_name": "default"}]), error)
    assert [(problem.option_path, problem.code) for problem in problems] == [
        ("vms[0].nics[1].network_name", "daemon_unavailable")
    ]


class TestTheDirectoryOfQmpSockets:
    VM = parsed_vm(additional_qmp=True)
    PATH = "/var/lib/libvirt/qemu/zstack"
    OWNER = (os.geteuid(), os.getegid())

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        directory = tmp_path / self.PATH.lstrip("/")
        directory.mkdir(parents=True)
        return directory

    @pytest.mark.parametrize(("mode", "shared"), [(0o777, True), (0o770, True), (0o755, False), (0o700, False)])
    def test_is_restricted_where_others_can_write_to_it(
        self, directory: Path, system: HostSystem, mode: int, shared: bool
    ) -> None:
        directory.chmod(mode)
        assert shared_qmp_directory(self.VM, system, self.OWNER) == ([self.PATH] if shared else [])

    def test_needs_no_restriction_where_it_is_missing_or_no_vm_uses_it(
        self, directory: Path, system: HostSystem
    ) -> None:
        directory.chmod(0o777)
        assert shared_qmp_directory(parsed_vm(), system, self.OWNER) == []
        directory.rmdir()
        assert shared_qmp_directory(self.VM, system, self.OWNER) == []
        assert shared_qmp_directory(self.VM, RemoteSystem("qemu+ssh://hv1/system"), self.OWNER) == []

    def test_cannot_be_restricted_by_another_user(
        self, directory: Path, system: HostSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        directory.chmod(0o777)
        monkeypatch.setattr(system, "is_root", lambda: False)
        (problem,) = qmp_directory_problems(self.VM, system, self.OWNER)
        assert (problem.option_path, problem.code) == ("vms[0].additional_qmp", "needs_root")

    def test_that_is_a_link_is_a_problem(self, directory: Path, system: HostSystem) -> None:
        directory.rename(directory.with_name("elsewhere"))
        directory.symlink_to("elsewhere")
        directory.parent.chmod(0o777)
        (problem,) = qmp_directory_problems(self.VM, system, self.OWNER)
        assert (problem.option_path, problem.code) == ("vms[0].additional_qmp", "path_unsafe")
        assert problem.message.startswith("QEMU must not listen in %s: " % self.PATH)
        assert shared_qmp_directory(self.VM, system, self.OWNER) == []


@pytest.mark.parametrize(
    ("present", "domain_type", "message"),
    [
        ([], "kvm", "no kvm: missing directory /dev/kvm"),
        (["dev/kvm"], "kvm", "no kvm: missing kvm_intel or kvm_amd module"),
        (["dev/kvm", "sys/module/kvm_amd"], "kvm", "no kvm"),
        ([], "qemu", "no kvm"),
    ],
)
def test_what_is_missing_for_kvm_is_reported(
    tmp_path: Path, present: list[str], domain_type: str, message: str
) -> None:
    for path in present:
        (tmp_path / path).mkdir(parents=True)
    missing = [Problem("domain_type", "no kvm", "unsupported_domain_type"), Problem("cpu_model", "none")]
    found = missing_explained(missing, parsed_vm(domain_type=domain_type), HostSystem(str(tmp_path)))
    assert [problem.message for problem in found] == [message, "none"]
