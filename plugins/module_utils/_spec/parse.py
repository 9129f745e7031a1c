# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the option C(vms) of a playbook into C(vm.Vm)s, or into all problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, Optional, TypeVar

from .._errors.errors import Problem
from .._storage.backends import check, check_together
from ..import_lock import import_lock
from . import values
from .arguments import CREATE, VM_ARGUMENT_SPEC
from .defaults import fill_in
from .device_addresses import ADDRESS_CHECKS
from .disk_checks import (
    BOOT_ORDER,
    CDROM_CHECKS,
    DRIVE_CHECKS,
    LUN_CHECKS,
    MAX_DATA_VOLUMES,
    VOLUME_CHECKS,
)
from .input_bounds import MAX_PROBLEMS, problem_of_shape
from .machine_options import MACHINE_CHECKS
from .option_reader import OptionReader, Part, as_mapping
from .option_values import shown
from .secret_patches import is_secret, texts_of
from .validation import problems_across_vms, problems_of_vm
from .vm import (
    CdDrive,
    Cdrom,
    CephSecret,
    Channel,
    CloudInit,
    CpuPin,
    DeviceAddress,
    DomainPatch,
    DriveSlot,
    IoThread,
    MdevDevice,
    MemoryBalloon,
    Monitor,
    Nic,
    NicQos,
    NumaNode,
    PciDevice,
    PciSlot,
    QxlMemory,
    ScsiLun,
    SharedMemory,
    Smbios,
    Tpm,
    UsbDevice,
    Vm,
    Volume,
    VolumeCreation,
    VolumeQos,
)

Limits = TypeVar("Limits", VolumeQos, NicQos)

_VOLUME_OPTIONS = VM_ARGUMENT_SPEC["root_volume"]["options"]
_CDROM_OPTIONS = VM_ARGUMENT_SPEC["boot_iso"]["options"]
_DRIVE_OPTIONS = VM_ARGUMENT_SPEC["cd_roms"]["options"]
_SEEN_BY_STORAGE = (
    "install_path",
    "path",
    "device_type",
    "mon_info",
    "use_virtio",
    "chap_username",
    "chap_password",
    "protocol",
    "recovery_url",
)
_INT32 = (1 << 31) - 1
_INT64 = (1 << 63) - 1
# libvirt keeps a NIC's bandwidth as KiB/s in 32 bits.
_NIC_BANDWIDTH_MAX = ((1 << 32) - 1) * 8192

_MONITOR_CHECKS: dict[str, values.Check] = {"hostname": values.line, "port": values.number(1, 65535)}
_NIC_CHECKS: dict[str, values.Check] = {
    "bridge_name": values.interface_name,
    "network_name": values.network_name,
    "interface_id": values.uuid,
    "vlan_id": values.number(1, 4094),
    "mac": values.mac,
    "ip": values.ip_address,
    "ips": values.ip_address,
    "mtu": values.number(*values.MTUS),
    "queues": values.number(1, values.MAX_NIC_QUEUES),
    "rx_queue_size": values.nic_queue_size,
    "tx_queue_size": values.nic_queue_size,
    "pci_device_address": values.pci_function,
    **ADDRESS_CHECKS,
    "uuid": values.uuid,
    "nic_internal_name": values.interface_name,
    "device_id": values.number(0, _INT32),
    "boot_order": BOOT_ORDER,
    "qos.inbound_bandwidth": values.number(1, _NIC_BANDWIDTH_MAX),
    "qos.outbound_bandwidth": values.number(1, _NIC_BANDWIDTH_MAX),
}
_VM_CHECKS: dict[str, values.Check] = {
    "uuid": values.uuid,
    "name": values.xml_text,
    "memory": values.memory,
    "cpu_num": values.number(1, 65535),
    "internal_id": values.number(0, _INT64),
    "host_management_ip": values.ip_address,
    "cpu_speed": values.number(0, _INT32),
    "socket_num": values.number(1, 65535),
    "cpu_on_socket": values.number(1, 65535),
    "console_password": values.line,
    "console_listen": values.ip_address,
    "vdi_monitor_number": values.number(1, 16),
    "pci_devices": values.pci_device,
    "usb_devices": values.usb_address,
    "mdev_devices": values.uuid,
    "qxl_memory.ram": values.number(1024, 1 << 21),
    "qxl_memory.vram": values.number(1024, 1 << 21),
    "qxl_memory.vgamem": values.power_of_two(1024, 1 << 21),
    "shared_memory.name": values.file_name,
    "shared_memory.size": values.number(1, 1 << 40),
    **{"memory_balloon.%s" % name: check for name, check in ADDRESS_CHECKS.items()},
    "emulator": values.absolute_path,
    "timeout": values.number(1, 86400),
    "start_order": values.number(0, _INT32),
    "machine": values.machine,
    "floppies": values.absolute_path,
    "memory_snapshot": values.absolute_path,
    "memory_snapshot_xml": values.xml_text,
}


def _under(prefix: str, checks: Mapping[str, values.Check]) -> dict[str, values.Check]:
    return {"%s.%s" % (prefix, name): check for name, check in checks.items()}


CHECKS: dict[str, values.Check] = {
    **_VM_CHECKS,
    **MACHINE_CHECKS,
    **_under("root_volume", VOLUME_CHECKS),
    "root_volume.device_id": values.number(0, 0),
    **_under("root_volume.mon_info", _MONITOR_CHECKS),
    **_under("data_volumes", VOLUME_CHECKS),
    "data_volumes.device_id": values.number(1, MAX_DATA_VOLUMES),
    **_under("data_volumes.mon_info", _MONITOR_CHECKS),
    **_under("boot_iso", CDROM_CHECKS),
    **_under("boot_iso.mon_info", _MONITOR_CHECKS),
    **_under("cd_roms", DRIVE_CHECKS),
    **_under("cd_roms.mon_info", _MONITOR_CHECKS),
    **_under("scsi_luns", LUN_CHECKS),
    **_under("nics", _NIC_CHECKS),
    **_under("channels", {"socket_path": values.socket_path, "target_name": values.line}),
    **_under("ceph_secret", {"uuid": values.uuid, "key": values.ceph_key}),
    **_under("domain_patches", {"xpath": values.xml_text, "value": values.xml_text}),
}


def parse_vms(raw: Any) -> tuple[tuple[Vm, ...], list[Problem]]:
    """Return the VMs that C(raw), the value of the option C(vms), describes, in order, and all problems.

    With any problem no VMs are returned; the number of problems is limited. Accepts any value, never raises.
    """
    if not isinstance(raw, list):
        return (), [Problem("vms", "must be a list of VMs", hint="put a single VM into a list, too")]
    reader = OptionReader(CHECKS, may_be_empty=["domain_patches.value"])
    problems = reader.problems
    parts = []
    for index, item in enumerate(raw):
        option_path = "vms[%d]" % index
        problem = problem_of_shape(item)
        if problem:
            problems.append(Problem(option_path, problem))
            continue
        part = reader.read(item, VM_ARGUMENT_SPEC, option_path, index=index)
        if part is not None:
            fill_in(part)
            problems.extend(problems_of_vm(part))
            parts.append(part)
    problems.extend(problems_across_vms(parts))
    problems.extend(_storage_problems(parts))
    if problems:
        return (), _first(problems)
    omissions: dict[frozenset[str], frozenset[str]] = {}
    return tuple(_vm(part, omissions) for part in parts), []


def _first(problems: list[Problem]) -> list[Problem]:
    more = len(problems) - MAX_PROBLEMS
    return problems if more <= 0 else [*problems[:MAX_PROBLEMS], Problem("vms", "have %d more problems" % more)]


def secrets_of(raw: Any) -> set[str]:
    """Return every secret text in C(raw), the value of the option C(vms), valid or not."""
    secret_options = _secret_options(VM_ARGUMENT_SPEC)
    return {text for vm in _list_of(raw) for text in _secrets(vm, secret_options)}


class _SecretOptions(NamedTuple):
    """The secret options of a spec.

    C(documents): those with the documents of cloud-init, of which only parts are secret. C(inner): options with
    secret options of their own. C(of_patch): whether the value of a patch may be secret.
    """

    names: tuple[str, ...]
    documents: tuple[str, ...]
    inner: tuple[tuple[str, _SecretOptions], ...]
    of_patch: bool


def _secret_options(spec: Mapping[str, Mapping[str, Any]]) -> _SecretOptions:
    documents = tuple(name for name in VM_ARGUMENT_SPEC["cloud_init"]["options"] if name in spec)
    names = tuple(name for name, option in spec.items() if option.get("no_log") and name not in documents)
    inner = [
        (name, _secret_options(option["options"]))
        for name, option in spec.items()
        if "options" in option and name not in (*names, *documents)
    ]
    return _SecretOptions(
        names, documents, tuple((name, below) for name, below in inner if any(below)), "no_log" in spec
    )


def _secrets(raw: Any, options: _SecretOptions) -> Iterator[str]:
    mapping = as_mapping(raw) or {}
    if options.of_patch and is_secret(mapping.get("no_log")):
        yield from (text for value in _texts(mapping.get("value")) for text in texts_of(value))
    if options.documents:
        # Imports a parser of YAML.
        with import_lock:
            from .cloud_init import secret_texts

        yield from (text for name in options.documents for text in secret_texts(mapping.get(name)))
    for name in options.names:
        yield from _texts(mapping.get(name))
    for name, inner in options.inner:
        if mapping.get(name) is not None:
            for item in _list_of(mapping[name]):
                yield from _secrets(item, inner)


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts and numbers in a value of any shape."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
        elif isinstance(item, str) and item:
            yield item
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            yield shown(item)


def _list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _storage_problems(vms: Iterable[Part]) -> Iterator[Problem]:
    """Yield the problems that the storage backends find, where the options that they read are valid."""
    volumes = []
    for vm in vms:
        root = vm.get("root_volume")
        for part in ([root] if root else []) + (vm.get("data_volumes") or []):
            if not part.wrong.intersection(_SEEN_BY_STORAGE):
                volume = volume_of(part)
                volumes.append(volume)
                yield from check(volume)
        for part in vm.get("boot_iso") or ():
            if not part.wrong.intersection(_SEEN_BY_STORAGE):
                yield from check(_cdrom(part))
        for part in vm.get("cd_roms") or ():
            if part.get("path") and not part.wrong.intersection(_SEEN_BY_STORAGE):
                yield from check(_drive(part))
    yield from check_together(volumes)


def _vm(part: Part, omissions: dict[frozenset[str], frozenset[str]]) -> Vm:
    """Return the VM of a part. It shares the set of C(omissions) with VMs that omit the same options: it is large."""
    given = dict(part.values)
    omitted = frozenset(name for name, value in given.items() if value is None)
    given.update(
        option_path=part.option_path,
        boot_dev=tuple(given["boot_dev"]),
        root_volume=volume_of(given["root_volume"]),
        data_volumes=tuple(volume_of(item) for item in given["data_volumes"]),
        boot_iso=tuple(_cdrom(item) for item in given["boot_iso"]),
        cd_roms=None if given["cd_roms"] is None else tuple(_drive(item) for item in given["cd_roms"]),
        floppies=tuple(given["floppies"]),
        scsi_luns=tuple(_lun(item) for item in given["scsi_luns"]),
        nics=tuple(_nic(item) for item in given["nics"]),
        channels=tuple(Channel(option_path=item.option_path, **item.values) for item in given["channels"]),
        pci_devices=tuple(
            PciDevice("%s.pci_devices[%d]" % (part.option_path, index), *address)
            for index, address in enumerate(given["pci_devices"])
        ),
        usb_devices=tuple(
            UsbDevice("%s.usb_devices[%d]" % (part.option_path, index), *address)
            for index, address in enumerate(given["usb_devices"])
        ),
        cloud_init=_cloud_init(part),
        mdev_devices=tuple(
            MdevDevice("%s.mdev_devices[%d]" % (part.option_path, index), uuid)
            for index, uuid in enumerate(given["mdev_devices"])
        ),
        shared_memory=tuple(SharedMemory(item.option_path, **item.values) for item in given["shared_memory"] or ()),
        spice_secure_channels=tuple(given["spice_secure_channels"] or ()),
        qxl_memory=QxlMemory(**given["qxl_memory"].values) if given["qxl_memory"] else None,
        memory_balloon=_balloon(given["memory_balloon"]),
        ceph_secret=CephSecret(**given["ceph_secret"].values) if given["ceph_secret"] else None,
        **_machine(given),
        omitted=omissions.setdefault(omitted, omitted),
        domain_patches=tuple(
            DomainPatch(option_path=item.option_path, **item.values) for item in given["domain_patches"]
        ),
    )
    return Vm(**given)


def _cloud_init(vm: Part) -> Optional[CloudInit]:
    part = vm.get("cloud_init")
    if part is None:
        return None
    with import_lock:
        from .cloud_init import seed_documents

    content = (part.get(name) for name in ("user_data", "meta_data", "network_config"))
    return CloudInit(part.option_path, seed_documents(vm.get("uuid"), vm.get("name"), *content))


def _machine(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the machine that are more than one value, or that may be omitted."""
    smbios, tpm = given["smbios"], given["tpm"]
    return {
        "cpu_pinning": tuple(
            CpuPin(option_path=item.option_path, **item.values) for item in given["cpu_pinning"] or ()
        ),
        "io_threads": tuple(
            IoThread(option_path=item.option_path, **item.values) for item in given["io_threads"] or ()
        ),
        "huge_pages": bool(given["huge_pages"]),
        "no_share_pages": bool(given["no_share_pages"]),
        "memory_access": given["memory_access"] or "private",
        "vm_port_off": bool(given["vm_port_off"]),
        "emulate_hyperv": bool(given["emulate_hyperv"]),
        "numa_nodes": tuple(
            NumaNode(option_path=item.option_path, **{**item.values, "distances": tuple(item.get("distances"))})
            for item in given["numa_nodes"]
        ),
        "smbios": Smbios(**{**smbios.values, "oem_strings": tuple(smbios.get("oem_strings"))}) if smbios else None,
        "tpm": Tpm(**tpm.values) if tpm else None,
        "panic_devices": tuple(given["panic_devices"] or ()),
    }


def volume_of(part: Part) -> Volume:
    """Return the volume that a part describes; options that the part cannot have are None."""
    given = _given(part, _VOLUME_OPTIONS)
    given.update(
        mon_info=_monitors(part), qos=_limits(given["qos"], VolumeQos), address=address_of(part), create=_creation(part)
    )
    return Volume(option_path=part.option_path, **given)


def _cdrom(part: Part) -> Cdrom:
    return Cdrom(option_path=part.option_path, **{**_given(part, _CDROM_OPTIONS), "mon_info": _monitors(part)})


def _drive(part: Part) -> CdDrive:
    given = _given(part, _DRIVE_OPTIONS)
    given.update(path=given["path"] or "", mon_info=_monitors(part), address=address_of(part))
    return CdDrive(option_path=part.option_path, **given)


def _lun(part: Part) -> ScsiLun:
    return ScsiLun(option_path=part.option_path, **{**part.values, "address": address_of(part)})


def _balloon(part: Optional[Part]) -> Optional[MemoryBalloon]:
    return None if part is None else MemoryBalloon(part.values["enabled"], address_of(part))


def _nic(part: Part) -> Nic:
    given = dict(part.values)
    given.update(qos=_limits(given["qos"], NicQos), ips=tuple(given["ips"]), address=address_of(part))
    return Nic(option_path=part.option_path, **given)


def _limits(qos: Optional[Part], kind: type[Limits]) -> Optional[Limits]:
    """Return the limits, None if there are none. An invalid limit is ignored, so that its owner is still checked."""
    limits = [qos.get(name) for name in kind._fields] if qos is not None else []
    return kind(*limits) if any(limits) else None


def _creation(part: Part) -> Optional[VolumeCreation]:
    create = part.get("create")
    if create is None:
        return None
    given = _given(create, CREATE)
    features = given["features"]
    given["features"] = None if features is None else tuple(sorted(set(features)))
    return VolumeCreation(option_path=create.option_path, **given)


def address_of(part: Part) -> Optional[DeviceAddress]:
    """Return the address that a device's part gives; numbers that are left out are 0."""
    given = part.get("address")
    if given is None or given.get("type") is None:
        return None
    kind: type[DeviceAddress] = PciSlot if given.get("type") == "pci" else DriveSlot
    return kind(*(given.get(field.name) or 0 for field in fields(kind)))


def _given(part: Part, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part.get(name) for name in spec}


def _monitors(part: Part) -> tuple[Monitor, ...]:
    return tuple(Monitor(**item.values) for item in part.get("mon_info"))
