# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible loads all filters of the collection for any of them, in a new process for each host and task.

So none of them imports at its beginning what takes time: the parser of VMs, StartVmCmd, lxml.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm import plugins

UTILS = "ansible_collections.zstack.kvm.plugins.module_utils."
FILTERS = sorted(path.stem for path in (Path(plugins.__path__[0]) / "filter").glob("*.py") if path.stem != "__init__")


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Return the names of all modules that are loaded with the filters."""
    names = ", ".join(f"ansible_collections.zstack.kvm.plugins.filter.{name}" for name in FILTERS)
    collections = Path(plugins.__path__[0]).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(collections), *sys.path])}
    command = [sys.executable, "-c", f"import sys, {names}; print(*sys.modules, sep='\\n')"]
    return set(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "module", ["lxml.etree", UTILS + "_spec.parse", UTILS + "_spec.start_vm_cmd", UTILS + "_start.result"]
)
def test_the_filters_are_loaded_without(module: str, imported: set[str]) -> None:
    assert UTILS + "foreign_text" in imported
    assert module not in imported
