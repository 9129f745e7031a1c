# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of the addresses that a VM's devices are given in the guest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .._errors.errors import Problem
from . import values
from .option_reader import Part

ADDRESS_CHECKS: Mapping[str, values.Check] = {
    "address.domain": values.number(0, 0xFFFF),
    "address.bus": values.number(0, 255),
    "address.slot": values.number(0, 31),
    "address.function": values.number(0, 7),
    "address.controller": values.number(0, 255),
    "address.target": values.number(0, 255),
    "address.unit": values.number(0, 16383),
}

_NUMBERS = {
    "pci": ("domain", "bus", "slot", "function"),
    "drive": ("controller", "bus", "target", "unit"),
}
_REQUIRED = {"pci": "slot", "drive": "unit"}
# The options whose devices can have an address.
_WITH_ADDRESS = ("root_volume", "data_volumes", "cd_roms", "scsi_luns", "nics", "memory_balloon")


def device_address_problems(vm: Part) -> Iterator[Problem]:
    """Yield addresses with the wrong numbers, and PCI addresses that two devices have.

    Drive addresses depend on the disk's bus, and are compared when that is known.
    """
    first: dict[tuple[int, ...], str] = {}
    for device in _devices(vm):
        address = device.get("address")
        if address is None or address.get("type") is None:
            continue
        problems = list(_number_problems(address))
        yield from problems
        if problems or address.wrong or address.get("type") != "pci":
            continue
        slot = tuple(address.get(name) or 0 for name in _NUMBERS["pci"])
        other = first.setdefault(slot, address.option_path)
        if other != address.option_path:
            yield Problem(
                address.option_path,
                "is the same PCI address as %s" % other,
                "impossible_layout",
                "give each device an address of its own, or leave it out to let libvirt choose one",
            )


def _devices(vm: Part) -> Iterator[Part]:
    for name in _WITH_ADDRESS:
        value = vm.get(name)
        yield from value if isinstance(value, list) else [value] if value is not None else []


def _number_problems(address: Part) -> Iterator[Problem]:
    kind = address.get("type")
    for name in sorted({*_NUMBERS["pci"], *_NUMBERS["drive"]} - {*_NUMBERS[kind]}):
        if address.get(name) is not None:
            other = "drive" if kind == "pci" else "pci"
            yield Problem("%s.%s" % (address.option_path, name), "is for addresses of type %s, not %s" % (other, kind))
    required = _REQUIRED[kind]
    if address.get(required) is None and required not in address.wrong:
        yield Problem("%s.%s" % (address.option_path, required), "is required with type %s" % kind)
    elif kind == "pci" and not address.wrong and not any(address.get(name) for name in _NUMBERS["pci"]):
        yield Problem(address.option_path, "is the PCI address of the host bridge")
