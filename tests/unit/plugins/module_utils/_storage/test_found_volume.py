# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An existing volume beside the options that would create it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import VolumeCreation
from ansible_collections.zstack.kvm.plugins.module_utils._storage.found_volume import (
    FoundVolume,
    compare,
    explain,
    volume_in_file,
)
from ansible_collections.zstack.kvm.plugins.module_utils._storage.image_chain import HEAD_BYTES

GIB = 1 << 30
IMAGE = "/images/debian"


def creation(**options: Any) -> VolumeCreation:
    values = {"size": GIB, "image": None, "image_format": None, "linked": False, "preallocation": "off"}
    return VolumeCreation(option_path="create", format="qcow2", **{**values, **options})


def compared(create: VolumeCreation, found: FoundVolume) -> list[tuple[Any, ...]]:
    return [tuple(difference) for difference in compare(create, found, found, {"/images/link": IMAGE}.get)]


class TestVolumeInFile:
    @pytest.mark.parametrize("backing", [None, IMAGE])
    def test_a_qcow2_image_has_its_size_and_backing_file_in_its_header(
        self, tmp_path: Path, backing: Optional[str]
    ) -> None:
        options = [] if backing is None else ["-u", "-F", "raw", "-b", backing]
        image = tmp_path / "image"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, image, "1G"], check=True)
        head = image.read_bytes()[:HEAD_BYTES]
        assert volume_in_file(str(image), head, image.stat().st_size, "qcow2") == FoundVolume("qcow2", GIB, backing)

    def test_a_raw_disk_has_the_size_of_its_file_whatever_it_begins_with(self) -> None:
        assert volume_in_file("/disk", b"QFI\xfb" + bytes(512), GIB, "raw") == FoundVolume("raw", GIB)


class TestCompare:
    def test_one_as_desired(self) -> None:
        assert compared(creation(), FoundVolume("qcow2", GIB)) == []

    def test_a_clone_of_the_image_that_a_link_leads_to(self) -> None:
        create = creation(image="/images/link", linked=True)
        found = FoundVolume("qcow2", GIB, "/images/link")
        assert compared(create, found) == []

    def test_any_size_will_do_where_none_is_given(self) -> None:
        assert compared(creation(size=None, image=IMAGE), FoundVolume("qcow2", 1)) == []

    def test_a_smaller_one_can_grow(self) -> None:
        assert compared(creation(), FoundVolume("raw", 512)) == [("size", "512", str(GIB), True)]

    def test_a_larger_one_cannot_shrink(self) -> None:
        assert compared(creation(), FoundVolume("raw", 2 * GIB)) == [("size", str(2 * GIB), str(GIB), False)]

    def test_features(self) -> None:
        image = FoundVolume("raw", GIB, features=("exclusive-lock", "layering"))
        assert compared(creation(features=("exclusive-lock", "layering")), image) == []
        assert compared(creation(features=None), image) == []
        assert compared(creation(features=("layering",)), image) == [
            ("features", "exclusive-lock, layering", "layering", False)
        ]

    def test_an_overlay_has_the_size_and_the_image_below_has_the_backing_file(self) -> None:
        create = creation(image="/images/link", linked=True)
        overlay, original = FoundVolume("qcow2", GIB, "/disk"), FoundVolume("qcow2", 512, "/images/link")
        assert list(compare(create, overlay, original, str)) == []

    @pytest.mark.parametrize(
        ("linked", "backing", "message"),
        [
            (True, "/images/old", "is a linked clone of /images/old, not of /images/debian"),
            (True, None, "is not a linked clone of /images/debian (any more)"),
            (False, "/images/old", "is a linked clone of /images/old, not a full copy"),
        ],
    )
    def test_another_image(self, linked: bool, backing: Optional[str], message: str) -> None:
        found = FoundVolume("qcow2", GIB, backing)
        (difference,) = compare(creation(image=IMAGE, linked=linked), found, found, str)
        assert (difference.part, difference.grows) == ("image", False)
        assert message in explain("/disk", difference)


def test_a_larger_one_is_explained() -> None:
    found = FoundVolume("raw", 2 * GIB)
    (difference,) = compare(creation(), found, found, str)
    assert "more than its size of 1073741824: a volume is never shrunk" in explain("/disk", difference)


def test_other_features_are_explained() -> None:
    found = FoundVolume("raw", GIB, features=())
    (difference,) = compare(creation(features=("layering",)), found, found, str)
    message = 'the volume /disk has the features none, not layering: it is left as it is ("rbd feature" changes them)'
    assert explain("/disk", difference) == message
