# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes in files: created, compared and grown by qemu-img."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Optional

from .._actions.shared_objects import shared_name
from .._errors.errors import Problem, VmError
from .._host.lock import lock_directory
from .._host.new_file import FileIdentity, NewFile, remove_if_unchanged, remove_leftover
from .._host.qemu_img import QemuImg
from .._spec.vm import Volume, VolumeCreation
from .._storage.base import option_path_of
from .._storage.found_volume import FoundVolume, volume_in_file
from .._storage.image_chain import HEAD_BYTES, QCOW2_MAGIC
from .source_images import SourceImage, SourceImages
from .space import Space
from .volume_store import Remove, VolumeStore, Written, lock_name

if TYPE_CHECKING:
    from .._host.system import HostSystem

_MODE = 0o600
_ALLOCATED = ("falloc", "full")
# Header and tables of an empty image.
_LEAST_BYTES = 1 << 20


class FileVolumes(VolumeStore):
    """The files of a hypervisor. C(owner): user and group that QEMU runs as, None for this process's own."""

    def __init__(self, system: HostSystem, owner: Optional[tuple[int, int]]) -> None:
        self._system = system
        self._owner = owner
        self._images = SourceImages(system)
        self._space = Space(system)
        self._qemu_img = QemuImg(system.processes)

    def is_missing(self, volume: Volume) -> bool:
        path, files = volume.install_path, self._system.files
        return not files.is_hidden(path) and files.entry_kind(path) is None

    def find(self, volume: Volume, written: Written) -> Optional[FoundVolume]:
        files = self._system.files
        if files.is_hidden(written.image) or files.path_kind(written.image) != "file":
            return None
        path = files.real_path(written.image)
        head = files.read_head(path, HEAD_BYTES) or b""
        image_format = written.format or ("qcow2" if head.startswith(QCOW2_MAGIC) else "raw")
        return volume_in_file(written.image, head, files.file_size(path), image_format)

    def canonical(self, image: str) -> str:
        return self._system.files.real_path(image)

    def problems(self, volume: Volume, create: VolumeCreation) -> list[Problem]:
        found = list(self._directory_problems(volume))
        image = None
        if create.image is not None:
            try:
                image = self._images.examine(create)
            except VmError as error:
                found.append(Problem("%s.image" % create.option_path, error.message, error.code, _hint(error)))
        if image is not None and create.size is not None and create.size < image.size:
            message = "is %d bytes, less than the %d bytes of the disk in the image %s"
            option_path = "%s.size" % create.option_path
            found.append(Problem(option_path, message % (create.size, image.size, create.image)))
        if not found:
            found += self._space_problems(volume, create, image)
        return found

    def _directory_problems(self, volume: Volume) -> Iterator[Problem]:
        directory = os.path.dirname(volume.install_path)
        kind = self._system.files.path_kind(directory)
        if kind != "directory":
            what = "does not exist" if kind is None else "is not a directory"
            hint = "Create the directory, or mount the storage that it is in."
            message = "the directory %s %s" % (directory, what)
            yield Problem(option_path_of(volume), message, "path_unwritable", hint)
        elif not self._system.files.may_create(volume.install_path):
            message = "this user may not create files in %s" % directory
            yield Problem(option_path_of(volume), message, "needs_root")

    def _space_problems(self, volume: Volume, create: VolumeCreation, image: Optional[SourceImage]) -> list[Problem]:
        needed = _LEAST_BYTES
        if create.preallocation in _ALLOCATED:
            needed += create.size or (0 if image is None else image.size)
        elif image is not None and not create.linked:
            needed += image.copy_bytes
        directory = os.path.dirname(volume.install_path)
        free = self._space.reserve(volume.install_path, directory, needed)
        if free is None:
            return []
        message = "the file system of %s has %d MiB free, and creating the volume needs %d MiB"
        message %= (directory, free >> 20, (needed >> 20) + 1)
        return [Problem(option_path_of(volume), message, "disk_full")]

    def create(self, volume: Volume, create: VolumeCreation, cancelled: threading.Event) -> Optional[Remove]:
        path = volume.install_path
        if not self.is_missing(volume):
            return None
        image = None if create.image is None else self._images.examine(create)
        with NewFile(path) as file:
            self._write(file, create, image, progress_file(volume), cancelled)
            identity = file.publish(self._owner, _MODE)
        return None if identity is None else _removal(path, identity)

    def check_closed(self, volume: Volume) -> None:
        path, files = volume.install_path, self._system.files
        kind = files.entry_kind(path)
        if kind != "file":
            raise VmError("path_taken", "%s is not removed: it is a %s" % (path, kind or "file that is gone"))
        head = files.read_head(path, len(QCOW2_MAGIC)) or b""
        self._qemu_img.examine(path, "qcow2" if head == QCOW2_MAGIC else "raw")

    def remove(self, volume: Volume) -> None:
        self._system.files.remove_file(volume.install_path)
        remove_leftover(volume.install_path)

    def _write(
        self,
        file: NewFile,
        create: VolumeCreation,
        image: Optional[SourceImage],
        progress: str,
        cancelled: threading.Event,
    ) -> None:
        image_format, preallocation = create.format, create.preallocation
        if image is None or create.linked:
            backing = None if image is None else (image.path, image.format)
            self._qemu_img.create(file, image_format, create.size, preallocation, cancelled, backing)
            return
        source = (image.path, image.format)
        self._qemu_img.copy(source, file, image_format, preallocation, cancelled, progress)
        if create.size is not None and create.size > image.size:
            self._qemu_img.resize(file, image_format, create.size, preallocation, cancelled)

    def grow(self, volume: Volume, written: Written, size: int, cancelled: threading.Event) -> None:
        preallocation = "off" if volume.create is None else volume.create.preallocation
        self._qemu_img.grow(written.image, written.format, size, preallocation, cancelled)


def progress_file(volume: Volume) -> str:
    """Return the file that says, while a volume is copied, how far the copy is."""
    return "%s/%s.progress" % (lock_directory(), shared_name(lock_name(volume)))


def _removal(path: str, identity: FileIdentity) -> Remove:
    return lambda: remove_if_unchanged(path, identity)


def _hint(error: VmError) -> str:
    if error.code == "backing_file_outside":
        return "Inspect the image with qemu-img info before you trust it. Convert it to one without a backing file."
    return error.hint
