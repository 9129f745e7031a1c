# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of the project has exactly its current files."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.zstack.kvm.tests.run.checkout import Checkout
from ansible_collections.zstack.kvm.tests.run.stage import staged


@pytest.fixture(name="checkout")
def _checkout(tmp_path):
    root = tmp_path / "a clone (1)"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    (root / ".gitignore").write_text("/.cache/\n")
    (root / "plugins").mkdir()
    (root / "plugins" / "code.py").write_text("first\n")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    return Checkout(root)


def content(checkout):
    """Return the files of the copy, without git's."""
    stage = checkout.stage
    paths = (path for path in stage.rglob("*") if path.is_file() and ".git" not in path.relative_to(stage).parts)
    return {path.relative_to(stage).as_posix(): path.read_text() for path in paths}


def test_it_has_the_files_that_are_not_ignored(checkout):
    (checkout.cache / "junk").mkdir(parents=True)
    staged(checkout)
    assert content(checkout) == {".gitignore": "/.cache/\n", "plugins/code.py": "first\n", "run": "#!/bin/sh\n"}
    assert (checkout.stage / "run").stat().st_mode & 0o111


def test_it_follows_changes(checkout):
    staged(checkout)
    (checkout.root / "plugins" / "code.py").unlink()
    (checkout.root / "plugins").rmdir()
    (checkout.root / "plugins").write_text("now a file\n")
    (checkout.root / "run").write_text("#!/bin/sh\nexit 1\n")
    staged(checkout)
    assert content(checkout) == {".gitignore": "/.cache/\n", "plugins": "now a file\n", "run": "#!/bin/sh\nexit 1\n"}


@pytest.mark.parametrize("name", ["tests/output/cached", ".cache/site-source/index"])
def test_what_tools_keep_there_stays(checkout, name):
    staged(checkout)
    kept = checkout.stage / name
    kept.parent.mkdir(parents=True)
    kept.write_text("kept\n")
    staged(checkout)
    assert kept.read_text() == "kept\n"


def test_a_file_that_is_the_same_is_not_written_again(checkout):
    staged(checkout)
    before = (checkout.stage / "run").stat()
    staged(checkout)
    assert (checkout.stage / "run").stat() == before
