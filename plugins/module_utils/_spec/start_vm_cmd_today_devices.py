# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of today's StartVmCmd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from .document_fields import DocumentReader, Sent
from .option_values import whole_number
from .start_vm_cmd_qos import by_device, put_limits
from .start_vm_cmd_today_fields import NIC_QOS, VOLUME_QOS

_DEVICE_TYPES = ("file", "block", "ceph", "iscsi", "vhost")
_NO_DRIVER = {
    "cbd": "libvirt has no driver for cbd; move the volume to another storage",
    "quorum": "fault-tolerant (COLO) VMs cannot be started; use ZStack for them",
    "spool": "move the volume to another storage",
}
_NIC_TYPES = {
    "vDPA": "vDPA devices are not passed on; connect the NIC to a bridge, or use a VF",
    "dpdkvhostuserclient": "the NIC needs ZStack's Open vSwitch; connect it to a bridge",
    "TFVNIC": "the NIC needs Tungsten Fabric; connect it to a bridge",
    "MACVLAN": "connect the NIC to a bridge",
}
_QUEUE_SIZE = 1024
_FLOPPIES = tuple("/var/lib/zstack/virtio-drivers/virtio-win_%s.vfd" % arch for arch in ("x86", "amd64"))


def add_devices(sent: Sent, addons: Sent, is_aarch64: bool, vm: dict[str, Any], reader: DocumentReader) -> None:
    """Add what a document says about devices."""
    root = sent.get("rootVolume")
    volumes = [*([root] if root else []), *sent.all("dataVolumes")]
    for volume in volumes:
        _finish_volume(volume, volume is root, reader)
    put_limits(addons, "VolumeQos", VOLUME_QOS, volumes, reader)
    _add_native_aio(addons, volumes, reader)
    _add_drives(sent, addons, is_aarch64, vm, reader)
    for nic in sent.all("nics"):
        _finish_nic(nic, reader)
    put_limits(addons, "NicQos", NIC_QOS, sent.all("nics"), reader)
    _add_other_devices(sent, addons, is_aarch64, vm, reader)


def _finish_volume(volume: Sent, is_root: bool, reader: DocumentReader) -> None:
    options = volume.options
    kind = _device_type(volume, reader)
    is_scsi = bool(volume.get("useVirtioSCSI") or volume.get("useSCSI"))
    is_virtio = bool(volume.get("useVirtio")) and not is_scsi
    options["device_type"] = kind
    options.setdefault("use_virtio", False)
    if volume.get("useSCSI"):
        options["use_scsi"] = True
    if kind != "vhost":
        options["discard"] = "unmap"
        if volume.get("volumeUuid"):
            options["serial"] = volume.get("volumeUuid")
    elif volume.get("format"):
        options["format"] = volume.get("format")
    if is_root and volume.get("bootOrder", 0) > 0:
        options["boot_order"] = volume.get("bootOrder")
    if kind == "ceph" and volume.get("physicalBlockSize", 0) > 0:
        options["physical_block_size"] = volume.get("physicalBlockSize")
    if is_virtio and kind != "iscsi" and volume.get("multiQueues", 0) > 0:
        options["queues"] = volume.get("multiQueues")
    if (is_virtio or is_scsi) and volume.get("ioThreadId", 0) > 0:
        _add_io_thread(volume, kind, is_virtio, reader)
    if is_virtio and kind == "ceph" and options.pop("shareable", False):
        reader.warnings.append(
            "%s has no effect: a ceph volume on the virtio bus can be shared without it" % volume.inner("shareable")
        )
    if is_scsi and volume.get("controllerIndex", 0) > 0:
        options["controller_index"] = volume.get("controllerIndex")
    path, recovery, url = str(volume.get("installPath", "")).partition("?r=")
    if recovery:
        options.update(install_path=path, recovery_url=url)
    _add_secrets(volume, kind)
    address = _address(volume.get("deviceAddress"), reader)
    if address and (address.get("type") == "pci") == is_virtio:
        options["address"] = address


def _add_io_thread(volume: Sent, kind: str, is_virtio: bool, reader: DocumentReader) -> None:
    reason = None
    if kind == "vhost":
        reason = "the server of a vhost volume has threads of its own"
    elif kind == "iscsi" and is_virtio:
        reason = "ZStack's agent gives no IO thread to an iSCSI volume on the virtio bus"
    if reason is None:
        volume.options["io_thread"] = volume.get("ioThreadId")
    else:
        reader.warnings.append("%s has no effect: %s" % (volume.inner("ioThreadId"), reason))


def _device_type(volume: Sent, reader: DocumentReader) -> str:
    """Return the type of a volume; a path in /dev is a block device, whatever ZStack calls it."""
    kind = volume.get("deviceType")
    path = volume.inner("deviceType")
    if kind is None and "deviceType" not in volume.given:
        reader.problems.append("%s is required: one of %s" % (path, ", ".join(_DEVICE_TYPES)))
    elif kind in _NO_DRIVER:
        reader.problems.append("%s %s is not supported: %s" % (path, kind, _NO_DRIVER[kind]))
    elif kind is not None and kind not in _DEVICE_TYPES:
        reader.problems.append("%s must be one of %s" % (path, ", ".join(_DEVICE_TYPES)))
    is_device = str(volume.get("installPath", "")).startswith("/dev/")
    return "block" if is_device and kind == "file" else str(kind)


def _add_secrets(volume: Sent, kind: str) -> None:
    secret = volume.get("secretUuid")
    if volume.get("luksSecretUuid"):
        volume.options["luks_secret_uuid"] = volume.get("luksSecretUuid")
    elif secret and kind in ("file", "block"):
        volume.options["luks_secret_uuid"] = secret
    if secret and kind == "ceph":
        volume.options["secret_uuid"] = secret


def _add_native_aio(addons: Sent, volumes: list[Sent], reader: DocumentReader) -> None:
    for volume in _volumes_with_native_aio(addons, volumes, reader):
        if volume.options.get("device_type") == "vhost":
            continue
        if volume.get("cacheMode", "none") != "none":
            reader.warnings.append(
                "addons.NativeAio: %s has cacheMode %s, which native AIO does not work with: left out"
                % (volume.path, volume.get("cacheMode"))
            )
        else:
            volume.options["native_aio"] = True


def _volumes_with_native_aio(addons: Sent, volumes: list[Sent], reader: DocumentReader) -> list[Sent]:
    sent = addons.get("NativeAio")
    if isinstance(sent, Mapping):
        found = list(by_device(addons, "NativeAio", volumes, reader))
        named = [volume for volume, value, path in found if value is not None and reader.is_true(value, path)]
        return [volume for volume in named if volume is not None]
    is_for_all = sent is not None and reader.is_true(sent, addons.inner("NativeAio"))
    return volumes if is_for_all else []


def _address(sent: Optional[Sent], reader: DocumentReader) -> Optional[dict[str, Any]]:
    """Return a recorded address, None if there is none."""
    if sent is None or not sent.values:
        return None
    address: dict[str, Any] = {}
    for name, value in sent.values.items():
        number = value if name == "type" else _number(value)
        if number is None:
            reader.problems.append("%s must be a whole number, or the text of one" % sent.inner(name))
        else:
            address[name] = number
    if address.get("type") not in ("pci", "drive"):
        reader.problems.append("%s must be pci or drive" % sent.inner("type"))
        return None
    return address


def _number(value: Any) -> Optional[int]:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            return int(value, 16 if value.lower().startswith("0x") else 10)
        except ValueError:
            return None
    return value if isinstance(value, int) else None


def _add_drives(sent: Sent, addons: Sent, is_aarch64: bool, vm: dict[str, Any], reader: DocumentReader) -> None:
    if sent.get("isApplianceVm"):
        vm["cd_roms"] = []
        return
    for drive in sent.all("cdRoms"):
        _finish_drive(drive, reader)
    drives = vm.setdefault("cd_roms", [])
    if sent.get("fromForeignHypervisor") and not is_aarch64:
        known = {drive.get("deviceId") for drive in sent.all("cdRoms")}
        texts = str(addons.get("FIXED_CDROMS", "")).split(",")
        fixed = [number for number in (whole_number(text.strip()) for text in texts) if number is not None]
        drives.extend({"device_id": number} for number in fixed if number not in known)


def _finish_drive(drive: Sent, reader: DocumentReader) -> None:
    options = drive.options
    path = str(drive.get("path") or "")
    protocol = str(drive.get("protocol") or "").lower()
    is_ceph = path.startswith("ceph://")
    if not path:
        options.pop("path", None)
    if path and drive.get("isEmpty"):
        reader.problems.append("%s is true, but the drive has a path: remove one of them" % drive.inner("isEmpty"))
    elif not path and drive.get("isEmpty") is False:
        reader.problems.append("%s is false, but the drive has no path" % drive.inner("isEmpty"))
    if protocol == "cbd" or path.startswith("cbd:"):
        reader.problems.append(
            "%s is not supported: libvirt has no driver for cbd; put the image on another storage"
            % drive.inner("protocol" if protocol == "cbd" else "path")
        )
    elif protocol not in ("", "vhost", "iscsi"):
        reader.problems.append("%s must be one of Vhost, iSCSI" % drive.inner("protocol"))
    if path and protocol == "vhost":
        options["protocol"] = "vhost"
    if drive.get("bootOrder", 0) > 0:
        options["boot_order"] = drive.get("bootOrder")
    if drive.get("resourceUuid") and not is_ceph:
        options["serial"] = drive.get("resourceUuid")
    address = _address(drive.get("deviceAddress"), reader)
    if address and not is_ceph:
        options["address"] = address


def _finish_nic(nic: Sent, reader: DocumentReader) -> None:
    options = nic.options
    is_vf = _is_vf(nic, reader)
    if nic.get("bootOrder", 0) > 0:
        options["boot_order"] = nic.get("bootOrder")
    _add_link_state(nic, reader)
    if is_vf:
        options["pci_device_address"] = nic.get("pciDeviceAddress")
        if nic.get("vlanId"):
            options["vlan_id"] = nic.get("vlanId")
        return
    if nic.get("bridgeName"):
        options["bridge_name"] = nic.get("bridgeName")
    elif "bridgeName" not in nic.given:
        reader.problems.append("%s is required" % nic.inner("bridgeName"))
    model = nic.get("driverType") or ("virtio" if nic.get("useVirtio") else "e1000")
    options["model"] = model
    if nic.get("isolated") is not None:
        options["isolated"] = nic.get("isolated")
    if nic.get("mtu"):
        options["mtu"] = nic.get("mtu")
    if nic.get("cleanTraffic"):
        options["clean_traffic"] = True
        if nic.all("ips"):
            options["ips"] = nic.get("ips")
    _add_queues(nic, model)
    address = _address(nic.get("pci"), reader)
    if address:
        options["address"] = address


def _is_vf(nic: Sent, reader: DocumentReader) -> bool:
    kind = nic.get("type", "VNIC")
    if kind in _NIC_TYPES:
        reader.problems.append("%s %s is not supported: %s" % (nic.inner("type"), kind, _NIC_TYPES[kind]))
    elif kind not in ("VNIC", "VF"):
        reader.problems.append("%s must be VNIC or VF" % nic.inner("type"))
    elif kind == "VF" and "pciDeviceAddress" not in nic.given:
        reader.problems.append("%s is required for the type VF" % nic.inner("pciDeviceAddress"))
    return bool(nic.get("pciDeviceAddress"))


def _add_link_state(nic: Sent, reader: DocumentReader) -> None:
    state = nic.get("state", "enable")
    if state == "disable":
        nic.options["link_state"] = "down"
    elif state != "enable":
        reader.problems.append("%s must be enable or disable" % nic.inner("state"))


def _add_queues(nic: Sent, model: str) -> None:
    queues = nic.get("vHostAddOn")
    if model == "virtio" and queues is not None and queues.get("queueNum", 1) != 1:
        nic.options.update(
            queues=queues.get("queueNum"),
            rx_queue_size=queues.get("rxBufferSize", _QUEUE_SIZE),
            tx_queue_size=queues.get("txBufferSize", _QUEUE_SIZE),
        )


def _add_other_devices(sent: Sent, addons: Sent, is_aarch64: bool, vm: dict[str, Any], reader: DocumentReader) -> None:
    balloon = sent.get("memBalloon")
    address = _address(balloon.get("deviceAddress"), reader) if balloon is not None else None
    if address:
        vm["memory_balloon"] = {"address": address}
    if addons.get("channel_vr") is not None:
        vm.setdefault("channels", []).append(addons.get("channel_vr").options)
    for memory in addons.all("pciDevice.dgpu"):
        memory.options["name"] = str(memory.get("path", "")).rpartition("/")[2]
    drivers = addons.get("systemVirtioDriverDeviceType")
    if drivers not in (None, "VFD", "ISO"):
        reader.problems.append("%s must be VFD or ISO" % addons.inner("systemVirtioDriverDeviceType"))
    if is_aarch64:
        return
    if drivers == "VFD":
        vm["floppies"] = list(_FLOPPIES)
    panic = [name for field, name in (("panicHyperv", "hyperv"), ("panicIsa", "isa")) if addons.get(field)]
    if panic:
        vm["panic_devices"] = panic
