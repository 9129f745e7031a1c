# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actual and the desired cloud-init seed of a VM, on simulated file trees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.seeds import (
    Seed,
    seed_action,
    seed_of,
    seed_problems,
)
from ansible_collections.zstack.kvm.plugins.module_utils._storage.seed import SEED_DIRECTORY, mark_of, seed_path
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

VM = parsed_vm(cloud_init={"user_data": {"hostname": "web"}})
OTHER = parsed_vm(cloud_init={"user_data": {"hostname": "web"}}, uuid="6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11")
REMOTE = RemoteSystem("qemu+ssh://hv1/system")
OLD = {"user-data": "#cloud-config\n{}\n", "meta-data": "{}"}


class System(HostSystem):
    """A file tree with these programs, in which this process is root or not."""

    def __init__(self, root: Path, as_root: bool = True, programs: Sequence[str] = ()) -> None:
        super().__init__(str(root))
        self._as_root = as_root
        self.processes: Any = self
        self._programs = programs

    def is_root(self) -> bool:
        return self._as_root

    def find_program(self, name: str) -> str | None:
        return "/usr/bin/" + name if name in self._programs else None


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def path(number: int, vm: Any = VM) -> str:
    return seed_path(vm.domain_name, number)


def have(system: System, number: int, documents: dict[str, str], vm: Any = VM) -> None:
    """Write a seed with these documents."""
    system.files.make_directory(SEED_DIRECTORY, 0o755)
    content = b"an image" + mark_of(documents).encode("ascii")
    system.files.write_owned_file(path(number, vm), content, 0o600, None)


def with_seed(number: int) -> etree._Element:
    """Return a domain with a seed."""
    disk = "<disk><source file='%s'/></disk><disk><source file='/root.qcow2'/></disk>" % path(number)
    return etree.fromstring("<domain><devices>%s</devices></domain>" % disk)


def seed(system: Any, defined: int | None = None, running: int | None = None) -> Seed:
    existing, live = (None if number is None else with_seed(number) for number in (defined, running))
    found = seed_of(VM, existing, live, system)
    assert found is not None
    return found


def documents() -> Any:
    assert VM.cloud_init is not None
    return VM.cloud_init.documents


def test_a_vm_without_cloud_init_has_none(system: System) -> None:
    assert seed_of(parsed_vm(), None, None, system) is None


def test_the_first_one_of_a_vm_is_still_to_be_written(system: System) -> None:
    assert seed(system) == Seed(documents(), path(1), is_current=False)


def test_one_with_the_desired_content_stays(system: System) -> None:
    have(system, 3, documents())
    assert seed(system, defined=3, running=3) == Seed(documents(), path(3), is_current=True)


def test_one_that_is_gone_is_written_again_under_its_path(system: System) -> None:
    assert seed(system, defined=3) == Seed(documents(), path(3), is_current=False)


@pytest.mark.parametrize(("defined", "running", "number"), [(1, None, 2), (1, 1, 2), (1, 4, 5), (None, 1, 2)])
def test_another_content_gets_a_path_that_neither_the_definition_nor_qemu_uses(
    system: System, defined: int | None, running: int | None, number: int
) -> None:
    have(system, 1, OLD)
    found = seed(system, defined, running)
    assert (found.path, found.is_current, found.outdated) == (path(number), False, ())


def test_one_that_an_earlier_task_has_written_already_is_current(system: System) -> None:
    have(system, 1, OLD)
    have(system, 2, documents())
    assert seed(system, defined=1) == Seed(documents(), path(2), is_current=True)


def test_one_that_no_domain_uses_is_replaced(system: System) -> None:
    have(system, 1, OLD)
    assert seed(system) == Seed(documents(), path(1), is_current=False)


def test_earlier_ones_of_the_vm_are_outdated_unless_they_are_used(system: System) -> None:
    for number in (1, 2, 3):
        have(system, number, OLD)
    have(system, 4, documents())
    have(system, 1, OLD, OTHER)
    assert seed(system, defined=4, running=2).outdated == (path(1), path(3))


def test_only_root_looks_for_outdated_ones(tmp_path: Path) -> None:
    system = System(tmp_path, as_root=False)
    have(system, 1, OLD)
    have(system, 2, documents())
    assert seed(system, defined=2).outdated == ()


def test_a_remote_libvirt_is_not_enough() -> None:
    with pytest.raises(VmError) as caught:
        seed(REMOTE)
    assert caught.value.code == "needs_hypervisor"


def test_the_action_writes_the_seed_for_the_user_of_qemu() -> None:
    action = seed_action(Seed(OLD, "/new", is_current=False, outdated=("/old",)), (64055, 108))
    assert (action.path, action.documents, action.owner, action.outdated) == ("/new", OLD, (64055, 108), ("/old",))


@pytest.mark.parametrize(
    ("as_root", "programs", "codes"),
    [
        (True, ["genisoimage"], []),
        (True, [], ["command_missing"]),
        (False, ["genisoimage"], ["needs_root"]),
    ],
)
def test_a_seed_needs_root_and_a_program(tmp_path: Path, as_root: bool, programs: list[str], codes: list[str]) -> None:
    problems = seed_problems(VM, System(tmp_path, as_root, programs))
    assert [(problem.option_path, problem.code) for problem in problems] == [
        ("vms[0].cloud_init", code) for code in codes
    ]


def test_on_a_remote_hypervisor_no_program_is_looked_for() -> None:
    assert seed_problems(VM, REMOTE) == []
