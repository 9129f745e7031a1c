# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that block the interrupt line of a passed-through device, on a simulated file tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host.vfio_interrupts import explain_conflict
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host.tree import write

DEVICES = "/sys/bus/pci/devices/"
CARD = "0000:03:00.0"
SAID = "vfio 0000:03:00.0: Failed to set up TRIGGER eventfd signaling for interrupt INTX-0"
MESSAGE = "cannot start the domain"


def device(root: Path, address: str, line: str, driver: str = "", msi: bool = False) -> None:
    """Add a PCI device."""
    write(root, DEVICES + address + "/irq", line + "\n")
    if driver:
        (root / DEVICES.lstrip("/") / address / "driver").symlink_to("../../../bus/pci/drivers/" + driver)
    if msi:
        write(root, DEVICES + address + "/msi_irqs/24")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a hypervisor with the card on line 16."""
    device(tmp_path, CARD, "16", "vfio-pci")
    return tmp_path


def explained(root: Path, text: str = SAID) -> tuple[str, str]:
    return explain_conflict(HostSystem(str(root)), text, MESSAGE)


def test_each_device_on_the_line_is_named_with_its_driver_and_how_to_remove_it(root: Path) -> None:
    device(root, "0000:00:1a.0", "16", "ehci-pci")
    device(root, "0000:00:1b.0", "16")
    message, hint = explained(root)
    assert message == (
        "cannot start the domain; the interrupt line 16 of 0000:03:00.0 is shared with "
        "0000:00:1a.0 (driver ehci-pci), 0000:00:1b.0"
    )
    commands = ["echo 1 > %s0000:00:%s/remove" % (DEVICES, name) for name in ("1a.0", "1b.0")]
    assert "; ".join(commands) + "." in hint


@pytest.mark.parametrize(("line", "msi"), [("17", False), ("16", True)])
def test_a_device_on_another_line_or_with_message_signalled_interrupts_is_not_in_the_way(
    root: Path, line: str, msi: bool
) -> None:
    device(root, "0000:00:1a.0", line, msi=msi)
    assert explained(root) == (MESSAGE, "")


def test_a_card_without_a_line_shares_none(tmp_path: Path) -> None:
    device(tmp_path, CARD, "0")
    device(tmp_path, "0000:00:1a.0", "0")
    assert explained(tmp_path) == (MESSAGE, "")


def test_a_text_without_a_device_explains_nothing(root: Path) -> None:
    device(root, "0000:00:1a.0", "16")
    assert explained(root, "Device or resource busy") == (MESSAGE, "")


def test_a_device_in_the_way_of_two_cards_is_removed_once(root: Path) -> None:
    device(root, "0000:04:00.0", "16", msi=True)
    device(root, "0000:00:1a.0", "16")
    message, hint = explained(root, SAID + "; " + SAID.replace(CARD, "0000:04:00.0"))
    assert message.count("is shared with") == 2
    assert hint.count("0000:00:1a.0/remove") == 1
