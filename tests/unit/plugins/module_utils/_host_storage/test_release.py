# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets and iSCSI sessions that belong only to a VM that is off."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage import release
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.iscsi_login import Initiator
from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi import Lun
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor, FakeSecret, FakeSystem
from lxml import etree

OTHER = "0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02"
SECRET = "7f2e0b9c-3a51-4c7e-9d2e-0123456789ab"
USED = "<disk><source><auth><secret uuid='%s'/></auth></source></disk>" % SECRET
TARGET = "/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2024-01.io:a-lun-"
LUN = "<disk type='block'><source dev='%s1'/></disk>" % TARGET


def libvirt(devices_of_other: str = "", secret: Optional[FakeSecret] = None) -> FakeHypervisor:
    """Return a libvirt with the VM, which is off and uses everything, and with another one that runs."""
    domains = {UUID: FakeDomain("shutoff", defined=USED + LUN), OTHER: FakeDomain(running=devices_of_other)}
    return FakeHypervisor(domains, [secret] if secret else [])


@pytest.mark.parametrize(
    ("secret", "devices_of_other", "unneeded"),
    [
        (FakeSecret(SECRET), "", True),
        (FakeSecret(SECRET), USED, False),
        (FakeSecret(SECRET, ephemeral=False), "", False),
        (FakeSecret(SECRET, "vtpm"), "", False),
        (None, "", False),
    ],
    ids=["brought along", "used by another VM", "made to stay", "of another kind", "gone"],
)
def test_secrets_that_are_removed_with_their_vm(
    secret: Optional[FakeSecret], devices_of_other: str, unneeded: bool
) -> None:
    assert release.is_unneeded_secret(SECRET, [UUID], libvirt(devices_of_other, secret)) is unneeded


def test_secrets_of_a_domain_are_those_of_its_disks_each_once() -> None:
    auth = "<auth username='zstack'><secret type='ceph' uuid='%s'/></auth>" % SECRET
    domain = etree.fromstring(
        "<domain><devices><disk><source>%s</source></disk><disk>%s</disk><disk/></devices></domain>" % (auth, auth)
    )
    assert release.secrets_of([domain, domain]) == [SECRET]


def test_sessions_of_a_domain_are_derived_from_its_disks_each_once() -> None:
    names = ["ip-10.0.0.1:3260-iscsi-iqn.2024-01.io:a-lun-b-lun-%d" % lun for lun in (1, 2)]
    names += ["ip-fd00::1:3260-iscsi-iqn.2024-01.io:c-lun-0", "ata-DISK"]
    disks = ["<disk type='block'><source dev='/dev/disk/by-path/%s'/></disk>" % name for name in names[1:]]
    below = "<backingStore><source dev='/dev/disk/by-path/%s'/></backingStore>" % names[0]
    disks.insert(0, "<disk type='file'><source file='/overlay'/>%s</disk>" % below)
    domain = etree.fromstring("<domain><devices>%s</devices></domain>" % "".join(disks))
    prefixes = [
        session.device_prefix() for session in release.sessions_of([domain, domain], FakeSystem(otherwise="file"))
    ]
    assert prefixes == [
        "/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2024-01.io:a-lun-b-lun-",
        "/dev/disk/by-path/ip-fd00::1:3260-iscsi-iqn.2024-01.io:c-lun-",
    ]


@pytest.mark.parametrize(
    ("mark", "devices_of_other", "closes"),
    [
        ("file", "", True),
        ("file", "<disk type='block'><source dev='%s2'/></disk>" % TARGET, False),
        (None, "", False),
    ],
    ids=["nobody else uses it", "another VM has a LUN of the target", "somebody else opened it"],
)
def test_which_sessions_are_closed(mark: Optional[str], devices_of_other: str, closes: bool) -> None:
    system = FakeSystem(otherwise=mark)
    session = Initiator(system, Lun("10.0.0.1", 3260, "iqn.2024-01.io:a", 1))
    assert release.close_session(session, [UUID], libvirt(devices_of_other)) is closes
    assert any("--logout" in command for command in system.ran) is closes
