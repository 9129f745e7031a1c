# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which of the guest's hardware can stay when its definition is changed.

What libvirt has added to a definition (addresses, controllers, the sound's back end) fits the devices it was
added for. If those change, what no longer fits is removed, and libvirt adds it again.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain.pci_buses import PCI_BRIDGES
from .._host.machine_types import machine_family
from .identity import CONTROLLER, number
from .rules import RULES
from .walk import partners_of

# The parts of an address, by its type; a missing part is 0.
_ADDRESS_PARTS = {
    "pci": ("domain", "bus", "slot", "function"),
    "usb": ("bus", "port"),
    "drive": ("controller", "bus", "target", "unit"),
    "virtio-serial": ("controller", "bus", "port"),
}


def is_other_board(desired: etree._Element, existing: etree._Element) -> bool:
    """Return whether the desired machine has other buses than the existing one, so that no address can be kept."""
    desired_type, existing_type = desired.find("os/type"), existing.find("os/type")
    if desired_type is None or existing_type is None:
        return False
    arch, machine = desired_type.get("arch"), desired_type.get("machine")
    return (arch is not None and arch != existing_type.get("arch")) or (
        machine is not None and machine_family(machine) != machine_family(existing_type.get("machine", ""))
    )


def forget_hardware(desired: etree._Element, existing: etree._Element) -> None:
    """Remove from C(existing) all that belongs to its board, so that libvirt lays out the hardware again."""
    devices = existing.find("devices")
    if devices is None:
        return
    planned = {CONTROLLER.of(controller) for controller in desired.iterfind("devices/controller")}
    for controller in devices.findall("controller"):
        if CONTROLLER.of(controller) not in planned:
            devices.remove(controller)
    # libvirt puts them on boards that have them, q35's watchdog since 9.1; on another board it refuses them.
    for built_in in devices.findall('input[@bus="ps2"]') + devices.findall('watchdog[@model="itco"]'):
        devices.remove(built_in)
    for device in devices:
        for address in device.findall("address"):
            device.remove(address)
        if device.tag == "controller":
            device.attrib.pop("model", None)
        if device.tag in ("serial", "console"):
            _forget_port_kind(device)


def forget_other_network_cards(desired: etree._Element, existing: etree._Element) -> None:
    """Leave only the MAC address of a NIC that becomes a virtual function of the hypervisor, or ceases to be one."""
    desired_ones, existing_ones = (domain.findall("devices/interface") for domain in (desired, existing))
    for desired_nic, found in partners_of(RULES["devices/interface"], desired_ones, existing_ones).items():
        if (desired_nic.get("type") == "hostdev") != (found.get("type") == "hostdev"):
            for part in [each for each in found if each.tag != "mac"]:
                found.remove(part)


def _forget_port_kind(device: etree._Element) -> None:
    target = device.find("target")
    if target is not None:
        for model in target.findall("model"):
            target.remove(model)
        if device.tag == "serial":
            target.attrib.pop("type", None)


def keep_plugged_memory(desired: etree._Element, existing: etree._Element) -> None:
    """Count memory that was plugged in as DIMMs as part of the desired memory.

    The memory of a VM that grew while it ran is that of its NUMA cell and its DIMMs together. If the sum is right,
    C(desired) is given the same DIMMs; if not, the DIMMs are removed and the cell has all the memory.
    """
    plugged = [each for each in existing.iterfind("devices/memory") if each.get("model") == "dimm"]
    others = [each for each in existing.iterfind("devices/memory") if each.get("model") != "dimm"]
    if not plugged and not others:
        return
    desired_cells, existing_cells = desired.findall("cpu/numa/cell"), existing.findall("cpu/numa/cell")
    devices = desired.find("devices")
    if not desired_cells or devices is None or devices.find("memory") is not None:
        return
    total = sum(number(cell.get("memory")) for cell in desired_cells)
    existing_total = sum(number(cell.get("memory")) for cell in existing_cells) + sum(map(_size, plugged))
    if plugged and total == existing_total and len(desired_cells) == len(existing_cells):
        for desired_cell, existing_cell in zip(desired_cells, existing_cells):
            desired_cell.set("memory", existing_cell.get("memory", "0"))
        devices.extend(copy.deepcopy(dimm) for dimm in plugged)
    # libvirt counts every memory device into the domain's memory.
    _add(desired.find("memory"), sum(map(_size, others)))
    _add(desired.find("currentMemory"), sum(map(_size, others)))


def _size(device: etree._Element) -> int:
    return number(device.findtext("target/size"))


def _add(memory: Optional[etree._Element], kib: int) -> None:
    if memory is not None and kib:
        memory.text = str(number(memory.text) + kib)


def drop_what_depends(merged: etree._Element, changed: frozenset[str]) -> None:
    """Remove what libvirt derived from something that has C(changed): names below domain or devices."""
    devices, os_element = merged.find("devices"), merged.find("os")
    if "vcpu" in changed:
        for each in merged.findall("vcpus") + merged.findall('numatune/memory[@placement="auto"]'):
            each.getparent().remove(each)
    if "os" in changed and os_element.find("loader") is None and os_element.get("firmware") is None:
        for each in os_element.findall("nvram") + os_element.findall("firmware"):
            os_element.remove(each)
    if changed & {"iothreads", "iothreadids"}:
        _drop_missing_io_threads(merged)
    if "cpu" in changed:
        _drop_model_of_other_mode(merged)
    if "graphics" in changed:
        # Sound is played by the console; libvirt chooses the backend by the console's type.
        for audio in devices.findall("audio"):
            if audio.get("type") in ("none", "spice"):
                devices.remove(audio)


def _drop_model_of_other_mode(merged: etree._Element) -> None:
    """Remove the model of a CPU that is now the host's; its element may have to stay, with a vendor."""
    for model in merged.findall('cpu[@mode="host-model"]/model') + merged.findall(
        'cpu[@mode="host-passthrough"]/model'
    ):
        model.text = None


def _drop_missing_io_threads(merged: etree._Element) -> None:
    """Detach disks and controllers from IO threads that are gone, where no option names another."""
    count = number(merged.findtext("iothreads"))
    threads = {thread.get("id") for thread in merged.iterfind("iothreadids/iothread")} or {
        str(index + 1) for index in range(count)
    }
    for driver in merged.iterfind("devices/*/driver[@iothread]"):
        if driver.get("iothread") not in threads:
            del driver.attrib["iothread"]


def keep_derived_firmware(desired: etree._Element, existing: etree._Element) -> None:
    """Let what libvirt derives from an image that is named count as desired: since 10.x it writes the kind down."""
    desired_os, existing_os = desired.find("os"), existing.find("os")
    if desired_os is None or existing_os is None or desired_os.find("loader") is None:
        return
    if desired_os.get("firmware") is not None:
        return
    kind = existing_os.get("firmware")
    if kind is not None and existing_os.find("loader") is not None:
        desired_os.set("firmware", kind)
        desired_os.extend(copy.deepcopy(each) for each in existing_os.findall("firmware"))


def accept_unnamed_variables(desired: etree._Element, existing: etree._Element) -> None:
    """Let a definition without a file for UEFI's variables be, unless its firmware keeps none.

    Releases of libvirt that choose the firmware at the start choose the file then as well.
    """
    nvram, loader = desired.find("os/nvram"), existing.find("os/loader")
    if nvram is None or nvram.text or nvram.attrib or existing.find("os/nvram") is not None:
        return
    if loader is None or loader.get("type") != "rom":
        nvram.getparent().remove(nvram)


def drop_chosen_firmware(desired: etree._Element, merged: etree._Element) -> None:
    """Remove what belongs to the previous firmware features: libvirt's image, SMM; the NVRAM file stays."""
    os_element = merged.find("os")
    if desired.find("features/smm") is None:
        for smm in merged.findall("features/smm"):
            smm.getparent().remove(smm)
    if desired.find("os/loader") is None:
        for loader in os_element.findall("loader"):
            os_element.remove(loader)
    desired_nvram = desired.find("os/nvram")
    for nvram in os_element.findall("nvram"):
        for name in ("template", "templateFormat", "format"):
            if desired_nvram is None or desired_nvram.get(name) is None:
                nvram.attrib.pop(name, None)


def free_desired_addresses(pairs: Mapping[etree._Element, etree._Element], merged: etree._Element) -> None:
    """Remove the address of devices whose slot another device is to have, or whose bus is gone or of another kind.

    C(pairs): the merged device of each desired one.
    """
    desired = {
        key: merged_device
        for desired_device, merged_device in pairs.items()
        for key in [_address(desired_device)]
        if key is not None
    }
    usb_buses = {controller.get("index") for controller in merged.iterfind('devices/controller[@type="usb"]')}
    pci_buses = {
        number(controller.get("index")): controller.get("model")
        for controller in merged.iterfind('devices/controller[@type="pci"]')
    }
    for device in merged.iterfind("devices/*"):
        key = _address(device)
        if key is None:
            continue
        address = device.find("address")
        taken = desired.get(key, device) is not device
        dangling = address.get("type") == "usb" and address.get("bus") not in usb_buses
        if taken or ((dangling or _is_misplaced(address, pci_buses)) and key not in desired):
            device.remove(address)


def _is_misplaced(address: etree._Element, pci_buses: Mapping[int, Optional[str]]) -> bool:
    """Return whether the PCI bus of an address has no such slot, because its controller has become another one."""
    if address.get("type") != "pci":
        return False
    model, slot = pci_buses.get(number(address.get("bus"))), number(address.get("slot"))
    return (slot == 0 and model in PCI_BRIDGES) or (slot != 0 and model == "pcie-root-port")


def _address(device: etree._Element) -> Optional[tuple[object, ...]]:
    """Return the address of a device in the guest, or None if it has none of its own."""
    address = device.find("address")
    parts = None if address is None else _ADDRESS_PARTS.get(address.get("type", ""))
    if address is None or parts is None:
        return None
    target = device.find("target")
    # Drives of different buses have the same numbers; on PCI all devices share theirs.
    bus = target.get("bus") if address.get("type") == "drive" and target is not None else None
    return (address.get("type"), bus, *(number(address.get(part)) for part in parts))
