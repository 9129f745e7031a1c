# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply what libvirt changes in a definition when it defines it, if that depends on more than one element.

Sources: libvirt's src/conf/domain_conf.c and domain_postparse.c, and what libvirt 9.0 returns.
"""

from __future__ import annotations

import copy
from functools import cache

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .identity import number

_KIB = 1024
# virScaleInteger: no unit means KiB for sizes of memory, "b" and "bytes" bytes, "KB" thousands, "K" and "KiB" 1024.
_UNITS = {
    "b": 1,
    "bytes": 1,
    **{prefix.lower(): _KIB ** (power + 1) for power, prefix in enumerate("KMGTPE")},
    **{prefix.lower() + "ib": _KIB ** (power + 1) for power, prefix in enumerate("KMGTPE")},
    **{prefix.lower() + "b": 1000 ** (power + 1) for power, prefix in enumerate("KMGTPE")},
}
_COMMAND_LINE = "{http://libvirt.org/schemas/domain/qemu/1.0}commandline"
_SIZE_ATTRIBUTES = ("memory", "size")
# What libvirt adds: parent, condition (XPath) and element. The builders write all of them; patches may remove them.
_FILLED_IN = (
    (".", "not(clock)", '<clock offset="utc"/>'),
    (".", "not(on_poweroff)", "<on_poweroff>destroy</on_poweroff>"),
    (".", "not(on_reboot)", "<on_reboot>restart</on_reboot>"),
    (".", "not(on_crash)", "<on_crash>destroy</on_crash>"),
    (
        "devices",
        'not(controller[@type = "usb"][not(@index > 0)]) and ../os/type/@arch = "x86_64"',
        '<controller type="usb" index="0"/>',
    ),
    ("devices", 'disk/target/@bus = "scsi" and not(controller/@type = "scsi")', '<controller type="scsi" index="0"/>'),
    ("devices", 'console/target/@type = "serial" and not(serial)', '<serial><target port="0"/></serial>'),
    ("devices", "serial and not(console)", '<console><target type="serial" port="0"/></console>'),
    ("devices", "graphics and not(video)", "<video/>"),
    ("devices", 'not(memballoon) and ../os/type/@arch = "x86_64"', '<memballoon model="virtio"/>'),
)


def normalise_desired(domain: etree._Element) -> None:
    """Write into C(domain) what libvirt would write: units, and what other elements imply."""
    _join_command_lines(domain)
    _sizes_in_kib(domain)
    _fill_in(domain)
    _implied_memory(domain)
    _implied_boot_device(domain)
    _implied_vcpus(domain)
    _implied_cpu(domain)
    _implied_controller_indexes(domain)
    for graphics in domain.iterfind("devices/graphics"):
        _implied_listen(graphics)
    normalise_existing(domain)


def normalise_existing(domain: etree._Element) -> None:
    """Move C(auth) into C(source), where the builders write it, and give empty drives the type file."""
    for drive in domain.iterfind('devices/disk[@type="block"][@device="cdrom"]'):
        if drive.find("source") is None:
            drive.set("type", "file")
    for tag in ("auth", "encryption"):
        for part in domain.findall("devices/disk/" + tag):
            source = part.getparent().find("source")
            if source is not None:
                source.append(part)


def _join_command_lines(domain: etree._Element) -> None:
    """Move the arguments of all command lines to the first, as libvirt does: a patch may have added another."""
    first, *others = domain.findall(_COMMAND_LINE) or [None]
    for other in others:
        first.extend(list(other))
        domain.remove(other)


def _sizes_in_kib(domain: etree._Element) -> None:
    for unit in _units()(domain):
        element = unit.getparent()
        scale = _UNITS.get(unit.lower())
        if scale is None or element.getparent().tag == "shmem":  # a drive's address has a unit too
            continue
        for name in _SIZE_ATTRIBUTES:
            if (element.get(name) or "").isdecimal():
                element.set(name, _kib(element.get(name), scale))
        if len(element) == 0 and (element.text or "").isdecimal():
            element.text = _kib(element.text, scale)
        element.set("unit", "KiB")


@cache
def _units() -> etree.XPath:
    return etree.XPath("descendant::*/@unit")


def _kib(size: str, scale: int) -> str:
    return str(-(-number(size) * scale // _KIB))


def _fill_in(domain: etree._Element) -> None:
    for path, is_missing, filled_in in _compiled():
        parent = domain.find(path)
        if parent is not None and is_missing(parent):
            parent.append(copy.deepcopy(filled_in))


@cache
def _compiled() -> tuple[tuple[str, etree.XPath, etree._Element], ...]:
    return tuple((path, etree.XPath(condition), etree.fromstring(xml)) for path, condition, xml in _FILLED_IN)


def _implied_memory(domain: etree._Element) -> None:
    cells = domain.findall("cpu/numa/cell[@memory]")
    memory = domain.find("memory")
    if cells:
        # With NUMA cells the total is their sum, whatever "memory" says.
        total = str(sum(number(cell.get("memory")) for cell in cells))
        if memory is None:
            memory = etree.SubElement(domain, "memory")
        memory.text = total
    if memory is not None and domain.find("currentMemory") is None:
        etree.SubElement(domain, "currentMemory").text = memory.text


def _implied_boot_device(domain: etree._Element) -> None:
    os_element = domain.find("os")
    if os_element is not None and os_element.find("boot") is None and domain.find("devices/*/boot") is None:
        etree.SubElement(os_element, "boot", dev="hd")


def _implied_vcpus(domain: etree._Element) -> None:
    vcpu = domain.find("vcpu")
    if vcpu is not None and vcpu.get("current") == vcpu.text:
        del vcpu.attrib["current"]


def _implied_cpu(domain: etree._Element) -> None:
    model = domain.find("cpu/model")
    if model is not None and not model.text:
        # A fallback without a model means nothing, and newer versions of libvirt drop it.
        model.attrib.pop("fallback", None)
        if not model.attrib:
            model.getparent().remove(model)


def _implied_controller_indexes(domain: etree._Element) -> None:
    taken = {(each.get("type"), each.get("index")) for each in domain.iterfind("devices/controller")}
    for controller in domain.iterfind("devices/controller"):
        if controller.get("index") is None:
            kind = controller.get("type")
            index = next(str(free) for free in range(len(taken) + 1) if (kind, str(free)) not in taken)
            taken.add((kind, index))
            controller.set("index", index)


def _implied_listen(graphics: etree._Element) -> None:
    if graphics.get("autoport") == "yes":
        # The port is chosen at each start.
        graphics.attrib.pop("port", None)
        graphics.attrib.pop("tlsPort", None)
    listen = graphics.find("listen[@address]")
    if listen is not None:
        graphics.set("listen", listen.get("address"))
