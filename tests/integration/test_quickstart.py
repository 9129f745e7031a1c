# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""./quickstart in a fresh clone: it shows a running VM, a second run changes nothing, --clean removes everything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.thumbnail import thumbnail
from ansible_collections.zstack.kvm.tests.run.stage import project_files
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.linux_guest import BUILT
from ansible_collections.zstack.kvm.tests.support.virsh import state

# A virtual environment with Ansible, a guest that boots under emulation, the role twice.
pytestmark = [pytest.mark.outside, pytest.mark.timeout(900)]

BRIDGE = Path("/sys/class/net/br_quickstart")
FOREIGN = ("ANSIBLE_", "PYTHON")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a repository with the project, in a directory with an odd name; it is removed with all that it created."""
    directory = tmp_path_factory.mktemp("quickstart") / 'it\'s a "clone"'
    for name in project_files(CHECKOUT):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, directory / name, follow_symlinks=False)
    # Downloads and builds are the same in both clones.
    shutil.copytree(BUILT, directory / ".cache/guest")
    git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    git(
        directory,
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@example.com",
        "commit",
        "--quiet",
        "--message=All of it",
    )
    yield directory
    quickstart(directory, "--clean")


def git(directory: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, text=True).stdout


def quickstart(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command from another directory, with its standard input closed, as a cron job may."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    command = ["sh", "-c", 'exec "$0" "$@" <&-', str(directory / "quickstart"), *arguments]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)


def shown(output: str, what: str) -> str:
    """Return the value shown under this name at the end."""
    return re.search(rf"^{what}  +(.*)$", output, re.MULTILINE)[1]


def nics_in_the_bridge() -> set[str]:
    return {port.name for port in (BRIDGE / "brif").glob("*")}


def pixels(png: bytes) -> bytes:
    """Return the bytes of a picture, with the filters undone."""
    plain = thumbnail(png, 4096)
    at = plain.index(b"IDAT")
    return zlib.decompress(plain[at + 4 : at + 4 + int.from_bytes(plain[at - 4 : at], "big")])


def test_a_vm_runs_after_one_command_and_is_gone_after_another(clone: Path) -> None:
    nics_of_others = nics_in_the_bridge()
    first = quickstart(clone)
    assert first.returncode == 0, first.stdout + first.stderr
    uuid = re.search(r"\((.{36})\)", shown(first.stdout, "VM"))[1]
    assert state(uuid) == "running" and shown(first.stdout, "state").startswith("running, by ")
    assert re.fullmatch(r"vnc://[\d.]+:59\d\d", shown(first.stdout, "console"))
    assert " changed=0 " in shown(first.stdout, "second run")
    # The guest has read its name from the seed.
    assert re.search(r'@guest \{"kind":"ready".*"hostname":"quickstart"', first.stdout)
    # Light text on a dark screen: neither empty nor noise.
    colours = Counter(pixels(Path(shown(first.stdout, "screen")).read_bytes()))
    assert 0.5 < colours.most_common(1)[0][1] / sum(colours.values()) < 0.995

    second = quickstart(clone)
    assert second.returncode == 0, second.stdout + second.stderr
    assert " changed=0 " in shown(second.stdout, "second run") and uuid in shown(second.stdout, "VM")
    assert state(uuid) == "running"
    assert git(clone, "status", "--porcelain") == ""

    disk = Path(f"/var/lib/libvirt/images/zstack-kvm-quickstart/{uuid}.qcow2")
    assert disk.exists() and BRIDGE.exists()
    clean = quickstart(clone, "--clean")
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert state(uuid) == "absent" and not disk.exists()
    assert list(Path("/var/lib/zstack-kvm/seeds").glob(uuid.replace("-", "") + ".*")) == []
    # Another clone's VM keeps the bridge and its port in it.
    assert nics_in_the_bridge() == nics_of_others and BRIDGE.exists() == bool(nics_of_others)
    assert not (clone / ".cache/quickstart").exists()
