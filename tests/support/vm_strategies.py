# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hypothesis strategies that draw VMs, as a playbook writes them, from the argument spec itself.

C(vms()) are valid: C(parse_vms) finds no problem in a list of one of them. C(damaged_vms()) have one option replaced by
something that may be invalid. C(parsed_vms()) are C(Vm).

What kind of value an option takes is the only thing that the spec doesn't say, so C(TEXTS) and C(NUMBERS) say it; a new
option of the spec is either drawn at once or reported as missing there.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VM_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from hypothesis import strategies as st

_HEX = "0123456789abcdef"
GUEST_AGENT = {"socket_path": "/var/lib/libvirt/qemu/channel", "target_name": "org.qemu.guest_agent.0"}


def _hex(digits: int) -> st.SearchStrategy[str]:
    return st.text(_HEX, min_size=digits, max_size=digits)


def _line(**kwargs: Any) -> st.SearchStrategy[str]:
    """Return text of one line that XML can contain, in any script."""
    return st.text(
        st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), min_size=1, **kwargs
    )


def uuids() -> st.SearchStrategy[str]:
    return st.one_of(st.uuids().map(str), st.uuids().map(lambda uuid: uuid.hex.upper()))


def macs() -> st.SearchStrategy[str]:
    return st.tuples(*[st.integers(0, 255)] * 5).map(lambda rest: ":".join("%02x" % byte for byte in (0xFA, *rest)))


def _names() -> st.SearchStrategy[str]:
    return st.text("abcdefghijklmnopqrstuvwxyzABC0123456789_-", min_size=1, max_size=12)


def _paths() -> st.SearchStrategy[str]:
    return _names().map("/var/lib/{}".format)


def _ips() -> st.SearchStrategy[str]:
    return st.ip_addresses().map(str)


def _pci_addresses() -> st.SearchStrategy[str]:
    return st.builds(
        "{}{:02x}:{:02x}.{}".format,
        st.sampled_from(["", "0000:", "0001:"]),
        st.integers(21, 255),
        st.integers(0, 31),
        st.integers(0, 7),
    )


def _usb_devices() -> st.SearchStrategy[str]:
    return st.builds(
        "{}:{}:{:04x}:{:04x}:{}".format,
        st.integers(1, 255),
        st.integers(1, 127),
        st.integers(1, 0xFFFF),
        st.integers(0, 0xFFFF),
        st.sampled_from(["1.1", "2.0", "2.0.0", "3.0", "3.1"]),
    )


def _wwns() -> st.SearchStrategy[str]:
    return st.builds("{}{}".format, st.sampled_from(["", "0x"]), _hex(16))


def _pci_slots() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.just("pci"), "slot": st.integers(1, 31)},
        optional={"domain": st.just("0x0000"), "bus": st.integers(0, 3), "function": st.integers(0, 7)},
    )


def _cpu_sets() -> st.SearchStrategy[str]:
    return st.sampled_from(["0", "0-1", "0,1", "0-3,^2", " 1 , 3-4"])


def _drive_slots() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.just("drive"), "unit": st.integers(0, 6)},
        optional={"controller": st.integers(0, 1), "bus": st.integers(0, 1), "target": st.just("0x0")},
    )


def _creations() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"size": st.sampled_from(["1MiB", "20GiB", 1 << 30])},
        optional={"image": st.just("/var/lib/image"), "linked": st.booleans(), "format": st.just("qcow2")},
    )


TEXTS: dict[str, st.SearchStrategy[str]] = {
    "uuid": uuids(),
    "name": _line(max_size=80),
    "host_management_ip": _ips(),
    "console_listen": _ips(),
    "console_password": st.text('abcdefghijklmnopqrstuvwxyz<&">', min_size=1, max_size=8),
    "emulator": _paths(),
    "machine": st.sampled_from(["pc", "q35", "pc-i440fx-7.2"]),
    "volume_uuid": uuids(),
    "image_uuid": uuids(),
    "secret_uuid": uuids(),
    "wwn": _wwns(),
    "chap_username": _names(),
    "chap_password": _line(max_size=16),
    "hostname": _ips(),
    "install_path": _paths(),
    "path": _paths(),
    "mac": macs(),
    "ip": st.one_of(st.just(""), _ips()),
    "ips": _ips(),
    "pci_device_address": _pci_addresses(),
    "bridge_name": _names(),
    "network_name": _names(),
    "interface_id": uuids(),
    "nic_internal_name": _names(),
    "socket_path": _paths(),
    "target_name": _names(),
    "mdev_devices": uuids().map(lambda uuid: uuid.lower()),
    "cpu_model": st.sampled_from(["qemu64", "EPYC", "Haswell-noTSX"]),
    "cpu_vendor_id": st.sampled_from(["AuthenticAMD", "HygonGenuine"]),
    "cpus": _cpu_sets(),
    "emulator_pinning": _cpu_sets(),
    "nvram": _paths(),
    "loader_rom": _paths(),
    "asset_tag": _line(max_size=40),
    "oem_strings": _line(max_size=40),
    "manufacturer": _line(max_size=40),
    "product": _line(max_size=40),
    "hyperv_vendor_id": st.sampled_from(["Microsoft Hv", "x"]),
    "pci_devices": _pci_addresses(),
    "usb_devices": _usb_devices(),
    "serial": st.text("abcdefghijk0123456789_.+ -", min_size=1, max_size=36).filter(str.strip),
    "luks_secret_uuid": uuids(),
    "recovery_url": _names().map("nbd://10.0.9.7:10809/{}".format),
    "floppies": _paths(),
    "memory_snapshot": _paths(),
    "memory_snapshot_xml": st.just("<domain><devices/></domain>"),
    "key": st.binary(min_size=16, max_size=28).map(lambda key: base64.b64encode(key).decode()),
}

NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "memory": st.one_of(st.integers(1 << 20, 1 << 46), st.sampled_from(["1M", "512MB", "2GiB", " 1.5G "])),
    "cpu_num": st.integers(1, 256),
    "cpu_speed": st.integers(0, 4000),
    "socket_num": st.integers(1, 16),
    "cpu_on_socket": st.integers(1, 16),
    "threads_per_core": st.integers(1, 4),
    "max_vcpu_num": st.integers(1, 256),
    "max_memory": st.integers(1 << 20, 1 << 50),
    "cpu_shares": st.integers(1, 262144),
    "cpu_quota": st.integers(1000, 10**7),
    "vcpu": st.integers(0, 8),
    "id": st.integers(0, 9),
    "distances": st.integers(11, 255),
    "host_node": st.integers(0, 3),
    "boot_menu_timeout": st.integers(0, 65535),
    "pcie_port_num": st.integers(1, 30),
    "pci_bridge_num": st.integers(0, 4),
    "oom_score_adj": st.integers(-1000, 1000),
    "internal_id": st.integers(0, 10**12),
    "vdi_monitor_number": st.integers(1, 16),
    "timeout": st.integers(1, 3600),
    "start_order": st.integers(0, 9),
    "vlan_id": st.integers(1, 4094),
    **dict.fromkeys(("ram", "vram", "vgamem"), st.sampled_from([1024, 16384, 65536])),
    "size": st.sampled_from(["1MiB", "64MiB"]),
    "mtu": st.integers(68, 65521),
    "rx_queue_size": st.sampled_from([256, 512, 1024]),
    "tx_queue_size": st.sampled_from([256, 512, 1024]),
    "device_id": st.nothing(),  # depends on its position
    "port": st.integers(1, 65535),
    "total_bandwidth": st.integers(1, 10**12),
    "total_iops": st.integers(1, 10**6),
    "read_bandwidth": st.integers(1, 10**12),
    "write_bandwidth": st.integers(1, 10**12),
    "read_iops": st.integers(1, 10**6),
    "write_iops": st.integers(1, 10**6),
    "overall_iops": st.integers(1, 10**6),
    "boot_order": st.nothing(),  # unique in the VM
    "controller_index": st.integers(0, 9),
    "queues": st.integers(1, 16),
    "io_thread": st.nothing(),  # has to be declared
    "physical_block_size": st.sampled_from([512, 4096]),
    "inbound_bandwidth": st.integers(1, 10**11),
    "outbound_bandwidth": st.integers(1, 10**11),
}

PATCHES = [
    {"action": "set", "xpath": "/domain/on_crash", "value": "destroy"},
    {"action": "set", "xpath": "/domain/description", "value": "patched"},
    {
        "action": "add",
        "xpath": "/domain/devices",
        "value": '<rng model="virtio"><backend model="random">/dev/urandom</backend></rng>',
    },
    {"action": "remove", "xpath": "/domain/devices/memballoon/stats"},
    {"action": "replace", "xpath": "/domain/on_reboot", "value": "<on_reboot>destroy</on_reboot>"},
]


def _value(name: str, option: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Draw a value of one option according to its spec."""
    if name == "domain_patches":
        return st.lists(st.sampled_from(PATCHES), max_size=2, unique_by=lambda patch: patch["xpath"])
    if name == "create":
        return _creations()
    if name == "address":
        return st.one_of(_pci_slots(), _drive_slots())
    if name == "user_data":
        return st.one_of(st.just("#cloud-config\n{}\n"), st.just({"hostname": "guest"}))
    if name == "network_config":
        return st.just({"version": 2, "ethernets": {}})
    if name == "meta_data":
        return st.dictionaries(_names(), _names(), max_size=2)
    if option["type"] == "dict":
        return options(option["options"])
    if option["type"] == "list" and option["elements"] == "dict":
        return st.lists(options(option["options"]), max_size=3)
    if option["type"] == "list":
        return st.lists(_scalar(name, option, option["elements"]), min_size=1, max_size=3, unique=True)
    return _scalar(name, option, option["type"])


def _scalar(name: str, option: Mapping[str, Any], kind: str) -> st.SearchStrategy[Any]:
    if "choices" in option:
        return st.sampled_from(option["choices"])
    if kind == "bool":
        return st.booleans()
    return TEXTS[name] if kind == "str" else NUMBERS[name]


# Depend on their position, or on other options.
_DEPENDENT = ("device_id", "io_thread", "boot_order")
_NOT_FOR_VHOST = ("qos", "luks_secret_uuid", "shareable", "physical_block_size", "use_scsi", "use_virtio_scsi")


def options(spec: Mapping[str, Mapping[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw the options of one part; those that may be left out sometimes are."""
    required = {name: _value(name, option) for name, option in spec.items() if option.get("required")}
    optional = {
        name: _value(name, option)
        for name, option in spec.items()
        if not option.get("required") and name not in _DEPENDENT
    }
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def vms(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a valid VM, as a playbook writes it."""
    vm = draw(options(VM_ARGUMENT_SPEC))
    _make_topology_fit(draw, vm)
    _make_machine_fit(vm)
    _make_console_fit(vm)
    volumes = [vm["root_volume"], *vm.get("data_volumes", [])]
    for index, volume in enumerate(volumes):
        _make_volume_fit(volume, index)
    _number(draw, vm.get("data_volumes", []), range(1, 25))
    for index, cdrom in enumerate(vm.get("boot_iso", [])):
        cdrom["path"] = draw(st.sampled_from(["/var/lib/cd.iso", "ceph://pool/cd@snap", "fusionstor://pool/cd@snap"]))
        cdrom["mon_info"] = cdrom.get("mon_info") or [{"hostname": "10.0.9.1"}]
        cdrom["device_id"] = 2 - index
    if vm.get("cd_roms") is not None:
        vm.pop("boot_iso", None)
    for index, drive in enumerate(vm.get("cd_roms") or ()):
        drive["device_id"] = 2 - index
        if not drive.get("path"):
            drive.pop("protocol", None)
    for index, lun in enumerate(vm.get("scsi_luns", ())):
        lun["path"] += ".%d" % index
    vm["floppies"] = vm.get("floppies", [])[:2]
    if vm.get("wait_for") in ("guest_agent", "address", "cloud_init"):
        vm.pop("create_paused", None)
    _number_boot_order(draw, vm)
    for index, nic in enumerate(vm.get("nics", [])):
        nic["nic_internal_name"] = "vnic%d" % index
        if "mac" in nic:
            nic["mac"] = nic["mac"][:-2] + "%02x" % index
        _make_bridge_fit(nic, index)
    _make_models_fit(vm)
    _number(draw, vm.get("nics", []), range(20))
    for index, channel in enumerate(vm.get("channels", [])):
        channel["socket_path"] += ".%d" % index
        channel["target_name"] += ".%d" % index
    if vm.get("wait_for") == "guest_agent":
        vm.setdefault("channels", []).append(dict(GUEST_AGENT))
    if vm.get("wait_for") == "address" and not vm.get("nics"):
        vm["nics"] = [{"bridge_name": "br0"}]
    _make_addresses_differ(vm)
    _make_disks_possible(vm)
    vm["usb_devices"] = list({tuple(device.split(":")[:2]): device for device in vm.get("usb_devices", [])}.values())
    vm["pci_devices"] = list({_full(device): device for device in vm.get("pci_devices", [])}.values())
    return vm


def _number_boot_order(draw: st.DrawFn, vm: dict[str, Any]) -> None:
    """Give some VMs' devices a boot order, each its own."""
    if draw(st.booleans()):
        named = [
            vm["root_volume"],
            *(each for name in ("data_volumes", "cd_roms", "nics") for each in vm.get(name) or ()),
        ]
        for order, device in enumerate(draw(st.permutations(named)), 1):
            device["boot_order"] = order


def _make_disks_possible(vm: dict[str, Any]) -> None:
    if any(volume.get("device_type") == "vhost" for volume in [vm["root_volume"], *vm.get("data_volumes", ())]):
        vm["memory_access"] = "shared"
    for lun in vm.get("scsi_luns", ()):
        # This libvirt refuses "unfiltered".
        lun.pop("sgio", None)
    for drive in vm.get("cd_roms", ()):
        # libvirt has such disks on virtio only, where no CD drive can be.
        drive.pop("protocol", None)


def _make_addresses_differ(vm: dict[str, Any]) -> None:
    """Remove PCI addresses that another device has."""
    used_slots = set()
    values = [value if isinstance(value, list) else [value] for value in vm.values()]
    for device in [each for value in values for each in value if isinstance(each, dict)]:
        address = device.get("address")
        if isinstance(address, dict) and address["type"] == "pci":
            slot = tuple(address.get(name, 0) for name in ("bus", "slot", "function"))
            if slot in used_slots:
                del device["address"]
            used_slots.add(slot)


def _make_bridge_fit(nic: dict[str, Any], index: int) -> None:
    if nic.get("address", {}).get("type") == "drive":
        del nic["address"]
    if nic.get("model", "virtio") != "virtio":
        for name in ("queues", "rx_queue_size", "tx_queue_size"):
            nic.pop(name, None)
    if "pci_device_address" in nic:
        nic["pci_device_address"] = "0000:%02x:00.1" % (index + 1)
        for name in (
            *("bridge_type", "interface_id", "model", "ip", "queues", "rx_queue_size", "tx_queue_size"),
            *("link_state", "isolated", "network_name"),
        ):
            nic.pop(name, None)
        return
    if "network_name" in nic and (index % 2 or "bridge_name" not in nic):
        nic.pop("bridge_name", None)
        nic.pop("bridge_type", None)
    else:
        nic.pop("network_name", None)
        nic.setdefault("bridge_name", "br0")
    if nic.get("bridge_type") == "openvswitch":
        for name in ("ip", "clean_traffic", "isolated"):
            nic.pop(name, None)
    else:
        nic.pop("interface_id", None)
        nic.pop("vlan_id", None)
    if "interface_id" in nic:
        nic["interface_id"] = nic["interface_id"][:-2] + "%02x" % index


def _make_models_fit(vm: dict[str, Any]) -> None:
    if not vm.get("use_virtio", True):
        for nic in vm.get("nics", []):
            if "pci_device_address" not in nic:
                nic["model"] = nic.get("model", "virtio")


def _full(pci_address: str) -> str:
    return pci_address if pci_address.count(":") == 2 else "0000:" + pci_address


def _make_topology_fit(draw: st.DrawFn, vm: dict[str, Any]) -> None:
    if vm.get("use_numa"):
        vm["cpu_num"] = min(vm["cpu_num"], 128)
        for name in ("socket_num", "cpu_on_socket"):
            if "max_vcpu_num" in vm:
                vm.pop(name, None)
        if "max_vcpu_num" in vm:
            vm["max_vcpu_num"] = max(vm["max_vcpu_num"], vm["cpu_num"])
        if "max_memory" in vm:
            vm["max_memory"] = 1 << 50
        return
    sockets, cores, threads = (vm.get(name) for name in ("socket_num", "cpu_on_socket", "threads_per_core"))
    if sockets or cores or threads:
        vm["cpu_num"] = (sockets or 1) * (cores or 1) * (threads or 1)


def _make_machine_fit(vm: dict[str, Any]) -> None:
    """Make CPU model, firmware, pinning and NUMA nodes fit together."""
    if vm.get("nested_virtualization") == "custom":
        vm.setdefault("cpu_model", "qemu64")
    else:
        vm.pop("cpu_model", None)
    if vm.get("nested_virtualization", "none") in ("none", "host-passthrough"):
        vm.pop("cpu_vendor_id", None)
    if vm.get("firmware") in ("bios", "uefi_with_csm"):
        vm.pop("secure_boot", None)
    if vm.get("firmware", "bios") != "bios":
        vm.pop("loader_rom", None)
    for number, pin in enumerate(vm.get("cpu_pinning", [])[: vm["cpu_num"]]):
        pin["vcpu"] = number
    vm["cpu_pinning"] = vm.get("cpu_pinning", [])[: vm["cpu_num"]]
    for number, thread in enumerate(vm.get("io_threads", [])):
        thread["id"] = number + 1
    nodes = vm.get("numa_nodes", [])
    if nodes and vm.get("use_numa"):
        nodes.clear()
    for number, node in enumerate(nodes):
        node["id"] = number
        node["cpus"] = str(number)
        node["memory"] = 1 << 30
        node["distances"] = [10 if other == number else 20 for other in range(len(nodes))]
    if nodes:
        vm["memory"] = len(nodes) << 30
        vm["cpu_num"] = len(nodes)
        vm["cpu_pinning"] = vm["cpu_pinning"][: len(nodes)]
        for name in ("socket_num", "cpu_on_socket", "threads_per_core"):
            vm.pop(name, None)


def _make_console_fit(vm: dict[str, Any]) -> None:
    if vm.get("appliance"):
        vm.pop("usb_redirect", None)
    if vm.get("usb_redirect"):
        vm["console_mode"] = "spice"
    balloon = vm.get("memory_balloon", {})
    if not balloon.get("enabled", True) or balloon.get("address", {}).get("type") == "drive":
        balloon.pop("address", None)
    for index, device in enumerate(vm.get("shared_memory", [])):
        device["name"] = "shared-%d" % index
    vm["mdev_devices"] = list({uuid.replace("-", ""): uuid for uuid in vm.get("mdev_devices", [])}.values())


def _make_volume_fit(volume: dict[str, Any], index: int) -> None:
    """Make the parts of a volume that depend on its kind of storage agree."""
    kind = volume.get("device_type", "file")
    name = "volume%d" % index
    volume["install_path"] = {
        "file": "/var/lib/%s" % name,
        "ceph": "ceph://pool/%s" % name,
        "iscsi": "iscsi://10.0.8.8:3260/iqn.2015-01.io.example:%s/%d" % (name, index),
        "fusionstor": "fusionstor://pool/%s" % name,
        "block": "/dev/%s" % name,
        "vhost": "/run/%s" % name,
    }[kind]
    if kind == "vhost":
        volume["use_virtio"] = True
        for option in _NOT_FOR_VHOST:
            volume.pop(option, None)
    _make_limits_fit(volume.get("qos") or {})
    if kind == "ceph" and not volume.get("mon_info"):
        volume["mon_info"] = [{"hostname": "10.0.9.1"}]
    if not (volume.get("chap_username") and volume.get("chap_password")):
        volume.pop("chap_username", None)
        volume.pop("chap_password", None)
    _make_creation_fit(volume, kind)
    if kind == "iscsi":
        # libvirt 11.3 shares no encrypted disk, which 9.0 does, and the LUNs of iSCSI are shared.
        volume.pop("luks_secret_uuid", None)
        if not volume.get("use_virtio", True):
            volume.pop("physical_block_size", None)
    if volume.get("format") == "qcow2" or "create" in volume or "luks_secret_uuid" in volume:
        volume.pop("shareable", None)
    if "wwn" in volume:
        volume["wwn"] = volume["wwn"][:-1] + _HEX[index]


def _make_creation_fit(volume: dict[str, Any], kind: str) -> None:
    create = volume.get("create")
    if create is None:
        return
    if kind not in ("file", "ceph"):
        del volume["create"]
        return
    if "image" not in create:
        create.pop("linked", None)
    if kind == "ceph":
        create.pop("format", None)
        if "image" in create:
            create["image"] = "pool/image@snapshot"
    else:
        volume["format"] = create["format"] = "qcow2"


def _make_limits_fit(qos: dict[str, Any]) -> None:
    """Remove the limits that a limit of reads and writes together excludes."""
    for name, others in {
        "total_bandwidth": ("read_bandwidth", "write_bandwidth"),
        "total_iops": ("read_iops", "write_iops", "overall_iops"),
        "overall_iops": ("read_iops", "write_iops"),
    }.items():
        for other in others if name in qos else ():
            qos.pop(other, None)


def _number(draw: st.DrawFn, parts: list[dict[str, Any]], ids: range) -> None:
    """Assign a device_id to all parts, in any order, or to none."""
    if not parts:
        return
    if draw(st.booleans()):
        numbers = draw(st.lists(st.sampled_from(ids), min_size=len(parts), max_size=len(parts), unique=True))
        for part, number in zip(parts, numbers):
            part["device_id"] = number


def parsed_vms() -> st.SearchStrategy[Vm]:
    """Draw VMs as the code behind the spec sees them."""
    return vms().map(_parsed)


def _parsed(vm: dict[str, Any]) -> Vm:
    parsed, problems = parse_vms([vm])
    assert not problems, "\n".join(str(problem) for problem in problems)
    return parsed[0]


def garbage() -> st.SearchStrategy[Any]:
    """Draw anything at all, from a bare number to nested nonsense."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.sampled_from(["1e999999999", "9" * 5000, "-1", "nan", "Infinity", "\ud800", "{", "a=b"]),
        st.integers(100, 5000).map(lambda digits: 10**digits),
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
        ),
        max_leaves=8,
    )


@st.composite
def damaged_vms(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a VM of which one value, at any depth, is replaced, or one key misspelt."""
    vm = copy.deepcopy(draw(vms()))
    part: Any = vm
    while True:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        key = draw(st.sampled_from(keys))
        if isinstance(part[key], (dict, list)) and part[key] and draw(st.booleans()):
            part = part[key]
            continue
        if isinstance(part, dict) and draw(st.booleans()):
            part["%s_" % key] = part.pop(key)
        else:
            part[key] = draw(garbage())
        return vm
