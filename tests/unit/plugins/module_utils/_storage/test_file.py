# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and block devices of the hypervisor as sources of libvirt disks."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import (
    NOTHING_ASKED,
    cdrom,
    domain_with,
    libvirt_schema,
    volume,
)
from lxml import etree


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


def test_a_given_format_overrides_that_of_the_file():
    disk = storage.disk(volume("file", "/v", format="raw"), StorageFacts(formats={"/v": "qcow2"}))
    assert disk.driver_type == "raw"


def test_a_file_of_unknown_format_counts_as_qcow2():
    assert storage.disk(volume("file", "/v"), NOTHING_ASKED).driver_type == "qcow2"


def test_an_iso_file_is_raw():
    disk = storage.disk(cdrom("/iso"), StorageFacts(formats={"/iso": "qcow2"}))
    assert (disk.driver_type, disk.snapshot) == ("raw", None)
