# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that volumes are created from: real ones, by a real qemu-img."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.source_images import SourceImage, SourceImages
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host_storage.images import (
    MIB,
    make_image,
    volume_to_create,
)


@pytest.fixture
def images() -> SourceImages:
    return SourceImages(HostSystem())


def examined(images: SourceImages, image: Path, **create: Any) -> SourceImage:
    return images.examine(volume_to_create(Path("/volume"), image=image, **create)[1])


def code_of(images: SourceImages, image: Path, **create: Any) -> str:
    with pytest.raises(VmError) as caught:
        examined(images, image, **create)
    return caught.value.code


@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_an_image_has_its_format_and_the_size_of_its_disk(
    images: SourceImages, tmp_path: Path, image_format: str, stated: bool
) -> None:
    image = make_image(tmp_path / "image", image_format)
    found = examined(images, image, **({"image_format": image_format} if stated else {}))
    assert found[:3] == (str(image), image_format, 8 * MIB)
    assert 0 < found.copy_bytes < 8 * MIB


def test_links_to_an_image_are_resolved(images: SourceImages, tmp_path: Path) -> None:
    make_image(tmp_path / "image")
    (tmp_path / "link").symlink_to("image")
    assert examined(images, tmp_path / "link").path == str(tmp_path / "image")


@pytest.mark.parametrize("name", ["none", "."])
def test_what_is_no_file_is_missing(images: SourceImages, tmp_path: Path, name: str) -> None:
    assert code_of(images, tmp_path / name) == "image_missing"


@pytest.mark.parametrize(
    ("image_format", "stated"), [("raw", "qcow2"), ("qcow2", "raw"), ("vmdk", None), ("vmdk", "raw")]
)
def test_an_image_of_another_format_than_stated_or_possible_is_refused(
    images: SourceImages, tmp_path: Path, image_format: str, stated: str | None
) -> None:
    image = make_image(tmp_path / "image", image_format)
    assert code_of(images, image, **({"image_format": stated} if stated else {})) == "image_format"


@pytest.mark.parametrize("stated", [{}, {"image_format": "qcow2"}])
def test_an_image_that_leads_outside_of_its_storage_is_refused_even_if_its_format_is_stated(
    images: SourceImages, tmp_path: Path, stated: dict[str, str]
) -> None:
    image = make_image(tmp_path / "image", backing="/etc/passwd")
    assert code_of(images, image, **stated) == "backing_file_outside"


def test_an_image_is_examined_once_in_a_task_and_so_is_one_that_cannot_be_used(
    images: SourceImages, tmp_path: Path
) -> None:
    image = make_image(tmp_path / "image")
    first = examined(images, image)
    make_image(image, size="9M")
    assert examined(images, image) is first
    assert code_of(images, tmp_path / "late") == "image_missing"
    make_image(tmp_path / "late")
    assert code_of(images, tmp_path / "late") == "image_missing"
