# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's report about a host, on simulated trees of /dev, /proc and /sys: test machines have no IOMMU."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[4] / "roles/host_prerequisites/files/readiness.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the root directory of a host that offers nothing."""
    write(tmp_path / "proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda1 quiet\n")
    return tmp_path


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def readiness(root: Path, *bridges: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(root), *bridges], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def test_a_host_that_offers_nothing(root: Path) -> None:
    assert readiness(root) == {
        "kvm": False,
        "nested": None,
        "iommu_groups": 0,
        "vfio": "missing",
        "missing_bridges": [],
        "cgroup_version": 1,
        "system_bus": False,
        "kernel_parameters": ["BOOT_IMAGE=/vmlinuz", "root=/dev/vda1", "quiet"],
    }


def test_kvm_is_there_when_its_device_is(root: Path) -> None:
    write(root / "dev/kvm")
    assert readiness(root)["kvm"] is True


@pytest.mark.parametrize(
    ("module", "value", "nested"),
    [("kvm_intel", "Y", True), ("kvm_intel", "N", False), ("kvm_amd", "1", True), ("kvm_amd", "0", False)],
)
def test_nested_virtualization_is_what_the_kvm_module_says(root: Path, module: str, value: str, nested: bool) -> None:
    write(root / "sys/module" / module / "parameters/nested", value + "\n")
    assert readiness(root)["nested"] is nested


def test_iommu_groups_are_counted(root: Path) -> None:
    for group in range(3):
        (root / "sys/kernel/iommu_groups" / str(group)).mkdir(parents=True)
    assert readiness(root)["iommu_groups"] == 3


def test_vfio_is_loaded_when_its_driver_is_registered(root: Path) -> None:
    (root / "sys/bus/pci/drivers/vfio-pci").mkdir(parents=True)
    assert readiness(root)["vfio"] == "loaded"


def test_vfio_is_loadable_when_the_kernel_has_the_module(root: Path) -> None:
    modules = root / "lib/modules" / platform.release() / "modules.dep"
    write(modules, "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko.xz\n")
    assert readiness(root)["vfio"] == "loadable"


def test_an_interface_that_is_no_bridge_is_missing_as_a_bridge(root: Path) -> None:
    (root / "sys/class/net/br0/bridge").mkdir(parents=True)
    (root / "sys/class/net/eth0").mkdir(parents=True)
    assert readiness(root, "br0", "eth0", "br1")["missing_bridges"] == ["eth0", "br1"]


def test_version_2_of_control_groups_is_known_by_its_list_of_controllers(root: Path) -> None:
    write(root / "sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
    assert readiness(root)["cgroup_version"] == 2


def test_a_system_bus_is_seen(root: Path) -> None:
    write(root / "run/dbus/system_bus_socket")
    assert readiness(root)["system_bus"] is True
