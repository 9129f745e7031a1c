# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file gets its name only when it is complete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.new_file import (
    NewFile,
    partial_name,
    remove_if_unchanged,
)

NOBODY_ELSE = None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "disk"


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_it_has_a_hidden_name_until_it_is_published(path: Path) -> None:
    with NewFile(str(path)) as file:
        assert names(path.parent) == [partial_name("disk")]
        os.write(file.descriptor, b"content")
        assert file.publish(NOBODY_ELSE, 0o640) is not None
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"content", 0o640)
    assert names(path.parent) == ["disk"]


def test_one_that_is_not_published_is_gone(path: Path) -> None:
    with NewFile(str(path)):
        pass
    assert names(path.parent) == []


def test_what_a_killed_process_left_is_replaced(path: Path) -> None:
    path.with_name(partial_name(path.name)).write_bytes(b"half of it")
    with NewFile(str(path)) as file:
        file.publish(NOBODY_ELSE, 0o600)
    assert (names(path.parent), path.read_bytes()) == (["disk"], b"")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_has_the_name_is_not_replaced(path: Path, kind: str) -> None:
    with NewFile(str(path)) as file:
        path.write_bytes(b"of somebody else") if kind == "file" else path.symlink_to("/nowhere")
        assert file.publish(NOBODY_ELSE, 0o600) is None
    assert names(path.parent) == ["disk"]
    assert kind == "link" or path.read_bytes() == b"of somebody else"


def test_somebody_who_replaces_the_hidden_name_gains_nothing(path: Path) -> None:
    hidden = path.with_name(partial_name(path.name))
    with NewFile(str(path)) as file:
        os.write(file.descriptor, b"ours")
        hidden.rename(hidden.with_name("moved"))
        hidden.write_bytes(b"theirs")
        file.publish(NOBODY_ELSE, 0o600)
    assert path.read_bytes() == b"ours"


def test_a_directory_with_the_hidden_name_is_an_error(path: Path) -> None:
    path.with_name(partial_name(path.name)).mkdir()
    with pytest.raises(VmError) as error, NewFile(str(path)):
        pass
    assert error.value.code == "path_unwritable"


def test_a_name_of_the_greatest_length_has_a_hidden_one() -> None:
    assert len(os.fsencode(partial_name("é" * 127))) <= 255


class TestRemoveIfUnchanged:
    def test_a_file_that_nobody_has_written_to(self, path: Path) -> None:
        with NewFile(str(path)) as file:
            identity = file.publish(NOBODY_ELSE, 0o600)
        assert identity is not None
        assert remove_if_unchanged(str(path), identity)
        assert names(path.parent) == []
        assert remove_if_unchanged(str(path), identity)

    @pytest.mark.parametrize("change", ["written", "replaced"])
    def test_any_other_file_stays(self, path: Path, change: str) -> None:
        with NewFile(str(path)) as file:
            identity = file.publish(NOBODY_ELSE, 0o600)
        assert identity is not None
        if change == "replaced":
            path.unlink()
        path.write_bytes(b"by a guest")
        assert not remove_if_unchanged(str(path), identity)
        assert path.exists()
