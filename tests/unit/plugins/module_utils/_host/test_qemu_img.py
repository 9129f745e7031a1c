# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images are created, copied, grown and examined by a real qemu-img."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.files import Files
from ansible_collections.zstack.kvm.plugins.module_utils._host.new_file import NewFile
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import CommandResult, Processes
from ansible_collections.zstack.kvm.plugins.module_utils._host.qemu_img import QemuImg
from ansible_collections.zstack.kvm.tests.unit.fakes import FakePrograms

MIB = 1 << 20
NEVER = threading.Event()


@pytest.fixture
def qemu_img() -> QemuImg:
    return QemuImg(Processes(Files()))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Return a raw image of 1 MiB with 64 KiB of data at its beginning."""
    path = tmp_path / "raw"
    path.write_bytes(b"data" * 16384)
    os.truncate(path, MIB)
    return path


def info(path: Path) -> dict[str, Any]:
    """Return what qemu-img reports about an image."""
    command = ["qemu-img", "info", "--output=json", str(path)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer


def test_an_image_is_created_with_its_size_and_backing_file(qemu_img: QemuImg, tmp_path: Path, raw: Path) -> None:
    path = tmp_path / "new"
    with NewFile(str(path)) as file:
        qemu_img.create(file, "qcow2", 4 * MIB, "off", NEVER, (str(raw), "raw"))
        file.publish(None, 0o600)
    image = info(path)
    assert (image["format"], image["virtual-size"]) == ("qcow2", 4 * MIB)
    assert (image["backing-filename"], image["backing-filename-format"]) == (str(raw), "raw")


def test_a_preallocated_image_has_its_blocks(qemu_img: QemuImg, tmp_path: Path) -> None:
    blocks = []
    for preallocation in ("off", "falloc"):
        with NewFile(str(tmp_path / preallocation)) as file:
            qemu_img.create(file, "raw", MIB, preallocation, NEVER)
            file.publish(None, 0o600)
        blocks.append((tmp_path / preallocation).stat().st_blocks * 512 >= MIB)
    assert blocks == [False, True]


def test_a_copy_has_the_data_in_the_other_format_and_can_be_grown_before_it_is_published(
    qemu_img: QemuImg, tmp_path: Path, raw: Path
) -> None:
    path = tmp_path / "copy"
    with NewFile(str(path)) as file:
        qemu_img.copy((str(raw), "raw"), file, "qcow2", "off", NEVER)
        qemu_img.resize(file, "qcow2", 2 * MIB, "off", NEVER)
        file.publish(None, 0o600)
    assert info(path)["format"] == "qcow2"
    back = tmp_path / "back"
    subprocess.run(["qemu-img", "convert", "-O", "raw", path, back], check=True)
    assert back.read_bytes() == raw.read_bytes() + bytes(MIB)


def test_an_existing_image_grows(qemu_img: QemuImg, raw: Path) -> None:
    qemu_img.grow(str(raw), "raw", 3 * MIB, "off", NEVER)
    assert raw.stat().st_size == 3 * MIB


def test_an_image_has_the_stated_format_whatever_its_header_says(qemu_img: QemuImg, tmp_path: Path) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "image", "64M"], check=True)
    sizes = [qemu_img.examine(str(tmp_path / "image"), each)["virtual-size"] for each in ("qcow2", "raw")]
    assert sizes[0] == 64 * MIB
    assert sizes[1] < MIB


def test_a_copy_needs_the_data_and_tables_but_no_empty_blocks(qemu_img: QemuImg, raw: Path) -> None:
    assert 65536 < qemu_img.measure(str(raw), "raw") < MIB


def test_a_failure_names_the_final_path_instead_of_the_descriptor(qemu_img: QemuImg, tmp_path: Path) -> None:
    path = tmp_path / "new"
    with pytest.raises(VmError) as caught, NewFile(str(path)) as file:
        qemu_img.create(file, "raw", 1 << 62, "falloc", NEVER)
    assert caught.value.message.startswith("cannot create %s: %s: " % (path, path))


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("qemu-img: error while writing: No space left on device", "disk_full"),
        ("qemu-img: error while writing: Disk quota exceeded", "disk_full"),
        ('qemu-img: Could not open: Failed to get shared "write" lock\nIs another process using it?', "image_locked"),
        ("qemu-img: Could not open: Permission denied", "image_unreadable"),
        ("qemu-img: Could not open: Image is not in qcow2 format", "image_unreadable"),
    ],
)
def test_the_first_line_of_a_failure_is_the_reason_and_its_words_the_code(
    tmp_path: Path, stderr: str, code: str
) -> None:
    def fail(argv: Sequence[str]) -> CommandResult:
        return CommandResult(1, "", stderr)

    with pytest.raises(VmError) as caught:
        QemuImg(FakePrograms(tmp_path, fail).processes).examine("/image", "qcow2")
    reason = stderr.splitlines()[0].replace("qemu-img: ", "")
    assert (caught.value.code, caught.value.message) == (code, "cannot examine /image: " + reason)
