# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LUNs as sources of libvirt disks, opened by QEMU or by the host."""

from __future__ import annotations

import uuid

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import (
    IQN,
    NOTHING_ASKED,
    SECRET,
    iscsi_volume,
    source_text,
)
from lxml import etree


def test_a_lun_with_virtio_is_opened_by_qemu_shared_and_on_a_scsi_bus():
    disk = storage.disk(iscsi_volume("iscsi://[::1]/%s/2" % IQN), NOTHING_ASKED)
    assert (disk.disk_type, disk.device, disk.bus, disk.shareable) == ("network", "disk", "scsi", True)
    assert etree.tostring(disk.source, encoding="unicode") == (
        '<source protocol="iscsi" name="%s/2"><host name="::1" port="3260"/></source>' % IQN
    )


@pytest.mark.parametrize("host", ["iscsi-1", "san", "cluster.example", "i", "s", "c"])
def test_a_host_name_keeps_all_its_letters(host):
    source = storage.disk(iscsi_volume("iscsi://%s:3260/%s/2" % (host, IQN)), NOTHING_ASKED).source
    assert source.find("host").get("name") == host


def test_chap_uses_the_secret_that_stands_for_the_target():
    item = iscsi_volume(chap_username="zs", chap_password="s3cret-chap")
    facts = StorageFacts(chap_secrets={IQN: SECRET})
    assert '<auth username="zs"><secret type="iscsi" uuid="%s"/></auth>' % SECRET in source_text(item, facts)


def test_a_target_without_secret_gets_the_same_uuid_each_time():
    item = iscsi_volume(chap_username="zs", chap_password="s3cret-chap")
    first, second = (storage.disk(item, NOTHING_ASKED).source.find("auth/secret").get("uuid") for dummy in range(2))
    assert first == second == str(uuid.UUID(first))


def test_a_lun_without_virtio_is_a_device_of_the_host():
    disk = storage.disk(iscsi_volume(use_virtio=False, chap_username="zs", chap_password="x"), NOTHING_ASKED)
    assert (disk.disk_type, disk.device, disk.bus, disk.shareable) == ("block", "lun", "scsi", False)
    assert disk.source.attrib == {"dev": "/dev/disk/by-path/ip-10.0.8.8:3260-iscsi-%s-lun-2" % IQN}
    assert len(disk.source) == 0


def test_the_device_of_an_ipv6_portal_has_no_brackets():
    source = storage.disk(iscsi_volume("iscsi://[2001:db8::8]:3261/%s/0" % IQN, use_virtio=False), NOTHING_ASKED).source
    assert source.get("dev") == "/dev/disk/by-path/ip-2001:db8::8:3261-iscsi-%s-lun-0" % IQN
