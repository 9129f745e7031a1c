# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan which differences of a running VM can be applied while it runs, and how. Pure.

Each kind of difference has a function below; C(_PLANNERS) lists most of them. What no action can apply is left for
the next boot.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._actions.action import Action
from .._actions.live import (
    AttachDevice,
    AttachMemory,
    AttachNic,
    AttachVolume,
    ChangeMedia,
    DetachDevice,
    DetachNic,
    DetachVolume,
    PinThread,
    ReconnectNic,
    SetBalloonPeriod,
    SetConsolePassword,
    SetCpuQuota,
    SetCpuShares,
    SetDescription,
    SetVcpus,
    SetVolumeQos,
    UpdateNic,
)
from .._host.bridge_ports import Ports, is_openvswitch
from .._spec.values import cpus_of
from .hotplug import MEMORY_BLOCK_KIB, attachable, can_be_plugged, can_be_unplugged, dimm, is_root, text
from .identity import number
from .walk import Found

# All limits of a volume. No limit must be set explicitly, or libvirt keeps the old one.
_LIMITS = (
    *(
        "%s_%s_sec%s" % (way, unit, kind)
        for unit in ("bytes", "iops")
        for way in ("total", "read", "write")
        for kind in ("", "_max", "_max_length")
    ),
    "size_iops_sec",
)
# The parts of a NIC that libvirt can change while it is in use.
_NIC_PARTS = ("bandwidth", "filterref", "link", "port")

# The elements that pin threads, and their attribute with the thread's number.
_PINS = {"vcpupin": "vcpu", "emulatorpin": "", "iothreadpin": "iothread"}
_DEFAULT_PERIOD = 100000
_UNLIMITED = -1


@dataclass
class _DifferingPart:
    """A device or a section of the domain that differs: the desired one, and the one in libvirt's live XML."""

    name: str
    desired: Optional[etree._Element]
    running: Optional[etree._Element]
    found: list[Found] = field(default_factory=list)


@dataclass
class Planned:
    """The actions that change the live domain into the desired one, in order, and the differences that remain.

    Devices are detached first, for their slots may be needed; growing comes last, for the guest may keep it.
    """

    desired: etree._Element
    live: etree._Element
    ports: Ports
    detach: list[Action] = field(default_factory=list)
    change: list[Action] = field(default_factory=list)
    attach: list[Action] = field(default_factory=list)
    grow: list[Action] = field(default_factory=list)
    remaining: list[Found] = field(default_factory=list)

    @property
    def actions(self) -> tuple[Action, ...]:
        """Return the actions in order."""
        return (*self.detach, *self.change, *self.attach, *self.grow)


def plan_live_changes(
    desired: etree._Element,
    live: etree._Element,
    ports: Ports,
    found: Iterable[Found],
    running: Mapping[etree._Element, etree._Element],
) -> Planned:
    """Plan what can be done now about the differences that were C(found) between C(desired) and the live XML.

    C(running): the elements of C(live) by those in C(found).
    """
    planned = Planned(desired, live, ports)
    for part in _parts(found, running):
        _plan(part, planned)
    return planned


def _parts(found: Iterable[Found], running: Mapping[etree._Element, etree._Element]) -> list[_DifferingPart]:
    """Return the differences by device or section; memory is one section, though several elements hold it."""
    parts: dict[Any, _DifferingPart] = {}
    for each in found:
        is_device = len(each.steps) > 1 and each.steps[0].node.name == "devices"
        step = each.steps[1 if is_device else 0] if each.steps else None
        if step is None or _is_memory(each):
            name = "memory" if step else "domain"
            part = parts.setdefault(name, _DifferingPart(name, None, None))
        else:
            element = step.desired if step.existing is None else step.existing
            part = parts.setdefault(element, _DifferingPart(step.node.name, step.desired, running.get(step.existing)))
        part.found.append(each)
    return list(parts.values())


def _is_memory(found: Found) -> bool:
    names = [step.node.name for step in found.steps]
    return (
        names in (["memory"], ["currentMemory"])
        or names[:2] == ["devices", "memory"]
        or (names == ["cpu", "numa", "cell"] and found.last == "@memory")
    )


def _plan(part: _DifferingPart, planned: Planned) -> None:
    desired, running, found = part.desired, part.running, part.found
    if part.name == "memory":
        _plan_memory(found, planned)
    elif part.name == "description":
        before, after = (None if each is None else each.text for each in (running, desired))
        planned.change.append(SetDescription(after, before))
    elif desired is None or running is None or _is_another(part.name, desired, found):
        _plug(part, planned)
    elif part.name in _PLANNERS:
        _PLANNERS[part.name](desired, running, found, planned)
    else:
        planned.remaining += found


def _is_another(name: str, desired: etree._Element, found: list[Found]) -> bool:
    """Return whether another volume or NIC is to replace this one."""
    identity = {"disk": "source", "interface": "mac"}.get(name)
    return not _is_cdrom(desired) and any(_below_device(each) == identity for each in found)


def _plug(part: _DifferingPart, planned: Planned) -> None:
    """Plan to detach the running device and to attach the desired one, if there is one and this can be done live."""
    desired, running, live = part.desired, part.running, planned.live
    if part.name not in _PLUGGED or _has_to_stay(running) or _has_no_slot(desired, live):
        planned.remaining += part.found
        return
    kind = _PLUGGED[part.name]
    if running is not None:
        planned.detach.append(kind.detach(attachable(running, live, ()), _path(running), _label(running)))
    if desired is not None:
        xml = attachable(desired, live, _taken_orders(desired, planned))
        replaced = "" if running is None else _path(running)
        planned.attach.append(kind.attach(xml, _path(desired), _label(desired), replaced))


def _has_to_stay(running: Optional[etree._Element]) -> bool:
    return running is not None and (_identity(running) is None or not can_be_unplugged(running))


def _has_no_slot(desired: Optional[etree._Element], live: etree._Element) -> bool:
    if desired is None:
        return False
    return is_root(desired) or _identity(desired) is None or not can_be_plugged(desired, live)


def _identity(device: etree._Element) -> Optional[str]:
    """Return what identifies a device once it is plugged in, or None if only libvirt knows."""
    kind = _PLUGGED[device.tag]
    found = device.find(kind.child)
    return None if found is None else found.get(kind.attribute)


def _taken_orders(device: etree._Element, planned: Planned) -> frozenset[str]:
    """Return the boot orders of other devices that stay plugged in: libvirt changes none of a running VM."""
    desired = {_name(each) for each in planned.desired.iterfind("devices/*") if each.tag in _PLUGGED}
    return frozenset(
        other.find("boot").get("order", "")
        for other in planned.live.iterfind("devices/*[boot]")
        if other.tag not in _PLUGGED
        or (_name(other) != _name(device) and (_name(other) in desired or not can_be_unplugged(other)))
    )


def _name(device: etree._Element) -> tuple[str, str]:
    return device.tag, (_identity(device) or "").lower()


def _path(device: etree._Element) -> str:
    """Return the path that finds a device in the domain."""
    kind = _PLUGGED[device.tag]
    return 'devices/%s/%s[@%s="%s"]/..' % (device.tag, kind.child, kind.attribute, _identity(device))


def _label(device: etree._Element) -> str:
    return "%s %s" % (_PLUGGED[device.tag].label, _identity(device))


def _plan_disk(desired: etree._Element, running: etree._Element, found: list[Found], planned: Planned) -> None:
    # The name of the group of disks that share their limits cannot be changed with them.
    limits = [each for each in found if _below_device(each) == "iotune" and each.steps[-1].node.name != "group_name"]
    media = [each for each in found if _is_cdrom(desired) and _is_of_media(each)]
    target = _identity(running)
    if target is None:
        limits = media = []
    elif limits:
        planned.change.append(SetVolumeQos(target, _limits(desired), _limits(running)))
    if media:
        changed = _with_parts(desired, running, ("source",))
        for path, attribute in ((".", "type"), ("driver", "type")):
            _copy_attribute(desired, changed, path, attribute)
        planned.change.append(ChangeMedia(text(changed), text(running)))
    planned.remaining += [each for each in found if each not in limits and each not in media]


def _is_cdrom(disk: etree._Element) -> bool:
    return disk.get("device") == "cdrom"


def _is_of_media(found: Found) -> bool:
    path = (_below_device(found), found.last)
    return path[0] == "source" or path in (("", "@type"), ("driver", "@type"))


def _limits(disk: etree._Element) -> dict[str, int]:
    given = {limit.tag: number(limit.text) for limit in disk.iterfind("iotune/*") if limit.tag in _LIMITS}
    return {**dict.fromkeys(_LIMITS, 0), **given}


def _plan_nic(desired: etree._Element, running: etree._Element, found: list[Found], planned: Planned) -> None:
    connection = [each for each in found if _is_of_connection(each)]
    parts = (*_NIC_PARTS, "vlan") if is_openvswitch(desired) and is_openvswitch(running) else _NIC_PARTS
    possible = [each for each in found if _below_device(each) in parts]
    changed = _with_parts(desired, running, parts)
    if connection and _connection_of(desired) == _connection_of(running):
        # It is no longer a port of the bridge that libvirt put it into, and libvirt doesn't repair that.
        if _can_be_reconnected(running, planned.ports):
            planned.change.append(_reconnect(running, planned.ports))
        else:
            planned.remaining += connection
    elif _is_bridged(desired) and _is_bridged(running) and not (is_openvswitch(desired) or is_openvswitch(running)):
        if connection:
            _connect(changed, desired)
            possible += connection
    else:
        planned.remaining += connection
    if possible:
        planned.change.append(UpdateNic(text(changed), text(running)))
    planned.remaining += [each for each in found if each not in possible and each not in connection]


def _is_of_connection(found: Found) -> bool:
    """Return whether it is about the bridge or the libvirt network of a NIC."""
    return (_below_device(found), found.last) in (("source", "@bridge"), ("source", "@network"), ("", "@type"))


def _is_bridged(nic: etree._Element) -> bool:
    """Return whether a NIC is on a bridge or a libvirt network."""
    return any(_connection_of(nic))


def _connection_of(nic: etree._Element) -> tuple[Optional[str], Optional[str]]:
    """Return the libvirt network of a NIC, or else its bridge."""
    source = nic.find("source")
    network = None if source is None else source.get("network")
    return (network, None) if source is None or network else (None, source.get("bridge"))


def _connect(changed: etree._Element, desired: etree._Element) -> None:
    changed.set("type", desired.get("type"))
    source = changed.find("source")
    source.attrib.clear()
    source.attrib.update(desired.find("source").attrib)


def _can_be_reconnected(running: etree._Element, ports: Ports) -> bool:
    """Return whether its device still exists; for Open vSwitch, limits are lost, and only libvirt can set them."""
    limited_there = is_openvswitch(running) and running.find("bandwidth") is not None
    return ports[running.find("target").get("dev")] is not None and not limited_there


def _reconnect(running: etree._Element, ports: Ports) -> Action:
    device, bridge = running.find("target").get("dev"), running.find("source").get("bridge")
    return ReconnectNic(text(running), device, bridge, before=ports[device] or "")


def _plan_graphics(desired: etree._Element, running: etree._Element, found: list[Found], planned: Planned) -> None:
    # QEMU asks for a password only if it had one when it started.
    password = [each for each in found if each.last == "@passwd" and each.before and each.after]
    if password:
        changed = copy.deepcopy(running)
        changed.set("passwd", desired.get("passwd"))
        planned.change.append(SetConsolePassword(text(changed), text(running)))
    planned.remaining += [each for each in found if each not in password]


def _plan_balloon(desired: etree._Element, running: etree._Element, found: list[Found], planned: Planned) -> None:
    period = [each for each in found if _below_device(each) == "stats"]
    if period:
        planned.change.append(SetBalloonPeriod(_period(desired), _period(running)))
    planned.remaining += [each for each in found if each not in period]


def _period(balloon: etree._Element) -> int:
    stats = balloon.find("stats")
    return 0 if stats is None else number(stats.get("period"))


def _plan_vcpus(desired: etree._Element, running: etree._Element, found: list[Found], planned: Planned) -> None:
    before, after = (number(vcpu.get("current") or vcpu.text) for vcpu in (running, desired))
    if running.text == desired.text and before < after:
        planned.grow.append(SetVcpus(after, before))
    else:
        planned.remaining += found


def _plan_memory(found: list[Found], planned: Planned) -> None:
    memory, limit = _kib(planned.desired, "memory"), planned.live.find("maxMemory")
    more = memory - _kib(planned.live, "memory")
    slots = 0 if limit is None else number(limit.get("slots")) - len(planned.live.findall("devices/memory"))
    if slots > 0 and more > 0 and more % MEMORY_BLOCK_KIB == 0 and memory <= _kib(planned.live, "maxMemory"):
        planned.grow.append(AttachMemory(dimm(more)))
    else:
        planned.remaining += found


def _kib(domain: etree._Element, path: str) -> int:
    return number(domain.findtext(path))


def _plan_cpu_tuning(desired: etree._Element, running: etree._Element, found: list[Found], planned: Planned) -> None:
    by_name: dict[str, list[Found]] = {}
    for each in found:
        by_name.setdefault(each.steps[1].node.name if len(each.steps) > 1 else "", []).append(each)
    shares = by_name.pop("shares", [])
    if shares and None not in (desired.find("shares"), running.find("shares")):
        before, after = (number(tune.findtext("shares")) for tune in (running, desired))
        planned.change.append(SetCpuShares(after, before))
    else:
        planned.remaining += shares
    limits = by_name.pop("period", []) + by_name.pop("quota", [])
    if limits:
        planned.change.append(SetCpuQuota(_quota(desired), _quota(running)))
    for tag, key in _PINS.items():
        pinned = by_name.pop(tag, [])
        if all(_pin(tag, key, each, desired, running, planned) for each in pinned):
            continue
        # libvirt cannot forget a pin of a running VM.
        planned.remaining += [each for each in pinned if each.steps[1].desired is None]
    planned.remaining += [each for others in by_name.values() for each in others]


def _pin(tag: str, key: str, found: Found, desired: etree._Element, running: etree._Element, planned: Planned) -> bool:
    """Plan to pin a thread. Return whether it is to be pinned."""
    pin = found.steps[1].desired
    if pin is None:
        return False
    number_of = pin.get(key, "0") if key else "0"
    same = '%s[@%s="%s"]' % (tag, key, number_of) if key else tag
    before = running.find(same)
    planned.change.append(
        PinThread(
            tag[: -len("pin")],
            number(number_of),
            cpus_of(pin.get("cpuset")),
            frozenset() if before is None else cpus_of(before.get("cpuset")),
        )
    )
    return True


def _quota(tune: etree._Element) -> tuple[int, int]:
    """Return period and quota; without a quota, libvirt's period and no limit."""
    if tune.find("quota") is None:
        return (_DEFAULT_PERIOD, _UNLIMITED)
    return (number(tune.findtext("period")) or _DEFAULT_PERIOD, number(tune.findtext("quota")))


def _with_parts(desired: etree._Element, running: etree._Element, tags: Iterable[str]) -> etree._Element:
    """Return the running device with some of its children as desired, and without what only libvirt writes."""
    changed = copy.deepcopy(running)
    for tag in (*tags, "backingStore", "mirror"):
        for old in changed.findall(tag):
            changed.remove(old)
    for tag in tags:
        changed.extend(copy.deepcopy(each) for each in desired.findall(tag))
    return changed


def _copy_attribute(desired: etree._Element, changed: etree._Element, path: str, name: str) -> None:
    """Set the desired value; without one, or without the element, libvirt chooses."""
    desired_element, element = desired.find(path), changed.find(path)
    if desired_element is not None and element is not None and desired_element.get(name) is not None:
        element.set(name, desired_element.get(name))


def _below_device(found: Found) -> str:
    """Return the child of the device that differs; empty for the device itself."""
    return found.steps[2].node.name if len(found.steps) > 2 else ""


class _Pluggable(NamedTuple):
    """A kind of device that can be plugged: its name in messages, and the attribute of a child that identifies it."""

    label: str
    child: str
    attribute: str
    attach: type[AttachDevice]
    detach: type[DetachDevice]


_PLUGGED = {
    "disk": _Pluggable("volume", "target", "dev", AttachVolume, DetachVolume),
    "interface": _Pluggable("nic", "mac", "address", AttachNic, DetachNic),
}
_PLANNERS: Mapping[str, Callable[[etree._Element, etree._Element, list[Found], Planned], None]] = {
    "disk": _plan_disk,
    "interface": _plan_nic,
    "graphics": _plan_graphics,
    "memballoon": _plan_balloon,
    "vcpu": _plan_vcpus,
    "cputune": _plan_cpu_tuning,
}
