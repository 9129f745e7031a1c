# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FusionStor images as sources of libvirt disks."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import (
    NOTHING_ASKED,
    cdrom,
    source_text,
    volume,
)
from lxml import etree


def test_fusionstor_is_an_export_on_a_unix_socket():
    item = volume("fusionstor", "fusionstor://pool/image")
    disk = storage.disk(item, StorageFacts(formats={"fusionstor://pool/image": "qcow2"}))
    assert disk.driver_type == "qcow2"
    assert etree.tostring(disk.source, encoding="unicode") == (
        '<source protocol="nbd" name="pool/image"><host transport="unix" socket="/tmp/nbd-socket"/></source>'
    )


def test_a_fusionstor_image_of_unknown_format_counts_as_raw():
    assert storage.disk(volume("fusionstor", "fusionstor://pool/image"), NOTHING_ASKED).driver_type == "raw"


def test_fusionstor_exports_a_cd_under_the_name_of_its_image():
    assert 'name="bak/iso"' in source_text(cdrom("fusionstor://bak/iso@snap"))
