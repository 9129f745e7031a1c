# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a VM, as an argument spec: the only description of what a caller may write.

Defaults are those of ZStack's agent. An option without one is C(None) when it is omitted; what that
means is in the option's documentation (C(doc_fragments/vm.py)), which a test compares with this.
"""

from __future__ import annotations

from typing import Any

from .machine_options import MACHINE_ARGUMENT_SPEC

_MONITOR = {
    "hostname": {"type": "str", "required": True},
    "port": {"type": "int", "default": 6789},
}

# Of a device in the guest. Numbers are of the guest's PCI buses, or of a drive controller.
ADDRESS = {
    "type": {"type": "str", "choices": ["pci", "drive"], "required": True},
    **{name: {"type": "int"} for name in ("domain", "bus", "slot", "function", "controller", "target", "unit")},
}

# The features of an image in ceph that can be chosen when it is created.
RBD_FEATURES = ("layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten", "journaling")

# How a volume that does not exist is created.
CREATE: dict[str, dict[str, Any]] = {
    "size": {"type": "bytes"},
    "image": {"type": "str"},
    "image_format": {"type": "str", "choices": ["raw", "qcow2"]},
    "linked": {"type": "bool", "default": False},
    "format": {"type": "str", "choices": ["raw", "qcow2"]},
    "preallocation": {"type": "str", "choices": ["off", "metadata", "falloc", "full"], "default": "off"},
    "features": {"type": "list", "elements": "str", "choices": list(RBD_FEATURES)},
}

_VOLUME: dict[str, dict[str, Any]] = {
    "install_path": {"type": "str", "required": True},
    "device_id": {"type": "int"},
    "device_type": {
        "type": "str",
        "choices": ["file", "block", "ceph", "iscsi", "vhost", "fusionstor"],
        "default": "file",
    },
    "volume_uuid": {"type": "str"},
    "use_virtio": {"type": "bool", "default": True},
    "use_virtio_scsi": {"type": "bool", "default": False},
    "use_scsi": {"type": "bool", "default": False},
    "shareable": {"type": "bool", "default": False},
    "cache_mode": {"type": "str", "choices": ["none", "writethrough", "writeback"], "default": "none"},
    "wwn": {"type": "str"},
    "mon_info": {"type": "list", "elements": "dict", "default": [], "options": _MONITOR},
    "secret_uuid": {"type": "str", "no_log": False},
    "chap_username": {"type": "str"},
    "chap_password": {"type": "str", "no_log": True},
    "format": {"type": "str", "choices": ["raw", "qcow2"]},
    "create": {"type": "dict", "options": CREATE},
    "serial": {"type": "str"},
    "boot_order": {"type": "int"},
    "address": {"type": "dict", "options": ADDRESS},
    "controller_index": {"type": "int"},
    "discard": {"type": "str", "choices": ["unmap", "ignore"]},
    "native_aio": {"type": "bool", "default": False},
    "queues": {"type": "int"},
    "io_thread": {"type": "int"},
    "physical_block_size": {"type": "int"},
    "luks_secret_uuid": {"type": "str", "no_log": False},
    "recovery_url": {"type": "str"},
    "qos": {
        "type": "dict",
        "options": {
            "read_bandwidth": {"type": "bytes"},
            "write_bandwidth": {"type": "bytes"},
            "total_bandwidth": {"type": "bytes"},
            "read_iops": {"type": "int"},
            "write_iops": {"type": "int"},
            "overall_iops": {"type": "int"},
            "total_iops": {"type": "int"},
        },
    },
}

_CDROM = {
    "path": {"type": "str", "required": True},
    "image_uuid": {"type": "str"},
    "device_id": {"type": "int"},
    "mon_info": {"type": "list", "elements": "dict", "default": [], "options": _MONITOR},
    "secret_uuid": {"type": "str", "no_log": False},
}

_CD_DRIVE = {
    **_CDROM,
    "path": {"type": "str"},
    "protocol": {"type": "str", "choices": ["vhost"]},
    "boot_order": {"type": "int"},
    "serial": {"type": "str"},
    "address": {"type": "dict", "options": ADDRESS},
}

_SCSI_LUN = {
    "path": {"type": "str", "required": True},
    "device_id": {"type": "int"},
    "sgio": {"type": "str", "choices": ["filtered", "unfiltered"], "default": "filtered"},
    "boot_order": {"type": "int"},
    "address": {"type": "dict", "options": ADDRESS},
}

_NIC = {
    "bridge_name": {"type": "str"},
    "network_name": {"type": "str"},
    "bridge_type": {"type": "str", "choices": ["linux", "openvswitch"], "default": "linux"},
    "interface_id": {"type": "str"},
    "vlan_id": {"type": "int"},
    "mac": {"type": "str"},
    "ip": {"type": "str", "default": ""},
    "ips": {"type": "list", "elements": "str", "default": []},
    "clean_traffic": {"type": "bool"},
    "model": {
        "type": "str",
        "choices": ["virtio", "e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139", "vmxnet3"],
    },
    "mtu": {"type": "int"},
    "link_state": {"type": "str", "choices": ["up", "down"], "default": "up"},
    "queues": {"type": "int", "default": 1},
    "rx_queue_size": {"type": "int"},
    "tx_queue_size": {"type": "int"},
    "isolated": {"type": "bool"},
    "pci_device_address": {"type": "str"},
    "address": {"type": "dict", "options": ADDRESS},
    "uuid": {"type": "str"},
    "nic_internal_name": {"type": "str"},
    "device_id": {"type": "int"},
    "boot_order": {"type": "int"},
    "qos": {
        "type": "dict",
        "options": {
            "inbound_bandwidth": {"type": "bits"},
            "outbound_bandwidth": {"type": "bits"},
        },
    },
}

# A volume without a VM.
VOLUME_ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **{name: _VOLUME[name] for name in ("install_path", "mon_info", "secret_uuid", "format", "create")},
    "device_type": {"type": "str", "choices": ["file", "ceph"], "default": "file"},
}

VM_ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "uuid": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "memory": {"type": "bytes", "required": True},
    "cpu_num": {"type": "int", "required": True},
    "root_volume": {"type": "dict", "required": True, "options": _VOLUME},
    "internal_id": {"type": "int"},
    "host_management_ip": {"type": "str"},
    "cpu_speed": {"type": "int", "default": 1},
    "socket_num": {"type": "int"},
    "cpu_on_socket": {"type": "int"},
    "use_numa": {"type": "bool", "default": False},
    "nested_virtualization": {
        "type": "str",
        "choices": ["none", "host-model", "host-passthrough", "custom"],
        "default": "none",
    },
    "kvm_hidden_state": {"type": "bool", "default": False},
    "clock": {"type": "str", "choices": ["utc", "localtime"], "default": "utc"},
    "boot_dev": {"type": "list", "elements": "str", "choices": ["hd", "cdrom", "network"], "default": ["hd"]},
    "use_boot_menu": {"type": "bool", "default": True},
    "use_virtio": {"type": "bool", "default": True},
    "data_volumes": {"type": "list", "elements": "dict", "default": [], "options": _VOLUME},
    "boot_iso": {"type": "list", "elements": "dict", "default": [], "options": _CDROM},
    "cd_roms": {"type": "list", "elements": "dict", "options": _CD_DRIVE},
    "floppies": {"type": "list", "elements": "str", "default": []},
    "scsi_luns": {"type": "list", "elements": "dict", "default": [], "options": _SCSI_LUN},
    "image_platform": {
        "type": "str",
        "choices": ["Linux", "Windows", "WindowsVirtio", "Paravirtualization", "Other"],
    },
    "create_paused": {"type": "bool", "default": False},
    "memory_snapshot": {"type": "str"},
    "memory_snapshot_xml": {"type": "str"},
    "nics": {"type": "list", "elements": "dict", "default": [], "options": _NIC},
    "console_mode": {"type": "str", "choices": ["vnc", "spice", "vnc_and_spice", "none"], "default": "vnc"},
    "console_password": {"type": "str", "no_log": True},
    "console_listen": {"type": "str"},
    "video_type": {"type": "str", "choices": ["cirrus", "vga", "qxl", "virtio"]},
    "aarch64_video_type": {"type": "str", "choices": ["cirrus", "vga", "qxl", "virtio"], "default": "virtio"},
    "qxl_memory": {
        "type": "dict",
        "options": {"ram": {"type": "int"}, "vram": {"type": "int"}, "vgamem": {"type": "int"}},
    },
    "vdi_monitor_number": {"type": "int", "default": 1},
    "spice_streaming_mode": {"type": "str", "choices": ["off", "all", "filter"], "default": "off"},
    "spice_clipboard": {"type": "bool", "default": False},
    "spice_file_transfer": {"type": "bool", "default": False},
    "spice_webdav": {"type": "bool", "default": False},
    "spice_secure_channels": {
        "type": "list",
        "elements": "str",
        "choices": ["main", "display", "inputs", "cursor", "playback", "record", "smartcard", "usbredir"],
    },
    "sound_type": {
        "type": "str",
        "choices": ["ich6", "ich9", "ac97", "es1370", "sb16", "pcspk", "usb"],
        "default": "ich6",
    },
    "console_log": {"type": "bool", "default": False},
    "usb_redirect": {"type": "bool", "default": False},
    "separate_usb_redirection": {"type": "bool", "default": False},
    "appliance": {"type": "bool", "default": False},
    "additional_qmp": {"type": "bool", "default": False},
    "memory_balloon": {
        "type": "dict",
        "options": {
            "enabled": {"type": "bool", "default": True},
            "address": {"type": "dict", "options": ADDRESS},
        },
    },
    "channels": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "socket_path": {"type": "str", "required": True},
            "target_name": {"type": "str", "required": True},
        },
    },
    "pci_devices": {"type": "list", "elements": "str", "default": []},
    "pci_64bit_window": {"type": "bool", "default": False},
    "mdev_devices": {"type": "list", "elements": "str", "default": []},
    "shared_memory": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "size": {"type": "bytes", "required": True},
        },
    },
    "usb_devices": {"type": "list", "elements": "str", "default": []},
    "ceph_secret": {
        "type": "dict",
        "no_log": False,
        "options": {
            "uuid": {"type": "str", "required": True},
            "key": {"type": "str", "required": True, "no_log": True},
        },
    },
    "cloud_init": {
        "type": "dict",
        "options": {
            "user_data": {"type": "raw", "no_log": True},
            "meta_data": {"type": "dict", "no_log": True},
            "network_config": {"type": "dict", "no_log": True},
        },
    },
    "emulator": {"type": "str"},
    "timeout": {"type": "int", "default": 60},
    "start_order": {"type": "int"},
    "domain_type": {"type": "str", "choices": ["kvm", "qemu"], "default": "kvm"},
    "arch": {"type": "str", "choices": ["x86_64", "aarch64"]},
    "machine": {"type": "str"},
    "firmware": {"type": "str", "choices": ["bios", "uefi", "uefi_with_csm"]},
    **MACHINE_ARGUMENT_SPEC,
    "security_label": {"type": "str", "choices": ["none", "default"], "default": "none"},
    "omitted_settings": {"type": "str", "choices": ["keep", "remove"], "default": "keep"},
    "autostart": {"type": "bool"},
    "domain_patches": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "action": {"type": "str", "choices": ["set", "add", "remove", "replace"], "required": True},
            "xpath": {"type": "str", "required": True},
            "value": {"type": "str"},
            "no_log": {"type": "bool", "default": False},
        },
    },
    "wait_for": {
        "type": "str",
        "choices": ["running", "console", "guest_agent", "address", "cloud_init"],
        "default": "console",
    },
}
