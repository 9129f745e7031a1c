# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program gets the documents of a seed and writes its image. Real programs are tested with guests."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host import seed_image
from ansible_collections.zstack.kvm.plugins.module_utils._host.files import Files
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import Processes
from ansible_collections.zstack.kvm.plugins.module_utils._host.seed_image import build_seed_image, program_for_images

DOCUMENTS = {"user-data": "#cloud-config\npassword: s3cret\n", "meta-data": "instance-id: 1\r\n"}
# In shell, the last argument: the directory of the documents.
LAST = "for last; do :; done; "


class OnlyPrograms(Processes):
    """A hypervisor with these programs, by name."""

    def __init__(self, programs: dict[str, str]) -> None:
        super().__init__(Files())
        self._programs = programs

    def find_program(self, name: str) -> str | None:
        return self._programs.get(name)


def program(directory: Path, text: str) -> Processes:
    """Return a hypervisor on which a shell script is the program for images."""
    path = directory / "program"
    path.write_text("#!/bin/sh\n" + text, encoding="ascii")
    path.chmod(0o755)
    return OnlyPrograms({"mkisofs": str(path)})


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the directory that has the documents while the program runs."""
    directory = tmp_path / "memory"
    directory.mkdir()
    monkeypatch.setattr(seed_image, "_IN_MEMORY", str(directory))
    return directory


def test_the_program_writes_an_image_with_the_label_to_its_output(tmp_path: Path) -> None:
    arguments = build_seed_image(program(tmp_path, 'echo $LC_ALL "$@"'), DOCUMENTS, "CIDATA").decode().split()
    assert arguments[:-1] == ["C", "-quiet", "-V", "CIDATA", "-J", "-r", "-no-pad", "-o", "-"]


def test_the_documents_are_written_as_they_are_and_removed(tmp_path: Path, memory: Path) -> None:
    image = build_seed_image(program(tmp_path, LAST + 'cat "$last/user-data" "$last/meta-data"'), DOCUMENTS, "CIDATA")
    assert image.decode() == DOCUMENTS["user-data"] + DOCUMENTS["meta-data"]
    assert os.listdir(memory) == []


def test_an_image_is_not_text(tmp_path: Path) -> None:
    assert build_seed_image(program(tmp_path, "printf 'CD001\\377\\0'"), DOCUMENTS, "CIDATA") == b"CD001\xff\0"


def test_the_documents_are_in_a_directory_that_only_this_user_can_enter(tmp_path: Path, memory: Path) -> None:
    script = LAST + 'stat -c %a "$last"; dirname "$last"'
    output = build_seed_image(program(tmp_path, script), DOCUMENTS, "CIDATA").decode()
    assert output == "700\n%s\n" % memory


def test_a_user_who_may_not_write_to_memory_uses_the_usual_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = tmp_path / "usual"
    usual.mkdir()
    monkeypatch.setattr(seed_image, "_IN_MEMORY", str(tmp_path / "none"))
    monkeypatch.setattr(tempfile, "tempdir", str(usual))
    output = build_seed_image(program(tmp_path, LAST + 'dirname "$last"'), DOCUMENTS, "CIDATA")
    assert output.decode().strip() == str(usual)


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        ({"xorrisofs": "/x", "genisoimage": "/g", "mkisofs": "/m"}, "/x"),
        ({"genisoimage": "/g", "mkisofs": "/m"}, "/g"),
        ({}, None),
    ],
)
def test_the_first_installed_program_is_used(programs: dict[str, str], found: str | None) -> None:
    assert program_for_images(OnlyPrograms(programs)) == found


def test_without_a_program_there_is_no_image() -> None:
    with pytest.raises(VmError, match="none of xorrisofs, genisoimage, mkisofs is installed") as caught:
        build_seed_image(OnlyPrograms({}), DOCUMENTS, "CIDATA")
    assert caught.value.code == "command_missing"


@pytest.mark.parametrize(
    ("script", "reason"), [("echo first >&2; echo last >&2; exit 5", "last"), ("exit 0", ""), ("echo x; exit 1", "")]
)
def test_a_program_that_fails_or_writes_nothing_is_an_error(
    tmp_path: Path, memory: Path, script: str, reason: str
) -> None:
    with pytest.raises(VmError) as caught:
        build_seed_image(program(tmp_path, script), DOCUMENTS, "CIDATA")
    assert (caught.value.code, caught.value.message) == ("command_failed", "%s/program: %s" % (tmp_path, reason))
    assert os.listdir(memory) == []
