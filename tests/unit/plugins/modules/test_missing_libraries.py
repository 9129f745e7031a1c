# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module fails with the name of the package if the target's Python lacks libvirt or lxml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm import plugins
from ansible_collections.zstack.kvm.tests.unit.plugins.modules.test_arguments import MODULES

# Runs all modules in a Python that cannot import a library.
PROGRAM = """
import contextlib, json, sys
library, modules = sys.argv[1], json.loads(sys.argv[2])
sys.modules[library] = None
from importlib import import_module
from ansible.module_utils.testing import patch_module_args
for name, arguments in modules.items():
    module = import_module("ansible_collections.zstack.kvm.plugins.modules." + name)
    with patch_module_args(arguments), contextlib.suppress(SystemExit):
        module.main()
"""


@pytest.mark.parametrize(("library", "package"), [("libvirt", "python3-libvirt"), ("lxml", "python3-lxml")])
def test_every_module_names_the_package_that_is_missing(library: str, package: str) -> None:
    collections = Path(plugins.__path__[0]).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(collections), *sys.path])}
    command = [sys.executable, "-c", PROGRAM, library, json.dumps(MODULES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    messages = [json.loads(line)["msg"] for line in done.stdout.split("\n") if line]
    assert len(messages) == len(MODULES)
    assert [message for message in messages if f"(package {package})" not in message] == []
