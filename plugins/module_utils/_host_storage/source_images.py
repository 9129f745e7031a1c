# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that volumes are created from. Each is examined once in a task."""

from __future__ import annotations

import threading
from typing import NamedTuple, Optional

from .._errors.errors import VmError
from .._host.qemu_img import QemuImg
from .._host.system import HostSystem
from .._spec.vm import VolumeCreation
from .._storage.file import IMAGE_KINDS
from .._storage.image_chain import HEAD_BYTES, QCOW2_MAGIC
from .image_format import FORMATS, check_backing_files

# The guest of a copy decrypts it, if the image is stated to be raw.
_ENCRYPTED = "luks"


class SourceImage(NamedTuple):
    """An image. C(path) has no links; C(size): of the disk in the guest; C(copy_bytes): what a copy needs."""

    path: str
    format: str
    size: int
    copy_bytes: int


class SourceImages:
    """The images of a task, by path and stated format."""

    def __init__(self, system: HostSystem) -> None:
        self._system = system
        self._lock = threading.Lock()
        self._known: dict[tuple[str, Optional[str]], _Examined] = {}

    def examine(self, create: VolumeCreation) -> SourceImage:
        """Return the image that a volume is created from. Raise VmError if it cannot be used."""
        key = (str(create.image), create.image_format)
        with self._lock:
            examined = self._known.setdefault(key, _Examined())
        with examined.lock:
            if examined.image is None and examined.error is None:
                try:
                    examined.image = _examine(*key, system=self._system)
                except VmError as error:
                    examined.error = error
        if examined.image is None:
            raise examined.error or AssertionError("an image is examined or has an error")
        return examined.image


class _Examined:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.image: Optional[SourceImage] = None
        self.error: Optional[VmError] = None


def _examine(path: str, stated: Optional[str], system: HostSystem) -> SourceImage:
    kind = system.files.path_kind(path)
    if kind is None:
        raise VmError("image_missing", "the image %s does not exist" % path)
    if kind not in IMAGE_KINDS:
        raise VmError("image_missing", "the image %s is neither a file nor a block device" % path)
    head = system.files.read_head(path, HEAD_BYTES) or b""
    is_qcow2 = head.startswith(QCOW2_MAGIC)
    if stated is not None and is_qcow2 != (stated == "qcow2"):
        claimed = "has a qcow2 header" if is_qcow2 else "has no qcow2 header"
        raise VmError("image_format", "the image %s %s, but image_format is %s" % (path, claimed, stated))
    # Any other format, such as VMDK, would be copied as if it were the content of the disk.
    found = "qcow2" if stated == "qcow2" else str(system.processes.image_info(path)["format"])
    if found not in FORMATS and not (stated == "raw" and found == _ENCRYPTED):
        raise VmError("image_format", "the image %s is a %s image: it must be raw or qcow2" % (path, found))
    image_format = stated or found
    check_backing_files(path, system, "no volume is created from such an image")
    real_path = system.files.real_path(path)
    qemu_img = QemuImg(system.processes)
    size = int(qemu_img.examine(real_path, image_format)["virtual-size"])
    return SourceImage(real_path, image_format, size, qemu_img.measure(real_path, image_format))
