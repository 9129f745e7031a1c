# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of today's StartVmCmd: ZSphere 1.0, and ZStack Cloud 5.4 and 5.5."""

from __future__ import annotations

from .document_fields import ANY, BOOL, INT, MAPPING, TEXT, TEXTS, Fields, Ignored, Nested, Option, Refused, Used

_NO_EFFECT = "no effect in ZStack's agent"
_COLO = "fault-tolerant (COLO) VMs cannot be started; use ZStack for them"
_XDRAGON = "hosts of this kind (XDragon) have networks of their own; connect the NIC to a bridge"
_NO_CODE = "a document cannot change the domain beyond its options; use domain_patches"

MONITOR: Fields = {"hostname": Option("hostname", required=True), "port": Option("port", INT)}

# An address is text; its numbers are hexadecimal with 0x.
ADDRESS: Fields = {
    "type": Used(TEXT, ("address.type",), "pci or drive"),
    **{
        name: Used(ANY, ("address." + name,), "decimal, or hexadecimal with 0x")
        for name in ("domain", "bus", "slot", "function", "controller", "target", "unit")
    },
}

VOLUME: Fields = {
    "installPath": Option("install_path", required=True, note="what follows ?r= is recovery_url"),
    "deviceId": Option("device_id", INT),
    "deviceType": Used(
        TEXT,
        ("device_type",),
        "file (with a path in /dev: block), block, ceph, iscsi, vhost; cbd, quorum, spool and others are refused",
    ),
    "volumeUuid": Option("volume_uuid", note="serial too, except of vhost"),
    "useVirtio": Option("use_virtio", BOOL),
    "useVirtioSCSI": Option("use_virtio_scsi", BOOL),
    "useSCSI": Used(BOOL, ("use_scsi",), "when true"),
    "shareable": Option("shareable", BOOL, note="except of ceph volumes on the virtio bus"),
    "cacheMode": Option("cache_mode"),
    "wwn": Option("wwn"),
    "bootOrder": Used(INT, ("boot_order",), "of the root volume, when above 0"),
    "physicalBlockSize": Used(INT, ("physical_block_size",), "of ceph volumes, when above 0"),
    "format": Used(TEXT, ("format",), "of vhost volumes; for others the host reads it from the image"),
    "multiQueues": Used(INT, ("queues",), "on the virtio bus"),
    "ioThreadId": Used(INT, ("io_thread",), "when above 0, except of vhost volumes, and of iscsi on the virtio bus"),
    "controllerIndex": Used(INT, ("controller_index",), "on SCSI buses, when above 0"),
    "deviceAddress": Nested("", ADDRESS, note="address, if it is of the kind that the disk's bus has"),
    "monInfo": Nested("mon_info", MONITOR, many=True),
    "secretUuid": Used(TEXT, ("secret_uuid", "luks_secret_uuid"), "of a file or block volume: luks_secret_uuid"),
    "luksSecretUuid": Used(TEXT, ("luks_secret_uuid",), "the libvirt secret of a LUKS volume"),
    "chapUsername": Option("chap_username"),
    "chapPassword": Option("chap_password"),
    "resourceUuid": Ignored("the same as volumeUuid"),
    "type": Ignored(_NO_EFFECT),
    "primaryStorageType": Ignored(_NO_EFFECT),
    "aioNative": Ignored("addons.NativeAio decides"),
    "ioThreadPin": Ignored("addons.ioThreadPins decides"),
}

NVRAM: Fields = {
    "installPath": Used(TEXT, ("nvram",), "with secureBoot or tpm; a raw image or a device is refused"),
    **{key: Ignored(_NO_EFFECT) for key in VOLUME if key != "installPath"},
}

SCSI_LUN: Fields = {
    "installPath": Option("path", required=True),
    "deviceId": Option("device_id", INT),
    **{key: Ignored(_NO_EFFECT) for key in VOLUME if key not in ("installPath", "deviceId")},
}

CD_DRIVE: Fields = {
    "deviceId": Option("device_id", INT),
    "isEmpty": Used(BOOL, ("path",), "an empty drive; not together with a path"),
    "path": Option("path"),
    "imageUuid": Option("image_uuid"),
    "protocol": Used(TEXT, ("protocol",), "Vhost: vhost; iSCSI: the path says it; CBD is refused"),
    "bootOrder": Used(INT, ("boot_order",), "when above 0"),
    "resourceUuid": Used(TEXT, ("serial",), "except of ceph"),
    "deviceAddress": Nested("", ADDRESS, note="address, except of ceph"),
    "monInfo": Nested("mon_info", MONITOR, many=True),
    "secretUuid": Option("secret_uuid"),
    "primaryStorageUuid": Ignored(_NO_EFFECT),
}

VHOST_ADD_ON: Fields = {
    "queueNum": Used(INT, ("nics.queues",), "of virtio NICs, when not 1"),
    "rxBufferSize": Used(INT, ("nics.rx_queue_size",), "with queueNum; 1024 if omitted"),
    "txBufferSize": Used(INT, ("nics.tx_queue_size",), "with queueNum; 1024 if omitted"),
}

NIC: Fields = {
    "mac": Option("mac"),
    "ips": Used(TEXTS, ("ips",), "with cleanTraffic"),
    "cleanTraffic": Used(BOOL, ("clean_traffic",), "when true"),
    "bridgeName": Used(TEXT, ("bridge_name",), "except of VFs"),
    "uuid": Option("uuid"),
    "nicInternalName": Option("nic_internal_name"),
    "deviceId": Option("device_id", INT),
    "driverType": Used(TEXT, ("model",), "omitted: virtio or e1000 by useVirtio"),
    "useVirtio": Used(BOOL, ("model",), "where driverType is omitted"),
    "vHostAddOn": Nested("", VHOST_ADD_ON),
    "bootOrder": Used(INT, ("boot_order",), "when above 0"),
    "mtu": Used(INT, ("mtu",), "except of VFs"),
    "type": Used(
        TEXT, ("pci_device_address",), "VNIC or VF; vDPA, dpdkvhostuserclient, TFVNIC and MACVLAN are refused"
    ),
    "state": Used(TEXT, ("link_state",), "disable: down"),
    "pci": Nested("", ADDRESS, note="address, except of VFs"),
    "vlanId": Used(INT, ("vlan_id",), "of VFs; the bridge of other NICs decides"),
    "pciDeviceAddress": Used(TEXT, ("pci_device_address",), "the VF"),
    "extraPciDeviceAddresses": Refused("a NIC has one VF; define another NIC for each further one"),
    "isolated": Used(BOOL, ("isolated",), ""),
    "srcPath": Ignored("only of the type vDPA, which is refused"),
    "ipForTf": Ignored("only of the type TFVNIC, which is refused"),
    "l2NetworkUuid": Ignored("only of the type TFVNIC, which is refused"),
    "physicalInterface": Ignored("the bridge has it"),
    "resourceUuid": Ignored("the same as uuid"),
    "deviceAddress": Ignored("the same as pci"),
    "metaData": Ignored(_NO_EFFECT),
    "ip": Ignored("ips and cleanTraffic decide", of_2018=True),
}

VOLUME_QOS: Fields = {
    "readBandwidth": Option("read_bandwidth", INT),
    "writeBandwidth": Option("write_bandwidth", INT),
    "totalBandwidth": Option("total_bandwidth", INT),
    "readIOPS": Option("read_iops", INT),
    "writeIOPS": Option("write_iops", INT),
    "totalIOPS": Option("overall_iops", INT),
}
NIC_QOS: Fields = {
    "inboundBandwidth": Option("inbound_bandwidth", INT),
    "outboundBandwidth": Option("outbound_bandwidth", INT),
}
CHANNEL: Fields = {
    "socketPath": Option("socket_path", required=True),
    "targetName": Option("target_name", required=True),
}
IO_THREAD_PIN: Fields = {
    "ioThreadId": Option("id", INT, required=True),
    "pin": Option("cpus"),
    "volumeUuid": Ignored("the volume's ioThreadId decides"),
}
CPU_PIN: Fields = {"vCpu": Option("vcpu", INT, required=True), "pCpuSet": Option("cpus", required=True)}
NUMA_NODE: Fields = {
    "nodeID": Option("id", INT, required=True),
    "cpus": Option("cpus", required=True),
    "memorySize": Option("memory", INT, required=True),
    "distance": Used(TEXTS, ("numa_nodes.distances",), "to each node, in their order"),
    "hostNodeID": Option("host_node", INT),
}
SHARED_MEMORY: Fields = {"path": Used(TEXT, ("shared_memory.name",), "/dev/shm/NAME"), "size": Option("size", INT)}

ADDONS: Fields = {
    "channel": Nested("channels", CHANNEL, many=True, lone=True),
    "channel_vr": Nested("", CHANNEL, note="one more of channels"),
    "VolumeQos": Used(MAPPING, ("root_volume.qos", "data_volumes.qos"), "limits by UUID; 0 and -1 mean none"),
    "NicQos": Used(MAPPING, ("nics.qos",), "limits by UUID; 0 and -1 mean none"),
    "NativeAio": Used(ANY, ("root_volume.native_aio", "data_volumes.native_aio"), "by UUID, or true for all volumes"),
    "ceph_secret_uuid": Used(TEXT, ("ceph_secret.uuid",), "with ceph_secret_key"),
    "ceph_secret_key": Used(TEXT, ("ceph_secret.key",), "with ceph_secret_uuid"),
    "usbDevice": Option("usb_devices", TEXTS),
    "pciDevice": Option("pci_devices", TEXTS),
    "mdevDevice": Option("mdev_devices", TEXTS),
    "pciDevice.dgpu": Nested("shared_memory", SHARED_MEMORY, many=True),
    "storageDevice": Nested("scsi_luns", SCSI_LUN, many=True),
    "systemVirtioDriverDeviceType": Used(
        TEXT, ("floppies",), "VFD: the two floppies with virtio drivers, on x86_64; ISO has no effect"
    ),
    "panicIsa": Used(BOOL, ("panic_devices",), "isa, on x86_64"),
    "panicHyperv": Used(BOOL, ("panic_devices",), "hyperv, on x86_64"),
    "onCrash": Option("on_crash", note="preserve if omitted"),
    "ioThreadNum": Used(
        INT, ("io_threads",), "the number, when above 0; those of ioThreadPins, and others without a pin"
    ),
    "ioThreadPins": Nested("", IO_THREAD_PIN, many=True, note="io_threads"),
    "cpuPinning": Nested("cpu_pinning", CPU_PIN, many=True),
    "emulatorPinning": Option("emulator_pinning"),
    "numaNodes": Nested("", NUMA_NODE, many=True, note="numa_nodes, without useNuma"),
    "qemuPath": Option("emulator"),
    "loaderRom": Used(TEXT, ("loader_rom",), "with bootMode Legacy, on x86_64"),
    "noConsole": Used(BOOL, ("console_mode",), "true: none"),
    "FIXED_CDROMS": Used(TEXT, ("cd_roms",), "numbers of drives that exist too, with fromForeignHypervisor"),
    "useMemBalloon": Ignored(_NO_EFFECT),
    "userDefinedXml": Refused(_NO_CODE),
    "userDefinedXmlHookScript": Refused(_NO_CODE),
    "qemuCommandLine": Refused(_NO_CODE),
    "hygonMdevDevice": Refused("QEMU's own option for it is not passed on; use mdevDevice"),
    **{key: Refused(_XDRAGON) for key in ("vhostSrcPath", "brMode", "l3mapping", "useDataPlane")},
    **{
        key: Refused(_COLO)
        for key in (
            "primaryVmHostIp",
            "primaryVmNicConfig",
            "primaryMonitorPort",
            "ftSecondaryVmNicConfig",
            "blockReplicationPort",
            "secondaryVmHostIp",
            "secondaryMonitorPort",
        )
    },
}

TPM: Fields = {
    "secretUuid": Option("secret_uuid"),
    "keyProviderUuid": Ignored("secretUuid names the key"),
    "installPath": Ignored("libvirt's own path"),
}
PRIORITY: Fields = {
    "cpuShares": Used(INT, ("cpu_shares",), "1024 if omitted"),
    "oomScoreAdj": Used(INT, ("oom_score_adj",), ""),
    "vmUuid": Ignored("the same as vmInstanceUuid"),
}
QXL_MEMORY: Fields = {name: Used(INT, ("qxl_memory." + name,), "in KiB, for qxl") for name in ("ram", "vram", "vgamem")}
MEMORY_BALLOON: Fields = {
    "deviceAddress": Nested("", ADDRESS, note="memory_balloon.address"),
    "resourceUuid": Ignored(_NO_EFFECT),
}

VM: Fields = {
    "vmInstanceUuid": Option("uuid", required=True),
    "vmName": Option("name", required=True),
    "vmInternalId": Option("internal_id", INT),
    "hostManagementIp": Option("host_management_ip"),
    "imagePlatform": Used(TEXT, ("image_platform",), "when Other"),
    "imageArchitecture": Option(
        "arch",
        words={"x86_64": "x86_64", "aarch64": "aarch64"},
        note="with aarch64, fields of x86_64 alone have no effect",
    ),
    "architecture": Used(TEXT, (), "must be the same as imageArchitecture"),
    "memory": Option("memory", INT, required=True),
    "cpuNum": Option("cpu_num", INT, required=True),
    "maxVcpuNum": Used(INT, ("max_vcpu_num",), "with useNuma; 128 if 0 or omitted"),
    "socketNum": Option("socket_num", INT),
    "cpuOnSocket": Option("cpu_on_socket", INT),
    "threadsPerCore": Option("threads_per_core", INT),
    "useNuma": Option("use_numa", BOOL),
    "vmCpuQuota": Used(INT, ("cpu_quota",), "1000000 if 0 or omitted"),
    "nestedVirtualization": Option("nested_virtualization"),
    "vmCpuModel": Used(TEXT, ("cpu_model",), "with nestedVirtualization custom"),
    "vmCpuVendorId": Used(TEXT, ("cpu_vendor_id",), "on x86_64, with nestedVirtualization host-model or custom"),
    "x2apic": Used(BOOL, ("x2apic",), "false, unless nestedVirtualization is none"),
    "cpuHypervisorFeature": Used(BOOL, ("cpu_hypervisor_feature",), "false, unless nestedVirtualization is none"),
    "kvmHiddenState": Option("kvm_hidden_state", BOOL),
    "vmPortOff": Used(BOOL, ("vm_port_off",), "on x86_64"),
    "pmu": Option("pmu", BOOL),
    "emulateHyperV": Used(BOOL, ("emulate_hyperv",), "when true"),
    "hypervClock": Used(BOOL, ("hyperv_clock",), "false if omitted"),
    "vendorId": Used(TEXT, ("hyperv_vendor_id",), "with emulateHyperV"),
    "acpi": Used(BOOL, ("acpi",), "false if omitted"),
    "clock": Option("clock"),
    "clockTrack": Used(TEXT, ("clock_track",), "with clock localtime"),
    "suspendToRam": Used(BOOL, ("suspend_to_ram",), "on x86_64; false if omitted"),
    "suspendToDisk": Used(BOOL, ("suspend_to_disk",), "on x86_64; false if omitted"),
    "bootMode": Option("firmware", words={"Legacy": "bios", "UEFI": "uefi", "UEFI_WITH_CSM": "uefi_with_csm"}),
    "secureBoot": Used(BOOL, ("secure_boot",), "when true"),
    "nvRam": Nested("", NVRAM, note="nvram"),
    "tpm": Nested("tpm", TPM),
    "machineType": Used(TEXT, ("machine",), "q35 or virt; pc is the default"),
    "pciePortNums": Used(INT, ("pcie_port_num",), "of q35 and virt; 28 if omitted"),
    "predefinedPciBridgeNum": Used(INT, ("pci_bridge_num",), "1 if omitted with q35 and virt"),
    "useBootMenu": Option("use_boot_menu", BOOL),
    "bootMenuSplashTimeout": Used(INT, ("boot_menu_timeout",), "with useBootMenu, when above 0"),
    "rootVolume": Nested("root_volume", VOLUME, required=True),
    "dataVolumes": Nested("data_volumes", VOLUME, many=True),
    "cdRoms": Nested("cd_roms", CD_DRIVE, many=True, note="no drive if omitted, or for appliance VMs"),
    "nics": Nested("nics", NIC, many=True),
    "memBalloon": Nested("", MEMORY_BALLOON, note="memory_balloon"),
    "systemSerialNumber": Used(TEXT, ("smbios.serial",), ""),
    "chassisAssetTag": Used(TEXT, ("smbios.asset_tag",), "with systemSerialNumber"),
    "oemStrings": Used(TEXTS, ("smbios.oem_strings",), "with systemSerialNumber"),
    "guestOsType": Used(TEXT, ("smbios.manufacturer", "smbios.product"), "Ubuntu and Debian on x86_64"),
    "priorityConfigStruct": Nested("", PRIORITY, note="cpu_shares, oom_score_adj"),
    "consoleMode": Option("console_mode", words={"vnc": "vnc", "spice": "spice", "vncAndSpice": "vnc_and_spice"}),
    "consolePassword": Option("console_password"),
    "videoType": Option("video_type", note="virtio if omitted"),
    "VDIMonitorNumber": Option("vdi_monitor_number", INT),
    "qxlMemory": Nested("", QXL_MEMORY, note="qxl_memory, with videoType qxl"),
    "soundType": Used(TEXT, ("sound_type",), "with a spice console"),
    "spiceStreamingMode": Option("spice_streaming_mode"),
    "spiceChannels": Used(TEXTS, ("spice_secure_channels",), "with a spice console"),
    "usbRedirect": Used(BOOL, ("usb_redirect",), "when true, with a spice console, on x86_64"),
    "timeout": Option("timeout", INT, note="300 if omitted"),
    "addons": Nested("", ADDONS),
    "MemAccess": Used(TEXT, ("memory_access",), "shared"),
    "useHugePage": Used(BOOL, ("huge_pages",), "when true"),
    "noSharePages": Used(BOOL, ("no_share_pages",), "when true"),
    "createPaused": Used(BOOL, ("create_paused",), "when true"),
    "additionalQmp": Used(BOOL, ("additional_qmp",), "when true"),
    "isApplianceVm": Used(BOOL, ("appliance",), "when true"),
    "consoleLogToFile": Used(BOOL, ("console_log",), "when true"),
    "qemu64BitPciMmioSetup": Used(BOOL, ("pci_64bit_window",), "with additionalQmp"),
    "memorySnapshotPath": Option("memory_snapshot"),
    "vmXml": Used(TEXT, ("memory_snapshot_xml",), "with memorySnapshotPath"),
    "fromForeignHypervisor": Used(BOOL, ("cd_roms",), "with addons.FIXED_CDROMS, on x86_64"),
    "coloPrimary": Refused(_COLO),
    "coloSecondary": Refused(_COLO),
    "useColoBinary": Refused(_COLO),
    "cacheVolumes": Ignored("only of fault-tolerant VMs, which are refused"),
    "cpuSpeed": Ignored("priorityConfigStruct decides"),
    "bootDev": Ignored("bootOrder of each device decides"),
    "bootIso": Ignored("cdRoms decides", of_2018=True),
    "useVirtio": Ignored("driverType of each NIC decides", of_2018=True),
    "edkVersion": Ignored("the host's firmware is used"),
    "enableSecurityElement": Ignored(_NO_EFFECT),
    "accountUuid": Ignored(_NO_EFFECT),
    "maxMemory": Ignored(_NO_EFFECT),
    "reservedMemory": Ignored(_NO_EFFECT),
    "instanceOfferingOnlineChange": Ignored(_NO_EFFECT),
    "kvmHostAddons": Ignored(_NO_EFFECT),
}
