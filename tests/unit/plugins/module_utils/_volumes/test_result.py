# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of a volume in the result of zstack_volume, and in its diff."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Failure, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Volume
from ansible_collections.zstack.kvm.plugins.module_utils._spec.volumes import parse_volumes
from ansible_collections.zstack.kvm.plugins.module_utils._storage.found_volume import FoundVolume, VolumeDifference
from ansible_collections.zstack.kvm.plugins.module_utils._volumes.result import VolumeResult

CLONE = FoundVolume("qcow2", 1024, "/image", ("deep-flatten", "layering"))


def volume() -> Volume:
    (parsed,), problems = parse_volumes([{"install_path": "/data", "create": {"size": "1GiB"}}])
    assert not problems
    return parsed


def test_a_missing_volume_has_no_facts() -> None:
    assert VolumeResult(volume()).as_entry() == {
        "install_path": "/data",
        "exists": False,
        "size": None,
        "format": None,
        "image": None,
        "features": None,
        "changed": False,
        "actions": [],
        "differences": [],
        "warnings": [],
    }


def test_an_existing_one_has_all() -> None:
    result = VolumeResult(volume(), CLONE, exists=True, actions=["grow_volume"], warnings=["left"])
    result.differences = [VolumeDifference("size", "5", "1024", grows=True)]
    entry = result.as_entry()
    assert (entry["size"], entry["format"], entry["image"]) == (1024, "qcow2", "/image")
    assert entry["features"] == ["deep-flatten", "layering"]
    assert (entry["changed"], entry["actions"], entry["warnings"]) == (True, ["grow_volume"], ["left"])
    assert entry["differences"] == [{"path": "size", "before": "5", "after": "1024"}]


def test_progress_and_an_error_are_there_only_if_there_are_any() -> None:
    result = VolumeResult(volume(), progress=0.0)
    result.fail(Failure(VmError("disk_full", "no space"), "create_volume"))
    entry = result.as_entry()
    assert (entry["progress"], entry["error"]["phase"]) == (0.0, "create_volume")
    assert {"progress", "error"}.isdisjoint(VolumeResult(volume()).as_entry())


@pytest.mark.parametrize(("hint", "shown"), [("", ERROR_CODES["disk_full"].hint), ("remove it", "remove it")])
def test_an_error_has_the_hint_of_its_code_unless_it_has_one(hint: str, shown: str) -> None:
    result = VolumeResult(volume())
    result.fail(Failure(VmError("disk_full", "no space", hint), "create_volume"))
    assert result.as_entry()["error"]["hint"] == shown


@pytest.mark.parametrize(
    ("found", "exists", "after"),
    [
        (CLONE, True, "format: qcow2\nsize: 1024\nimage: /image\nfeatures: deep-flatten, layering\n"),
        (FoundVolume("raw", 5), True, "format: raw\nsize: 5\n"),
        (CLONE, False, ""),
        (None, False, ""),
    ],
)
def test_a_diff_shows_what_is_there_afterwards(found: Optional[FoundVolume], exists: bool, after: str) -> None:
    diff = VolumeResult(volume(), found, before=FoundVolume("raw", 1), exists=exists).as_diff()
    assert diff == {
        "before_header": "/data",
        "after_header": "/data",
        "before": "format: raw\nsize: 1\n",
        "after": after,
    }
