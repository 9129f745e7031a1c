# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domains of a hypervisor, and the images beside them, that use an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import VmError
from .._host_storage.overlays import backing_on_host, links_below
from .._libvirt.domain_facts import label
from .._libvirt.hypervisor import Hypervisor
from .._storage.backing_files import holds_several_storages, storage_root
from .._storage.image_chain import HEAD_BYTES, QCOW2_LEAST_BYTES, QCOW2_MAGIC, backing_of, chain_of, mirror_images

if TYPE_CHECKING:
    from .._host.system import HostSystem


class OpenDisk(NamedTuple):
    """A disk of a running domain, whose guest writes to the image."""

    vm_uuid: str
    target: str


@dataclass(frozen=True)
class _Disk:
    """A disk of a domain, and its images from the one that its guest writes to down.

    C(unread) is why those further down are not known.
    """

    label: str
    vm_uuid: str
    target: str
    running: bool
    readonly: bool
    images: tuple[str, ...]
    unread: Optional[VmError]


class ImageUsers:
    """The users of images, as of the creation of this object."""

    def __init__(self, hypervisor: Hypervisor, system: HostSystem) -> None:
        self._system = system
        self._disks = list(_all_disks(hypervisor, system))

    def domain_of(self, image: str) -> Optional[str]:
        """Return the label of a domain, running or defined, that has the image in the chain of a disk."""
        return next(
            (disk.label for disk in self._disks if self._canonical(image) in map(self._canonical, disk.images)), None
        )

    def check_chains(self) -> None:
        """Raise C(path_unreadable) if a domain's disk may have images that are not known."""
        for disk in self._disks:
            if disk.unread is not None:
                message = "the images of %s are not known: %s" % (disk.label, disk.unread.message)
                raise disk.unread.replaced(message=message)

    def open_disk(self, image: str) -> Optional[OpenDisk]:
        """Return the disk of a running domain that has the image as its active one."""
        for disk in self._disks:
            if disk.running and self._canonical(disk.images[0]) == self._canonical(image):
                return OpenDisk(disk.vm_uuid, disk.target)
        return None

    def writer_of(self, image: str) -> Optional[str]:
        """Return the label of a domain, running or defined, whose guest writes to the image."""
        name = self._canonical(image)
        written = ((disk.label, disk.images[0]) for disk in self._disks if not disk.readonly)
        return next((domain for domain, active in written if self._canonical(active) == name), None)

    def overlay_owner(self, image: str) -> Optional[str]:
        """Return the label of a domain whose guest writes to an overlay of the image."""
        name = self._canonical(image)
        return next((disk.label for disk in self._disks if name in map(self._canonical, disk.images[1:])), None)

    def clone_of(self, image: str) -> Optional[str]:
        """Return an image that has this one as its backing file, of those in its storage and in the domains'.

        Raises C(path_unreadable): what can't be read may be one.
        """
        name = self._canonical(image)
        for path in self._files_of_storages(image):
            is_qcow2 = self._head(path, len(QCOW2_MAGIC)) == QCOW2_MAGIC
            backing = backing_of(path, self._head(path, HEAD_BYTES)) if is_qcow2 else None
            if backing is not None and self._canonical(backing.image) == name:
                return path
        return None

    def _files_of_storages(self, image: str) -> Iterator[str]:
        known = {self._canonical(each) for each in (image, *(each for disk in self._disks for each in disk.images))}
        searched: list[str] = []
        for root in sorted({storage_root(path) for path in known if _is_file_path(path)}):
            if any(root.startswith(other + "/") for other in searched):
                continue
            recursive = not holds_several_storages(root)
            searched += [root] if recursive else []
            yield from self._system.files.files_in(root, QCOW2_LEAST_BYTES, recursive)

    def _head(self, path: str, size: int) -> bytes:
        return self._system.files.read_head(path, size) or b""

    def _canonical(self, image: str) -> str:
        return self._system.files.real_path(image) if image.startswith("/") else image


def _is_file_path(image: str) -> bool:
    return image.startswith("/dev/shm/") or (image.startswith("/") and not image.startswith("/dev/"))  # nosec


def _all_disks(hypervisor: Hypervisor, system: HostSystem) -> Iterator[_Disk]:
    saved = hypervisor.list_saved()
    for listed in hypervisor.list_domains():
        reads = [(False, partial(hypervisor.xml, listed.uuid, inactive=True))]
        reads += [(True, partial(hypervisor.xml, listed.uuid, inactive=False))] if listed.active else []
        # The memory is restored with the disks that the VM had when it was saved.
        reads += [(False, partial(hypervisor.saved_xml, listed.uuid))] if listed.uuid in saved else []
        for running, read in reads:
            try:
                domain = etree.fromstring(read())
            except VmError as error:
                if error.code != "domain_gone":
                    raise error.replaced(message="VM %s: %s" % (listed.uuid, error.message)) from error
                continue
            for disk in domain.iterfind("devices/disk"):
                images, unread = _images_of(disk, system)
                if images:
                    target, readonly = disk.find("target").get("dev", ""), disk.find("readonly") is not None
                    yield _Disk(label(domain), listed.uuid, target, running, readonly, images, unread)


def _images_of(disk: etree._Element, system: HostSystem) -> tuple[tuple[str, ...], Optional[VmError]]:
    links = chain_of(disk)
    images, unread = [link.image for link in links], None
    try:
        images += [link.image for link in links_below(links, partial(backing_on_host, system=system))]
    except VmError as error:
        unread = error
    return (*images, *mirror_images(disk)), unread
