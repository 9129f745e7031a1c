# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CDs on iSCSI: which LUN a URL names, and which device it becomes."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import Address
from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi_cd import CdLun, parse_cd_lun
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import IQN, cdrom, source_text


@pytest.mark.parametrize(
    ("path", "lun"),
    [
        (f"iscsi://10.0.8.8:3260/{IQN}/6001405", CdLun(("10.0.8.8",), 3260, IQN, "/dev/disk/by-id/wwn-0x6001405")),
        (f"iscsi://a,b:3261/{IQN}/0xABC", CdLun(("a", "b"), 3261, IQN, "/dev/disk/by-id/wwn-0xabc")),
        (f"iscsi://10.0.8.8/{IQN}/6001405", None),
        (f"iscsi://10.0.8.8:0/{IQN}/6001405", None),
        (f"iscsi://10.0.8.8:3260/{IQN}/../6001405", None),
        ("/images/cd.iso", None),
    ],
)
def test_the_lun_of_a_url(path: str, lun: Optional[CdLun]) -> None:
    assert parse_cd_lun(path) == lun


def test_the_cd_is_the_device_that_appears_after_the_login() -> None:
    cd = cdrom(f"iscsi://10.0.8.8,10.0.8.9:3260/{IQN}/6001405")
    assert source_text(cd) == '<source dev="/dev/disk/by-id/wwn-0x6001405"/>'
    assert storage.backend_of(cd).addresses(cd) == (Address("10.0.8.8", 3260), Address("10.0.8.9", 3260))
