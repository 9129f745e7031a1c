# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A field that a later document of today's ZStack omits is drift: the run leaves the VM as if it had never been set."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._drift.normal_form import normalise_desired
from ansible_collections.zstack.kvm.plugins.module_utils._drift.omitted import with_omitted
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import Reconciled, reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._spec import start_vm_cmd_today_fields as tables
from ansible_collections.zstack.kvm.plugins.module_utils._spec.document_fields import (
    DocumentReader,
    Fields,
    Ignored,
    Nested,
    Refused,
)
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import converted
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.tests.support.document_variants import facts_of
from ansible_collections.zstack.kvm.tests.support.domain_meaning import meaning_of
from ansible_collections.zstack.kvm.tests.support.todays_cases import ALL_OF_TODAY
from lxml import etree

ROOT = "0" * 31 + "1"
DATA = "0" * 31 + "2"
NIC = "0" * 31 + "3"
PCI = {"type": "pci", "domain": "0x0000", "bus": "0x00", "slot": "0x0a", "function": "0x0"}
DRIVE = {"type": "drive", "controller": "0", "bus": "0", "target": "0", "unit": "7"}
MONITORS = [{"hostname": "10.0.0.1", "port": 6789}]


def volume(number: int, **fields: Any) -> dict[str, Any]:
    uuid = "%032x" % (number + 1)
    usual = {"installPath": "/%d.qcow2" % number, "deviceId": number, "deviceType": "file", "format": "qcow2"}
    return {**usual, "volumeUuid": uuid, "useVirtio": True, "cacheMode": "none", **fields}


def nic(**fields: Any) -> dict[str, Any]:
    usual = {"mac": "fa:00:00:00:00:01", "bridgeName": "br0", "uuid": NIC, "deviceId": 0, "driverType": "virtio"}
    return {**usual, "nicInternalName": "vnic1.0", "type": "VNIC", **fields}


DOCUMENT = {
    "vmInstanceUuid": "0" * 31 + "9",
    "vmName": "vm",
    "imageArchitecture": "x86_64",
    "memory": 1 << 30,
    "cpuNum": 2,
    "bootMode": "Legacy",
    "machineType": "pc",
    "rootVolume": volume(0),
    "dataVolumes": [],
    "cdRoms": [],
    "nics": [nic()],
    "memBalloon": {},
    "addons": {},
}


@dataclass(frozen=True)
class Row:
    """A field and its value, in a document with other fields as well, all by their paths."""

    path: str
    value: Any
    beside: Mapping[str, Any] = field(default_factory=dict)


Q35 = {"machineType": "q35"}
UEFI = {**Q35, "bootMode": "UEFI", "acpi": True}
CUSTOM = {"nestedVirtualization": "custom", "vmCpuModel": "Haswell"}
SPICE = {"consoleMode": "spice"}
NUMA = {"useNuma": True}
NODE = {"nodeID": 0, "cpus": "0-1", "memorySize": str(1 << 30)}
SCSI = {"rootVolume/useVirtioSCSI": True}
IO_THREAD = {"addons/ioThreadNum": 1, "addons/ioThreadPins": [{"ioThreadId": 1}]}
CEPH = {"rootVolume/deviceType": "ceph", "rootVolume/installPath": "ceph://pool/image", "rootVolume/monInfo": MONITORS}
CD = {"deviceId": 0, "path": "/cd.iso", "imageUuid": DATA}
QUEUES = {"queueNum": 2, "rxBufferSize": "256", "txBufferSize": "512"}
HYPERV = {"emulateHyperV": True, "clock": "localtime"}

REMOVED = (
    Row("vmInternalId", 7, {"nics/0/nicInternalName": "vnic1.0"}),
    Row("hostManagementIp", "10.0.0.1"),
    Row("maxVcpuNum", 64, NUMA),
    Row("socketNum", 2),
    Row("cpuOnSocket", 1),
    Row("threadsPerCore", 2, {"socketNum": 1}),
    Row("useNuma", True),
    Row("vmCpuQuota", 50000),
    Row("nestedVirtualization", "host-model"),
    Row("vmCpuVendorId", "AuthenticAMD", CUSTOM),
    Row("x2apic", False, CUSTOM),
    Row("cpuHypervisorFeature", False, CUSTOM),
    Row("kvmHiddenState", True),
    Row("vmPortOff", True),
    Row("pmu", False),
    Row("emulateHyperV", True),
    Row("hypervClock", True, HYPERV),
    Row("vendorId", "Microsoft Hv", HYPERV),
    Row("acpi", True),
    Row("clock", "localtime"),
    Row("clockTrack", "guest", {"clock": "localtime"}),
    Row("suspendToRam", True),
    Row("suspendToDisk", True),
    Row("bootMode", "UEFI", {**Q35, "acpi": True}),
    Row("secureBoot", True, UEFI),
    Row("nvRam", {"installPath": "/var/lib/libvirt/qemu/nvram/vm-host-files/vm.fd"}, {**UEFI, "secureBoot": True}),
    Row("machineType", "q35"),
    Row("useBootMenu", False),
    Row("bootMenuSplashTimeout", 3000),
    Row("dataVolumes", [volume(1)]),
    Row("cdRoms", [{"deviceId": 0, "isEmpty": True}]),
    Row("nics", [nic()]),
    Row("systemSerialNumber", "a-b", {"guestOsType": "Ubuntu"}),
    Row("systemSerialNumber", "a-b"),
    Row("chassisAssetTag", "tag", {"systemSerialNumber": "a-b"}),
    Row("oemStrings", ["one"], {"systemSerialNumber": "a-b"}),
    Row("guestOsType", "Ubuntu"),
    Row("priorityConfigStruct", {"cpuShares": 512}),
    Row("priorityConfigStruct/cpuShares", 512, {"priorityConfigStruct": {}}),
    Row("consoleMode", "spice"),
    Row("consolePassword", "secret"),
    Row("videoType", "vga"),
    Row("VDIMonitorNumber", 2, {**SPICE, "videoType": "qxl"}),
    Row("soundType", "ac97", SPICE),
    Row("spiceStreamingMode", "all", SPICE),
    Row("spiceChannels", ["main"], SPICE),
    Row("usbRedirect", True, SPICE),
    Row("addons", {"channel": {"socketPath": "/run/a", "targetName": "b"}}),
    Row("MemAccess", "shared"),
    Row("useHugePage", True),
    Row("noSharePages", True),
    Row("additionalQmp", True),
    Row("isApplianceVm", True),
    Row("consoleLogToFile", True),
    Row("qemu64BitPciMmioSetup", True, {**UEFI, "additionalQmp": True}),
    Row("fromForeignHypervisor", True, {"addons/FIXED_CDROMS": "0"}),
    # Disks
    Row("rootVolume/useVirtio", True),
    Row("rootVolume/useVirtioSCSI", True),
    Row("rootVolume/useSCSI", True),
    Row("rootVolume/shareable", True, {"rootVolume/format": "raw"}),
    Row("rootVolume/cacheMode", "writeback"),
    Row("rootVolume/wwn", "0x000f9f053ffeea59", SCSI),
    Row("rootVolume/bootOrder", 1),
    Row("rootVolume/physicalBlockSize", 4096, CEPH),
    Row("rootVolume/multiQueues", "4"),
    Row("rootVolume/ioThreadId", 1, IO_THREAD),
    Row("rootVolume/secretUuid", ROOT, CEPH),
    Row("rootVolume/secretUuid", ROOT),
    Row("rootVolume/luksSecretUuid", ROOT),
    Row("rootVolume/volumeUuid", ROOT),
    # CD drives
    Row("cdRoms/0/path", "/cd.iso", {"cdRoms": [{"deviceId": 0}]}),
    Row("cdRoms/0/bootOrder", 1, {"cdRoms": [CD]}),
    Row("cdRoms/0/resourceUuid", DATA, {"cdRoms": [CD]}),
    Row("cdRoms/0/protocol", "Vhost", {"cdRoms": [CD], "MemAccess": "shared"}),
    Row("cdRoms/0/secretUuid", DATA, {"cdRoms": [{**CD, "path": "ceph://pool/image@a", "monInfo": MONITORS}]}),
    # NICs
    Row("nics/0/cleanTraffic", True, {"nics/0/ips": ["10.0.0.2"]}),
    Row("nics/0/ips", ["10.0.0.2"], {"nics/0/cleanTraffic": True}),
    Row("nics/0/driverType", "e1000", {"nics/0/useVirtio": True}),
    Row("nics/0/useVirtio", True, {"nics": [{**nic(), "driverType": None}]}),
    Row("nics/0/vHostAddOn", QUEUES),
    *(Row("nics/0/vHostAddOn/" + name, "256", {"nics/0/vHostAddOn": {"queueNum": 2}}) for name in list(QUEUES)[1:]),
    Row("nics/0/vHostAddOn/queueNum", 2, {"nics/0/vHostAddOn": {}}),
    Row("nics/0/bootOrder", 1),
    Row("nics/0/mtu", 9000),
    Row("nics/0/state", "disable"),
    Row("nics/0/vlanId", "100", {"nics/0/type": "VF", "nics/0/pciDeviceAddress": "0000:5e:02.1"}),
    Row("nics/0/pciDeviceAddress", "0000:5e:02.1", {"nics/0/mtu": 9000, "nics/0/vHostAddOn": {"queueNum": 2}}),
    Row("nics/0/isolated", True),
    # Addons
    Row("addons/channel_vr", {"socketPath": "/run/a", "targetName": "b"}),
    Row("addons/channel", {"socketPath": "/run/a", "targetName": "b"}),
    Row("addons/VolumeQos", {ROOT: {"totalBandwidth": 1 << 20, "readIOPS": 100}}),
    *(
        Row("addons/VolumeQos/%s/%s" % (ROOT, name), 1 << 20, {"addons/VolumeQos": {ROOT: {}}})
        for name in tables.VOLUME_QOS
    ),
    Row("addons/NicQos", {NIC: {"outboundBandwidth": 1 << 20}}),
    *(Row("addons/NicQos/%s/%s" % (NIC, name), 1 << 20, {"addons/NicQos": {NIC: {}}}) for name in tables.NIC_QOS),
    Row("addons/NativeAio", {ROOT: True}),
    Row("addons/usbDevice", ["1:2:1d6b:0002:2.0:PassThrough:-1:-1"]),
    Row("addons/pciDevice", ["0000:03:00.0,%s" % DATA]),
    Row("addons/mdevDevice", [DATA]),
    Row("addons/pciDevice.dgpu", [{"path": "/dev/shm/frames", "size": 1 << 20}]),
    Row("addons/storageDevice", [{"installPath": "/dev/disk/by-id/scsi-1", "deviceId": 3, "deviceType": "scsilun"}]),
    Row("addons/systemVirtioDriverDeviceType", "VFD"),
    Row("addons/panicIsa", True),
    Row("addons/panicHyperv", True),
    Row("addons/onCrash", "restart"),
    Row("addons/ioThreadNum", 2),
    Row("addons/ioThreadPins", [{"ioThreadId": 1, "pin": "0"}], {"addons/ioThreadNum": 1}),
    Row("addons/ioThreadPins/0/pin", "0", IO_THREAD),
    Row("addons/cpuPinning", [{"vCpu": 0, "pCpuSet": "0"}]),
    Row("addons/emulatorPinning", "0"),
    Row("addons/numaNodes", [{**NODE, "hostNodeID": 0}]),
    Row("addons/numaNodes/0/distance", ["10"], {"addons/numaNodes": [NODE]}),
    Row("addons/numaNodes/0/hostNodeID", 0, {"addons/numaNodes": [NODE]}),
    Row("addons/qemuPath", "/usr/bin/qemu"),
    Row("addons/loaderRom", "/rom.bin"),
    Row("addons/noConsole", True),
    Row("addons/FIXED_CDROMS", "0", {"fromForeignHypervisor": True}),
    Row(
        "dataVolumes/0/controllerIndex",
        2,
        {"dataVolumes": [volume(1, useVirtioSCSI=True, ioThreadId=1)], **IO_THREAD},
    ),
)
# What stays, and the row in the documentation of deviations.
KEPT = {
    "an address": (
        Row("rootVolume/deviceAddress", PCI),
        Row("cdRoms/0/deviceAddress", {**DRIVE, "unit": "1"}, {"cdRoms": [CD]}),
        Row("nics/0/pci", PCI),
        Row("memBalloon", {"deviceAddress": PCI}),
        Row("memBalloon/deviceAddress", PCI),
        Row("imagePlatform", "Other", {"rootVolume/useVirtio": False}),
    ),
    "a controller": (
        Row("pciePortNums", 29, Q35),
        Row("predefinedPciBridgeNum", 1),
    ),
    "the memory of a qxl card": tuple(
        Row("qxlMemory" + name, value, {**SPICE, "videoType": "qxl", "qxlMemory": {}})
        for name, value in [("", {"ram": "131072"}), *(("/" + each, "131072") for each in tables.QXL_MEMORY)]
    ),
    "a TPM": (Row("tpm", {}, UEFI), Row("tpm/secretUuid", ROOT, {**UEFI, "tpm": {}})),
}
# Every document has these fields.
ALWAYS = frozenset(
    "vmInstanceUuid vmName imageArchitecture memory cpuNum rootVolume installPath deviceId deviceType mac bridgeName"
    " uuid nicInternalName hostname monInfo socketPath targetName ioThreadId vCpu pCpuSet nodeID cpus memorySize"
    " vmCpuModel size".split()
)
# Not in the definition: fields that are about the start, or are only checked.
NOT_IN_A_DEFINITION = frozenset(
    "architecture timeout createPaused memorySnapshotPath vmXml oomScoreAdj ceph_secret_uuid ceph_secret_key format"
    " chapUsername chapPassword isEmpty imageUuid type".split()
)


def document(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usual document with these C(fields), by their paths, and without those that are None."""
    changed: dict[str, Any] = copy.deepcopy(DOCUMENT)
    for path, value in fields.items():
        *outer, name = path.split("/")
        part: Any = changed
        for step in outer:
            part = part[int(step)] if isinstance(part, list) else part[step]
        part[name] = copy.deepcopy(value)
    return changed


def built(fields: Mapping[str, Any]) -> tuple[Vm, etree._Element]:
    described, reader = document(fields), DocumentReader()
    parsed, problems = parse_vms([converted(described, reader)])
    assert [*reader.problems, *problems] == []
    case = next(case for case in ALL_OF_TODAY if case.arch == "x86_64")
    facts = facts_of(described)._replace(floppies=frozenset(parsed[0].floppies))
    return parsed[0], build(parsed[0], case.host, facts).element


def later(row: Row) -> tuple[Reconciled, etree._Element]:
    """Return the domain of a VM after its document no longer has a field, and the desired domain of that document."""
    vm, without = built({**row.beside, row.path: None})
    existing = built({**row.beside, row.path: row.value})[1]
    normalise_desired(existing)
    return reconcile(with_omitted(without, vm, existing), existing), without


def meaning(domain: etree._Element) -> dict[str, str]:
    """Return the meaning of a domain, without its controllers, which stay."""
    whole = meaning_of(domain, "x86_64")
    return {path: value for path, value in whole.items() if not path.startswith("/devices/controller")}


def name_of(row: Row) -> str:
    return "%s %s" % (row.path, " ".join(row.beside))


@pytest.mark.parametrize("row", REMOVED, ids=name_of)
def test_a_field_that_a_later_document_does_not_have_is_removed(row: Row) -> None:
    found, without = later(row)
    assert found.differences != ()
    expected = copy.deepcopy(without)
    normalise_desired(expected)
    assert meaning(found.merged) == meaning(expected)


@pytest.mark.parametrize("row", [row for rows in KEPT.values() for row in rows], ids=name_of)
def test_what_the_deviations_name_is_kept(row: Row) -> None:
    assert later(row)[0].differences == ()


def _fields(fields: Fields) -> Iterator[str]:
    for name, row in fields.items():
        if not isinstance(row, (Ignored, Refused)):
            yield name
        if isinstance(row, Nested):
            yield from _fields(row.fields)


def test_every_field_is_covered() -> None:
    """Except for those of addresses, which are compared as a whole."""
    rows = [*REMOVED, *(row for rows in KEPT.values() for row in rows)]
    looked_at = {step for row in rows for step in row.path.split("/")}
    fields = {*_fields(tables.VM), *tables.VOLUME_QOS, *tables.NIC_QOS} - set(tables.ADDRESS) - {"port", "path"}
    assert fields - looked_at - ALWAYS - NOT_IN_A_DEFINITION == set()
