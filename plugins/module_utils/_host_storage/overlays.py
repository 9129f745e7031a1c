# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes whose VM writes to an overlay of their image: what snapshots and block jobs make of a volume is kept.

A disk whose chain of images has the image that a volume names is that volume. What lies on top of the image belongs to
the volume, and going back to the image would lose it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Optional

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

if TYPE_CHECKING:
    from .._host.system import System

_VOLUMES = ("disk", "lun")
# No chain that libvirt starts is longer.
_MOST_IMAGES = 200

Look = Callable[["etree._Element"], Sequence[str]]


@dataclass(frozen=True)
class Overlays:
    """Disks by the images that volumes name, where the disk is written to another image or copied to it.

    C(defined) are the ones to define, C(live) the ones that run (or would be plugged in).
    """

    defined: Mapping[str, etree._Element] = field(default_factory=dict)
    live: Mapping[str, etree._Element] = field(default_factory=dict)

    def entries(self) -> list[dict[str, Any]]:
        """What the result says of them."""
        return [
            {"target": _target(disk), "image": disk_image(disk), "overlay_of": image}
            for image, disk in {**self.defined, **self.live}.items()
            if not is_copied_to(disk, image)
        ]


class ImageReader:
    """Looks further than a domain's XML: into the headers of files, and at libvirt's snapshots."""

    def __init__(self, system: System, hypervisor: Hypervisor, vm_uuid: str) -> None:
        self._system = system
        self._hypervisor = hypervisor
        self._vm_uuid = vm_uuid

    @cached_property
    def snapshot_overlays(self) -> dict[str, str]:
        """The overlays of the VM's snapshots, each with the image that it was made on."""
        return snapshot_overlays(map(etree.fromstring, self._hypervisor.snapshot_xmls(self._vm_uuid)))

    def chain(self, disk: etree._Element) -> list[str]:
        """The images of a disk, by libvirt's XML and below that by the headers of the files."""
        links = chain_of(disk)
        below = links_below(links, self._backing_in_pool if self._system.is_remote else self._backing_on_host)
        return [link.image for link in (*links, *below)]

    def real_path(self, image: str) -> str:
        """One name for an image that is reached by several."""
        is_told = image.startswith("/") and not self._system.is_remote
        return self._system.files.real_path(image) if is_told else image

    def _backing_on_host(self, link: Link) -> Optional[Link]:
        return backing_on_host(link, self._system)

    def _backing_in_pool(self, link: Link) -> Optional[Link]:
        xml = self._hypervisor.storage_volume_xml(link.image) if link.image.startswith("/") else None
        store: Optional[etree._Element] = None if xml is None else etree.fromstring(xml).find("backingStore")
        if store is None or not store.findtext("path"):
            return None
        image_format = store.find("format")
        return Link(store.findtext("path"), None if image_format is None else image_format.get("type"))

    def history(self, disk: etree._Element) -> list[str]:
        """The images that a disk was written to before libvirt took snapshots of it; a pull has cut them off."""
        images: list[str] = []
        image = disk_image(disk)
        while image is not None and image not in images:
            images.append(image)
            image = self.snapshot_overlays.get(image)
        return images


def links_below(links: Sequence[Link], ask: Callable[[Link], Optional[Link]]) -> Iterator[Link]:
    """The images below the last of a chain, as far as C(ask) knows them."""
    seen = {link.image for link in links}
    last = links[-1] if links else None
    while last is not None and len(seen) < _MOST_IMAGES:
        last = ask(last)
        if last is None or last.image in seen:
            return
        seen.add(last.image)
        yield last


def backing_on_host(link: Link, system: System) -> Optional[Link]:
    """The backing file that the header of a file names; what a guest has written to a raw image tells nothing."""
    if system.is_remote or link.format != "qcow2" or not link.image.startswith("/"):
        return None
    try:
        head = system.files.read_head(link.image, HEAD_BYTES)
    except VmError:
        return None
    return None if head is None else backing_of(link.image, head)


def find_overlays(
    desired: etree._Element,
    existing: Optional[etree._Element],
    live: Optional[etree._Element],
    reader: ImageReader,
) -> Overlays:
    """The overlays that a VM's definition and what runs of it have of the volumes of the desired domain."""
    running = _held_by(desired, live, reader)
    defined = _held_by(desired, existing, reader)
    by_image = {} if existing is None else {disk_image(disk): disk for disk in _volumes(existing)}
    # What runs has the newest data; a definition that lags behind must not boot what is below it.
    newest = {image: by_image.get(disk_image(disk), disk) for image, disk in _overlaid(running).items()}
    return Overlays(_overlaid({**defined, **newest}), _overlaid({**defined, **running}))


def _overlaid(disks: Mapping[str, etree._Element]) -> dict[str, etree._Element]:
    return {image: disk for image, disk in disks.items() if disk_image(disk) != image}


def _held_by(desired: etree._Element, held: Optional[etree._Element], reader: ImageReader) -> dict[str, etree._Element]:
    """The disks of a domain that hold the desired volumes. Only where some don't at first sight is looked closer."""
    if held is None:
        return {}
    wanted = {str(disk_image(disk)): disk for disk in _volumes(desired)}
    disks = {str(disk_image(disk)): disk for disk in _volumes(held)}
    found = {image: disks[image] for image in wanted if image in disks}
    looks: tuple[Look, ...] = (_named_images, reader.chain, reader.history)
    for look in looks:
        left = {image: disk for image, disk in wanted.items() if image not in found}
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
    """The disk that has the image; of several the one with the volume's own name in the guest."""
    holders = [disk for disk, below in images if image in below and disk not in taken]
    return next((disk for disk in holders if _target(disk) == target), holders[0] if holders else None)


def _named_images(disk: etree._Element) -> list[str]:
    return [*(link.image for link in chain_of(disk)), *mirror_images(disk)]


def _volumes(domain: etree._Element) -> Iterator[etree._Element]:
    for disk in domain.iterfind("devices/disk"):
        if disk.get("device", "disk") in _VOLUMES and disk_image(disk) is not None:
            yield disk


def _target(disk: etree._Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")


def disk_targets(domain: etree._Element) -> list[str]:
    """The names in the guest of a domain's disks that have data."""
    return [_target(disk) for disk in _volumes(domain)]


def with_overlays(desired: etree._Element, overlays: Mapping[str, etree._Element]) -> etree._Element:
    """The desired domain, with the overlays in the place of the images that they lie on. Nothing is changed."""
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
    # libvirt writes it beside the source where it was defined there.
    source.extend(copy.deepcopy(auth) for auth in holder.findall("auth"))
    parts = [source, *(copy.deepcopy(store) for store in holder.findall("backingStore"))]
    for part in parts:
        for element in part.iter("source", "backingStore"):
            # The number of an image in a QEMU that runs.
            element.attrib.pop("index", None)
    old = disk.find("source")
    for part in reversed(parts):
        old.addnext(part)
    disk.remove(old)


def discard_problems(
    vm: Vm, volumes: Mapping[str, Volume], overlays: Overlays, live: Optional[etree._Element], reader: ImageReader
) -> list[Problem]:
    """What keeps volumes from going back to the images that they name. C(volumes): by image."""
    problems = []
    running = set() if live is None else {disk_image(disk) for disk in _volumes(live)}
    for image, disk in {**overlays.defined, **overlays.live}.items():
        option_path = option_path_of(volumes[image]) if image in volumes else vm.option_path
        overlay = disk_image(disk)
        said = "%s is to take the place of its overlay %s, " % (image, overlay)
        snapshots = [each for each in _above(image, disk, reader) if each in reader.snapshot_overlays]
        if overlay in running:
            problems.append(Problem(option_path, said + "which the VM is running on", "overlay_in_use"))
        elif snapshots:
            message = said + "but a snapshot of libvirt has made %s" % snapshots[0]
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
    """The first missing file of what each volume is written to and all below. C(volumes): by image."""
    if system.is_remote:
        return []
    problems = []
    for image, volume in volumes.items():
        disk = overlays.defined.get(image)
        links = chain_of(disk) if disk is not None else [Link(image, volume.format or formats.get(volume.install_path))]
        links += links_below(links, partial(backing_on_host, system=system))
        message = _missing_link(links, volume, image, system)
        if message is not None:
            problems.append(Problem(option_path_of(volume), message, "image_missing"))
    return problems


def _missing_link(links: Sequence[Link], volume: Volume, image: str, system: System) -> Optional[str]:
    for above, link in zip((None, *links), links):
        # A LUN of the hypervisor's own initiator is there once it has logged in.
        is_checked = link.image.startswith("/") and (link.image != image or volume.device_type == "file")
        if not is_checked or system.files.is_hidden(link.image) or system.files.path_kind(link.image) is not None:
            continue
        if above is not None:
            return "there is no file %s, which %s has as its backing file" % (link.image, above.image)
        if link.image != image:
            return "there is no file %s, the overlay of %s that the VM writes to" % (link.image, image)
        # What the volume names is looked for with all other images.
        return None
    return None
