# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of single option values, beyond their types.

Each function takes a value of the right type, returns it in the form that C(vm.py) promises, and raises
C(ValueError) with the reason, which never repeats the value: the caller does, unless it is a secret.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Any, Callable, NamedTuple

MAX_SOCKET_PATH = 107  # sun_path of unix(7), less the terminating zero
MAX_INTERFACE_NAME = 15  # IFNAMSIZ, less the terminating zero
MTUS = (68, 65521)  # IPv4's minimum, and the maximum of a tap device
MAX_NIC_QUEUES = 256  # of a tap device
_NIC_QUEUE_SIZES = (256, 512, 1024)  # what QEMU accepts

_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}(?:\1[0-9a-f]{4}){3}[0-9a-f]{8}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_WWN = re.compile(r"(0x)?[0-9a-fA-F]{16}")
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_MACHINE = re.compile(r"[A-Za-z0-9_.-]+")
_PCI = re.compile(r"(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-9a-f])", re.IGNORECASE)
_CPU_MODEL = re.compile(r"[A-Za-z0-9_.+-]+")
_CPU_RANGE = re.compile(r"\^?\d{1,5}(-\d{1,5})?", re.ASCII)
_USB = re.compile(
    r"(\d{1,3}):(\d{1,3}):([0-9a-f]{1,4}):([0-9a-f]{1,4}):(\d{1,2})(?:\.\d+)*"
    r"(?::(passthrough|redirect):(-1|\d{1,5}):(.*))?",
    re.IGNORECASE | re.ASCII,
)
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

Check = Callable[[Any], Any]


class PciAddress(NamedTuple):
    domain: int
    bus: int
    slot: int
    function: int


class HostPciDevice(NamedTuple):
    address: str
    rom: str


class UsbAddress(NamedTuple):
    bus: int
    device: int
    vendor: int
    product: int
    usb_version: int
    server: str = ""
    port: int = 0


def xml_text(value: str) -> str:
    """Return text that XML can carry, with line ends as XML parsers return them."""
    found = _NOT_IN_XML.search(value)
    if found:
        raise ValueError("contains the character U+%04X, which XML cannot carry" % ord(found.group()))
    return value.replace("\r\n", "\n").replace("\r", "\n")


def line(value: str) -> str:
    """Return text of one line: XML text without control characters."""
    xml_text(value)
    found = _CONTROL.search(value)
    if found:
        raise ValueError("contains the control character U+%04X" % ord(found.group()))
    return value


def number(low: int, high: int) -> Check:
    """Return a check for whole numbers from C(low) to C(high) inclusive."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError("must be between %d and %d" % (low, high))
        return value

    return check


def memory(value: int) -> int:
    """Return RAM in bytes. Less than 1 MiB is a number meant in another unit."""
    if value <= 0:
        raise ValueError("must be greater than 0")
    if value < 1 << 20:
        raise ValueError("is less than 1 MiB: a number without a unit is in bytes; write for instance 2GiB")
    if value > 1 << 50:
        raise ValueError("is more than 1 PiB")
    return value


def disk_size(value: int) -> int:
    """Return the size of a disk in bytes. Less than 1 MiB is a number meant in another unit."""
    if value < 1 << 20:
        raise ValueError("is less than 1 MiB: a number without a unit is in bytes; write for instance 20GiB")
    if value > 1 << 60:
        raise ValueError("is more than 1 EiB")
    if value % 512:
        raise ValueError("is not a multiple of 512 bytes, the size of a disk's sector")
    return value


def uuid(value: str) -> str:
    """Return a UUID with dashes; it may come without."""
    text = value.lower()
    if not _UUID.fullmatch(text):
        raise ValueError("is not a UUID: 32 hexadecimal digits, with or without dashes")
    digits = text.replace("-", "")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def mac(value: str) -> str:
    """Return a unicast MAC address: libvirt refuses multicast ones."""
    text = value.lower()
    if not _MAC.fullmatch(text):
        raise ValueError("is not a MAC address: six pairs of hexadecimal digits separated by colons")
    if int(text[1], 16) & 1:
        raise ValueError("is a multicast MAC address: the second digit of a NIC's address must be even")
    if text == "00:00:00:00:00:00":
        raise ValueError("is the null MAC address")
    return text


def ip_address(value: str) -> str:
    """Return an IPv4 or IPv6 address without a zone."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("is neither an IPv4 nor an IPv6 address") from None
    if "%" in value:
        raise ValueError("has a zone (%), which is valid on one host only")
    return str(address)


def wwn(value: str) -> str:
    """Return a SCSI disk's world wide name, as libvirt's domain.rng accepts it."""
    if not _WWN.fullmatch(value):
        raise ValueError("is not a WWN: 16 hexadecimal digits, with or without a leading 0x")
    return value


def interface_name(value: str) -> str:
    """Return the name of a Linux network device, in characters that libvirt's schema accepts."""
    if not _INTERFACE_NAME.fullmatch(value) or value in (".", ".."):
        raise ValueError('is not a network device name: letters, digits, "_", "-" and "." only')
    if len(value) > MAX_INTERFACE_NAME:
        raise ValueError("is longer than %d characters, the limit of a network device name" % MAX_INTERFACE_NAME)
    return value


def network_name(value: str) -> str:
    """Return the name of a libvirt network, in characters that libvirt's schema accepts."""
    line(value)
    if "/" in value:
        raise ValueError('is not the name of a libvirt network: it contains "/"')
    return value


def absolute_path(value: str) -> str:
    line(value)
    if not value.startswith("/"):
        raise ValueError("is not an absolute path")
    return value


def socket_path(value: str) -> str:
    absolute_path(value)
    if len(value.encode("utf-8")) > MAX_SOCKET_PATH:
        raise ValueError("is longer than %d bytes, the limit of a socket path" % MAX_SOCKET_PATH)
    return value


def machine(value: str) -> str:
    if not _MACHINE.fullmatch(value):
        raise ValueError('is not a machine type: letters, digits, "_", "-" and "." only')
    return value


def cpu_model(value: str) -> str:
    if not _CPU_MODEL.fullmatch(value):
        raise ValueError('is not a CPU model: letters, digits, "_", "-", "+" and "." only')
    return value


def cpu_vendor_id(value: str) -> str:
    """Return the 12 characters by which a CPU names its vendor."""
    line(value)
    if len(value) != 12 or not value.isascii() or "," in value:
        raise ValueError("is not a CPU vendor: 12 ASCII characters without a comma, such as AuthenticAMD")
    return value


def hyperv_vendor_id(value: str) -> str:
    """Return the name of a hypervisor, as QEMU shows it to Windows."""
    line(value)
    if len(value.encode("utf-8")) > 12 or "," in value:
        raise ValueError("is longer than 12 bytes, or contains a comma")
    return value


def cpu_set(value: str) -> str:
    """Return a set of CPUs as libvirt reads it (C(0-3,^2,8)), without spaces."""
    text = value.replace(" ", "")
    if not all(_CPU_RANGE.fullmatch(part) for part in text.split(",")):
        raise ValueError("is not a set of CPUs, such as 0-3,^2,8")
    if not cpus_of(text):
        raise ValueError("is an empty set of CPUs")
    return text


def cpus_of(text: str) -> frozenset[int]:
    """Return the numbers in a set of CPUs (L(cpu_set)); a range from high to low is empty."""
    found: set[int] = set()
    for part in text.split(","):
        first, _dash, last = part.lstrip("^").partition("-")
        numbers = range(int(first), int(last or first) + 1)
        if part.startswith("^"):
            found.difference_update(numbers)
        else:
            found.update(numbers)
    return frozenset(found)


def pci_address(value: str) -> PciAddress:
    """Return a PCI address from C([DOMAIN:]BUS:SLOT.FUNCTION), hexadecimal, as lspci prints it."""
    found = _PCI.fullmatch(value)
    if not found:
        raise ValueError("is not a PCI address: [DOMAIN:]BUS:SLOT.FUNCTION, hexadecimal, such as 0000:0a:00.0")
    address = PciAddress(*(int(part or "0", 16) for part in found.groups()))
    if address.slot > 0x1F or address.function > 7:
        raise ValueError("is not a PCI address: slots end at 1f, functions at 7")
    if not (address.domain or address.bus or address.slot):
        raise ValueError("is the PCI address of the host bridge")
    return address


def pci_function(value: str) -> str:
    """Return a PCI address as the kernel writes it: C(DDDD:BB:SS.F)."""
    return "%04x:%02x:%02x.%x" % pci_address(value)


def pci_device(value: str) -> HostPciDevice:
    """Return a PCI address and what may follow it behind a comma: the path of a ROM file, or ZStack's UUID of one."""
    address, comma, rom = value.partition(",")
    if rom.startswith("/"):
        rom = absolute_path(rom)
    elif comma:
        try:
            rom = uuid(rom).replace("-", "")
        except ValueError:
            raise ValueError("has a comma that is followed by neither an absolute path nor a UUID") from None
    return HostPciDevice(pci_function(address), rom)


def nic_queue_size(value: int) -> int:
    if value not in _NIC_QUEUE_SIZES:
        raise ValueError("must be 256, 512 or 1024")
    return value


def usb_address(value: str) -> UsbAddress:
    """Return a USB address from C(BUS:DEVICE:VENDOR:PRODUCT:VERSION): bus and device decimal, the ids hexadecimal.

    C(:PassThrough:-1:ADDRESS) may follow, or C(:Redirect:PORT:ADDRESS) of the host that serves the device.
    """
    found = _USB.fullmatch(value)
    if not found:
        raise ValueError(
            "is not a USB device: BUS:DEVICE:VENDOR:PRODUCT:VERSION, bus and device decimal, "
            "vendor and product hexadecimal, such as 1:3:0781:5567:2.0, "
            "and possibly PassThrough:-1:ADDRESS or Redirect:PORT:ADDRESS"
        )
    bus, device, vendor, product, version, mode, port, server = found.groups()
    is_remote = mode is not None and mode.lower() == "redirect"
    address = UsbAddress(
        int(bus),
        int(device),
        int(vendor, 16),
        int(product, 16),
        int(version),
        _usb_server(server) if is_remote else "",
        int(port) if is_remote else 0,
    )
    if is_remote and not 1 <= address.port <= 65535:
        raise ValueError("redirects a USB device from no TCP port")
    if not (address.bus and 1 <= address.device <= 127):
        raise ValueError("is not a USB device: buses are numbered from 1, devices from 1 to 127")
    if not address.vendor:
        raise ValueError("is not a USB device: vendor 0 does not exist")
    if address.usb_version not in (1, 2, 3):
        raise ValueError("is not a USB device that a guest can use: the version must be 1, 2 or 3")
    return address


def _usb_server(address: str) -> str:
    try:
        return ip_address(address)
    except ValueError:
        raise ValueError("redirects a USB device from no IP address") from None


def file_name(value: str) -> str:
    if not _FILE_NAME.fullmatch(value) or value in (".", ".."):
        raise ValueError('is not a file name: letters, digits, "_", "-" and "." only')
    return value


def power_of_two(low: int, high: int) -> Check:
    """Return a check for powers of two from C(low) to C(high) inclusive."""

    def check(value: int) -> int:
        if not low <= value <= high or value & (value - 1):
            raise ValueError("must be a power of two between %d and %d" % (low, high))
        return value

    return check


def ceph_key(value: str) -> str:
    """Return a cephx key as ceph prints it: base64."""
    try:
        if base64.b64decode(value.encode("ascii"), validate=True):
            return value
    except (UnicodeEncodeError, binascii.Error):
        pass
    raise ValueError('is not a cephx key: base64 as "ceph auth get-key" prints it')
