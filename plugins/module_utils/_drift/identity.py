# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognise the same part in two libvirt domains, and the same value in two spellings."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain.interface import QUEUE_SETTINGS
from .._domain.serial import console_log
from .._host.device_support import PCI_ROM_DIRECTORY
from .._host.machine_types import machine_family
from .._spec.values import cpus_of

# The CPU models that QEMU gives an x86 guest by default; libvirt writes the name into the definition.
DEFAULT_X86_CPU_MODELS = frozenset({"qemu64", "kvm64", "qemu32", "kvm32"})
# A number of 64 bits, in any base and with its prefix.
_LONGEST_NUMBER = 70


class Key(NamedTuple):
    """Identifies one of several elements: C(name) is for messages, C(of) returns the value, or None if it has none."""

    name: str
    of: Callable[[etree._Element], Optional[str]]


def attribute(name: str) -> Key:
    """Return the key that is an attribute."""
    return Key(name, lambda element: element.get(name))


def _child(element: etree._Element, tag: str) -> Optional[etree._Element]:
    """Return what C(find) returns, in half the time."""
    return next(element.iterchildren(tag), None)


def child_attribute(name: str, child: str, attribute_name: str) -> Key:
    """Return the key that is an attribute of a child."""

    def of(element: etree._Element) -> Optional[str]:
        found = _child(element, child)
        value = None if found is None else found.get(attribute_name)
        return value and value.lower()

    return Key(name, of)


def _disk_source(disk: etree._Element) -> Optional[str]:
    source = _child(disk, "source")
    if source is None or disk.get("device") == "cdrom":
        # Changing the CD doesn't change the drive, and one image may be in two drives.
        return None
    option_path = source.get("file") or source.get("dev") or source.get("path")
    return option_path or "%s:%s" % (source.get("protocol"), source.get("name"))


def _network_host(host: etree._Element) -> Optional[str]:
    return host.get("socket") or "%s:%s" % (host.get("name"), host.get("port"))


def _controller(controller: etree._Element) -> Optional[str]:
    model = controller.get("model") or ""
    # The parts of one ICH9 USB controller share an index.
    part = model if model.startswith("ich9-") else ""
    return " ".join(filter(None, (controller.get("type"), controller.get("index") or "0", part)))


def _host_address(hostdev: etree._Element) -> Optional[str]:
    address = hostdev.find("source/address")
    if address is None:
        return None
    if hostdev.get("type") == "mdev":
        return "mdev %s" % (address.get("uuid") or "").lower()
    part = {name: number(address.get(name)) for name in ("domain", "bus", "device", "slot", "function")}
    if hostdev.get("type") == "usb":
        return "usb %(bus)03d:%(device)03d" % part
    return "%s " % hostdev.get("type") + "%(domain)04x:%(bus)02x:%(slot)02x.%(function)x" % part


def _host_product(hostdev: etree._Element) -> Optional[str]:
    ids = [hostdev.find("source/" + name) for name in ("vendor", "product")]
    return None if None in ids else ":".join("%04x" % number(each.get("id")) for each in ids)


def _guest_usb_port(device: etree._Element) -> Optional[str]:
    address = _child(device, "address")
    if address is None or address.get("type") != "usb":
        return None
    return "%s:%s" % (address.get("bus"), address.get("port"))


def _channel(channel: etree._Element) -> Optional[str]:
    target = _child(channel, "target")
    return None if target is None else target.get("name")


def _console(console: etree._Element) -> Optional[str]:
    target = _child(console, "target")
    return None if target is None else target.get("port")


def _input(device: etree._Element) -> Optional[str]:
    return "%s %s" % (device.get("bus"), device.get("type"))


def _security_driver(label: etree._Element) -> Optional[str]:
    # libvirt labels with dac and with SELinux or AppArmor; a label for one of the latter needs no model.
    return "dac" if label.get("model") == "dac" else "confinement"


POSITION = Key("", lambda element: None)
DISK_SOURCE = Key("source", _disk_source)
DISK_TARGET = child_attribute("target", "target", "dev")
NETWORK_HOST = Key("host", _network_host)
CONTROLLER = Key("is", _controller)
INTERFACE_MAC = child_attribute("mac", "mac", "address")
INTERFACE_NAME = child_attribute("target", "target", "dev")
HOST_ADDRESS = Key("host", _host_address)
HOST_PRODUCT = Key("product", _host_product)
GUEST_USB_PORT = Key("port", _guest_usb_port)
CHANNEL = Key("name", _channel)
CONSOLE = Key("port", _console)
INPUT = Key("is", _input)
SECURITY_DRIVER = Key("driver", _security_driver)


def number(text: Optional[str]) -> int:
    """Return a number as libvirt reads it: decimal, or hexadecimal after 0x; 0 for what libvirt refuses."""
    return _parsed(text) or 0


def _parsed(text: Optional[str]) -> Optional[int]:
    if not text or len(text) > _LONGEST_NUMBER:
        return None
    for base in (0, 10):
        try:
            return int(text, base)
        except ValueError:
            pass
    return None


def same_number(desired: str, existing: str) -> bool:
    """Return whether both are the same number, whatever the base."""
    known = _parsed(desired)
    return known is not None and known == _parsed(existing)


def same_hexadecimal(desired: str, existing: str) -> bool:
    """Return whether both are the same hexadecimal number, with or without 0x."""
    try:
        return int(desired, 16) == int(existing, 16)
    except ValueError:
        return False


def same_cpus(desired: str, existing: str) -> bool:
    """Return whether both are the same set of CPUs or NUMA nodes, however it is written."""
    try:
        return cpus_of(desired) == cpus_of(existing)
    except ValueError:
        return False


def same_caseless(desired: str, existing: str) -> bool:
    """Return whether both are the same text, ignoring case."""
    return desired.lower() == existing.lower()


def same_machine(desired: str, existing: str) -> bool:
    """Return whether the desired type is the family's name, which stands for any version.

    libvirt replaces it by the newest version at the time of the definition.
    """
    return desired == machine_family(desired) == machine_family(existing)


def is_log_of_operator(log: etree._Element) -> bool:
    """Return whether a serial port is logged to another file than the one of the option."""
    return log.get("file") != console_log(log.getroottree().findtext("name") or "")


def is_rom_of_operator(rom: etree._Element) -> bool:
    """Return whether a device's ROM is no file of ZStack's device specifications."""
    return not (rom.get("file") or "").startswith(PCI_ROM_DIRECTORY + "/")


def is_driver_of_operator(driver: etree._Element) -> bool:
    """Return whether the settings of a NIC's queues are not those that the options, and ZStack's agent, write."""
    return any(driver.get(name) != value for name, value in QUEUE_SETTINGS.items())


def same_loader(desired: str, existing: str) -> bool:
    """Return whether both are the same firmware: Debian 13 has the old name as a link to the new one."""
    return _plain_name(desired) == _plain_name(existing)


def _plain_name(loader: str) -> str:
    return loader.replace(".no-secboot", "")


def same_controller_model(desired: str, existing: str) -> bool:
    """Return whether libvirt may have chosen the model."""
    return desired == "auto"


def is_default_cpu_model(model: etree._Element) -> bool:
    """Return whether libvirt may have written this model because nobody chose one.

    On architectures other than x86 the default depends on the machine type, so any model counts as it.
    """
    os_type = model.getroottree().find("os/type")
    arch = "x86_64" if os_type is None else os_type.get("arch", "x86_64")
    return model.text in DEFAULT_X86_CPU_MODELS or arch not in ("x86_64", "i686")


def is_chosen_by_libvirt(loader: etree._Element) -> bool:
    """Return whether libvirt chose this image because the definition only names a kind of firmware."""
    return loader.getparent().get("firmware") is not None


def is_disabled(feature: etree._Element) -> bool:
    """Return whether libvirt may have written that it chose firmware without this feature."""
    return feature.get("enabled") == "no"


def is_dynamic_label(label: etree._Element) -> bool:
    """Return whether this label is the one that the host's own configuration gives."""
    return label.get("type") == "dynamic" and len(label) == 0


def is_not_usb(controller: etree._Element) -> bool:
    """Return whether libvirt adds such controllers on its own: all but USB, whose ports this collection assigns."""
    return controller.get("type") != "usb"


def is_not_dimm(memory: etree._Element) -> bool:
    """Return whether this memory device isn't a DIMM, with which a guest's memory grows."""
    return memory.get("model") != "dimm"
