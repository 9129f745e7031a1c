# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded StartVmCmd documents, each with the domain that ZStack's agent creates from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import Host
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import vm_of_document
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from lxml import etree

CASES = Path(__file__).resolve().parent.parent / "fixtures" / "start_vm_cmd"


@dataclass(frozen=True)
class Case:
    """One document, and the reference domain for a host of C(arch)."""

    name: str
    arch: str
    directory: Path = CASES

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """Return the StartVmCmd."""
        return json.loads((self.directory / ("%s.%s.json" % (self.name, self.arch))).read_text())

    @property
    def reference(self) -> etree._Element:
        """Return the domain that ZStack's agent creates; a new copy each time."""
        return etree.parse(str(self.directory / ("%s.%s.xml" % (self.name, self.arch)))).getroot()

    @property
    def facts(self) -> StorageFacts:
        """Return the formats that the agent found in the files."""
        disks = [disk for disk in self.reference.iterfind("devices/disk[source]") if disk.find("source").get("file")]
        return StorageFacts({disk.find("source").get("file"): disk.find("driver").get("type") for disk in disks})

    @property
    def host(self) -> Host:
        """Return a host of the kind that the agent ran on."""
        name = "el-7-aarch64" if self.arch == "aarch64" else "el-7"
        return recorded_host(name, cgroup_version=1, emulator=self.document["addons"].get("qemuPath"))

    def vm(self, **options: Any) -> Vm:
        """Return the document as a VM, with more options of the module."""
        entry, _warnings = vm_of_document(self.document, "error")
        parsed, problems = parse_vms([{**entry, **options}])
        assert not problems, [str(problem) for problem in problems]
        return parsed[0]

    def build(self) -> DesiredDomain:
        """Build our domain on the agent's host."""
        return build(self.vm(), self.host, self.facts)


ALL_CASES = [Case(path.stem.rsplit(".", 1)[0], path.stem.rsplit(".", 1)[1]) for path in sorted(CASES.glob("*.json"))]
