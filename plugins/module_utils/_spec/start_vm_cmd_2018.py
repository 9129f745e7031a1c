# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The StartVmCmd of ZStack 2.3.1 (2018): its fields, and the VM they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .document_fields import (
    BOOL,
    INT,
    MAPPING,
    TEXT,
    TEXTS,
    DocumentReader,
    Fields,
    Ignored,
    Nested,
    Option,
    Refused,
    Sent,
    Used,
)
from .start_vm_cmd_qos import put_limits
from .start_vm_cmd_today_fields import ADDONS as ADDONS_OF_TODAY
from .start_vm_cmd_today_fields import CHANNEL, NIC_QOS
from .start_vm_cmd_today_fields import NIC as NIC_OF_TODAY
from .start_vm_cmd_today_fields import VM as VM_OF_TODAY
from .start_vm_cmd_today_fields import VOLUME as VOLUME_OF_TODAY

_NO_EFFECT = "no effect in ZStack's agent"
OF_TODAY = "only documents with bootMode, cdRoms or machineType can have it"


def _with_todays(fields: Fields, todays: Fields) -> Fields:
    """Return fields, and those of today's documents: one that would change the VM must not be overlooked."""
    others = {
        key: row if isinstance(row, (Ignored, Refused)) else Refused(OF_TODAY)
        for key, row in todays.items()
        if key not in fields
    }
    return {**fields, **others}


MONITOR: Fields = {"hostname": Option("hostname", required=True), "port": Option("port", INT)}

_OWN_VOLUME: Fields = {
    "installPath": Option("install_path", required=True),
    "deviceId": Option("device_id", INT),
    "deviceType": Option("device_type"),
    "volumeUuid": Option("volume_uuid"),
    "useVirtio": Option("use_virtio", BOOL),
    "useVirtioSCSI": Option("use_virtio_scsi", BOOL),
    "shareable": Option("shareable", BOOL),
    "cacheMode": Option("cache_mode"),
    "wwn": Option("wwn"),
    "monInfo": Nested("mon_info", MONITOR, many=True),
    "secretUuid": Option("secret_uuid"),
    "chapUsername": Option("chap_username"),
    "chapPassword": Option("chap_password"),
}
VOLUME = _with_todays(_OWN_VOLUME, VOLUME_OF_TODAY)

CDROM: Fields = {
    "path": Option("path", required=True),
    "imageUuid": Option("image_uuid"),
    "deviceId": Option("device_id", INT),
    "monInfo": Nested("mon_info", MONITOR, many=True),
    "secretUuid": Option("secret_uuid"),
}

_OWN_NIC: Fields = {
    "mac": Option("mac"),
    "ip": Option("ip"),
    "bridgeName": Option("bridge_name", required=True),
    "uuid": Option("uuid"),
    "nicInternalName": Option("nic_internal_name"),
    "deviceId": Option("device_id", INT),
    "useVirtio": Ignored("the VM's useVirtio decides"),
}
NIC = _with_todays(_OWN_NIC, NIC_OF_TODAY)

VOLUME_QOS: Fields = {"totalBandwidth": Option("total_bandwidth", INT), "totalIops": Option("total_iops", INT)}

_OWN_ADDONS: Fields = {
    "channel": Nested("channels", CHANNEL, many=True, lone=True),
    "VolumeQos": Used(MAPPING, ("root_volume.qos", "data_volumes.qos"), "limits by UUID; 0 and -1 mean none"),
    "NicQos": Used(MAPPING, ("nics.qos",), "limits by UUID; 0 and -1 mean none"),
    "ceph_secret_uuid": Used(TEXT, ("ceph_secret.uuid",), "with ceph_secret_key"),
    "ceph_secret_key": Used(TEXT, ("ceph_secret.key",), "with ceph_secret_uuid"),
    "pciDevice": Option("pci_devices", TEXTS),
    "usbDevice": Option("usb_devices", TEXTS),
    "qemuPath": Option("emulator"),
}
ADDONS = _with_todays(_OWN_ADDONS, ADDONS_OF_TODAY)

_OWN_VM: Fields = {
    "vmInstanceUuid": Option("uuid", required=True),
    "vmName": Option("name", required=True),
    "vmInternalId": Option("internal_id", INT),
    "hostManagementIp": Option("host_management_ip"),
    "memory": Option("memory", INT, required=True),
    "maxMemory": Ignored(_NO_EFFECT),
    "cpuNum": Option("cpu_num", INT, required=True),
    "socketNum": Option("socket_num", INT),
    "cpuOnSocket": Option("cpu_on_socket", INT),
    "cpuSpeed": Option("cpu_speed", INT),
    "useNuma": Option("use_numa", BOOL),
    "nestedVirtualization": Option("nested_virtualization"),
    "kvmHiddenState": Option("kvm_hidden_state", BOOL),
    "clock": Option("clock"),
    "bootDev": Option("boot_dev", TEXTS),
    "useBootMenu": Option("use_boot_menu", BOOL),
    "useVirtio": Option("use_virtio", BOOL),
    "rootVolume": Nested("root_volume", VOLUME, required=True),
    "dataVolumes": Nested("data_volumes", VOLUME, many=True),
    "bootIso": Nested("boot_iso", CDROM, many=True),
    "nics": Nested("nics", NIC, many=True),
    "consoleMode": Option("console_mode"),
    "consolePassword": Option("console_password"),
    "videoType": Option("video_type", note="cirrus, which ZStack sends if nobody chose a card, is left out"),
    "VDIMonitorNumber": Option("vdi_monitor_number", INT),
    "spiceStreamingMode": Option("spice_streaming_mode"),
    "usbRedirect": Option("usb_redirect", BOOL),
    "timeout": Option("timeout", INT),
    "instanceOfferingOnlineChange": Ignored(_NO_EFFECT),
    "addons": Nested("", ADDONS),
}
VM = _with_todays(_OWN_VM, VM_OF_TODAY)


def convert(document: Mapping[Any, Any], reader: DocumentReader) -> dict[str, Any]:
    """Return the VM that a document of 2018 describes."""
    sent = reader.read(document, VM, "")
    vm = sent.options
    # Omitted, the host's own default applies.
    if vm.get("video_type") == "cirrus":
        del vm["video_type"]
    addons = sent.get("addons")
    if addons is not None:
        vm.update(addons.options)
        put_limits(addons, "VolumeQos", VOLUME_QOS, [sent.get("rootVolume"), *sent.all("dataVolumes")], reader)
        put_limits(addons, "NicQos", NIC_QOS, sent.all("nics"), reader)
        add_ceph_secret(addons, vm, reader)
    return vm


def add_ceph_secret(addons: Sent, vm: dict[str, Any], reader: DocumentReader) -> None:
    """Add the secret of which UUID and key are in the addons; one alone is a problem."""
    fields = {"ceph_secret_uuid": "uuid", "ceph_secret_key": "key"}
    if addons.given.isdisjoint(fields):
        return
    vm["ceph_secret"] = {option: addons.get(field) for field, option in fields.items() if addons.get(field) is not None}
    reader.problems.extend("%s is required" % addons.inner(field) for field in fields if field not in addons.given)
