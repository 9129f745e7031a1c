# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RBD images as sources of libvirt disks."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Monitor
from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import (
    MONITORS,
    NOTHING_ASKED,
    SECRET,
    cdrom,
    ceph_volume,
    source_text,
)


def test_a_ceph_volume_names_every_monitor_and_the_secret():
    assert source_text(ceph_volume("ceph://pool/image", secret_uuid=SECRET)) == (
        '<source protocol="rbd" name="pool/image">'
        '<host name="10.0.9.1" port="6789"/><host name="10.0.9.2" port="6790"/>'
        '<auth username="zstack"><secret type="ceph" uuid="%s"/></auth>'
        "</source>" % SECRET
    )


def test_without_a_secret_ceph_is_accessed_without_cephx():
    assert "<auth" not in source_text(ceph_volume())


def test_names_in_ceph_are_taken_literally():
    source = storage.disk(ceph_volume("ceph://p%20q/a:b@c\\d/e f"), NOTHING_ASKED).source
    assert source.get("name") == "p%20q/a:b@c\\d/e f"


def test_brackets_are_no_part_of_an_ipv6_monitor():
    source = storage.disk(ceph_volume(mon_info=(Monitor("[2001:DB8:0::1]", 6789),)), NOTHING_ASKED).source
    assert source.find("host").get("name") == "2001:db8::1"


def test_a_cd_from_a_snapshot_names_image_and_snapshot_apart():
    source = source_text(cdrom("ceph://bak/a@b@snap-1", mon_info=MONITORS[:1]))
    assert source == (
        '<source protocol="rbd" name="bak/a@b"><host name="10.0.9.1" port="6789"/><snapshot name="snap-1"/></source>'
    )
