# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of the options that say how a volume is created."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._errors.errors import Problem
from .option_reader import Part

_CREATABLE = ("file", "ceph")
_NEEDS_BLOCKS = ("falloc", "full")
_SNAPSHOT = re.compile(r"[^/@]+/[^/@]+@[^/@]+")
# What rbd refuses to set without another feature.
_NEEDED_FEATURES = {
    "object-map": "exclusive-lock",
    "fast-diff": "object-map",
    "journaling": "exclusive-lock",
}


def creation_problems(volume: Part) -> Iterator[Problem]:
    """Yield the contradictions in C(create) of a volume."""
    create = volume.get("create")
    kind = volume.get("device_type")
    if create is None or kind is None:
        return
    if kind not in _CREATABLE:
        yield Problem(
            create.option_path,
            "cannot be used with device_type %s: only volumes in files and in ceph are created" % kind,
            hint="create the volume on the storage server, and leave create out",
        )
        return
    if create.get("size") is None and create.get("image") is None and not create.wrong.intersection(("size", "image")):
        yield Problem(create.option_path, "needs size, image or both", hint="give the size of an empty volume")
    yield from _image_problems(create, kind)
    yield from _format_problems(volume, create, kind)


def _image_problems(create: Part, kind: str) -> Iterator[Problem]:
    image = create.get("image")
    if image is None:
        for name in ("linked", "image_format"):
            if create.get(name) and "image" not in create.wrong:
                yield Problem("%s.%s" % (create.option_path, name), "needs an image")
    elif kind == "ceph":
        if not _SNAPSHOT.fullmatch(image):
            yield Problem("%s.image" % create.option_path, "%r does not have the form POOL/IMAGE@SNAPSHOT" % image)
    elif not image.startswith("/"):
        yield Problem("%s.image" % create.option_path, "%r is not an absolute path" % image)


def _format_problems(volume: Part, create: Part, kind: str) -> Iterator[Problem]:
    image_format, preallocation = create.get("format"), create.get("preallocation")
    option = "%s.%%s" % create.option_path
    if kind == "ceph":
        for name, harmless in (("format", "raw"), ("image_format", None), ("preallocation", "off")):
            if create.get(name) not in (harmless, None):
                yield Problem(option % name, "applies to files only")
        yield from _feature_problems(create)
        return
    if create.get("features") is not None:
        yield Problem(option % "features", "applies to volumes in ceph only")
    if volume.get("format") and image_format and volume.get("format") != image_format:
        yield Problem(option % "format", "is %s, but the volume's format is %s" % (image_format, volume.get("format")))
    if create.get("linked") and image_format == "raw":
        yield Problem(
            option % "linked",
            "cannot be used with format raw: a raw image has no backing file",
            hint="set the format to qcow2, or linked to false for a full copy",
        )
    if create.get("linked") and preallocation in _NEEDS_BLOCKS:
        yield Problem(option % "preallocation", "%s cannot be used with linked: its image has the data" % preallocation)
    if image_format == "raw" and preallocation == "metadata":
        yield Problem(option % "preallocation", "metadata needs format qcow2")
    path = volume.get("install_path")
    if path is not None and path.startswith("/dev/") and not path.startswith("/dev/shm/"):  # nosec
        yield Problem(
            create.option_path,
            "cannot be used with %s: block devices are not created" % path,
            hint="create the logical volume first, and leave create out",
        )


def _feature_problems(create: Part) -> Iterator[Problem]:
    features = create.get("features")
    option = "%s.features" % create.option_path
    if features is None or "features" in create.wrong:
        return
    if not features:
        yield Problem(option, "is empty", hint="leave it out for the features that the cluster gives to new images")
        return
    for feature, needed in _NEEDED_FEATURES.items():
        if feature in features and needed not in features:
            yield Problem(option, "%s needs %s" % (feature, needed), hint="add %s" % needed)
    if create.get("linked") and "layering" not in features:
        yield Problem(option, "a linked clone needs layering", hint="add layering")
