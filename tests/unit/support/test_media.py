# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot sectors of the tests match their sources."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.support import media

SOURCES = Path(media.__file__).parent / "boot_sector"


@pytest.mark.parametrize(("name", "program"), [("text", media.TEXT_PROGRAM), ("fill", media.FILL_PROGRAM)])
def test_a_program_is_what_its_source_is_assembled_to(name: str, program: bytes, tmp_path: Path) -> None:
    assembled, binary = tmp_path / "program.o", tmp_path / "program.bin"
    subprocess.run(["as", "--32", "-o", assembled, SOURCES / f"{name}.S"], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", assembled, binary], check=True)
    assert binary.read_bytes() == program
