# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pythons of a machine are found, and look-alikes are rejected."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run import pythons

OWN = "%d.%d" % sys.version_info[:2]


def program(directory: Path, version: str, text: str) -> Path:
    """Return a script with the name of a Python."""
    path = directory / f"python{version}"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture(name="path")
def _path(monkeypatch, tmp_path):
    """Return the only directory that is searched for programs."""
    monkeypatch.setattr(pythons, "PATTERNS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_python_that_works_is_found(path):
    real = program(path, OWN, f'exec "{sys.executable}" "$@"')
    assert pythons.find([OWN, "3.99"]) == {OWN: real}


@pytest.mark.parametrize(
    "text", ["echo 'pyenv: version is not installed' >&2; exit 127", "echo 3.8", ""], ids=["shim", "other", "silent"]
)
def test_one_that_is_not_what_its_name_says_is_not_found(path, text):
    program(path, OWN, text)
    assert pythons.find([OWN]) == {}
