# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The meaning of a domain, whatever its text: two domains that libvirt treats alike have the same meaning.

C(meaning_of) returns a flat dictionary from readable paths to values. What libvirt fills in by itself is filled
in, units and numbers are written one way, and lists are keyed by what identifies their members.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

from lxml import etree

_KIB = {"k": 1, "KiB": 1, "MiB": 1 << 10, "GiB": 1 << 20}

# What identifies a member of a list.
_KEYS: dict[str, Callable[[etree._Element], str]] = {
    "disk": lambda element: element.find("target").get("dev"),
    "interface": lambda element: element.find("mac").get("address"),
    "controller": lambda element: "%(type)s %(index)s %(model)s" % {"model": None, **element.attrib},
    "channel": lambda element: element.get("name") or element.find("target").get("name"),
    "input": lambda element: element.get("type"),
    "redirdev": lambda element: " ".join(element.find("address").get(name, "0") for name in ("bus", "port")),
    "hostdev": lambda element: " ".join(value for _name, value in sorted(element.find("source/address").items())),
    "timer": lambda element: element.get("name"),
    "parameter": lambda element: element.get("name"),
}
# Flags, which mean no more when they are repeated.
_FLAGS = frozenset({"shareable", "readonly"})


def meaning_of(domain: etree._Element, arch: str) -> dict[str, str]:
    """Return the meaning of a domain on a host of this architecture."""
    return dict(_flatten(normal_form(domain, arch), ""))


def normal_form(domain: etree._Element, arch: str) -> etree._Element:
    """Return a copy in which everything that libvirt treats alike is written alike."""
    domain = copy.deepcopy(domain)
    os_type = domain.find("os/type")
    _default(os_type, "arch", arch)
    _default(os_type, "machine", "virt" if arch == "aarch64" else "pc")
    if domain.find("os/boot") is None and domain.find("devices/*/boot") is None:
        etree.SubElement(domain.find("os"), "boot", dev="hd")
    for size in domain.iter("memory", "currentMemory", "maxMemory"):
        size.text = str(int(size.text) * _KIB[size.get("unit", "KiB")])
        size.set("unit", "KiB")
    for disk in domain.iterfind("devices/disk"):
        _normalise_disk(disk)
    for controller in domain.iterfind("devices/controller"):
        _default(controller, "index", "0")
    for address in domain.iterfind("devices/controller/address[@slot]"):
        _normalise_numbers(address, "domain", "bus", "slot", "function")
    for cpu in domain.iterfind("cpu[@mode='custom']"):
        _default(cpu, "match", "exact")
    for graphics in domain.iterfind("devices/graphics[@autoport='yes']"):
        graphics.attrib.pop("port", None)
    for address in domain.iterfind("devices/channel/address"):
        address.getparent().remove(address)
    for address in domain.iterfind("devices/hostdev[@type='pci']/source/address"):
        _normalise_numbers(address, "domain", "bus", "slot", "function")
    for part in domain.iterfind("devices/hostdev[@type='usb']/source/*[@id]"):
        _normalise_numbers(part, "id")
    return domain


def _normalise_disk(disk: etree._Element) -> None:
    driver = disk.find("driver")
    if driver is None:
        driver = etree.SubElement(disk, "driver")
    _default(driver, "name", "qemu")
    _default(driver, "type", "raw")
    auth = disk.find("auth")
    if auth is not None:
        disk.find("source").append(auth)
    target = disk.find("target")
    _default(target, "bus", {"sd": "scsi", "hd": "ide", "vd": "virtio", "fd": "fdc"}[target.get("dev")[:2]])
    address = disk.find("address")
    if address is None and target.get("bus") == "ide":
        number = ord(target.get("dev")[2]) - ord("a")
        address = etree.SubElement(disk, "address", type="drive", bus=str(number // 2), unit=str(number % 2))
    if address is not None:
        for name in ("controller", "bus", "target"):
            _default(address, name, "0")


def _default(element: etree._Element, name: str, value: str) -> None:
    element.set(name, element.get(name, value))


def _normalise_numbers(element: etree._Element, *names: str) -> None:
    for name in names:
        element.set(name, str(int(element.get(name), 0)))


def _flatten(element: etree._Element, path: str) -> Iterator[tuple[str, str]]:
    text = (element.text or "").strip()
    children = [child for child in element if isinstance(child.tag, str)]
    if text:
        yield path, text
    elif not element.attrib and not children:
        yield path, "present"
    for name, value in element.attrib.items():
        yield "%s/@%s" % (path, name), value
    counts: dict[str, int] = {}
    for child in children:
        number = counts[child.tag] = counts.get(child.tag, -1) + 1
        yield from _flatten(child, "%s/%s" % (path, _segment(child, number)))
    if element.tag == "devices":
        for tag in ("disk", "interface"):
            yield (
                "%s/%s in order" % (path, tag),
                " ".join(_KEYS[tag](child) for child in element.iterfind(tag) if child.get("device") != "cdrom"),
            )


def _segment(child: etree._Element, number: int) -> str:
    if child.tag in _KEYS:
        return "%s[%s]" % (child.tag, _KEYS[child.tag](child))
    return child.tag if number == 0 or child.tag in _FLAGS else "%s[%d]" % (child.tag, number)
