# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of integration tests: images that QEMU can read, VMs that are removed after the test."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.virsh import remove_domain
from ansible_collections.zstack.kvm.tests.support.watched_fleet import DRIFTED, WatchedFleet, watched_fleet

# Names that an attacker may give to a VM.
MARKUP = """"><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"""
TEMPLATE = "{{ 6 * 7 }}"

NewVm = Callable[..., dict[str, Any]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with the longest time limits first, so that none of them is left for the end."""

    def time_limit(item: pytest.Item) -> float:
        mark = item.get_closest_marker("timeout")
        return mark.args[0] if mark else 0

    most: dict[Path, float] = {}
    for item in items:
        most[item.path] = max(most.get(item.path, 0), time_limit(item))
    items.sort(key=lambda item: -most[item.path])


@contextmanager
def image_directory() -> Iterator[Path]:
    """Yield a directory that QEMU's user can read."""
    directory = Path(tempfile.mkdtemp(prefix="zstack-kvm-images-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def images() -> Iterator[Path]:
    """Yield a directory that QEMU's user can read, for one test."""
    with image_directory() as directory:
        yield directory


@pytest.fixture
def new_vm(images: Path) -> Iterator[NewVm]:
    """Yield a function that describes a small VM whose guest prints its UUID; options are added or replaced."""
    created = []

    def describe(**options: Any) -> dict[str, Any]:
        identity = str(uuid.uuid4())
        created.append(identity)
        vm = {
            "uuid": identity,
            "name": f"test {identity[:8]}",
            "memory": "32MiB",
            "cpu_num": 1,
            # As much as any other process: with the default, a VM starves on a busy machine.
            "cpu_speed": 1024,
            "domain_type": "qemu",
            # With the menu, each guest would wait two and a half seconds for a key.
            "use_boot_menu": False,
            "root_volume": {"install_path": str(media.write_qcow2(images / f"{identity}.qcow2", f"I am {identity}"))},
        }
        return {**vm, **options}

    yield describe
    for identity in created:
        remove_domain(identity)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedFleet]:
    """Yield hypervisors and VMs for the tests that change nothing; two of the VMs have attackers' names."""
    directory = tmp_path_factory.mktemp("fleet")
    with image_directory() as images:
        with watched_fleet(directory, images, {DRIFTED: MARKUP, "jump-host": TEMPLATE}) as fleet:
            yield fleet
