# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of error codes matches the table of error codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


def test_the_page_matches_the_table() -> None:
    generated = subprocess.run(
        [sys.executable, CHECKOUT / "tools" / "docs" / "errors-page"], capture_output=True, text=True, check=True
    )
    page = (CHECKOUT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page == generated.stdout, "generate it again: tools/docs/errors-page > docs/errors.md"
