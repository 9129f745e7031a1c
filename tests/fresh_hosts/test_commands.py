# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two commands of the README on a minimal installation: ./quickstart and ./run-tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run import fresh_systems
from ansible_collections.zstack.kvm.tests.run.stage import project_files
from ansible_collections.zstack.kvm.tests.support.applied_role import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.fresh_host import FreshHost, fresh_host

# Packages are downloaded and installed, and a guest boots under emulation, on a machine that may be busy.
pytestmark = pytest.mark.timeout(1800)

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture
def clone() -> Iterator[Path]:
    """Yield a repository with the project, at a path that the host can have too."""
    with tempfile.TemporaryDirectory(prefix="zstack-kvm-clone-", dir="/var/tmp") as directory:
        for name in project_files(CHECKOUT):
            target = Path(directory, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target, follow_symlinks=False)
        for command in ("init", "add --all"):
            subprocess.run(["git", *command.split()], cwd=directory, check=True, capture_output=True)
        yield Path(directory)


@pytest.fixture
def host(request: pytest.FixtureRequest, clone: Path, tmp_path: Path) -> Iterator[FreshHost]:
    """Yield a host with the clone."""
    with fresh_host(fresh_systems.directory(request.param), tmp_path, systemd=True, shared=clone) as host:
        yield host


def run(host: FreshHost, clone: Path, *command: str) -> str:
    """Run a command of the clone, and return its output; pip trusts the same authorities as on this machine."""
    authorities = shutil.copy(AUTHORITIES, clone / ".git")
    return host.run("env", f"PIP_CERT={authorities}", str(clone / command[0]), *command[1:])


@pytest.mark.parametrize("host", ["debian-12", "debian-13"], indirect=True)
def test_quickstart_leaves_a_vm_that_runs(host: FreshHost, clone: Path) -> None:
    output = run(host, clone, "quickstart")

    assert re.search(r"^state +running, by ", output, re.MULTILINE)
    assert re.search(r"^second run .* changed=0 ", output, re.MULTILINE)
    assert host.run("virsh", "list", "--name").strip()


# The whole of ./run-tests runs on Debian 12.
@pytest.mark.parametrize("host", ["debian-13"], indirect=True)
def test_run_tests_prepares_the_machine_and_runs_unit_tests(host: FreshHost, clone: Path) -> None:
    host.run("apt-get", "update")
    host.run("apt-get", "install", "--yes", "--no-install-recommends", "git")

    output = run(host, clone, "run-tests", "unit")

    assert re.fullmatch(r"[1-9]\d+ passed, 0 failed", output.strip().splitlines()[-1])
