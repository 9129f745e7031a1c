# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role images: from a URL and from the controller, compressed or not, verified, not fetched again."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.playbook import run_tasks


def role(directory: Path, **variables: Any) -> list[dict[str, Any]]:
    """Return the results of the role's tasks."""
    given = {"images_directory": str(directory), **variables}
    return run_tasks([{"ansible.builtin.include_role": {"name": "zstack.kvm.images"}, "vars": given}])


def checksum(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_images_are_verified_and_not_fetched_again(images: Path) -> None:
    raw = media.write_raw(images / "raw", "I am an image")
    content = raw.read_bytes()
    subprocess.run(["xz", raw], check=True)
    packed, qcow2 = images / "raw.xz", media.write_qcow2(images / "qcow2", "I am another")
    directory = images / "cache"
    given = [
        {"name": "packed", "url": packed.as_uri(), "checksum": checksum(packed)},
        {"name": "plain", "src": str(qcow2), "checksum": checksum(qcow2)},
    ]
    assert any(result.get("changed") for result in role(directory, images_list=given))
    paths = [directory / f"{each['name']}-{each['checksum'][7:19]}.img" for each in given]
    assert sorted(directory.iterdir()) == paths
    assert (paths[0].read_bytes(), paths[1].read_bytes()) == (content, qcow2.read_bytes())
    inodes = [path.stat().st_ino for path in paths]

    wrong = {"name": "wrong", "src": str(qcow2), "checksum": checksum(packed)}
    messages = [str(result.get("msg")) for result in role(directory, images_list=[*given, wrong])]
    assert any("the checksum of wrong is" in message for message in messages)
    assert sorted(directory.iterdir()) == paths
    assert [path.stat().st_ino for path in paths] == inodes
