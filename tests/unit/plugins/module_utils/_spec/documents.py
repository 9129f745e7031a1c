# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of ZStack: of 2018 (document, converted, problems) and of today (read, vm_of, problems_of)."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._spec import start_vm_cmd
from ansible_collections.zstack.kvm.plugins.module_utils._spec.document_fields import DocumentReader
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import StartVmCmdError, read_document

MINIMAL = {
    "vmInstanceUuid": "001f00d0000000000000000000000001",
    "vmName": "vm-1",
    "memory": 1073741824,
    "cpuNum": 2,
    "rootVolume": {"installPath": "/a"},
}


def document(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(MINIMAL), **fields}


def converted(**fields: Any) -> dict[str, Any]:
    read = read_document(document(**fields))
    assert (read.problems, read.warnings) == ([], [])
    return read.vm


def problems(*args: Any, **kwargs: Any) -> list[str]:
    try:
        return read_document(*args, **kwargs).problems
    except StartVmCmdError as error:
        return error.problems


PCI = {"type": "pci", "domain": "0x0000", "bus": "0x00", "slot": "0x1f", "function": "0x0"}
DRIVE = {"type": "drive", "controller": "0", "bus": "1", "target": "0", "unit": "3"}


def read(**fields: Any) -> tuple[dict[str, Any], DocumentReader]:
    reader = DocumentReader()
    volume = {"installPath": "/a", "deviceId": 0, "deviceType": "file", "useVirtio": True, "volumeUuid": "f0"}
    fewest = {"vmInstanceUuid": "0" * 32, "vmName": "vm", "memory": 1, "cpuNum": 1, "rootVolume": volume}
    return start_vm_cmd.converted({**fewest, "bootMode": "Legacy", **fields}, reader), reader


def vm_of(**fields: Any) -> dict[str, Any]:
    vm, reader = read(**fields)
    assert reader.problems == []
    return vm


def problems_of(**fields: Any) -> list[str]:
    return read(**fields)[1].problems


def root(**fields: Any) -> dict[str, Any]:
    return {"installPath": "/a", "deviceId": 0, "deviceType": "file", "useVirtio": True, "volumeUuid": "f0", **fields}
