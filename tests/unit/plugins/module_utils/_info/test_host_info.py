# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Information of zstack_host_info, from recorded capabilities and simulated kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import DomainKind
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.host_info import host_info
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import CAPABILITIES
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeDomain, FakeHypervisor


class RecordedHypervisor(FakeHypervisor):
    """Answers like the libvirt whose capabilities were recorded; stands in for distributions that are not at hand."""

    def __init__(self, name: str) -> None:
        uuid = "36c27e8f-f05c-4780-bf6d-2fa65700f22e"
        super().__init__({uuid: FakeDomain(name=uuid.replace("-", ""))})
        self.directory = CAPABILITIES / name
        self.free = 5 << 30
        self.requests: list[DomainKind] = []

    def capabilities(self) -> str:
        return (self.directory / "capabilities.xml").read_text()

    def domain_capabilities(self, emulator: Optional[str], arch: str, machine: str, domain_type: str) -> str:
        self.requests.append(DomainKind(emulator, arch, machine, domain_type))
        path = self.directory / f"{arch}.{machine}.{domain_type}.xml"
        if not path.exists():
            raise VmError("libvirt_error", "not recorded")
        return path.read_text()


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """Return a file tree with what a kernel shows in /proc and /sys."""
    for name in ("proc", "sys/class/net/br_eth0/bridge", "sys/class/net/eth0", "sys/fs/cgroup"):
        (tmp_path / name).mkdir(parents=True)
    for group, device in ((9, "0000:00:1f.0"), (10, "0000:3b:00.1"), (10, "0000:3b:00.0")):
        (tmp_path / f"sys/kernel/iommu_groups/{group}/devices/{device}").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").touch()
    (tmp_path / "proc/meminfo").write_text("MemTotal:       4096 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\n")
    return tmp_path


def info(name: str, root: Path = Path("/")) -> dict[str, Any]:
    return host_info(RecordedHypervisor(name), HostSystem(str(root)))


def guest(name: str, arch: str, domain_type: str) -> dict[str, Any]:
    (found,) = [entry for entry in info(name)["guests"] if (entry["arch"], entry["domain_type"]) == (arch, domain_type)]
    return found


def test_it_identifies_the_hypervisor_and_its_versions() -> None:
    reported = info("debian-12")
    assert (reported["uuid"], reported["hostname"], reported["arch"]) == (
        "f7a72e8d-9fd3-4274-8577-1a6ab78ecdaf",
        "hv1",
        "x86_64",
    )
    assert (reported["libvirt_version"], reported["qemu_version"], reported["cpus"]) == ("10.5.0", "9.1.0", 4)


def test_it_names_the_vms_and_whether_they_are_active() -> None:
    assert info("debian-12")["vms"] == [
        {"uuid": "36c27e8f-f05c-4780-bf6d-2fa65700f22e", "name": "36c27e8ff05c4780bf6d2fa65700f22e", "active": True}
    ]


@pytest.mark.parametrize(
    ("name", "domain_types"),
    [
        ("debian-12", ["qemu"]),
        ("el-10", ["kvm", "qemu"]),
        ("el-10-aarch64", ["kvm", "qemu"]),
    ],
)
def test_domain_types_are_those_of_its_own_architecture(name: str, domain_types: list[str]) -> None:
    assert info(name)["domain_types"] == domain_types


def test_a_guest_says_in_the_words_of_the_options_what_its_machines_can_have() -> None:
    assert guest("debian-12", "x86_64", "qemu")["machines"] == {
        "pc": {
            "firmware": ["bios", "uefi"],
            "console_modes": ["vnc", "spice"],
            "video_types": ["cirrus", "vga", "qxl", "virtio"],
            "max_cpus": 255,
        },
        "q35": {
            "firmware": ["bios", "uefi"],
            "console_modes": ["vnc", "spice"],
            "video_types": ["cirrus", "vga", "qxl", "virtio"],
            "max_cpus": 288,
        },
    }


def test_a_host_without_machine_pc_spice_and_cirrus_offers_none_of_them() -> None:
    reported = guest("el-10", "x86_64", "kvm")
    assert (reported["default_machine"], reported["emulator"]) == ("q35", "/usr/libexec/qemu-kvm")
    assert reported["machines"] == {
        "q35": {
            "firmware": ["bios", "uefi"],
            "console_modes": ["vnc"],
            "video_types": ["vga", "virtio"],
            "max_cpus": 4096,
        }
    }


def test_a_guest_names_all_versions_of_its_machines() -> None:
    assert guest("debian-12", "aarch64", "qemu")["machine_names"] == ["virt", "virt-7.2"]


def test_aarch64_has_no_bios() -> None:
    assert guest("el-10-aarch64", "aarch64", "kvm")["machines"]["virt"]["firmware"] == ["uefi"]


def test_a_machine_that_libvirt_does_not_describe_is_left_out() -> None:
    reported = guest("el-10", "x86_64", "qemu")
    assert reported["machines"] == {}
    assert "q35" in reported["machine_names"]


def test_libvirt_lost_meanwhile_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hypervisor = RecordedHypervisor("debian-12")

    def gone(*_kind: object) -> str:
        raise VmError("connection_lost", "gone")

    monkeypatch.setattr(hypervisor, "domain_capabilities", gone)
    with pytest.raises(VmError, match="gone"):
        host_info(hypervisor, HostSystem())


def test_the_kernel_reports_memory_bridges_control_groups_and_iommu_groups(kernel: Path) -> None:
    reported = info("debian-12", kernel)
    assert reported["memory"] == {"total": 4096 * 1024, "free": 2048 * 1024}
    assert (reported["bridges"], reported["cgroup_version"]) == (["br_eth0"], 2)
    assert reported["iommu_groups"] == [
        {"number": 9, "devices": ["0000:00:1f.0"]},
        {"number": 10, "devices": ["0000:3b:00.0", "0000:3b:00.1"]},
    ]


def test_a_kernel_without_iommu_and_bridges_has_none(tmp_path: Path) -> None:
    reported = info("debian-12", tmp_path)
    assert (reported["bridges"], reported["iommu_groups"], reported["cgroup_version"]) == ([], [], 1)


def test_a_hypervisor_reached_remotely_reports_what_its_libvirt_knows() -> None:
    reported = host_info(RecordedHypervisor("debian-12"), RemoteSystem("qemu+ssh://hv1/system"))
    assert reported["memory"] == {"total": 64 * 2**30, "free": 5 * 2**30}
    assert (reported["bridges"], reported["iommu_groups"], reported["cgroup_version"]) == (None, None, None)
    assert reported["load_average"] is None


def test_the_load_is_that_of_the_last_minutes(kernel: Path) -> None:
    (kernel / "proc/loadavg").write_text("3.50 2.25 2.00 4/512 4242\n")
    assert info("debian-12", kernel)["load_average"] == [3.5, 2.25, 2.0]
