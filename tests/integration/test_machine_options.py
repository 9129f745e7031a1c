# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VM with Secure Boot, a TPM, NUMA nodes, root ports, SMBIOS texts, limits and pins, as its guest and host see it.

It is started once; the tests look at one thing each, in the order of the file, and the last ones end it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import image_directory
from ansible_collections.zstack.kvm.tests.support import linux_guest, swtpm
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, failed
from ansible_collections.zstack.kvm.tests.support.virsh import definition, remove_domain, state, try_virsh, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

MIB = 1 << 20
SERIAL = "3ae803c8-0199-49b6-aba1-c54f7954bed6"
# TPM2_ReadClock; the answer has the count of resets at byte 26.
READ_CLOCK = r"\200\001\000\000\000\012\000\000\001\201"
RESETS = slice(26 * 2, 30 * 2)
VARIABLE = "/sys/firmware/efi/efivars/Kept-11111111-2222-3333-4444-555555555555"

Machine = dict[str, Any]


@pytest.fixture(scope="module")
def secret() -> Iterator[str]:
    """Yield a libvirt secret with a value."""
    identity = str(uuid.uuid4())
    xml = "<secret ephemeral='yes' private='yes'><uuid>%s</uuid><usage type='vtpm'><name>%s</name></usage></secret>"
    virsh("secret-define", "/dev/stdin", stdin=xml % (identity, identity))
    virsh("secret-set-value", identity, "--base64", "cGFzc3BocmFzZQ==")
    yield identity
    virsh("secret-undefine", identity)


@pytest.fixture(scope="module")
def machine(secret: str) -> Iterator[Machine]:
    swtpm.give_authority_to_libvirt()
    with image_directory() as images:
        identity = str(uuid.uuid4())
        nvram = f"/var/lib/libvirt/qemu/nvram/{identity}-host-files/{identity}.fd"
        vm = {
            "uuid": identity,
            "name": "machine",
            "memory": "256MiB",
            "cpu_num": 2,
            "cpu_shares": 1024,
            "cpu_quota": 900000,
            "cpu_pinning": [{"vcpu": 0, "cpus": "0-1"}, {"vcpu": 1, "cpus": "1"}],
            "emulator_pinning": "0-1",
            "io_threads": [{"id": 1, "cpus": "0"}],
            "oom_score_adj": 100,
            "numa_nodes": [
                {"id": 0, "cpus": "0", "memory": 128 * MIB, "distances": [10, 21], "host_node": 0},
                {"id": 1, "cpus": "1", "memory": 128 * MIB, "distances": [21, 10]},
            ],
            "memory_access": "shared",
            "domain_type": "qemu",
            "machine": "q35",
            "pcie_port_num": 8,
            "pci_bridge_num": 1,
            "firmware": "uefi",
            "secure_boot": True,
            "nvram": nvram,
            "tpm": {"secret_uuid": secret},
            "use_boot_menu": False,
            "smbios": {"serial": SERIAL, "asset_tag": "asset", "oem_strings": ["storage:one", "two"], "product": "P"},
            "panic_devices": ["isa"],
            "on_crash": "preserve",
            "suspend_to_disk": False,
            "timeout": 60,
            "root_volume": {"install_path": str(linux_guest.signed_disk(images / "root.raw")), "format": "raw"},
        }
        run = agreed(vm)
        assert not run.failed, run.error
        assert run.vm["warnings"] == []
        linux_guest.wait_until_booted(identity)
        yield vm
        try_virsh("destroy", identity)
        try_virsh("undefine", identity, "--nvram", "--tpm")
        remove_domain(identity)
        Path(nvram).unlink(missing_ok=True)
        Path(nvram).parent.rmdir()


def said(machine: Machine, command: str) -> str:
    """Return what the guest's shell answers to a command."""
    return linux_guest.execute(machine["uuid"], command).split("\n", 1)[-1]


def resets(machine: Machine) -> int:
    """Return how often the guest's TPM was reset in its life."""
    ask = f"(printf '{READ_CLOCK}' >&3; dd bs=64 count=1 <&3 2>/dev/null | hexdump -v -e '1/1 \"%02x\"') 3<>/dev/tpm0"
    answer = re.search(r"8001[0-9a-f]{60,}", said(machine, ask))
    assert answer is not None
    return int(answer[0][RESETS], 16)


def qemu_of(machine: Machine) -> Path:
    """Return the /proc directory of the VM's QEMU."""
    name = machine["uuid"].replace("-", "")
    return Path("/proc", Path(f"/run/libvirt/qemu/{name}.pid").read_text().strip())


def test_the_guest_was_booted_securely(machine: Machine) -> None:
    assert "Secure boot enabled" in said(machine, "dmesg | grep -i 'secure boot'")
    said(machine, "mount -t efivarfs none /sys/firmware/efi/efivars")
    assert "06 00 00 00 01" in said(machine, "hexdump -C /sys/firmware/efi/efivars/SecureBoot-*")


def test_the_guest_measures_into_its_tpm(machine: Machine) -> None:
    pcr = re.search(r"\b[0-9A-F]{64}\b", said(machine, "cat /sys/class/tpm/tpm0/pcr-sha256/0"))
    assert pcr is not None
    assert set(pcr[0]) != {"0"}


def test_the_guest_has_the_texts_about_the_machine(machine: Machine) -> None:
    assert SERIAL in said(machine, "cat /sys/class/dmi/id/product_serial")
    assert "asset" in said(machine, "cat /sys/class/dmi/id/chassis_asset_tag")
    assert re.search("storage:one.*two", said(machine, "strings /sys/firmware/dmi/entries/11-0/raw"), re.DOTALL)


def test_the_guest_has_its_numa_nodes_and_their_distances(machine: Machine) -> None:
    distances = said(machine, "cat /sys/devices/system/node/node*/distance")
    assert re.search(r"10 21\s+21 10", distances), distances


def test_the_root_ports_are_there(machine: Machine) -> None:
    models = [each.get("model") for each in definition(machine["uuid"]).iterfind("devices/controller[@type='pci']")]
    assert models[:3] == ["pcie-root", "dmi-to-pci-bridge", "pci-bridge"]
    assert models[3:] == ["pcie-root-port"] * 8


def test_limits_pins_and_priority_hold(machine: Machine) -> None:
    live = definition(machine["uuid"], inactive=False).find("cputune")
    pins = {
        (each.tag, each.get("vcpu") or each.get("iothread")): each.get("cpuset") for each in live if len(each.attrib)
    }
    assert pins == {
        ("vcpupin", "0"): "0-1",
        ("vcpupin", "1"): "1",
        ("emulatorpin", None): "0-1",
        ("iothreadpin", "1"): "0",
    }
    assert re.search(r"vcpu_quota\s*:\s*900000", virsh("schedinfo", machine["uuid"]))
    assert (qemu_of(machine) / "oom_score_adj").read_text().strip() == "100"


def test_they_change_while_it_runs(machine: Machine) -> None:
    in_sync = agreed(machine)
    assert (in_sync.actions, in_sync.vm["differences"]) == ([], [])
    changed = {
        "cpu_quota": 700000,
        "oom_score_adj": 200,
        "cpu_pinning": [{"vcpu": 0, "cpus": "0-1"}, {"vcpu": 1, "cpus": "0"}],
    }

    run = agreed({**machine, **changed}, on_drift="live")

    assert run.actions == ["define", "set_cpu_quota", "pin_thread", "set_oom_score"]
    assert re.search(r"vcpu_quota\s*:\s*700000", virsh("schedinfo", machine["uuid"]))
    assert (qemu_of(machine) / "oom_score_adj").read_text().strip() == "200"
    assert re.search(r"\b1\s+0$", virsh("vcpupin", machine["uuid"]).strip(), re.MULTILINE)
    again = agreed({**machine, **changed}, on_drift="live")
    assert (again.actions, again.vm["differences"]) == ([], [])


def test_a_crash_of_the_guest_is_seen_and_does_what_on_crash_says(machine: Machine) -> None:
    before = resets(machine)
    said(machine, f"printf '\\007\\000\\000\\000kept' > {VARIABLE}; sync")
    linux_guest.crash(machine["uuid"])
    wait_until(lambda: state(machine["uuid"]) == "crashed", "the VM is crashed", 20)

    # NVRAM and TPM belong to the VM, not to its QEMU, nor to its definition.
    run = agreed({**machine, "boot_menu_timeout": 10, "use_boot_menu": True}, on_drift="restart")
    assert not run.failed, run.output
    linux_guest.wait_until_booted(machine["uuid"])
    said(machine, "mount -t efivarfs none /sys/firmware/efi/efivars")
    assert "kept" in said(machine, f"cat {VARIABLE}")
    assert resets(machine) == before + 1


def test_what_the_host_lacks_is_named_before_anything_is_touched(machine: Machine) -> None:
    other = {
        **{name: value for name, value in machine.items() if name not in ("cpu_pinning", "numa_nodes")},
        "uuid": str(uuid.uuid4()),
        "firmware": "uefi_with_csm",
        "secure_boot": False,
        "tpm": {"secret_uuid": str(uuid.uuid4())},
        "nested_virtualization": "custom",
        "cpu_model": "NoSuchModel",
        "emulator_pinning": "999",
    }
    run = failed(other)

    text = str(run.error)
    for option in ("firmware", "tpm.secret_uuid", "cpu_model", "emulator_pinning"):
        assert f"vms[0].{option}" in text
    assert state(other["uuid"]) == "absent"
