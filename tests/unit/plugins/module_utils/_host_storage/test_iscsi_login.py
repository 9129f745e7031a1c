# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the hypervisor's initiator that needs no kernel: which logins are due, and open-iscsi's records.

The rest is tested on an emulated hypervisor.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.iscsi_login import (
    has_session,
    plan_logins,
    with_chap,
)
from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi import Lun
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import IQN, cdrom, iscsi_volume

RECORD = """# BEGIN RECORD 2.1.8
node.name = iqn.x:y
node.session.auth.authmethod = None
node.session.auth.username = old
node.session.auth.password = old
node.session.auth.chap_algs = MD5
# END RECORD
"""


def vm_with(*volumes: Any) -> Any:
    return SimpleNamespace(volumes=volumes, cds=())


def logins(*volumes: Any) -> list[Any]:
    return list(plan_logins(vm_with(*volumes)))


def test_a_target_is_logged_in_to_once_for_all_its_luns() -> None:
    first, second = (iscsi_volume("iscsi://10.0.8.8/%s/%d" % (IQN, lun), use_virtio=False) for lun in (1, 2))
    (login,) = logins(first, second)
    assert login.devices == tuple("/dev/disk/by-path/ip-10.0.8.8:3260-iscsi-%s-lun-%d" % (IQN, lun) for lun in (1, 2))


def test_two_targets_are_two_logins() -> None:
    volumes = [iscsi_volume("iscsi://10.0.8.8/%s%s/1" % (IQN, name), use_virtio=False) for name in ("a", "b")]
    assert len(logins(*volumes)) == 2


def test_qemus_own_initiator_needs_no_login() -> None:
    assert logins(iscsi_volume(use_virtio=True)) == []


def test_the_login_has_user_and_password_but_does_not_show_them() -> None:
    volume = iscsi_volume(use_virtio=False, chap_username="zs", chap_password="s3cret-chap")
    (action,) = plan_logins(vm_with(volume))
    assert (action.username, action.password) == ("zs", "s3cret-chap")
    assert "s3cret-chap" not in repr(action)


def test_a_cd_is_logged_in_to_at_each_portal() -> None:
    cd = cdrom("iscsi://10.0.8.8,10.0.8.9:3260/%s/6001405" % IQN)
    planned = plan_logins(SimpleNamespace(volumes=(), cds=(cd,)))
    assert [(login.target.portal, login.devices) for login in planned] == [
        ("10.0.8.8:3260", ("/dev/disk/by-id/wwn-0x6001405",)),
        ("10.0.8.9:3260", ("/dev/disk/by-id/wwn-0x6001405",)),
    ]


# Printed by open-iscsi 2.1.8.
SESSIONS = """tcp: [1] 10.0.8.8:3260,1 iqn.x:y (non-flash)
tcp: [2] [san]:3260,1 iqn.x:z (non-flash)
tcp: [3] [fec0::2]:3261,1 iqn.x:y (non-flash)
"""


@pytest.mark.parametrize(
    "host, port, iqn, expected",
    [
        ("10.0.8.8", 3260, "iqn.x:y", True),
        ("san", 3260, "iqn.x:z", True),
        ("fec0::2", 3261, "iqn.x:y", True),
        ("fec0::2", 3260, "iqn.x:y", False),
        ("10.0.8.8", 3260, "iqn.x:z", False),
        ("10.0.8.8", 3260, "iqn.x", False),
    ],
)
def test_an_open_session_is_recognised(host: str, port: int, iqn: str, expected: bool) -> None:
    assert has_session(SESSIONS, Lun(host, port, iqn, 1)) is expected


@pytest.mark.parametrize("password", ["simple", 'p w"#=d\\12345', "ü"])
def test_a_record_gets_chap_instead_of_what_it_had(password: str) -> None:
    assert with_chap(RECORD, "zs", password) == (
        "# BEGIN RECORD 2.1.8\n"
        "node.name = iqn.x:y\n"
        "node.session.auth.chap_algs = MD5\n"
        "node.session.auth.authmethod = CHAP\n"
        "node.session.auth.username = zs\n"
        "node.session.auth.password = %s\n"
        "# END RECORD\n" % password
    )
