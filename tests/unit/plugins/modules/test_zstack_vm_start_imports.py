# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every task compiles what it imports: zstack_vm_start imports only what VMs in sync need."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm import plugins

START = "ansible_collections.zstack.kvm.plugins.modules.zstack_vm_start"
UTILS = "ansible_collections.zstack.kvm.plugins.module_utils."
# What changes VMs, what checks a change, what explains a failure to become ready, and the storage that only some use.
ONLY_FOR_CHANGES = (
    "_actions",
    "_diagnostics",
    "_drift.live_changes",
    "_domain.patches",
    "_host.domain_schema",
    "_host.new_file",
    "_host.qemu_img",
    "_host_storage.ceph_volumes",
    "_host_storage.file_volumes",
    "_host_storage.iscsi_login",
    "_host_storage.preparation",
    "_host_storage.reachability",
    "_host_storage.secrets",
    "_host_storage.seeds",
    "_libvirt.cloud_init",
    "_libvirt.guest_addresses",
    "_spec.cloud_init",
    "_spec.start_vm_cmd",
    "_start.apply",
    "_start.conflicts",
    "_start.created_volumes",
    "_start.domain_claims",
    "_start.execution",
    "_start.memory_snapshot",
    "_start.preflight",
    "_start.prerequisites",
    "_start.readiness",
)


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Return the names of all modules that are loaded when zstack_vm_start begins."""
    program = f"import sys, {START}; print(*sys.modules, sep='\\n')"
    collections = Path(plugins.__path__[0]).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(collections), *sys.path])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("part", ONLY_FOR_CHANGES)
def test_it_begins_without(part: str, imported: set[str]) -> None:
    whole = UTILS + part
    assert not {name for name in imported if name == whole or name.startswith(whole + ".")}


@pytest.mark.parametrize("module", ["html", "secrets", "uuid", "yaml", "concurrent.futures", "xml.etree.ElementTree"])
def test_it_begins_without_the_library_s(module: str, imported: set[str]) -> None:
    assert module not in imported


def test_what_is_left_out_exists(imported: set[str]) -> None:
    assert UTILS + "_start.start" in imported
    assert [part for part in ONLY_FOR_CHANGES if find_spec(UTILS + part) is None] == []
