# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document may say about where data lies, and what becomes of it in libvirt's words."""

from __future__ import annotations

import functools
import uuid

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Monitor
from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import DiskSource, StorageFacts
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import (
    IQN,
    MONITORS,
    SECRET,
    cdrom,
    ceph_volume,
    iscsi_volume,
    volume,
)
from lxml import etree

NOTHING_ASKED = StorageFacts()
SCHEMA = "/usr/share/libvirt/schemas/domain.rng"

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
    (cdrom("iscsi://10.0.8.8:3260/%s/1" % IQN), "path"),
    (cdrom("ceph://bak/iso@snap.1", mon_info=MONITORS), "path"),
    (cdrom("ceph://bak/iso@", mon_info=MONITORS), "path"),
    (cdrom("ceph://bak/iso"), "mon_info"),
    (cdrom("fusionstor://bak/@snap"), "path"),
]


@functools.cache
def libvirt_schema() -> etree.RelaxNG:
    return etree.RelaxNG(file=SCHEMA)


def label(item) -> str:
    return getattr(item, "path", None) or item.install_path


def domain_with(disk: DiskSource) -> etree._Element:
    domain = etree.fromstring(
        '<domain type="qemu"><name>d</name><memory>1</memory><os><type>hvm</type></os>'
        "<devices><disk/></devices></domain>"
    )
    element = domain.find("devices/disk")
    element.set("type", disk.disk_type)
    element.set("device", disk.device)
    etree.SubElement(element, "driver", name="qemu", type=disk.driver_type)
    element.append(disk.source)
    etree.SubElement(element, "target", dev="sda")
    return domain


def source_text(item, facts: StorageFacts = NOTHING_ASKED) -> str:
    return etree.tostring(storage.disk(item, facts).source, encoding="unicode")


@pytest.mark.parametrize("item", GOOD, ids=label)
def test_a_good_item_has_no_problems_and_a_source_that_libvirts_schema_takes(item):
    assert storage.check(item) == []
    libvirt_schema().assertValid(domain_with(storage.disk(item, NOTHING_ASKED)))


@pytest.mark.parametrize(("item", "option"), BAD, ids=[label(item) for item, dummy in BAD])
def test_a_bad_item_has_one_problem_and_its_place(item, option):
    assert [problem.option_path for problem in storage.check(item)] == ["%s.%s" % (item.option_path, option)]


def test_all_problems_of_an_item_are_named_at_once():
    item = ceph_volume("ceph://pool", mon_info=(Monitor("a b", 6789), Monitor("c d", 6789)))
    assert len(storage.check(item)) == 3


def test_no_problem_shows_a_password():
    item = iscsi_volume("iscsi://10.0.8.8/x", chap_password="s3cret-chap")
    assert "s3cret-chap" not in " ".join(map(str, storage.check(item)))


def test_a_file_volume_is_a_file_with_external_snapshots():
    disk = storage.disk(volume("file", "/v.qcow2"), StorageFacts(formats={"/v.qcow2": "raw"}))
    assert (disk.disk_type, disk.driver_type, disk.snapshot) == ("file", "raw", "external")
    assert etree.tostring(disk.source, encoding="unicode") == '<source file="/v.qcow2"/>'


def test_a_block_device_is_one_for_volumes_and_cds():
    facts = StorageFacts(formats={"/dev/vg/lv": "qcow2"}, block_devices=frozenset({"/dev/vg/lv"}))
    disk, drive = (storage.disk(item, facts) for item in (volume("file", "/dev/vg/lv"), cdrom("/dev/vg/lv")))
    assert (disk.disk_type, disk.driver_type, disk.snapshot) == ("block", "qcow2", "external")
    assert (drive.disk_type, drive.driver_type) == ("block", "raw")
    for source in (disk.source, drive.source):
        assert etree.tostring(source, encoding="unicode") == '<source dev="/dev/vg/lv"/>'
        libvirt_schema().assertValid(domain_with(disk))


def test_a_format_that_is_given_is_not_the_files_to_say():
    disk = storage.disk(volume("file", "/v", format="raw"), StorageFacts(formats={"/v": "qcow2"}))
    assert disk.driver_type == "raw"


def test_a_file_that_was_not_asked_counts_as_qcow2():
    assert storage.disk(volume("file", "/v"), NOTHING_ASKED).driver_type == "qcow2"


def test_an_iso_file_is_raw():
    disk = storage.disk(cdrom("/iso"), StorageFacts(formats={"/iso": "qcow2"}))
    assert (disk.driver_type, disk.snapshot) == ("raw", None)


def test_a_ceph_volume_names_every_monitor_and_the_secret():
    assert source_text(ceph_volume("ceph://pool/image", secret_uuid=SECRET)) == (
        '<source protocol="rbd" name="pool/image">'
        '<host name="10.0.9.1" port="6789"/><host name="10.0.9.2" port="6790"/>'
        '<auth username="zstack"><secret type="ceph" uuid="%s"/></auth>'
        "</source>" % SECRET
    )


def test_without_a_secret_ceph_is_asked_without_cephx():
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


def test_a_lun_with_virtio_is_opened_by_qemu_shared_and_on_a_scsi_bus():
    disk = storage.disk(iscsi_volume("iscsi://[::1]/%s/2" % IQN), NOTHING_ASKED)
    assert (disk.disk_type, disk.device, disk.bus, disk.shareable) == ("network", "disk", "scsi", True)
    assert etree.tostring(disk.source, encoding="unicode") == (
        '<source protocol="iscsi" name="%s/2"><host name="::1" port="3260"/></source>' % IQN
    )


@pytest.mark.parametrize("host", ["iscsi-1", "san", "cluster.example", "i", "s", "c"])
def test_a_host_keeps_all_its_letters(host):
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


def test_fusionstor_is_an_export_on_a_unix_socket():
    item = volume("fusionstor", "fusionstor://pool/image")
    disk = storage.disk(item, StorageFacts(formats={"fusionstor://pool/image": "qcow2"}))
    assert disk.driver_type == "qcow2"
    assert etree.tostring(disk.source, encoding="unicode") == (
        '<source protocol="nbd" name="pool/image"><host transport="unix" socket="/tmp/nbd-socket"/></source>'
    )


def test_fusionstor_that_was_not_asked_counts_as_raw():
    assert storage.disk(volume("fusionstor", "fusionstor://pool/image"), NOTHING_ASKED).driver_type == "raw"


def test_fusionstor_exports_a_cd_under_the_name_of_its_image():
    assert 'name="bak/iso"' in source_text(cdrom("fusionstor://bak/iso@snap"))
