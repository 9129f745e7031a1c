# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of StartVmCmd's fields matches the tables that the filter reads documents by."""

from __future__ import annotations

import subprocess
import sys

from ansible_collections.zstack.kvm.tests.unit.docs.pages import CHECKOUT


def test_the_page_is_generated_from_the_tables() -> None:
    generated = subprocess.run(
        [sys.executable, CHECKOUT / "tools" / "docs" / "start-vm-cmd-page"], capture_output=True, text=True, check=True
    )
    page = (CHECKOUT / "docs" / "start-vm-cmd.md").read_text(encoding="utf-8")
    assert page == generated.stdout, "generate it again: tools/docs/start-vm-cmd-page > docs/start-vm-cmd.md"
