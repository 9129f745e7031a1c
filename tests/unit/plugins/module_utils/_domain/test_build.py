# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only raw volumes can be shared, whether the format is in the document or was read from the image."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

VOLUMES = [
    {"install_path": "/images/shared", "device_type": "file"},
    {"install_path": "fusionstor://pool/shared", "device_type": "fusionstor"},
]


def domain(volume: dict[str, Any], image_format: str) -> etree._Element:
    vm = parsed_vm(root_volume={**volume, "shareable": True})
    return build(vm, recorded_host("debian-12"), StorageFacts({volume["install_path"]: image_format})).element


@pytest.mark.parametrize("volume", VOLUMES, ids=lambda volume: volume["device_type"])
def test_a_qcow2_image_is_refused(volume: dict[str, Any]) -> None:
    with pytest.raises(VmProblems, match="is a qcow2 image, which cannot be shared"):
        domain(volume, "qcow2")


@pytest.mark.parametrize("volume", VOLUMES, ids=lambda volume: volume["device_type"])
def test_a_raw_image_is_shared(volume: dict[str, Any]) -> None:
    assert domain(volume, "raw").find("devices/disk/shareable") is not None
