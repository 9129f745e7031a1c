# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of a VM: validated, normalised, defaults filled in.

C(_spec.parse) creates these from a playbook's options; everything after it only reads them.
UUIDs are lower case with dashes, MAC addresses lower case with colons, sizes bytes, times seconds.
An option without a value is C(None), or empty if it is a text or a list.
With use_numa and max_vcpu_num, a topology that isn't given is C(None). C(option_path) is the
object's path in the task's input (C(vms[0].data_volumes[1])), for messages.
The models are named tuples, which take less time and memory than dataclasses. One that must differ from a tuple of the
same values, has a derived class, or holds secrets that its text must not show is a dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Optional, Union

from ..foreign_text import clean_line


@dataclass(frozen=True)
class PciSlot:
    """The address of a device on the guest's PCI buses."""

    domain: int
    bus: int
    slot: int
    function: int

    def __str__(self) -> str:
        return "PCI address %04x:%02x:%02x.%x" % (self.domain, self.bus, self.slot, self.function)


@dataclass(frozen=True)
class DriveSlot:
    """The address of a disk or CD drive on its controller."""

    controller: int
    bus: int
    target: int
    unit: int

    def __str__(self) -> str:
        return "drive address %d:%d:%d:%d" % (self.controller, self.bus, self.target, self.unit)


DeviceAddress = Union[PciSlot, DriveSlot]


class Monitor(NamedTuple):
    """A ceph monitor."""

    hostname: str
    port: int


class VolumeQos(NamedTuple):
    """Limits of a volume: bytes per second, and requests per second.

    C(total_iops) holds for reads and for writes each, C(overall_iops) for both together.
    """

    read_bandwidth: Optional[int]
    write_bandwidth: Optional[int]
    total_bandwidth: Optional[int]
    read_iops: Optional[int]
    write_iops: Optional[int]
    overall_iops: Optional[int]
    total_iops: Optional[int]


class VolumeCreation(NamedTuple):
    """The way a volume is created if it does not exist, and the least size that it has.

    C(size): None for the image's. C(image): a path, or POOL/IMAGE@SNAPSHOT in ceph; None for an empty volume.
    C(image_format): None for the one that the image's header states. C(features): of an image in ceph, sorted; None
    for those that the cluster gives it.
    """

    option_path: str
    size: Optional[int]
    image: Optional[str]
    image_format: Optional[str]
    linked: bool
    format: str
    preallocation: str
    features: Optional[tuple[str, ...]] = None


class Volume(NamedTuple):
    """A disk; the root volume has device_id 0."""

    option_path: str
    install_path: str
    device_id: int
    device_type: str
    volume_uuid: Optional[str]
    use_virtio: bool
    use_virtio_scsi: bool
    use_scsi: bool
    shareable: bool
    cache_mode: str
    wwn: Optional[str]
    mon_info: tuple[Monitor, ...]
    secret_uuid: Optional[str]
    chap_username: Optional[str]
    chap_password: Optional[str]
    format: Optional[str]
    create: Optional[VolumeCreation]
    serial: Optional[str]
    boot_order: Optional[int]
    address: Optional[DeviceAddress]
    controller_index: Optional[int]
    discard: Optional[str]
    native_aio: bool
    queues: Optional[int]
    io_thread: Optional[int]
    physical_block_size: Optional[int]
    luks_secret_uuid: Optional[str]
    recovery_url: Optional[str]
    qos: Optional[VolumeQos]


@dataclass(frozen=True)
class Cdrom:
    """A CD in one of the drives 0 to 2."""

    option_path: str
    path: str
    image_uuid: Optional[str]
    device_id: int
    mon_info: tuple[Monitor, ...]
    secret_uuid: Optional[str]


@dataclass(frozen=True)
class CdDrive(Cdrom):
    """A CD drive; C(path) is empty without a CD."""

    protocol: Optional[str]
    boot_order: Optional[int]
    serial: Optional[str]
    address: Optional[DeviceAddress]


class ScsiLun(NamedTuple):
    """A SCSI device of the hypervisor that is passed through; C(sgio): whether its commands are filtered."""

    option_path: str
    path: str
    device_id: int
    sgio: str
    boot_order: Optional[int]
    address: Optional[DeviceAddress]


class NicQos(NamedTuple):
    """Limits of a network card, bits per second."""

    inbound_bandwidth: Optional[int]
    outbound_bandwidth: Optional[int]


class Nic(NamedTuple):
    """A network card on a bridge or on a libvirt network: exactly one of both has a name.

    With C(pci_device_address) it is a virtual function of the hypervisor that is passed through. C(model) is None where
    the VM's C(use_virtio) decides, C(clean_traffic) where C(ip) does.
    """

    option_path: str
    mac: str
    ip: str
    ips: tuple[str, ...]
    clean_traffic: Optional[bool]
    model: Optional[str]
    mtu: Optional[int]
    link_state: str
    queues: int
    rx_queue_size: Optional[int]
    tx_queue_size: Optional[int]
    isolated: Optional[bool]
    pci_device_address: Optional[str]
    address: Optional[DeviceAddress]
    bridge_name: Optional[str]
    network_name: Optional[str]
    bridge_type: str
    interface_id: Optional[str]
    vlan_id: Optional[int]
    uuid: Optional[str]
    nic_internal_name: str
    device_id: int
    boot_order: Optional[int]
    qos: Optional[NicQos]


class Channel(NamedTuple):
    """A unix socket on the hypervisor, connected to a virtio port of the guest."""

    option_path: str
    socket_path: str
    target_name: str


class PciDevice(NamedTuple):
    """A device of the hypervisor that is passed through, by its PCI address C(DDDD:BB:SS.F).

    C(rom): the file that is the device's ROM in the guest: an absolute path, or the UUID by which ZStack names it,
    without dashes, for a file that need not exist. Empty for the device's own ROM.
    """

    option_path: str
    address: str
    rom: str


class UsbDevice(NamedTuple):
    """A device of the hypervisor that is passed through; C(usb_version) 1, 2 or 3 chooses the guest's controller.

    With C(server) it is a device of another host, which serves it on TCP port C(port).
    """

    option_path: str
    bus: int
    device: int
    vendor: int
    product: int
    usb_version: int
    server: str
    port: int


class MdevDevice(NamedTuple):
    """A mediated device of the hypervisor (such as a vGPU) that is passed through."""

    option_path: str
    uuid: str


class SharedMemory(NamedTuple):
    """Memory that the VM shares with others: the POSIX shared memory C(name), of C(size) bytes."""

    option_path: str
    name: str
    size: int


class QxlMemory(NamedTuple):
    """The memory of a qxl video card in KiB."""

    ram: Optional[int]
    vram: Optional[int]
    vgamem: Optional[int]


class MemoryBalloon(NamedTuple):
    """The device by which libvirt reads the guest's memory statistics."""

    enabled: bool
    address: Optional[DeviceAddress]


class CephSecret(NamedTuple):
    """The cephx key (base64) that the libvirt secret C(uuid) should hold."""

    uuid: str
    key: str


@dataclass(frozen=True)
class CloudInit:
    """The files of the VM's NoCloud seed, by name. They may hold secrets."""

    option_path: str
    documents: Mapping[str, str] = field(repr=False)


class DomainPatch(NamedTuple):
    """One change of the finished domain, by XPath."""

    option_path: str
    action: str
    xpath: str
    value: Optional[str]
    no_log: bool = False


class CpuPin(NamedTuple):
    """The CPUs of the hypervisor that one of the guest's CPUs runs on: a set such as C(0-3,^2)."""

    option_path: str
    vcpu: int
    cpus: str


class IoThread(NamedTuple):
    """A thread of QEMU for disk requests, and the CPUs of the hypervisor that it runs on."""

    option_path: str
    id: int
    cpus: Optional[str]


class NumaNode(NamedTuple):
    """A NUMA node of the guest: its CPUs, memory, distances to all nodes, and the hypervisor's node of its memory."""

    option_path: str
    id: int
    cpus: str
    memory: int
    distances: tuple[int, ...]
    host_node: Optional[int]


class Smbios(NamedTuple):
    """The texts that the guest's firmware has about the machine."""

    serial: Optional[str]
    asset_tag: Optional[str]
    oem_strings: tuple[str, ...]
    manufacturer: Optional[str]
    product: Optional[str]


class Tpm(NamedTuple):
    """A virtual TPM 2.0; the libvirt secret C(secret_uuid) encrypts its state."""

    secret_uuid: Optional[str]


class Vm(NamedTuple):
    """One virtual machine, as desired.

    C(omitted): the options that were not given and have no default. What they would set is left as it is, unless
    C(omitted_settings) is C(remove).
    """

    option_path: str
    uuid: str
    name: str
    internal_id: Optional[int]
    host_management_ip: Optional[str]
    memory: int
    cpu_num: int
    cpu_speed: int
    socket_num: Optional[int]
    cpu_on_socket: Optional[int]
    threads_per_core: int
    max_vcpu_num: Optional[int]
    cpu_shares: Optional[int]
    cpu_quota: Optional[int]
    cpu_pinning: tuple[CpuPin, ...]
    emulator_pinning: Optional[str]
    io_threads: tuple[IoThread, ...]
    max_memory: Optional[int]
    huge_pages: bool
    no_share_pages: bool
    memory_access: str
    numa_nodes: tuple[NumaNode, ...]
    use_numa: bool
    nested_virtualization: str
    cpu_model: Optional[str]
    cpu_vendor_id: Optional[str]
    x2apic: bool
    cpu_hypervisor_feature: bool
    pmu: Optional[bool]
    kvm_hidden_state: bool
    clock: str
    clock_track: Optional[str]
    hyperv_clock: bool
    emulate_hyperv: bool
    hyperv_vendor_id: Optional[str]
    boot_dev: tuple[str, ...]
    use_boot_menu: bool
    boot_menu_timeout: Optional[int]
    use_virtio: bool
    root_volume: Volume
    data_volumes: tuple[Volume, ...]
    boot_iso: tuple[Cdrom, ...]
    cd_roms: Optional[tuple[CdDrive, ...]]
    floppies: tuple[str, ...]
    scsi_luns: tuple[ScsiLun, ...]
    image_platform: Optional[str]
    create_paused: bool
    memory_snapshot: Optional[str]
    memory_snapshot_xml: Optional[str]
    nics: tuple[Nic, ...]
    console_mode: str
    console_password: Optional[str]
    video_type: Optional[str]
    aarch64_video_type: str
    qxl_memory: Optional[QxlMemory]
    vdi_monitor_number: int
    spice_streaming_mode: str
    spice_clipboard: bool
    spice_file_transfer: bool
    spice_webdav: bool
    spice_secure_channels: tuple[str, ...]
    sound_type: str
    console_log: bool
    usb_redirect: bool
    separate_usb_redirection: bool
    appliance: bool
    additional_qmp: bool
    memory_balloon: Optional[MemoryBalloon]
    channels: tuple[Channel, ...]
    pci_devices: tuple[PciDevice, ...]
    pci_64bit_window: bool
    mdev_devices: tuple[MdevDevice, ...]
    shared_memory: tuple[SharedMemory, ...]
    usb_devices: tuple[UsbDevice, ...]
    ceph_secret: Optional[CephSecret]
    cloud_init: Optional[CloudInit]
    emulator: Optional[str]
    timeout: int
    start_order: Optional[int]
    domain_type: str
    arch: Optional[str]
    machine: Optional[str]
    firmware: Optional[str]
    secure_boot: bool
    nvram: Optional[str]
    loader_rom: Optional[str]
    tpm: Optional[Tpm]
    pcie_port_num: Optional[int]
    pci_bridge_num: Optional[int]
    smbios: Optional[Smbios]
    acpi: bool
    ioapic: Optional[str]
    vm_port_off: bool
    suspend_to_ram: Optional[bool]
    suspend_to_disk: Optional[bool]
    panic_devices: tuple[str, ...]
    on_crash: str
    oom_score_adj: Optional[int]
    console_listen: Optional[str]
    security_label: str
    omitted_settings: str
    autostart: Optional[bool]
    domain_patches: tuple[DomainPatch, ...]
    wait_for: str
    omitted: frozenset[str]

    @property
    def domain_name(self) -> str:
        """Return the libvirt domain's name: the UUID's 32 digits, as ZStack's agent names it."""
        return self.uuid.replace("-", "")

    @property
    def has_uefi(self) -> bool:
        """Return whether the options choose UEFI."""
        return self.firmware in ("uefi", "uefi_with_csm") or self.arch == "aarch64"

    @property
    def has_spice(self) -> bool:
        """Return whether the VM has a spice console, alone or beside VNC."""
        return self.console_mode in ("spice", "vnc_and_spice")

    @property
    def qmp_socket(self) -> Optional[str]:
        """Return the path of the additional QMP socket, as ZStack's agent names it; None without one."""
        return "/var/lib/libvirt/qemu/zstack/%s.sock" % self.domain_name if self.additional_qmp else None

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Return all volumes in order of device_id."""
        return tuple(sorted((self.root_volume, *self.data_volumes), key=lambda volume: volume.device_id))

    @property
    def cds(self) -> tuple[Cdrom, ...]:
        """Return the CDs in the drives."""
        return self.boot_iso if self.cd_roms is None else tuple(drive for drive in self.cd_roms if drive.path)

    @property
    def addresses(self) -> tuple[tuple[str, DeviceAddress], ...]:
        """Return the addresses that devices are given in the guest, each with the option path of its device."""
        devices: list[Union[Volume, CdDrive, ScsiLun, Nic]] = [
            *self.volumes,
            *(self.cd_roms or ()),
            *self.scsi_luns,
            *self.nics,
        ]
        found = [(device.option_path, device.address) for device in devices]
        if self.memory_balloon is not None:
            found.append(("%s.memory_balloon" % self.option_path, self.memory_balloon.address))
        return tuple((option_path, address) for option_path, address in found if address is not None)

    @property
    def label(self) -> str:
        """Return the VM's name in messages."""
        return "VM %s (%s)" % (clean_line(self.name), self.uuid)
