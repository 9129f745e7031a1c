# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the machine, as guest, QEMU and hypervisor see them.

One VM has Secure Boot, a TPM, NUMA nodes, root ports, SMBIOS texts, an IO thread, limits and pinning. It is started
once; each test checks one thing. The one that crashes it is the last that uses it, so that it boots only twice.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm, image_directory
from ansible_collections.zstack.kvm.tests.support import crashing_guest, linux_guest, swtpm
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, failed, start
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp, remove_domain, state, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

# Under emulation, a guest boots with UEFI, twice.
pytestmark = pytest.mark.timeout(600)

MIB = 1 << 20
SERIAL = "3ae803c8-0199-49b6-aba1-c54f7954bed6"
# TPM2_ReadClock; the answer has the counts of resets and restarts at the bytes 26 and 30.
READ_CLOCK = r"\200\001\000\000\000\012\000\000\001\201"
RESETS, RESTARTS = slice(26 * 2, 30 * 2), slice(30 * 2, 34 * 2)
VARIABLES = "/sys/firmware/efi/efivars"
VARIABLE = f"{VARIABLES}/Kept-11111111-2222-3333-4444-555555555555"
HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")
CGROUPS = Path("/sys/fs/cgroup/cpu")

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
def described(secret: str) -> Iterator[Machine]:
    """Yield the VM's options, and remove the VM at the end."""
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
            "smbios": {
                "serial": SERIAL,
                "asset_tag": "asset",
                "oem_strings": ["storage:one", "storage:two"],
                "product": "P",
            },
            "panic_devices": ["isa"],
            "on_crash": "preserve",
            "suspend_to_disk": False,
            "timeout": 240,
            "root_volume": {
                "install_path": str(linux_guest.signed_disk(images / "root.raw")),
                "format": "raw",
                "io_thread": 1,
            },
        }
        try:
            yield vm
        finally:
            remove_domain(identity)
            swtpm.remove_state_of(identity)
            shutil.rmtree(Path(nvram).parent, ignore_errors=True)


@pytest.fixture
def machine(described: Machine) -> Machine:
    """Return the booted VM. It boots once for all tests, and again after one that has forced it off."""
    if state(described["uuid"]) != "running":
        run = agreed(described)
        assert not run.failed, run.error
        assert run.vm["warnings"] == []
        linux_guest.wait_until_booted(described["uuid"])
    return described


@pytest.fixture
def options_back(machine: Machine) -> Iterator[None]:
    """Give the VM its options back after a test that changes it while it runs."""
    yield
    run = agreed(machine, on_drift="live")
    assert not run.failed, run.error


@pytest.fixture
def off_afterwards(machine: Machine) -> Iterator[None]:
    """Force the VM off after a test that boots it with other options."""
    yield
    virsh("destroy", machine["uuid"])


def output_of(machine: Machine, command: str) -> str:
    """Return the output of a command in the guest's shell."""
    return linux_guest.execute(machine["uuid"], command)


def startups(machine: Machine) -> tuple[int, int]:
    """Return how often the guest's TPM has been reset, and how often it has been restarted since.

    A start after an orderly shutdown is a restart; newer versions of swtpm shut a TPM down when QEMU ends.
    """
    # The device accepts a command only in one write, and a shell writes line by line.
    ask = (
        f"printf '{READ_CLOCK}' > /tmp/ask;"
        " (dd if=/tmp/ask bs=64 >&3; dd bs=64 count=1 <&3 | hexdump -v -e '1/1 \"%02x\"') 3<>/dev/tpm0 2>/dev/null"
    )
    answer = output_of(machine, ask)
    clock = re.search(r"8001[0-9a-f]{66}", answer)
    assert clock is not None, answer
    return int(clock[0][RESETS], 16), int(clock[0][RESTARTS], 16)


def variables(machine: Machine, command: str) -> str:
    """Return the output of a command in the guest on the variables of its firmware."""
    return output_of(machine, f"mountpoint -q {VARIABLES} || mount -t efivarfs none {VARIABLES}; {command}")


def qemu_of(identity: str) -> Path:
    """Return the /proc directory of a VM's QEMU."""
    return Path("/proc", Path(f"/run/libvirt/qemu/{identity.replace('-', '')}.pid").read_text().strip())


def thread_of_cpu(machine: Machine, index: int) -> int:
    """Return the hypervisor's thread that runs a CPU of the guest."""
    return next(cpu["thread-id"] for cpu in qmp(machine["uuid"], "query-cpus-fast") if cpu["cpu-index"] == index)


def pins(machine: Machine) -> list[str]:
    """Return the CPUs on which the kernel lets the threads run: both virtual CPUs, QEMU, the IO thread."""
    qemu = qemu_of(machine["uuid"])
    (io_thread,) = qmp(machine["uuid"], "query-iothreads")
    threads = [thread_of_cpu(machine, 0), thread_of_cpu(machine, 1), qemu.name, io_thread["thread-id"]]
    allowed = [re.search(r"Cpus_allowed_list:\t(.*)", (qemu / f"task/{each}/status").read_text()) for each in threads]
    return [each[1] for each in allowed if each]


def quota(machine: Machine) -> int:
    """Return the microseconds per period of the cgroup of the guest's first CPU."""
    groups = Path(f"/proc/{thread_of_cpu(machine, 0)}/cgroup").read_text()
    group = re.search(r"^\d+:(?:.*,)?cpu(?:,.*)?:/(.*)$", groups, re.MULTILINE)
    assert group is not None, groups
    return int((CGROUPS / group[1] / "cpu.cfs_quota_us").read_text())


def test_the_guest_was_booted_securely(machine: Machine) -> None:
    assert "Secure boot enabled" in output_of(machine, "dmesg | grep -i 'secure boot'")
    assert "06 00 00 00 01" in variables(machine, f"hexdump -C {VARIABLES}/SecureBoot-*")


def test_the_guest_measures_into_its_tpm(machine: Machine) -> None:
    pcr = re.search(r"\b[0-9A-F]{64}\b", output_of(machine, "cat /sys/class/tpm/tpm0/pcr-sha256/0"))
    assert pcr is not None
    assert set(pcr[0]) != {"0"}


def test_the_guest_has_the_texts_about_the_machine(machine: Machine) -> None:
    texts = output_of(
        machine,
        "cd /sys/class/dmi/id; cat product_serial product_name chassis_asset_tag;"
        " strings /sys/firmware/dmi/entries/11-0/raw",
    )
    assert re.search(rf"{SERIAL}\s+P\s+asset\s+.*storage:one\s+storage:two", texts, re.DOTALL), texts


def test_the_guest_has_its_numa_nodes_and_their_distances(machine: Machine) -> None:
    nodes = output_of(machine, "cd /sys/devices/system/node; cat node*/distance node*/cpulist")
    assert re.search(r"10 21\s+21 10\s+0\s+1\s", nodes), nodes


def test_the_guest_has_the_root_ports(machine: Machine) -> None:
    models = [each.get("model") for each in definition(machine["uuid"]).iterfind("devices/controller[@type='pci']")]
    assert models == ["pcie-root", "dmi-to-pci-bridge", "pci-bridge", *["pcie-root-port"] * 8]


def test_the_io_thread_handles_the_disk(machine: Machine) -> None:
    device = "/machine/peripheral/virtio-disk0"
    assert qmp(machine["uuid"], "qom-get", path=device, property="iothread") == "/objects/iothread1"


def test_limit_pins_and_priority_hold(machine: Machine) -> None:
    assert pins(machine) == ["0-1", "1", "0-1", "0"]
    assert quota(machine) == 900000
    assert (qemu_of(machine["uuid"]) / "oom_score_adj").read_text().strip() == "100"


@pytest.mark.usefixtures("options_back")
def test_they_change_while_it_runs(machine: Machine) -> None:
    in_sync = agreed(machine)
    assert (in_sync.actions, in_sync.vm["differences"]) == ([], [])
    changed = {
        **machine,
        "cpu_quota": 700000,
        "oom_score_adj": 200,
        "cpu_pinning": [{"vcpu": 0, "cpus": "0-1"}, {"vcpu": 1, "cpus": "0"}],
    }

    run = agreed(changed, on_drift="live")

    assert run.actions == ["define", "set_cpu_quota", "pin_thread", "set_oom_score"]
    assert (pins(machine), quota(machine)) == (["0-1", "0", "0-1", "0"], 700000)
    assert (qemu_of(machine["uuid"]) / "oom_score_adj").read_text().strip() == "200"
    again = agreed(changed, on_drift="live")
    assert (again.actions, again.vm["differences"]) == ([], [])


@pytest.mark.usefixtures("options_back")
def test_what_an_operator_sets_stays_if_the_options_do_not_mention_it(machine: Machine) -> None:
    silent = {name: value for name, value in machine.items() if name not in ("cpu_pinning", "emulator_pinning")}
    virsh("vcpupin", machine["uuid"], "0", "1", "--live", "--config")
    before = pins(machine)

    run = agreed(silent, on_drift="live")

    assert "pin_thread" not in run.actions
    assert pins(machine) == before
    assert definition(machine["uuid"]).find("cputune/vcpupin[@vcpu='0']").get("cpuset") == "1"


@pytest.mark.usefixtures("off_afterwards")
def test_variables_and_tpm_outlive_a_crash_and_another_definition(machine: Machine) -> None:
    before = startups(machine)
    variables(machine, f"printf '\\007\\000\\000\\000kept' > {VARIABLE}; sync")
    linux_guest.crash(machine["uuid"])
    wait_until(lambda: state(machine["uuid"]) == "crashed", "the VM is crashed")

    run = start({**machine, "boot_menu_timeout": 10, "use_boot_menu": True}, on_drift="restart")

    assert not run.failed, run.error
    linux_guest.wait_until_booted(machine["uuid"])
    assert "kept" in variables(machine, f"cat {VARIABLE}")
    assert startups(machine) > before


@pytest.mark.parametrize(("on_crash", "then"), [("destroy", "shut off"), ("restart", "running")])
def test_a_crash_does_what_on_crash_says(new_vm: NewVm, images: Path, on_crash: str, then: str) -> None:
    disk = {"install_path": str(crashing_guest.write_disk(images / "crashing.raw")), "format": "raw"}
    vm = new_vm(root_volume=disk, panic_devices=["isa"], on_crash=on_crash)
    run = agreed(vm)
    assert not run.failed, run.error
    crashing_guest.wait_until_up(vm["uuid"])

    crashing_guest.crash(vm["uuid"])

    assert state(vm["uuid"]) == then


@pytest.fixture
def _huge_pages() -> Iterator[None]:
    """Reserve enough of the hypervisor's huge pages for a small VM."""
    before = HUGE_PAGES.read_text()
    HUGE_PAGES.write_text("20")
    wait_until(lambda: int(HUGE_PAGES.read_text()) >= 20, "20 huge pages are reserved")
    yield
    HUGE_PAGES.write_text(before)


@pytest.mark.usefixtures("_huge_pages")
def test_the_guests_memory_is_in_huge_pages(new_vm: NewVm) -> None:
    vm = new_vm(huge_pages=True)
    run = agreed(vm)
    assert not run.failed, run.error
    smaps = (qemu_of(vm["uuid"]) / "smaps").read_text()
    assert re.search(r"^Size: +32768 kB\nKernelPageSize: +2048 kB$", smaps, re.MULTILINE)
    (memory,) = qmp(vm["uuid"], "query-memdev")
    assert memory["prealloc"]


def test_what_the_host_lacks_is_named_before_anything_is_touched(new_vm: NewVm) -> None:
    vm = new_vm(
        machine="q35",
        firmware="uefi_with_csm",
        tpm={"secret_uuid": str(uuid.uuid4())},
        nested_virtualization="custom",
        cpu_model="NoSuchModel",
        emulator_pinning="999",
    )
    text = str(failed(vm).error)
    for option in ("firmware", "tpm.secret_uuid", "cpu_model", "emulator_pinning"):
        assert f"vms[0].{option}" in text
    assert state(vm["uuid"]) == "absent"
