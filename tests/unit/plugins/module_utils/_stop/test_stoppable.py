# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VMs may be stopped how, and what of a stopped one belongs to it alone."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage import release
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import ListedDomain, Removal
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuids import parse_uuids
from ansible_collections.zstack.kvm.plugins.module_utils._stop.stop import StopRequest, channel_sockets, check_stoppable
from lxml import etree

UUID, OTHER = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11", "0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02"
SECRET = "7f2e0b9c-3a51-4c7e-9d2e-0123456789ab"


def request(force: bool = False) -> StopRequest:
    return StopRequest(60, force, False, Removal(), False, False, threading.Event())


def refusal(observed: ObservedVm, **asked: bool) -> Optional[str]:
    """The code of the error that keeps the VM from being stopped."""
    try:
        check_stoppable(observed, request(**asked))
    except VmError as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("state", "reason", "gracefully", "by_force"),
    [
        ("running", "booted", None, None),
        ("shutdown", "user", None, None),
        ("shutoff", "destroyed", None, None),
        ("absent", "unknown", None, None),
        ("paused", "user", "vm_not_running", None),
        ("paused", "ioerror", "vm_not_running", None),
        ("pmsuspended", "unknown", "vm_not_running", None),
        ("crashed", "panicked", "vm_crashed", None),
        ("paused", "migration", "vm_busy", "vm_busy"),
        ("paused", "starting_up", "vm_busy", "vm_busy"),
    ],
)
def test_what_a_state_allows(state: str, reason: str, gracefully: Optional[str], by_force: Optional[str]) -> None:
    observed = ObservedVm(state=state, reason=reason)
    assert (refusal(observed), refusal(observed, force=True)) == (gracefully, by_force)


def test_sockets_are_those_that_qemu_binds_at_a_path_of_the_definition_each_once() -> None:
    domain = etree.fromstring("""
      <domain><devices>
        <channel type='unix'><source mode='bind' path='/run/vm/agent'/></channel>
        <channel type='unix'><source mode='connect' path='/run/server'/></channel>
        <channel type='unix'><source mode='bind'/></channel>
        <channel type='spicevmc'/>
      </devices></domain>""")
    assert channel_sockets([domain, domain]) == ["/run/vm/agent"]


class Libvirt:
    """A libvirt with one secret and one other domain; stands in for the two calls that are asked."""

    def __init__(self, secret_xml: Optional[str], other_domain: str = "<domain/>") -> None:
        self._secret_xml = secret_xml
        self._other_domain = other_domain

    def secret_xml(self, uuid: str) -> Optional[str]:
        return self._secret_xml

    def list_domains(self) -> list[ListedDomain]:
        return [ListedDomain(UUID, "a", False), ListedDomain(OTHER, "b", True)]

    def xml(self, uuid: str, inactive: bool) -> str:
        return self._other_domain if uuid == OTHER else "<domain>%s</domain>" % SECRET


def secret_xml(kind: str = "ceph", ephemeral: str = "yes") -> str:
    usage = "<usage type='%s'><name>x</name></usage>" % kind
    return "<secret ephemeral='%s' private='no'><uuid>%s</uuid>%s</secret>" % (ephemeral, SECRET, usage)


@pytest.mark.parametrize(
    ("libvirt", "unneeded"),
    [
        (Libvirt(secret_xml()), True),
        (Libvirt(secret_xml(), '<domain><secret uuid="%s"/></domain>' % SECRET), False),
        (Libvirt(secret_xml(ephemeral="no")), False),
        (Libvirt(secret_xml("vtpm")), False),
        (Libvirt(None), False),
    ],
    ids=["brought along", "used by another VM", "made to stay", "of another kind", "gone"],
)
def test_which_secrets_go_with_their_vm(libvirt: Libvirt, unneeded: bool) -> None:
    assert release.is_unneeded_secret(SECRET, [UUID], libvirt) is unneeded


def test_secrets_of_a_domain_are_those_of_its_disks_each_once() -> None:
    auth = "<auth username='zstack'><secret type='ceph' uuid='%s'/></auth>" % SECRET
    domain = etree.fromstring(
        "<domain><devices><disk><source>%s</source></disk><disk>%s</disk><disk/></devices></domain>" % (auth, auth)
    )
    assert release.secrets_of([domain, domain]) == [SECRET]


class OwnSessions:
    """A hypervisor's system on which this collection opened every session."""

    def path_kind(self, path: str) -> str:
        return "file"


def test_sessions_of_a_domain_are_told_from_the_devices_of_its_disks_each_once() -> None:
    names = ["ip-10.0.0.1:3260-iscsi-iqn.2024-01.io:a-lun-b-lun-%d" % lun for lun in (1, 2)]
    names += ["ip-fd00::1:3260-iscsi-iqn.2024-01.io:c-lun-0", "ata-DISK"]
    disks = ["<disk type='block'><source dev='/dev/disk/by-path/%s'/></disk>" % name for name in names[1:]]
    below = "<backingStore><source dev='/dev/disk/by-path/%s'/></backingStore>" % names[0]
    disks.insert(0, "<disk type='file'><source file='/overlay'/>%s</disk>" % below)
    domain = etree.fromstring("<domain><devices>%s</devices></domain>" % "".join(disks))
    prefixes = [session.device_prefix() for session in release.sessions_of([domain, domain], OwnSessions())]
    assert prefixes == [
        "/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2024-01.io:a-lun-b-lun-",
        "/dev/disk/by-path/ip-fd00::1:3260-iscsi-iqn.2024-01.io:c-lun-",
    ]


class Session:
    """The session of a target that this collection opened, or somebody else."""

    def __init__(self, ours: bool) -> None:
        self._ours = ours
        self.is_open = True

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()

    def is_ours(self) -> bool:
        return self._ours

    def device_prefix(self) -> str:
        return "/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2024-01.io:a-lun-"

    def close(self) -> None:
        self.is_open = False


@pytest.mark.parametrize(
    ("ours", "other_domain", "closes"),
    [
        (True, "<domain/>", True),
        (True, "<source dev='/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2024-01.io:a-lun-2'/>", False),
        (False, "<domain/>", False),
    ],
    ids=["nobody else uses it", "another VM has a LUN of the target", "somebody else opened it"],
)
def test_which_sessions_are_closed(ours: bool, other_domain: str, closes: bool) -> None:
    session = Session(ours)
    assert release.close_session(session, [UUID], Libvirt(None, other_domain)) is closes
    assert session.is_open is not closes


def test_uuids_may_be_written_without_dashes() -> None:
    assert parse_uuids([UUID.replace("-", "").upper()], "vms") == ([UUID], [])


def test_all_wrong_uuids_are_told_with_their_places() -> None:
    _uuids, problems = parse_uuids(["web", UUID, UUID.upper()], "vms")
    assert [problem.option_path for problem in problems] == ["vms[0]", "vms[2]"]
