# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reason of a failed start is found in QEMU's log, and explained with what the hypervisor shows.

The sysfs of these tests is simulated: no test machine has devices that share an interrupt line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.qemu_log import LOG_DIRECTORY, QemuLog
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import CAPABILITIES

DOMAIN = "6a9c3b1e2f644d0b9a557a0d3c1f2b11"
CARD = "0000:03:00.0"
# A failed start on Enterprise Linux, composed from libvirt's and QEMU's formats.
EL_LOG = CAPABILITIES.parent / "qemu_logs" / "el-9.log"
WORDS = (
    "qemu-system-x86_64: -device vfio-pci,host=0000:03:00.0,id=hostdev0: "
    "vfio: Error: Failed to setup INTx fd: Device or resource busy\n"
)


class Machine:
    """A hypervisor's file tree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / LOG_DIRECTORY.lstrip("/") / (DOMAIN + ".log")
        self.log.parent.mkdir(parents=True)
        self.log.write_text("2026-11-22 17:08:16.985+0000: starting up libvirt version: 9.0.0\n", encoding="utf-8")

    def add_device(self, address: str, line: int, driver: str = "", msi: bool = False) -> None:
        """Add a PCI device on an interrupt line; one with C(msi) doesn't need the line."""
        device = self.root / "sys/bus/pci/devices" / address
        device.mkdir(parents=True)
        (device / "irq").write_text("%d\n" % line, encoding="ascii")
        if driver:
            (device / "driver").symlink_to("/sys/bus/pci/drivers/" + driver)
        if msi:
            (device / "msi_irqs").mkdir()
            (device / "msi_irqs" / "32").touch()

    def say(self, text: str) -> None:
        """Append text to QEMU's log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(text)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    created = Machine(tmp_path)
    created.add_device(CARD, 16, "vfio-pci")
    created.add_device("0000:00:1d.0", 16, "ehci-pci")
    created.add_device("0000:00:1f.2", 16, "ahci", msi=True)
    created.add_device("0000:00:1c.0", 17, "pcieport")
    return created


def explained(machine: Machine, words: str) -> VmError:
    """Return the error that results from a vague error of libvirt and this output of QEMU."""
    log = QemuLog(HostSystem(str(machine.root)), DOMAIN)
    machine.say(words)
    return log.explained(VmError("qemu_failed", "cannot start the domain: qemu unexpectedly closed the monitor"))


def test_the_devices_that_share_the_line_are_named(machine: Machine) -> None:
    error = explained(machine, WORDS)
    assert error.code == "vfio_irq_conflict"
    assert "the interrupt line 16 of 0000:03:00.0 is shared with 0000:00:1d.0 (driver ehci-pci)" in error.message


def test_the_hint_says_how_to_free_the_line_and_the_consequence(machine: Machine) -> None:
    error = explained(machine, WORDS)
    assert "echo 1 > /sys/bus/pci/devices/0000:00:1d.0/remove" in error.hint
    assert "reboot" in error.hint


def test_a_device_that_does_not_need_the_line_is_not_named(machine: Machine) -> None:
    error = explained(machine, WORDS)
    assert "0000:00:1f.2" not in error.message + error.hint
    assert "0000:00:1c.0" not in error.message + error.hint


def test_where_nothing_is_found_the_usual_hint_remains(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.add_device(CARD, 16, "vfio-pci")
    error = explained(machine, WORDS)
    assert (error.code, error.hint) == ("vfio_irq_conflict", "")


def test_the_reason_is_only_in_the_log(machine: Machine) -> None:
    error = explained(machine, 'qemu-system-x86_64: -drive: Failed to get "write" lock\n')
    assert error.code == "image_locked"
    assert 'Failed to get "write" lock' in error.message


def test_output_of_an_earlier_run_is_ignored(machine: Machine) -> None:
    machine.say('qemu-system-x86_64: Failed to get "write" lock\n')
    assert explained(machine, "").code == "qemu_failed"


def test_termination_by_libvirt_is_ignored(machine: Machine) -> None:
    error = explained(machine, "qemu-system-x86_64: terminating on signal 15 from pid 41 (/usr/sbin/libvirtd)\n")
    assert "terminating" not in error.message


def test_the_command_line_is_ignored(machine: Machine) -> None:
    log = QemuLog(HostSystem(str(machine.root)), DOMAIN)
    machine.say(EL_LOG.read_text(encoding="utf-8"))
    (line,) = log.lines()
    assert line.endswith("vfio 0000:03:00.0: group 12 is not viable")


def test_the_log_of_a_remote_hypervisor_is_not_read() -> None:
    log = QemuLog(RemoteSystem("qemu+ssh://hv1/system"), DOMAIN)
    assert log.explained(VmError("qemu_failed", "it failed")).message == "it failed"
