# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove one thing at a time from the code that builds domains, and check whether the unit tests fail.

C(python -m tests.mutation) exits with 1 and names the mutants that survived; arguments are parts of the paths of the
files to mutate. Each mutant runs in a child process of its own, in which the mutated module is imported instead of the
file. The tests that compare whole domains come first, for they notice most; what survives them has to survive the rest
of the unit tests too.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

import hypothesis
import pytest
from ansible_collections.zstack.kvm.tests.support import golden_domains, libvirt_schema

from .mutants import Mutant, mutants_of, unchanged

# Modules that take long to import are imported here, so that not every child has to.
IMPORTED = (hypothesis, golden_domains, libvirt_schema)
CHECKOUT = Path(__file__).resolve().parent.parent.parent
UTILS = CHECKOUT / "plugins" / "module_utils"
PACKAGE = "ansible_collections.zstack.kvm."
# The functions that write the sources of disks. The integration tests cover the rest of the storage code.
STORAGE = {
    "base": ("network_source", "add_auth"),
    "ceph": ("disk", "parse_image", "_monitors"),
    "file": ("disk",),
    "fusionstor": ("disk", "export_name"),
    "iscsi": ("disk", "chap_secret_uuid"),
}
# The packages that import a mutant of the builders.
USERS = (PACKAGE + "plugins.module_utils._domain", PACKAGE + "tests.")
UNIT_TESTS = CHECKOUT / "tests" / "unit" / "plugins" / "module_utils"
SECONDS = 120


class _Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import the mutant instead of the module from which it was created."""

    def __init__(self, mutant: Mutant) -> None:
        path = mutant.path.relative_to(CHECKOUT).with_suffix("")
        parts = path.parts[:-1] if path.name == "__init__" else path.parts
        self.mutant = mutant
        self.name = PACKAGE + ".".join(parts)

    def find_spec(self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None) -> Any:
        if fullname != self.name:
            return None
        is_package = self.mutant.path.name == "__init__.py"
        return importlib.util.spec_from_file_location(
            fullname,
            self.mutant.path,
            loader=self,
            submodule_search_locations=[str(self.mutant.path.parent)] if is_package else None,
        )

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.mutant.tree(), str(self.mutant.path), "exec"), module.__dict__)


def _is_noticed() -> bool:
    try:
        from ansible_collections.zstack.kvm.tests.support.golden_domains import (
            GOLDEN_NAMES,
            outcome,
            recorded_outcome,
        )

        if any(outcome(name) != recorded_outcome(name) for name in sorted(GOLDEN_NAMES, key="everything".__ne__)):
            return True
    except Exception:
        return True
    # The properties draw VMs for minutes and notice nothing that the others don't.
    tests = [path for path in (UNIT_TESTS / "_domain").glob("test_*.py") if path.stem != "test_build_properties"]
    tests += [UNIT_TESTS / "_storage", UNIT_TESTS / "_host" / "test_capabilities.py"]
    return pytest.main([*map(str, tests), "--quiet", "--exitfirst"]) != pytest.ExitCode.OK


def _child(mutant: Mutant) -> None:
    """End the process: 0 if the tests noticed the mutant, 1 if not."""
    signal.alarm(SECONDS)
    users = USERS if mutant.path.parent.name == "_domain" else PACKAGE
    for name in [name for name in sys.modules if name.startswith(users)]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Instead(mutant))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        code = 0 if _is_noticed() else 1
    os._exit(code)


def survives(mutant: Mutant) -> bool:
    """Return whether the unit tests pass with the mutant. One that never ends is noticed."""
    process = os.fork()
    if process == 0:
        _child(mutant)
    _process, status = os.waitpid(process, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1


def main(parts: Sequence[str]) -> int:
    """Run the mutants of the files whose paths have one of the parts, or of all files, and print the survivors."""
    began = time.monotonic()
    if not survives(unchanged(UTILS / "_host" / "capabilities.py")):
        print("the unit tests fail with nothing left out")
        return 1
    mutants = [
        mutant
        for path in [*sorted((UTILS / "_domain").glob("*.py")), UTILS / "_host" / "capabilities.py"]
        for mutant in mutants_of(path)
    ]
    mutants += [
        mutant
        for name, functions in STORAGE.items()
        for mutant in mutants_of(UTILS / "_storage" / (name + ".py"), functions)
    ]
    mutants = [mutant for mutant in mutants if not parts or any(part in str(mutant.path) for part in parts)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        survivors = [mutant for mutant, alive in zip(mutants, pool.map(survives, mutants)) if alive]
    for mutant in survivors:
        print("survived: %s" % mutant)
    print("%d mutants, %d survived, %.0f s" % (len(mutants), len(survivors), time.monotonic() - began))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
