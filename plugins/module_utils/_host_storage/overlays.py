# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes whose VM writes to an overlay of their image, as snapshots and block jobs create them, are kept.

A disk whose chain contains the image of a volume is that volume. The overlays on top of the image belong to
the volume, and going back to the image would lose them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem, VmError
from .._libvirt.hypervisor import Hypervisor
from .._spec.vm import Vm, Volume
from .._storage.base import option_path_of
from .._storage.image_chain import (
    HEAD_BYTES,
    Link,
    backing_of,
    chain_of,
    disk_image,
    is_copied_to,
    mirror_images,
    snapshot_overlays,
)
from .._storage.seed import is_seed

if TYPE_CHECKING:
    from .._host.system import System

_VOLUMES = ("disk", "lun")
# libvirt starts no longer chain.
_MOST_IMAGES = 200

Look = Callable[["etree._Element"], Sequence[str]]


class Overlays(NamedTuple):
    """Disks by the images that volumes name, if the disk's active image is another one or a copy runs to it.

    C(defined) are the disks to define, C(live) those of the running VM (or to be attached).
    """

    defined: Mapping[str, etree._Element] = MappingProxyType({})
    live: Mapping[str, etree._Element] = MappingProxyType({})

    def entries(self) -> list[dict[str, Any]]:
        """Return the overlays as shown in the result."""
        return [
            {"target": _target(disk), "image": disk_image(disk), "overlay_of": image}
            for image, disk in {**self.defined, **self.live}.items()
            if not is_copied_to(disk, image)
        ]


class ImageReader:
    """Looks beyond a domain's XML: at the headers of files and at libvirt's snapshots."""

    def __init__(self, system: System, hypervisor: Hypervisor, vm_uuid: str) -> None:
        self._system = system
        self._hypervisor = hypervisor
        self._vm_uuid = vm_uuid

    @cached_property
    def snapshot_overlays(self) -> dict[str, str]:
        """Return the overlays of the VM's snapshots, each with the image below it."""
        return snapshot_overlays(map(etree.fromstring, self._hypervisor.snapshot_xmls(self._vm_uuid)))

    def chain(self, disk: etree._Element) -> list[str]:
        """Return the images of a disk: from libvirt's XML, and below that from file headers."""
        links = chain_of(disk)
        below = links_below(links, self._backing_in_pool if self._system.is_remote else self._backing_on_host)
        return [link.image for link in (*links, *below)]

    def real_path(self, image: str) -> str:
        """Return the canonical name of an image that has several."""
        is_on_host = image.startswith("/") and not self._system.is_remote
        return self._system.files.real_path(image) if is_on_host else image

    def _backing_on_host(self, link: Link) -> Optional[Link]:
        return readable_backing_on_host(link, self._system)

    def _backing_in_pool(self, link: Link) -> Optional[Link]:
        xml = self._hypervisor.storage_volume_xml(link.image) if link.image.startswith("/") else None
        store: Optional[etree._Element] = None if xml is None else etree.fromstring(xml).find("backingStore")
        if store is None or not store.findtext("path"):
            return None
        image_format = store.find("format")
        return Link(store.findtext("path"), None if image_format is None else image_format.get("type"))

    def history(self, disk: etree._Element) -> list[str]:
        """Return a disk's active images before libvirt's snapshots, which a block pull has since cut off."""
        images: list[str] = []
        image = disk_image(disk)
        while image is not None and image not in images:
            images.append(image)
            image = self.snapshot_overlays.get(image)
        return images


def links_below(links: Sequence[Link], ask: Callable[[Link], Optional[Link]]) -> Iterator[Link]:
    """Yield the images below the last of a chain, as far as C(ask) finds them."""
    seen = {link.image for link in links}
    last = links[-1] if links else None
    while last is not None and len(seen) < _MOST_IMAGES:
        last = ask(last)
        if last is None or last.image in seen:
            return
        seen.add(last.image)
        yield last


def backing_on_host(link: Link, system: System) -> Optional[Link]:
    """Return the backing file in a file's header, None for raw images, whose content the guest controls.

    Raises C(path_unreadable).
    """
    if system.is_remote or link.format != "qcow2" or not link.image.startswith("/"):
        return None
    head = system.files.read_head(link.image, HEAD_BYTES)
    return None if head is None else backing_of(link.image, head)


def readable_backing_on_host(link: Link, system: System) -> Optional[Link]:
    """Return the backing file as L(backing_on_host) does, None also if the header cannot be read."""
    try:
        return backing_on_host(link, system)
    except VmError:
        return None


def find_overlays(
    desired: etree._Element,
    existing: Optional[etree._Element],
    live: Optional[etree._Element],
    reader: ImageReader,
) -> Overlays:
    """Return the overlays of the desired domain's volumes in the VM's definition and in the running VM."""
    running = _held_by(desired, live, reader)
    defined = _held_by(desired, existing, reader)
    by_image = {} if existing is None else {disk_image(disk): disk for disk in _volumes(existing)}
    # The running VM has the newest data; an outdated definition must not boot a lower image.
    # libvirt removes the overlay of a transient disk when the VM ends.
    kept = {image: disk for image, disk in _overlaid(running).items() if disk.find("transient") is None}
    newest = {image: by_image.get(disk_image(disk), disk) for image, disk in kept.items()}
    return Overlays(_overlaid({**defined, **newest}), _overlaid({**defined, **running}))


def _overlaid(disks: Mapping[str, etree._Element]) -> dict[str, etree._Element]:
    return {image: disk for image, disk in disks.items() if disk_image(disk) != image}


def _held_by(desired: etree._Element, held: Optional[etree._Element], reader: ImageReader) -> dict[str, etree._Element]:
    """Return the disks of a domain that hold the desired volumes. Chains are read only if the XML is not enough."""
    if held is None:
        return {}
    volumes = {str(disk_image(disk)): disk for disk in _volumes(desired)}
    disks = {str(disk_image(disk)): disk for disk in _volumes(held)}
    found = {image: disks[image] for image in volumes if image in disks}
    looks: tuple[Look, ...] = (_named_images, reader.chain, reader.history)
    for look in looks:
        left = {image: disk for image, disk in volumes.items() if image not in found}
        free = [disk for image, disk in disks.items() if disk not in found.values()]
        if not left or not free:
            break
        images = [(disk, frozenset(map(reader.real_path, look(disk)[1:]))) for disk in free]
        for image, disk in left.items():
            holder = _holder(reader.real_path(image), _target(disk), images, found.values())
            if holder is not None:
                found[image] = holder
    return found


def _holder(
    image: str,
    target: str,
    images: Sequence[tuple[etree._Element, frozenset[str]]],
    taken: Iterable[etree._Element],
) -> Optional[etree._Element]:
    """Return the disk that has the image; of several, the one with the volume's target name."""
    holders = [disk for disk, below in images if image in below and disk not in taken]
    return next((disk for disk in holders if _target(disk) == target), holders[0] if holders else None)


def _named_images(disk: etree._Element) -> list[str]:
    return [*(link.image for link in chain_of(disk)), *mirror_images(disk)]


def _volumes(domain: etree._Element) -> Iterator[etree._Element]:
    for disk in domain.iterfind("devices/disk"):
        image = disk_image(disk)
        if disk.get("device", "disk") in _VOLUMES and image is not None and not is_seed(image):
            yield disk


def _target(disk: etree._Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")


def disk_targets(domain: etree._Element) -> list[str]:
    """Return the target names of a domain's disks that have data."""
    return [_target(disk) for disk in _volumes(domain)]


def moved_volumes(desired: etree._Element, existing: etree._Element) -> Iterator[tuple[str, str, str]]:
    """Yield the disks that get another image: target name, image that they have, image that is desired.

    C(desired) has the overlays to keep. A volume that only gets another target name has not moved.
    """
    images, held = _images_by_target(desired), _images_by_target(existing)
    for target, image in images.items():
        now = held.get(target)
        if now is not None and now not in images.values() and image not in held.values():
            yield target, now, image


def _images_by_target(domain: etree._Element) -> dict[str, str]:
    return {_target(disk): str(disk_image(disk)) for disk in _volumes(domain)}


def with_overlays(desired: etree._Element, overlays: Mapping[str, etree._Element]) -> etree._Element:
    """Return a copy of the desired domain with overlays instead of the images below them."""
    if not overlays:
        return desired
    kept = copy.deepcopy(desired)
    for disk in list(_volumes(kept)):
        holder = overlays.get(str(disk_image(disk)))
        if holder is not None:
            _put(disk, holder)
    return kept


def _put(disk: etree._Element, holder: etree._Element) -> None:
    disk.set("type", holder.get("type"))
    image_format = None if holder.find("driver") is None else holder.find("driver").get("type")
    if image_format is not None:
        disk.find("driver").set("type", image_format)
    source = copy.deepcopy(holder.find("source"))
    # libvirt keeps it beside the source if it was defined there.
    source.extend(copy.deepcopy(auth) for auth in holder.findall("auth"))
    parts = [source, *(copy.deepcopy(store) for store in holder.findall("backingStore"))]
    for part in parts:
        for element in part.iter("source", "backingStore"):
            # The index of an image in a running QEMU.
            element.attrib.pop("index", None)
    old = disk.find("source")
    for part in reversed(parts):
        old.addnext(part)
    disk.remove(old)


def discard_problems(
    vm: Vm, volumes: Mapping[str, Volume], overlays: Overlays, live: Optional[etree._Element], reader: ImageReader
) -> list[Problem]:
    """Yield why volumes cannot go back to the images that they name. C(volumes): by image."""
    problems = []
    running = set() if live is None else {disk_image(disk) for disk in _volumes(live)}
    for image, disk in {**overlays.defined, **overlays.live}.items():
        option_path = option_path_of(volumes[image]) if image in volumes else vm.option_path
        overlay = disk_image(disk)
        beginning = "%s is to replace its overlay %s, " % (image, overlay)
        snapshots = [each for each in _above(image, disk, reader) if each in reader.snapshot_overlays]
        if overlay in running:
            problems.append(Problem(option_path, beginning + "which the VM is running on", "overlay_in_use"))
        elif snapshots:
            message = beginning + "but libvirt's snapshot created %s" % snapshots[0]
            problems.append(Problem(option_path, message, "overlay_in_use"))
    return problems


def _above(image: str, disk: etree._Element, reader: ImageReader) -> Sequence[str]:
    for look in (reader.chain, reader.history):
        below = [reader.real_path(each) for each in look(disk)[1:]]
        if reader.real_path(image) in below:
            return look(disk)[: 1 + below.index(reader.real_path(image))]
    return [str(disk_image(disk))]


def chain_problems(
    volumes: Mapping[str, Volume], formats: Mapping[str, str], overlays: Overlays, system: System
) -> list[Problem]:
    """Return the first missing file in the chain of each volume. C(volumes): by image."""
    if system.is_remote:
        return []
    problems = []
    for image, volume in volumes.items():
        disk = overlays.defined.get(image)
        links = chain_of(disk) if disk is not None else [Link(image, volume.format or formats.get(volume.install_path))]
        links += links_below(links, partial(readable_backing_on_host, system=system))
        message = _missing_link(links, volume, image, system)
        if message is not None:
            problems.append(Problem(option_path_of(volume), message, "image_missing"))
    return problems


def _missing_link(links: Sequence[Link], volume: Volume, image: str, system: System) -> Optional[str]:
    for above, link in zip((None, *links), links):
        # A LUN of the hypervisor's own initiator exists only after the login.
        is_checked = link.image.startswith("/") and (link.image != image or volume.device_type == "file")
        if not is_checked or system.files.is_hidden(link.image) or system.files.path_kind(link.image) is not None:
            continue
        if above is not None:
            return "the file %s, the backing file of %s, does not exist" % (link.image, above.image)
        if link.image != image:
            return "the file %s, the overlay of %s that the VM writes to, does not exist" % (link.image, image)
        # The volume's own image is checked with all other images.
        return None
    return None
