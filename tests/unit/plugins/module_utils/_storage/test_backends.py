# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locations of data in a document, and the sources that libvirt gets."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Monitor
from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import (
    IQN,
    MONITORS,
    NOTHING_ASKED,
    SECRET,
    cdrom,
    ceph_volume,
    domain_with,
    iscsi_volume,
    libvirt_schema,
    volume,
)

GOOD = [
    volume("file", "/vms/root volume,a=b.qcow2"),
    volume("file", "/vms/Müller/磁盘.raw"),
    ceph_volume(),
    ceph_volume("ceph://i-pool/a:b@c\\d e%20f/g"),
    ceph_volume(mon_info=(Monitor("2001:db8::1", 6789), Monitor("[2001:db8::2]", 6789), Monitor("mon-a.example", 1))),
    ceph_volume(secret_uuid=SECRET),
    iscsi_volume(),
    iscsi_volume("iscsi://storage/%s/0" % IQN, chap_username="zs", chap_password="s3cret-chap"),
    iscsi_volume("iscsi://[2001:db8::8]:3261/%s/255" % IQN),
    iscsi_volume("iscsi://[::1]:3260/%s/1" % IQN, use_virtio=False, chap_username="any one", chap_password="x"),
    volume("fusionstor", "fusionstor://pool/i:m@a\\ge"),
    cdrom("/isos/debian.iso"),
    cdrom("ceph://bak/iso", mon_info=MONITORS),
    cdrom("ceph://bak/iso@snap", mon_info=MONITORS, secret_uuid=SECRET),
    cdrom("fusionstor://bak/iso@snap"),
]

BAD = [
    (volume("file", "relative/path.qcow2"), "install_path"),
    (volume("file", "/"), "install_path"),
    (volume("file", "/a\nb"), "install_path"),
    (volume("file", "ceph://pool/image"), "install_path"),
    (ceph_volume("/pool/image"), "install_path"),
    (ceph_volume("ceph://pool"), "install_path"),
    (ceph_volume("ceph://pool/"), "install_path"),
    (ceph_volume("ceph:///image"), "install_path"),
    (ceph_volume("ceph://pool/a\tb"), "install_path"),
    (ceph_volume(mon_info=()), "mon_info"),
    (ceph_volume(mon_info=(MONITORS[0], Monitor("no_host", 6789))), "mon_info[1].hostname"),
    (ceph_volume(mon_info=(Monitor("fe80::1%eth0", 6789),)), "mon_info[0].hostname"),
    (ceph_volume(mon_info=(Monitor("[10.0.9.1]", 6789),)), "mon_info[0].hostname"),
    (iscsi_volume("iscsi://10.0.8.8:3260/%s" % IQN), "install_path"),
    (iscsi_volume("iscsi://10.0.8.8:3260/%s/x" % IQN), "install_path"),
    (iscsi_volume("iscsi://10.0.8.8:3260/%s/256" % IQN), "install_path"),
    (iscsi_volume("iscsi://10.0.8.8:0/%s/1" % IQN), "install_path"),
    (iscsi_volume("iscsi://10.0.8.8:65536/%s/1" % IQN), "install_path"),
    (iscsi_volume("iscsi://::1:3260/%s/1" % IQN), "install_path"),
    (iscsi_volume("iscsi://[::1/%s/1" % IQN), "install_path"),
    (iscsi_volume("iscsi://zs:pw@10.0.8.8:3260/%s/1" % IQN), "install_path"),
    (iscsi_volume("iscsi://10.0.8.8:3260/a/b/1"), "install_path"),
    (iscsi_volume("iscsi://10.0.8.8:3260//1"), "install_path"),
    (iscsi_volume(chap_username="zs"), "chap_username"),
    (iscsi_volume(chap_password="s3cret-chap"), "chap_username"),
    (iscsi_volume(chap_username="any one", chap_password="s3cret-chap"), "chap_username"),
    (volume("fusionstor", "fusionstor://pool"), "install_path"),
    (volume("fusionstor", "nbd://pool/image"), "install_path"),
    (cdrom("iscsi://10.0.8.8:3260/%s" % IQN), "path"),
    (cdrom("ceph://bak/iso@snap.1", mon_info=MONITORS), "path"),
    (cdrom("ceph://bak/iso@", mon_info=MONITORS), "path"),
    (cdrom("ceph://bak/iso"), "mon_info"),
    (cdrom("fusionstor://bak/@snap"), "path"),
]


def label(item) -> str:
    return getattr(item, "path", None) or item.install_path


@pytest.mark.parametrize("item", GOOD, ids=label)
def test_a_good_item_has_no_problems_and_a_source_that_libvirts_schema_takes(item):
    assert storage.check(item) == []
    libvirt_schema().assertValid(domain_with(storage.disk(item, NOTHING_ASKED)))


@pytest.mark.parametrize(("item", "option"), BAD, ids=[label(item) for item, dummy in BAD])
def test_a_bad_item_has_one_problem_with_its_path(item, option):
    assert [problem.option_path for problem in storage.check(item)] == ["%s.%s" % (item.option_path, option)]


def test_all_problems_of_an_item_are_named_at_once():
    item = ceph_volume("ceph://pool", mon_info=(Monitor("a b", 6789), Monitor("c d", 6789)))
    assert len(storage.check(item)) == 3


def test_no_problem_shows_a_password():
    item = iscsi_volume("iscsi://10.0.8.8/x", chap_password="s3cret-chap")
    assert "s3cret-chap" not in " ".join(map(str, storage.check(item)))
