# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role images: from a URL and from the controller, compressed or not, verified, fetched once."""

from __future__ import annotations

import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.playbook import run_tasks


def checksum(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def sources(images: Path) -> list[dict[str, str]]:
    """Return a compressed image at a URL and one on the controller."""
    packed, qcow2 = (
        media.write_raw(images / "raw", "I am an image"),
        media.write_qcow2(images / "qcow2", "I am another"),
    )
    subprocess.run(["xz", "--keep", packed], check=True)
    packed = images / "raw.xz"
    return [
        {"name": "packed", "url": packed.as_uri(), "checksum": checksum(packed)},
        {"name": "plain", "src": str(qcow2), "checksum": checksum(qcow2)},
    ]


def include(directory: Path, images_list: list[dict[str, str]]) -> dict[str, Any]:
    """Return the task that runs the role."""
    variables = {"images_directory": str(directory), "images_list": images_list}
    return {"ansible.builtin.include_role": {"name": "zstack.kvm.images"}, "vars": variables}


def paths_of(directory: Path, sources: list[dict[str, str]]) -> list[Path]:
    return [directory / f"{each['name']}-{each['checksum'][7:19]}.img" for each in sources]


@pytest.mark.own_system
def test_images_are_verified_and_fetched_once(images: Path, sources: list[dict[str, str]]) -> None:
    """Two runs need the same images at once; then they get wrong ones and a truncated one."""
    directory = images / "cache"
    # A killed run left one; another run is writing the other.
    old, new = (directory / f".packed.{age}.partial" for age in ("old", "new"))
    for path in (old, new):
        path.mkdir(parents=True)
    os.utime(old, (0, 0))
    wrong = {**sources[1], "name": "wrong", "checksum": sources[0]["checksum"]}
    beginning = images / "beginning.xz"
    beginning.write_bytes((images / "raw.xz").read_bytes()[:100])
    truncated = {"name": "truncated", "url": beginning.as_uri(), "checksum": checksum(beginning)}
    other = {**sources[0], "name": "other", "checksum": sources[1]["checksum"]}
    look = {"ansible.builtin.command": f"stat --format=%i {paths_of(directory, sources)[0]}"}
    with ThreadPoolExecutor() as threads:
        tasks = [include(directory, sources), look, include(directory, [sources[0], wrong])]
        runs = [tasks, [include(directory, sources), include(directory, [truncated])], [include(directory, [other])]]
        first, second, third = threads.map(run_tasks, runs)
    paths = paths_of(directory, sources)
    # The fact images_paths is set at the end.
    assert any("truncated cannot be decompressed: xz: " in str(result.get("msg")) for result in second)
    assert f"'plain': '{paths[1]}'" in str(second)
    not_downloaded = f"images_list: other cannot be downloaded: The checksum for {directory}/.other."
    assert any(str(result.get("msg")).startswith(not_downloaded) for result in third)
    assert any("the checksum of wrong is" in str(result.get("msg")) for result in first)
    assert sorted(directory.iterdir()) == [new, *paths]
    assert [path.read_bytes() for path in paths] == [(images / name).read_bytes() for name in ("raw", "qcow2")]
    assert [result["stdout"] for result in first if "stat" in result.get("cmd", ())] == [str(paths[0].stat().st_ino)]


@pytest.mark.own_system
def test_check_mode_predicts_images_of_a_hypervisor_that_has_none(images: Path, sources: list[dict[str, str]]) -> None:
    directory = images / "none" / "cache"
    results = run_tasks([include(directory, sources)], check=True)
    assert [result["msg"] for result in results if result.get("failed")] == []
    assert f"'plain': '{paths_of(directory, sources)[1]}'" in str(results)
    assert not directory.exists()


@pytest.mark.parametrize("checksum", ["md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:0", ""])
def test_a_checksum_that_is_no_sha256_is_refused_before_anything_is_created(images: Path, checksum: str) -> None:
    directory = images / "cache"
    results = run_tasks([include(directory, [{"name": "debian", "url": "file:///nowhere", "checksum": checksum}])])
    assert "images_list: debian needs " in str(results)
    assert not directory.exists()
