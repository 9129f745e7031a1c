# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents beyond one plain PC: spice, UEFI, q35, aarch64, and the options that StartVmCmd lacks."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import in_process, linux_guest
from ansible_collections.zstack.kvm.tests.support.failing_start import UNKNOWN_TO_QEMU
from ansible_collections.zstack.kvm.tests.support.module_run import agreed, failed, start
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp, virsh
from lxml import etree

MIB = 1 << 20
NVRAM = Path("/var/lib/libvirt/qemu/nvram")
QEMU = Path("/usr/bin/qemu-system-x86_64")


def qom(domain: str, path: str, name: str) -> Any:
    """Return a property of something in QEMU's tree of objects."""
    return qmp(domain, "qom-get", path=path, property=name)


def empty_disk(path: Path, mebibytes: int) -> dict[str, Any]:
    with path.open("wb") as file:
        file.truncate(mebibytes * MIB)
    path.chmod(0o666)
    return {"install_path": str(path), "format": "raw"}


def test_spice_with_redirection_and_two_monitors(new_vm: NewVm) -> None:
    vm = new_vm(
        console_mode="spice", console_password="pa55word", video_type="qxl", vdi_monitor_number=2, usb_redirect=True
    )
    run = agreed(vm)
    assert not run.failed, run.output

    spice = qmp(vm["uuid"], "query-spice")
    assert (spice["enabled"], spice["auth"], spice["mouse-mode"]) == (True, "spice", "server")
    with socket.create_connection((run.vm["console"]["host"], spice["port"]), timeout=60):
        assert run.vm["console"]["port"] == spice["port"]
    cards = [qom(vm["uuid"], "/machine/peripheral/" + name, "type") for name in ("video0", "video1")]
    assert cards == ["qxl-vga", "qxl"]
    redirections = [qom(vm["uuid"], "/machine/peripheral/redir%d" % number, "type") for number in range(4)]
    assert redirections == ["usb-redir"] * 4
    # The wires: two monitors, redirections and tablet are one VM that boots.
    wait_for_text(vm["uuid"], "I am " + vm["uuid"])


def test_uefi_for_a_guest_that_suspends_to_disk_is_in_sync(new_vm: NewVm) -> None:
    # libvirt finds no firmware that promises it. Another test shows that UEFI boots.
    vm = new_vm(firmware="uefi", suspend_to_disk=True, create_paused=True)

    assert agreed(vm).actions == ["define", "start"]
    assert qom(vm["uuid"], "/machine/system.flash0", "drive") == "libvirt-pflash0-format"
    again = agreed(vm)
    assert (again.actions, again.vm["differences"]) == ([], [])


@pytest.fixture
def first_firmware() -> Iterator[None]:
    """Put a firmware first that keeps no variables, as edk2's for AMD SEV is."""
    target = {"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}
    described = {
        "description": "stateless",
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "mode": "stateless",
            "executable": {"filename": "/usr/share/OVMF/OVMF_CODE_4M.fd", "format": "raw"},
        },
        "targets": [target],
        "features": ["acpi-s3", "acpi-s4"],
        "tags": [],
    }
    path = Path("/etc/qemu/firmware/00-stateless.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(described), encoding="utf-8")
    yield
    path.unlink()


@pytest.mark.usefixtures("first_firmware")
def test_uefi_keeps_its_variables_where_the_first_firmware_has_no_room_for_them(new_vm: NewVm) -> None:
    vm = new_vm(machine="q35", firmware="uefi", create_paused=True)

    assert in_process.start(vm).actions == ["define", "start"]
    nvram = Path(definition(vm["uuid"], inactive=False).findtext("os/nvram"))
    assert nvram.stat().st_size > 0


def test_what_libvirt_adds_goes_with_the_board_and_the_bus_that_it_belongs_to(new_vm: NewVm, images: Path) -> None:
    vm = new_vm(machine="q35", create_paused=True)
    assert in_process.start(vm).actions == ["define", "start"]
    somebodys = definition(vm["uuid"])
    disk = somebodys.find("devices/disk")
    disk.find("target").set("bus", "usb")
    disk.remove(disk.find("address"))
    changed = images / "changed.xml"
    changed.write_bytes(etree.tostring(somebodys))
    virsh("define", str(changed))
    virsh("destroy", vm["uuid"])

    # Newer versions of libvirt add a watchdog to q35, and a model to the disk.
    vm["machine"] = "pc"
    assert in_process.start(vm).actions == ["define", "start"]
    again = in_process.start(vm)
    assert (again.actions, again.vm["differences"]) == ([], [])


def test_q35_boots_by_uefi_with_sata_and_a_patch(new_vm: NewVm, images: Path) -> None:
    arguments = "<qemu:arg value='-smbios'/><qemu:arg value='type=1,product=Patched'/>"
    vm = new_vm(
        memory="256MiB",
        machine="q35",
        firmware="uefi",
        root_volume={"install_path": str(linux_guest.boot_disk(images / "root.qcow2"))},
        data_volumes=[{**empty_disk(images / "sata.raw", 5), "use_virtio": False}],
        domain_patches=[
            {"action": "add", "xpath": ".", "value": "<qemu:commandline>%s</qemu:commandline>" % arguments},
        ],
    )
    run = agreed(vm)
    assert not run.failed, run.output
    linux_guest.wait_until_booted(vm["uuid"])

    linux_guest.wait_until_seen(vm["uuid"], "system", firmware="uefi", product="Patched")
    assert qom(vm["uuid"], "/machine", "type").startswith("pc-q35-")
    assert qom(vm["uuid"], "/machine/peripheral/sata0-0-4", "type") == "ide-hd"
    live = definition(vm["uuid"], inactive=False)
    assert Path(live.findtext("os/nvram")).stat().st_size > 0
    again = agreed(vm)
    assert (again.actions, again.vm["differences"]) == ([], [])


@pytest.mark.parametrize("older", [False, True])
def test_a_failed_start_leaves_no_nvram_but_that_of_an_older_domain(new_vm: NewVm, older: bool) -> None:
    vm = new_vm(machine="q35", firmware="uefi", domain_patches=[UNKNOWN_TO_QEMU])
    nvram = NVRAM / ("%s_VARS.fd" % vm["uuid"].replace("-", ""))
    if older:
        nvram.write_bytes(b"of an older domain")
    try:
        run = failed(vm)
        assert (run.error["code"], run.error["rollback"]) == ("qemu_failed", "done"), run.error
        assert nvram.exists() is older
    finally:
        nvram.unlink(missing_ok=True)


def test_aarch64_boots_by_uefi(new_vm: NewVm, images: Path) -> None:
    vm = new_vm(arch="aarch64", memory="256MiB", root_volume=empty_disk(images / "root.raw", 1))
    run = agreed(vm)
    assert not run.failed, run.output
    wait_for_text(vm["uuid"], "UEFI", timeout=60)

    assert qmp(vm["uuid"], "query-target") == {"arch": "aarch64"}
    again = agreed(vm)
    assert (again.actions, again.vm["differences"]) == ([], [])


def test_aarch64_grows_to_128_cpus(new_vm: NewVm, images: Path) -> None:
    vm = new_vm(
        arch="aarch64", memory="256MiB", cpu_num=2, use_numa=True, root_volume=empty_disk(images / "root.raw", 1)
    )
    assert not agreed(vm).failed

    smp = qom(vm["uuid"], "/machine", "smp")
    assert (smp["cpus"], smp["maxcpus"]) == (2, 128)


@pytest.fixture
def another_qemu() -> Any:
    # In the same directory as the first one, where it finds its modules.
    path = QEMU.with_name("another-qemu")
    os.link(QEMU, path)
    yield path
    path.unlink()


def test_emulator_listen_address_and_confinement_are_in_sync(new_vm: NewVm, another_qemu: Path) -> None:
    vm = new_vm(emulator=str(another_qemu), console_listen="::1", security_label="default", wait_for="running")
    run = agreed(vm)
    assert not run.failed, run.output

    pid = Path("/run/libvirt/qemu/%s.pid" % vm["uuid"].replace("-", "")).read_text()
    assert os.readlink("/proc/%s/exe" % pid) == str(another_qemu)
    with socket.create_connection(("::1", run.vm["console"]["port"]), timeout=60) as console:
        assert console.recv(3) == b"RFB"
    assert {label.get("type") for label in definition(vm["uuid"], inactive=False).iterfind("seclabel")} == {"dynamic"}


def test_a_file_must_have_the_desired_format(new_vm: NewVm) -> None:
    vm = new_vm()
    vm["root_volume"]["format"] = "raw"

    assert failed(vm).error["code"] == "image_format"


def test_no_confinement_is_the_default(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)

    assert "none" in {label.get("type") for label in definition(vm["uuid"], inactive=False).iterfind("seclabel")}


def test_what_the_host_lacks_stops_the_vm_and_is_named(new_vm: NewVm) -> None:
    vm = new_vm(
        domain_type="kvm", firmware="uefi", machine="q35", pci_devices=["7f:1f.7"], usb_devices=["9:9:dead:beef:2.0"]
    )
    if Path("/dev/kvm").exists():
        vm["arch"] = "aarch64"
    run = failed(vm)

    for option in ("domain_type", "pci_devices[0]", "usb_devices[0]"):
        assert "vms[0].%s: " % option in run.error["message"]
    assert virsh("list", "--all", "--uuid").find(vm["uuid"]) == -1
