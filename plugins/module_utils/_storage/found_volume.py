# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An existing volume, and how it differs from the one that its options would create. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple, Optional

from .._errors.errors import Problem
from .._spec.vm import VolumeCreation
from .image_chain import QCOW2_MAGIC, backing_of

# QEMU's docs/interop/qcow2.txt.
_SIZE = struct.Struct(">Q")
_SIZE_OFFSET = 24


class FoundVolume(NamedTuple):
    """An existing volume. C(size): of the disk in the guest, in bytes. C(backing): the image that it is a clone of.

    C(features): those of an image in ceph that can be chosen, sorted; None for a file.
    """

    format: str
    size: int
    backing: Optional[str] = None
    features: Optional[tuple[str, ...]] = None


class VolumeDifference(NamedTuple):
    """One part (C(size), C(image) or C(features)) of a volume that is not as desired. C(grows): it can be corrected."""

    part: str
    before: Optional[str]
    after: Optional[str]
    grows: bool = False


def volume_in_file(path: str, head: bytes, file_size: int, image_format: str) -> FoundVolume:
    """Return the volume in a file. A raw disk may have any content, which is not looked at."""
    if image_format == "qcow2" and head.startswith(QCOW2_MAGIC) and len(head) >= _SIZE_OFFSET + _SIZE.size:
        backing = backing_of(path, head)
        (size,) = _SIZE.unpack_from(head, _SIZE_OFFSET)
        return FoundVolume("qcow2", size, None if backing is None else backing.image)
    return FoundVolume("raw", file_size)


def compare(
    create: VolumeCreation, found: FoundVolume, original: FoundVolume, real_path: Callable[[str], str]
) -> Iterator[VolumeDifference]:
    """Yield the differences of a volume. C(found): the image that its VM writes to, C(original): the lowest one."""
    if create.size is not None and found.size != create.size:
        yield VolumeDifference("size", str(found.size), str(create.size), grows=found.size < create.size)
    if create.features is not None and original.features not in (None, create.features):
        yield VolumeDifference("features", _listed(original.features), _listed(create.features))
    if create.image is None:
        return
    backing = None if original.backing is None else real_path(original.backing)
    desired = real_path(create.image) if create.linked else None
    if backing != desired:
        yield VolumeDifference("image", original.backing, create.image if create.linked else None)


def _listed(features: Optional[tuple[str, ...]]) -> str:
    return ", ".join(features or ())


def explain(path: str, difference: VolumeDifference) -> str:
    """Return a sentence about a difference that is left."""
    if difference.part == "size":
        message = "the volume %s has %s bytes, more than its size of %s: a volume is never shrunk"
        return message % (path, difference.before, difference.after)
    if difference.part == "features":
        message = 'the volume %s has the features %s, not %s: it is left as it is ("rbd feature" changes them)'
        return message % (path, difference.before or "none", difference.after)
    if difference.before is None:
        return "the volume %s is not a linked clone of %s (any more): it is left as it is" % (path, difference.after)
    if difference.after is None:
        return "the volume %s is a linked clone of %s, not a full copy: it is left as it is" % (path, difference.before)
    message = "the volume %s is a linked clone of %s, not of %s: it is left as it is"
    return message % (path, difference.before, difference.after)


def written_image_problem(create: VolumeCreation, writer: str) -> Problem:
    """Return the problem of a linked clone of an image to which a guest writes. C(writer): the label of its domain."""
    message = "%s is a disk of %s, whose guest writes to it" % (create.image, writer)
    hint = "Name an image that no VM uses as its disk, or set linked to false for a full copy."
    return Problem("%s.image" % create.option_path, message, "volume_in_use", hint)
