# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the PCI addresses of devices are on buses that the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import is_q35
from .._spec.vm import PciSlot, Vm

# The slots of PCI bus 0 that have the board's own devices: ISA bridge, IDE or SATA.
_BUILT_IN_SLOTS = {"pc": 0x01, "q35": 0x1F}
# libvirt adds a bus of its own when the one before it is nearly full.
_NEARLY_FULL = 24
PCI_BRIDGES = ("pci-bridge", "dmi-to-pci-bridge")
_HINT = "correct the address, or leave it out to let libvirt choose one"


def pci_address_problems(domain: etree._Element, vm: Vm) -> Iterator[Problem]:
    """Yield PCI addresses on a bus that the finished domain does not have, or in a slot that the bus lacks."""
    models = {
        int(controller.get("index", "0")): controller.get("model")
        for controller in domain.iterfind('devices/controller[@type="pci"]')
    }
    machine = domain.find("os/type").get("machine", "")
    built_in = _BUILT_IN_SLOTS.get("q35" if is_q35(machine) else "pc" if machine.startswith("pc") else "")
    has_fixed_buses = any(index > 0 for index in models) or machine.startswith("pc")
    slots = [(option_path, slot) for option_path, slot in vm.addresses if isinstance(slot, PciSlot)]
    for option_path, slot in slots:
        if slot.domain:
            yield _problem(option_path, "the VM has no PCI domain %d" % slot.domain)
        elif slot.bus == 0 and slot.slot == built_in:
            yield _problem(option_path, "slot %#04x of PCI bus 0 has devices of the board" % slot.slot)
        elif slot.bus in models or slot.bus == 0:
            yield from _slot_problems(option_path, slot, models.get(slot.bus))
        elif not has_fixed_buses:
            # libvirt adds a root port for it.
            yield from _slot_problems(option_path, slot, "pcie-root-port")
        elif sum(other.bus == slot.bus - 1 for _path, other in slots) < _NEARLY_FULL:
            yield _problem(option_path, "the VM has no PCI bus %d (the highest is %d)" % (slot.bus, max([0, *models])))


def _slot_problems(option_path: str, slot: PciSlot, model: Optional[str]) -> Iterator[Problem]:
    if slot.slot == 0 and (slot.bus == 0 or model in PCI_BRIDGES):
        what = "the bridge of PCI bus %d itself" % slot.bus if slot.bus else "the host bridge"
        yield _problem(option_path, "is in slot 0, which belongs to %s" % what)
    elif model == "pcie-root-port" and slot.slot:
        yield _problem(option_path, "PCI bus %d is a root port, which has slot 0 only" % slot.bus)


def _problem(option_path: str, message: str) -> Problem:
    return Problem("%s.address" % option_path, message, "impossible_layout", _HINT)
