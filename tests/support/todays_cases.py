# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Today's StartVmCmd documents, each with the domain that today's agent creates from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import DeviceSupport, Host
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import StartVmCmdError
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import vm_of_document
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.support.reference_cases import Case

TODAYS_CASES = Path(__file__).resolve().parent.parent / "fixtures" / "start_vm_cmd_today"


@dataclass(frozen=True)
class TodaysCase(Case):
    """One of today's documents."""

    directory: Path = TODAYS_CASES

    @property
    def facts(self) -> StorageFacts:
        """Return the formats in the document, which the agent found in the files, and which CDs are devices."""
        volumes = [self.document["rootVolume"], *self.document["dataVolumes"]]
        formats = {volume["installPath"]: volume["format"] for volume in volumes if "format" in volume}
        floppies = self.reference.iterfind("devices/disk[@device='floppy']/source")
        cds = [str(drive.get("path") or "") for drive in self.document.get("cdRoms") or ()]
        devices = frozenset(path for path in cds if path.startswith("/dev/"))
        images = frozenset(source.get("file") for source in floppies)
        return StorageFacts(formats, block_devices=devices, floppies=images)

    @property
    def host(self) -> Host:
        """Return a host of the kind that the agent ran on."""
        name = "el-8-aarch64" if self.arch == "aarch64" else "el-8"
        host = recorded_host(name, cgroup_version=1, emulator=self.document["addons"].get("qemuPath"))
        # Its graphics card has 128 GiB of memory.
        support = DeviceSupport(has_spice_tls=True, largest_gpu_bar=128 << 30)
        return host._replace(device_support=support, address_bits=48 if self.arch == "aarch64" else None)

    def refusals(self) -> list[str]:
        """Return the problems for which the filter refuses the document."""
        try:
            vm_of_document(self.document, "error")
        except StartVmCmdError as error:
            return error.problems
        return []


ALL_OF_TODAY = [
    TodaysCase(path.stem.rsplit(".", 1)[0], path.stem.rsplit(".", 1)[1]) for path in sorted(TODAYS_CASES.glob("*.json"))
]
