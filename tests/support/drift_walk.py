# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change every attribute and text of a domain outside of the collection, and check that it is found and repaired.

A device that another domain of the same machine type has too is tried only once.

libvirt's QEMU driver runs inside the walking process (C(qemu:///embed)), so that no call goes to a daemon. Such a
process can no longer reach libvirtd, so a test does all this in separate processes.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Optional, TypeVar
from unittest import mock

import libvirt
import yaml
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import (
    Capabilities,
    DomainCapabilities,
    DomainKind,
    Host,
    domain_kind,
    parse_capabilities,
    parse_domain_capabilities,
)
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.facts import defined_formats
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, Case
from ansible_collections.zstack.kvm.tests.support.virsh import virsh
from lxml import etree

LEFT_OUT = Path(__file__).resolve().parent.parent / "fixtures" / "drift" / "left_out.yml"
Result = TypeVar("Result")
KNOWN_CAPABILITIES = Path("/var/cache/libvirt/qemu/capabilities")
FORMAT_OF_AN_IMAGE = "devices/disk[disk]/driver/@type of an image"

INACTIVE_WITH_SECRETS = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE

# Values that libvirt knows, by attribute; each one that it refuses costs an attempt.
WORDS = {
    "arch": "i686 x86_64",
    "bus": "virtio scsi ide usb ps2",
    "cache": "writeback none writethrough",
    "check": "partial none full",
    "compression": "off on never always quic",
    "copypaste": "yes no",
    "dev": "network hd cdrom",
    "device": "cdrom disk lun",
    "fallback": "allow forbid",
    "machine": "pc-i440fx-5.2 pc-q35-5.2 virt-5.2",
    "managed": "no yes",
    "match": "minimum strict",
    "mode": "custom host-model host-passthrough maximum connect bind client server all off capabilities",
    "model": "virtio-non-transitional vga qxl virtio e1000 ac97 lsilogic ehci nec-xhci",
    "offset": "utc localtime",
    "placement": "auto static",
    "protocol": "rbd nbd iscsi",
    "snapshot": "internal no",
    "tickpolicy": "delay catchup",
    "type": "file block network bridge pty null unix vga qxl virtio cirrus e1000 mouse tablet keyboard vnc spice none "
    "virtio-scsi ceph iscsi dynamic qcow2 raw pci usb",
}
TEXTS = {
    "emulator": "/usr/bin/kvm",
    "model": "Nehalem cortex-a72",
    "on_crash": "destroy preserve",
    "on_poweroff": "restart preserve",
    "on_reboot": "destroy",
}
FLIPS = {"yes": "no", "no": "yes", "on": "off", "off": "on"}


@dataclass(frozen=True)
class Slot:
    """An attribute or a text (C(attribute) is None) of a domain. Slots of a kind have the same C(path)."""

    path: str
    element: etree._Element
    attribute: Optional[str]

    @property
    def value(self) -> str:
        """Return the value in this slot."""
        return self.element.text if self.attribute is None else self.element.get(self.attribute)

    def set(self, value: str) -> None:
        """Set another value."""
        if self.attribute is None:
            self.element.text = value
        else:
            self.element.set(self.attribute, value)


@dataclass
class Walked:
    """The outcomes of the walks of one process, by path: how often repaired, unnoticed, or refused by libvirt.

    C(trusted): slots that were skipped because enough of their left-out kind had been tried. C(same): slots of a part
    that was tried in another domain. C(ways): by path, the changes that libvirt accepted. C(parts): what was tried.
    """

    repaired: Counter = field(default_factory=Counter)
    unnoticed: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    trusted: Counter = field(default_factory=Counter)
    same: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    ways: dict[str, list[str]] = field(default_factory=dict)
    parts: set[tuple[str, bytes]] = field(default_factory=set)
    domains: int = 0

    def add(self, other: Walked) -> None:
        """Add the counts of another process."""
        for name in ("repaired", "unnoticed", "refused", "trusted", "same"):
            getattr(self, name).update(getattr(other, name))
        self.failures += other.failures
        self.domains += other.domains


def with_embedded_libvirt(function: Callable[..., Result], *arguments: Sequence[Any]) -> list[Result]:
    """Return the results of calls of a function, each in a separate process that may embed a QEMU driver."""
    # On standard error, libvirt would warn about the very addresses that are tried.
    quiet = {"LIBVIRT_LOG_OUTPUTS": "4:stderr"}
    context = multiprocessing.get_context("spawn")
    with mock.patch.dict(os.environ, quiet), ProcessPoolExecutor(len(arguments[0]), mp_context=context) as processes:
        return list(processes.map(function, *arguments))


@lru_cache
def connection() -> libvirt.virConnect:
    """Return the connection to a QEMU driver in this process, without any domain."""
    root = tempfile.mkdtemp(prefix="zstack-kvm-embed-", dir="/dev/shm")
    Finalize(None, shutil.rmtree, [root], exitpriority=0)
    if KNOWN_CAPABILITIES.is_dir():
        # Probing each QEMU takes seconds; libvirt uses what libvirtd has cached unless it is outdated.
        shutil.copytree(KNOWN_CAPABILITIES, Path(root, "cache", "qemu", "capabilities"))
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, daemon=True).start()
    return libvirt.open("qemu:///embed?root=" + root)


def emulated(case: Case) -> Vm:
    """Return the VM of a reference document for this machine: emulated, by libvirt's default QEMU."""
    return case.vm(domain_type="qemu", arch=case.arch, emulator=None)


@lru_cache
def _domain_capabilities(kind: DomainKind) -> DomainCapabilities:
    answer = connection().getDomainCapabilities(kind.emulator, kind.arch, kind.machine, kind.domain_type)
    return parse_domain_capabilities(answer)


@lru_cache
def _capabilities() -> Capabilities:
    # libvirtd has them cached; a new driver would start each QEMU of the machine to find them out.
    return parse_capabilities(virsh("capabilities"))


def host_for(vm: Vm) -> Host:
    """Return this machine as the host of a VM."""
    kind = domain_kind(vm, _capabilities())
    return Host(_capabilities(), {kind: _domain_capabilities(kind)}, HostSystem().devices.cgroup_version())


def desired_domain(case: Case, existing: Optional[etree._Element] = None) -> etree._Element:
    """Return the domain that the collection would define, with the image formats of the existing definition."""
    vm = emulated(case)
    facts = StorageFacts({**case.facts.formats, **defined_formats(existing)})
    return build(vm, host_for(vm), facts).element


def define(domain: etree._Element, validate: bool = False) -> str:
    """Define a domain, and return libvirt's definition of it; raise libvirtError."""
    flags = libvirt.VIR_DOMAIN_DEFINE_VALIDATE if validate else 0
    defined = connection().defineXMLFlags(etree.tostring(domain, encoding="unicode"), flags)
    return defined.XMLDesc(INACTIVE_WITH_SECRETS)


def undefine(domain: etree._Element) -> None:
    """Undefine the domain."""
    flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    connection().lookupByUUIDString(domain.findtext("uuid")).undefineFlags(flags)


class DomainWalk:
    """One domain, and all that can be changed in it."""

    # How often a process still tries a kind of slot that is left out, to see that it still has to be.
    SAMPLES = 1

    def __init__(self, case: Case, walked: Walked, left_out: Sequence[str]) -> None:
        self.case = case
        self.name = case.name
        self.desired = desired_domain(case)
        self.walked = walked
        self.left_out = [re.compile(pattern) for pattern in left_out]

    def run(self) -> None:
        """Apply, compare again, then change every value, one at a time."""
        applied = define(self.desired, validate=True)
        self.walked.domains += 1
        again = reconcile(self.desired, etree.fromstring(applied)).differences
        if again:
            self.walked.failures.append(f"{self.name}: not in sync after it was applied: {again}")
        # libvirt reorders some controllers when it is given its own definition.
        self.defined = define(etree.fromstring(applied))
        self.changed = etree.fromstring(self.defined)
        known = set(self.walked.parts)
        for slot in list(slots(self.changed)):
            part = part_of(slot.element)
            if part in known:
                self.walked.same[slot.path] += 1
            else:
                self.walked.parts.add(part)
                self.try_slot(slot)
        undefine(self.desired)

    def try_slot(self, slot: Slot) -> None:
        """Set one slot to another value, and count the outcome."""
        walked, path = self.walked, slot.path
        is_left_out = any(pattern.fullmatch(path) for pattern in self.left_out)
        seen = walked.unnoticed[path] + walked.refused[path]
        if is_left_out and seen >= self.SAMPLES:
            walked.trusted[path] += 1
            return
        now = self.change(slot)
        if now is None:
            walked.refused[path] += 1
        else:
            self.judge(path, now)

    def change(self, slot: Slot) -> Optional[str]:
        """Return libvirt's definition after the first change of a slot that it accepts, or None if it accepts none."""
        before = slot.value
        values = other_values(slot)
        # What libvirt accepted in another slot of this kind, it will most likely accept here.
        accepted_ways = self.walked.ways.setdefault(slot.path, [])
        for way in [*filter(values.__contains__, accepted_ways), *(way for way in values if way not in accepted_ways)]:
            slot.set(values[way])
            with with_dependents(slot, values[way]):
                now = self.accepted()
            slot.set(before)
            if now is not None:
                if way not in accepted_ways:
                    accepted_ways.insert(0, way)
                return now
        return None

    def accepted(self) -> Optional[str]:
        """Return libvirt's definition of the changed domain, or None if it refuses or reverts the change."""
        try:
            now = define(self.changed)
        except libvirt.libvirtError:
            return None
        return None if now == self.defined else now

    def judge(self, path: str, now: str) -> None:
        """Check that the next run finds the change and restores the domain."""
        defined = etree.fromstring(now)
        desired = desired_domain(self.case, defined) if path == FORMAT_OF_AN_IMAGE else self.desired
        reconciled = reconcile(desired, defined)
        if not reconciled.differences:
            self.walked.unnoticed[path] += 1
            define(etree.fromstring(self.defined))
            return
        try:
            # A real run always validates; as that takes long, it is done once for each kind of slot.
            repaired = define(reconciled.merged, validate=not self.walked.repaired[path])
        except libvirt.libvirtError as error:
            self.walked.failures.append(f"{self.name}: {path} can't be repaired: {error}")
            define(etree.fromstring(self.defined))
            return
        self.walked.repaired[path] += 1
        if repaired != self.defined:
            left = reconcile(self.desired, etree.fromstring(repaired)).differences
            if left:
                self.walked.failures.append(f"{self.name}: {path} is not repaired: {left}")
            define(etree.fromstring(self.defined))


@contextmanager
def with_dependents(slot: Slot, value: str) -> Iterator[None]:
    """Change what must change together with a slot, as libvirt refuses contradictions, and restore it afterwards."""
    element, parent = slot.element, slot.element.getparent()
    attributes: list[tuple[etree._Element, str, str]] = []
    removed: list[etree._Element] = []
    if element.tag == "listen" and slot.attribute == "address":
        attributes = [(parent, "listen", value)]
    elif element.tag == "graphics" and slot.attribute == "listen":
        attributes = [(element.find("listen"), "address", value)]
    elif element.tag == "target" and slot.attribute == "bus":
        removed = parent.findall("address")
    elif element.tag == "seclabel" and slot.attribute == "type":
        attributes = [(element, "model", "apparmor")]
    elif element.tag == "topology" or element.tag == "vcpu":
        attributes = _topology(slot, value)
    before = [(each, name, each.get(name)) for each, name, _value in attributes]
    for each, name, other in attributes:
        each.set(name, other)
    for each in removed:
        parent.remove(each)
    try:
        yield
    finally:
        for each, name, old in before:
            each.set(name, old)
        for each in removed:
            parent.append(each)


def _topology(slot: Slot, value: str) -> list[tuple[etree._Element, str, str]]:
    """Return the other numbers of the topology, so that the product is the number of CPUs."""
    domain = slot.element.getroottree().getroot()
    topology = domain.find("cpu/topology")
    if not value.isdigit() or value == "0":
        return []
    if slot.element is topology:
        others = [name for name in ("cores", "sockets", "threads", "dies") if name != slot.attribute]
        cpus = int(domain.findtext("vcpu")) // int(value)
    elif slot.attribute is None:
        others, cpus = ["cores", "sockets", "threads", "dies"], int(value)
    else:
        return []
    return [(topology, name, str(cpus if name == others[0] else 1)) for name in others]


def left_out(kind: str) -> list[str]:
    """Return the patterns of the paths of one kind that are left out."""
    groups = yaml.safe_load(LEFT_OUT.read_text(encoding="utf-8"))[kind]
    return [path for group in groups for path in group["paths"]]


def walk(share: int, shares: int) -> Walked:
    """Walk over every C(shares)th case: the share of one of several processes."""
    walked = Walked()
    patterns = left_out("undecided") + left_out("refused")
    for case in ALL_CASES[share::shares]:
        DomainWalk(case, walked, patterns).run()
    return walked


def slots(domain: etree._Element) -> Iterator[Slot]:
    """Yield every attribute and every text of a domain."""
    for element in domain.iter():
        path = path_of(element)
        for attribute in element.attrib:
            if path == "devices/disk[disk]/driver" and attribute == "type" and is_image(element.getparent()):
                yield Slot(FORMAT_OF_AN_IMAGE, element, attribute)
            else:
                yield Slot(f"{path}/@{attribute}", element, attribute)
        if len(element) == 0 and (element.text or "").strip():
            yield Slot(path, element, None)


def part_of(element: etree._Element) -> tuple[str, bytes]:
    """Return the device or other part of the domain that the element is in, with the machine type of the domain."""
    part = element
    while part.getparent() is not None and part.getparent().tag not in ("domain", "devices"):
        part = part.getparent()
    is_domain = part.getparent() is None
    text = repr(dict(part.attrib)).encode() if is_domain else etree.tostring(part, with_tail=False)
    return element.getroottree().getroot().find("os/type").get("machine"), text


def is_image(disk: etree._Element) -> bool:
    """Return whether the disk's format is read from its content, because the document does not have it."""
    source = disk.find("source")
    return source is not None and (source.get("file") is not None or source.get("protocol") == "nbd")


def path_of(element: etree._Element) -> str:
    """Return the names of the elements from below the domain to this one, some with their kind."""
    names = []
    parent = element.getparent()
    while parent is not None:
        names.append(_name(element))
        element, parent = parent, parent.getparent()
    return "/".join(reversed(names)) or "."


def _name(element: etree._Element) -> str:
    name = etree.QName(element).localname
    kind = {"controller": "type", "address": "type", "input": "bus", "disk": "device", "audio": "type"}.get(name)
    if name == "controller" and element.get("model") in (None, "piix3-uhci", "qemu-xhci"):
        return "controller[default %s]" % element.get("type")
    return f"{name}[{element.get(kind)}]" if kind and element.get(kind) else name


def other_values(slot: Slot) -> dict[str, str]:
    """Return values to try, by how each is derived from the present one; the likeliest to be accepted first."""
    value, tag = slot.value, slot.element.tag
    words = TEXTS.get(tag, "") if slot.attribute is None else WORDS.get(slot.attribute, "")
    values = {**_of_the_same_form(value), **{word: word for word in words.split()}, "longer": value + "x"}
    # Of several ways to the same value, the first is kept.
    ways = {other: way for way, other in reversed(values.items()) if other != value}
    return {way: other for other, way in reversed(ways.items())}


def _of_the_same_form(value: str) -> dict[str, str]:
    if value in FLIPS:
        return {"flipped": FLIPS[value]}
    if re.fullmatch("0x[0-9a-f]+", value):
        width = len(value) - 2
        return {f"{step:+d}": f"0x{int(value, 16) + step:0{width}x}" for step in (1, 9, 16)}
    if re.fullmatch(r"\d+", value):
        number = int(value)
        others = {"+1": number + 1, "-1": abs(number - 1), "twice": number * 2, "half": number // 2, "+8": number + 8}
        return {way: str(other) for way, other in others.items()}
    if re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", value):
        return {"MAC": value[:-2] + f"{int(value[-2:], 16) ^ 8:02x}"}
    if re.fullmatch(r"\d+(\.\d+){3}", value):
        return {"IP address": "192.0.2.77"}
    if re.fullmatch("[0-9a-f-]{36}", value):
        return {"UUID": value[:-1] + ("1" if value[-1] == "0" else "0")}
    if re.fullmatch(r"\d+-\d+", value):
        return {"range": "0-126"}
    return {}
