# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the program that creates bridges, as the role loads them: by names without a package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).resolve().parents[4] / "roles/networks/files/bridges"


def module(name: str) -> Any:
    """Return a module of the program."""
    if str(DIRECTORY) not in sys.path:
        sys.path.append(str(DIRECTORY))
    return importlib.import_module(name)


def bridge(**options: Any) -> Any:
    """Return the only bridge that these options describe."""
    return module("desired").read_bridges([options])[0]


def device(name: str, index: int = 2, **facts: Any) -> Any:
    """Return a network device."""
    return module("host").Device(name, index, **{"mac": "fa:00:00:00:00:01", **facts})


def by_name(*devices: Any) -> dict[str, Any]:
    """Return devices as the program finds them."""
    return {each.name: each for each in devices}
