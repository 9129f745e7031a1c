# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk names of a VM that is restored from a memory snapshot."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm

RECORDED = """<domain><devices>
  <disk><source file='/images/root'/><target dev='vda' bus='virtio'/></disk>
  <disk><source file='/other'/><serial>two</serial><target dev='vdc' bus='virtio'/></disk>
  <disk><source file='/images/1'/><target dev='vdf' bus='virtio'/></disk>
</devices></domain>"""
DATA = [
    {"install_path": "/images/1"},
    {"install_path": "/images/2", "serial": "two"},
    {"install_path": "/images/3", "device_id": 9},
]


def names(**options: Any) -> list[str]:
    vm = parsed_vm(root_volume={"install_path": "/images/root"}, data_volumes=DATA, cd_roms=[], **options)
    domain = build(vm, recorded_host("debian-12"), StorageFacts()).element
    return [target.get("dev") for target in domain.iterfind("devices/disk/target")]


def test_are_those_of_the_recorded_definition_by_serial_or_image() -> None:
    assert names(memory_snapshot="/memory", memory_snapshot_xml=RECORDED) == ["vda", "vdc", "vdf", "vdk"]


def test_are_the_usual_ones_without_a_snapshot() -> None:
    assert names(memory_snapshot_xml=RECORDED) == ["vda", "vdb", "vdd", "vdk"]
    assert names() == ["vda", "vdb", "vdd", "vdk"]


def test_a_definition_that_is_no_xml_is_a_problem() -> None:
    with pytest.raises(VmProblems, match="is not well-formed XML"):
        names(memory_snapshot="/memory", memory_snapshot_xml="<domain>")
