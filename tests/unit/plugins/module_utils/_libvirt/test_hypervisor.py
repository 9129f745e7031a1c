# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection for all calls, which modules can import where libvirt's bindings are missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.zstack.kvm import plugins
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import hypervisor as module
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor, ListedSecret
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._libvirt.node import RUNNING, connected

WITHOUT_LIBVIRT = """
import sys
sys.modules["libvirt"] = None
from %s import LIBVIRT_IMPORT_ERROR
print(LIBVIRT_IMPORT_ERROR)
"""


def test_it_can_be_imported_without_the_bindings() -> None:
    collections = Path(plugins.__path__[0]).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(collections), *sys.path])}
    program = [sys.executable, "-c", WITHOUT_LIBVIRT % module.__name__]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ModuleNotFoundError" in done.stdout


def test_a_closed_connection_has_forgotten_domains_and_secrets(tmp_path: Path) -> None:
    with connected(tmp_path) as hypervisor:
        hypervisor.list_domains()
        hypervisor._known_secrets = {"a": ListedSecret("a", "ceph", "x")}
        hypervisor._secrets = {"a": None}
        assert RUNNING in hypervisor._domains
    assert (hypervisor._domains, hypervisor._secrets, hypervisor._known_secrets) == ({}, {}, None)


def test_connections_share_no_cache() -> None:
    first, second = (Hypervisor("test:///default") for _number in range(2))
    first._domains["a"] = first._secrets["a"] = None
    assert (second._domains, second._secrets) == ({}, {})
