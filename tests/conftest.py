# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make this checkout importable as a collection when pytest is called directly."""

from __future__ import annotations

import importlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = ROOT / ".cache" / "collections" / "ansible_collections" / "zstack" / "kvm"

# The path of the tree is in pyproject.toml. ansible-test has a tree of its own.
if ROOT.parts[-3:-2] != ("ansible_collections",) and not LINK.exists():
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.symlink_to("../../../..")
    # Python remembers that the path did not exist.
    importlib.invalidate_caches()
