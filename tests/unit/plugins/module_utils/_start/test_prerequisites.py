# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a change needs is checked before the change, and prepared in the right order."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.definition import BackUpDefinition, Define
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.overlays import Overlays
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import DomainList, ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.plugins.module_utils._start.conflicts import Conflicts
from ansible_collections.zstack.kvm.plugins.module_utils._start.other_domains import OtherDomains
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Plan, Use
from ansible_collections.zstack.kvm.plugins.module_utils._start.prerequisites import Change, check, preparations
from ansible_collections.zstack.kvm.plugins.module_utils._start.volume_work import VolumeWork
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.unit.fakes import (
    UUID,
    FakeDomain,
    FakeHypervisor,
    FakeSecret,
    RemoteFakeSystem,
    parsed_vm,
)
from lxml import etree

OTHER = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
SECRET, TPM_SECRET = (f"{number}f2e0b9c-3a51-4c7e-9d2e-0123456789ab" for number in (7, 8))
NIC = "<interface><mac address='fa:00:00:00:00:01'/></interface>"
CHANNEL = "<channel type='unix'><source mode='bind' path='/run/vms/agent'/></channel>"
VM = parsed_vm(
    nics=[{"network_name": "default", "ip": "10.0.0.5"}],
    channels=[{"socket_path": "/run/vms/agent", "target_name": "agent"}],
    ceph_secret={"uuid": SECRET, "key": "AAAA"},
    tpm={"secret_uuid": TPM_SECRET},
)
# A remote hypervisor's libvirt lacks all of it.
LACKING = [
    ("vms[0].machine", "unsupported_machine"),
    ("vms[0].root_volume.install_path", "image_locked"),
    ("vms[0].nics[0].network_name", "network_missing"),
    ("vms[0].nics[0].ip", "filter_failed"),
    ("vms[0]", "daemon_unavailable"),
    ("vms[0].ceph_secret", "secret_conflict"),
    ("vms[0].tpm.secret_uuid", "secret_missing"),
]
OF_VOLUMES = ("vms[0].root_volume.create", "disk_full")
TAKEN = ("vms[0].channels[0].socket_path", "address_in_use")


def domain(devices: str) -> etree._Element:
    return etree.fromstring("<domain><name>n</name><uuid>%s</uuid><devices>%s</devices></domain>" % (UUID, devices))


def checked(
    use: Use,
    *actions: Any,
    definition: str = "",
    existing: str = "",
    system: Any = None,
    vm: Vm = VM,
    owner: Any = None,
) -> Conflicts:
    """Check a change of the VM on a hypervisor that lacks everything that it needs."""
    other = FakeDomain(running=CHANNEL + NIC)
    libvirt = FakeHypervisor({OTHER: other}, [FakeSecret(SECRET, kind="volume"), FakeSecret(TPM_SECRET, kind="vtpm")])
    run: Any = SimpleNamespace(
        hypervisor=libvirt,
        system=system or RemoteFakeSystem(),
        host=SimpleNamespace(capabilities=SimpleNamespace(qemu_owner=owner)),
        free_memory=0,
        missing_daemons=["virtlogd does not listen"],
        networks={},
        network_filters=[],
        others=OtherDomains(libvirt, DomainList({OTHER: "other"}, frozenset([OTHER]), frozenset()), [UUID]),
        storage_problems=lambda vm: [
            Problem("vms[0].root_volume.install_path", "is missing", "image_missing"),
            Problem("vms[0].root_volume.install_path", "is locked", "image_locked"),
        ],
    )
    work = VolumeWork(
        problems=[Problem(*OF_VOLUMES[:1], "no space", OF_VOLUMES[1])], explained={"vms[0].root_volume.install_path"}
    )
    desired = DesiredDomain(domain(""), None, (), (Problem("vms[0].machine", "no", "unsupported_machine"),))
    observed = ObservedVm(inactive_xml=etree.tostring(domain(existing)).decode())
    plan = Plan(actions, (), (), (), False)
    change = Change(vm, desired, domain(definition), observed, StorageFacts(), Overlays(), work, plan, use)
    return check(run, change)


def codes(found: Conflicts) -> list[tuple[str, str]]:
    return [(problem.option_path, problem.code) for problem in found.problems]


@pytest.mark.parametrize("use", [Use(starts=True), Use(attaches=True)])
def test_what_starts_or_gets_devices_needs_all_that_it_has(use: Use) -> None:
    assert codes(checked(use)) == [*LACKING, OF_VOLUMES]


def test_what_starts_needs_devices_and_rights_on_the_hypervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "var/lib/libvirt/qemu/zstack").mkdir(parents=True)
    (tmp_path / "var/lib/libvirt/qemu/zstack").chmod(0o777)
    system = HostSystem(str(tmp_path))
    monkeypatch.setattr(system, "is_root", lambda: False)
    channels = [{"socket_path": "/run/vms/agent", "target_name": "agent"}]
    vm = parsed_vm(pci_devices=["0a:00.0"], channels=channels, additional_qmp=True)
    owner = (os.geteuid(), os.getegid())
    assert codes(checked(Use(starts=True), system=system, vm=vm, owner=owner))[2:-1] == [
        ("vms[0].pci_devices[0]", "device_missing"),
        ("vms[0]", "daemon_unavailable"),
        ("vms[0].channels[0].socket_path", "needs_root"),
        ("vms[0].additional_qmp", "needs_root"),
    ]


def test_what_is_only_defined_needs_its_volumes_alone() -> None:
    assert codes(checked(Use())) == [OF_VOLUMES]


def test_what_the_next_start_will_lack_is_a_warning_of_a_new_definition() -> None:
    warnings = checked(Use(), Define("<xml/>")).warnings
    assert [each.split(": ")[1] for each in warnings] == [option_path for option_path, _code in LACKING[:4]]
    assert checked(Use()).warnings == []


@pytest.mark.parametrize(("use", "warnings"), [(Use(starts=True), 1), (Use(attaches=True), 1), (Use(), 0)])
def test_too_little_memory_is_a_warning_for_what_runs(use: Use, warnings: int) -> None:
    assert len(checked(use).warnings) == warnings


def test_what_another_vm_has_is_a_problem_of_the_definition_to_come() -> None:
    assert TAKEN in codes(checked(Use(starts=True), Define("<xml/>"), definition=CHANNEL))


def test_a_mac_address_of_another_vm_is_a_warning() -> None:
    _memory, mac = checked(Use(starts=True), Define("<xml/>"), definition=NIC).warnings
    assert "fa:00:00:00:00:01 is also a MAC address of" in mac


def test_without_a_new_definition_the_existing_one_counts() -> None:
    assert TAKEN in codes(checked(Use(starts=True), existing=CHANNEL))
    assert TAKEN not in codes(checked(Use(starts=True), definition=CHANNEL))


def test_a_backup_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    class ReadOnly(HostSystem):
        def __init__(self) -> None:
            super().__init__(str(tmp_path))
            self.files.may_create = lambda path: False  # type: ignore[method-assign]

    found = checked(Use(), BackUpDefinition("<xml/>"), system=ReadOnly())
    assert [problem.option_path for problem in found.problems] == [OF_VOLUMES[0], "backup"]


def test_secrets_come_first_and_directories_are_for_qemus_user(tmp_path: Path) -> None:
    qmp = tmp_path / "var/lib/libvirt/qemu/zstack"
    qmp.mkdir(parents=True)
    qmp.chmod(0o777)
    vm = parsed_vm(
        channels=[{"socket_path": "/run/vms/agent", "target_name": "agent"}],
        ceph_secret={"uuid": SECRET, "key": "AAAA"},
        additional_qmp=True,
        firmware="uefi",
        nvram="/nvram/vars.fd",
    )
    run: Any = SimpleNamespace(
        hypervisor=FakeHypervisor(),
        system=HostSystem(str(tmp_path)),
        host=SimpleNamespace(capabilities=SimpleNamespace(qemu_owner=(64055, 64055))),
    )
    secret, *directories = preparations(run, vm, StorageFacts())
    assert secret.name == "define_secret"
    assert [(each.name, each.shared) for each in directories] == [
        ("create_channel_dir", "/run/vms"),
        ("restrict_qmp_dir", "/var/lib/libvirt/qemu/zstack"),
        ("create_nvram_dir", "/nvram"),
    ]
    assert {vars(each)["owner"] for each in directories} == {(64055, 64055)}


def test_what_exists_needs_no_preparation() -> None:
    run: Any = SimpleNamespace(
        hypervisor=FakeHypervisor(),
        system=RemoteFakeSystem(),
        host=SimpleNamespace(capabilities=SimpleNamespace(qemu_owner=None)),
    )
    assert preparations(run, parsed_vm(), StorageFacts()) == []
