# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that say what of a libvirt domain a VM's document decides: one for each element.

The rules are data. C(reconcile) uses them to compare the desired domain with the existing one, and to merge them.
A builder of the domain that writes something new needs a new line here.

What is desired is always compared, attributes and text. A rule says what the I(absence) of something means.
Without a rule it means nothing: what libvirt or an operator added stays, and is not a difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Callable, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .identity import (
    CHANNEL,
    CONSOLE,
    CONTROLLER,
    DISK_SOURCE,
    DISK_TARGET,
    GUEST_USB_PORT,
    HOST_ADDRESS,
    HOST_PRODUCT,
    INPUT,
    INTERFACE_MAC,
    INTERFACE_NAME,
    NETWORK_HOST,
    POSITION,
    SECURITY_DRIVER,
    Key,
    attribute,
    is_chosen_by_libvirt,
    is_default_cpu_model,
    is_disabled,
    is_driver_of_operator,
    is_dynamic_label,
    is_log_of_operator,
    is_not_dimm,
    is_not_usb,
    is_rom_of_operator,
    same_caseless,
    same_controller_model,
    same_cpus,
    same_hexadecimal,
    same_loader,
    same_machine,
    same_number,
)

NAMESPACES = {"zs": "http://zstack.org", "qemu": "http://libvirt.org/schemas/domain/qemu/1.0"}
# Attributes whose values no result, diff or message may show.
SECRET_ATTRIBUTES = frozenset({"passwd"})


class Rule(NamedTuple):
    """The comparison of one element of a domain.

    C(attributes): what the builders write; if they don't, an existing one stays.
    C(optional): attributes that are removed if they aren't desired.
    C(defaults): attributes, and the values that their absence stands for.
    C(same): attributes (an empty name is the text), and when two spellings mean the same value.
    C(owned): an element that isn't desired is removed, C(unless) libvirt itself or an operator added it.
    C(keys): what identifies one of several of one tag; each key is for those that the keys before it left over.
    C(named_by_libvirt): libvirt gives an element without any of the keys one of its own.
    C(label): the key by which paths name one of several, if it isn't the first.
    C(ordered): the order of several is significant.
    C(kinds): attributes (of the element, or of a child of it) that decide its kind. If one changes, other attributes
    of it that have no rule and aren't desired are removed, and so are the children and, after C(@), the attributes
    that are named: libvirt or an operator wrote them for another kind.
    C(whole): compared and replaced as one piece.
    """

    attributes: str = ""
    optional: str = ""
    defaults: Mapping[str, str] = MappingProxyType({})
    same: Mapping[str, Callable[[str, str], bool]] = MappingProxyType({})
    owned: bool = False
    unless: Optional[Callable[[etree._Element], bool]] = None
    keys: tuple[Key, ...] = ()
    named_by_libvirt: bool = False
    label: Optional[Key] = None
    ordered: bool = False
    kinds: Mapping[str, str] = MappingProxyType({})
    whole: bool = False


_ADDRESS_NUMBERS = dict.fromkeys(
    ("domain", "bus", "slot", "function", "controller", "target", "unit", "port", "device"), same_number
)
_HOST_ADDRESS = {**_ADDRESS_NUMBERS, "uuid": same_caseless}
_GUEST_ADDRESS = Rule(
    "type domain bus slot function unit port multifunction",
    defaults={"controller": "0", "target": "0"},
    same=_ADDRESS_NUMBERS,
    kinds={"@type": ""},
)
_CONSOLE_LOG = Rule("file", owned=True, unless=is_log_of_operator)
_BOOT_ORDER = Rule("order", owned=True)
_PARTS_OF_A_SOURCE = "backingStore mirror source/slices source/encryption source/reservations source/config"

RULES: Mapping[str, Rule] = {
    ".": Rule("type"),
    "name": Rule(),
    "uuid": Rule(same={"": same_caseless}),
    "description": Rule(owned=True),
    "metadata": Rule(),
    "metadata/zs:zstack": Rule(owned=True),
    "metadata/zs:zstack/internalId": Rule(owned=True),
    "metadata/zs:zstack/hostManagementIp": Rule(owned=True),
    # Memory and CPUs
    "maxMemory": Rule("slots unit", owned=True),
    "memory": Rule("unit"),
    "currentMemory": Rule("unit"),
    "vcpu": Rule("placement", optional="current"),
    "cputune": Rule(),
    "cputune/shares": Rule(owned=True),
    "cputune/period": Rule(owned=True),
    "cputune/quota": Rule(owned=True),
    "cputune/vcpupin": Rule("vcpu cpuset", same={"cpuset": same_cpus}, keys=(attribute("vcpu"),), owned=True),
    "cputune/emulatorpin": Rule("cpuset", same={"cpuset": same_cpus}, owned=True),
    "cputune/iothreadpin": Rule(
        "iothread cpuset", same={"cpuset": same_cpus}, keys=(attribute("iothread"),), owned=True
    ),
    "iothreads": Rule(owned=True),
    "iothreadids": Rule(owned=True),
    "iothreadids/iothread": Rule("id", keys=(attribute("id"),), owned=True),
    "numatune": Rule(),
    "numatune/memnode": Rule(
        "cellid mode nodeset", same={"nodeset": same_cpus}, keys=(attribute("cellid"),), owned=True
    ),
    "memoryBacking": Rule(),
    "memoryBacking/hugepages": Rule(owned=True),
    "memoryBacking/nosharepages": Rule(owned=True),
    "memoryBacking/access": Rule("mode", owned=True),
    "memoryBacking/allocation": Rule("mode", owned=True),
    "cpu": Rule("match", defaults={"mode": "custom", "match": "exact"}, kinds={"@mode": "model vendor feature"}),
    "cpu/model": Rule("fallback", optional="vendor_id", owned=True, unless=is_default_cpu_model),
    "cpu/vendor": Rule(owned=True),
    "cpu/topology": Rule("sockets cores threads", defaults={"dies": "1", "clusters": "1"}, owned=True),
    "cpu/numa": Rule(owned=True),
    "cpu/numa/cell": Rule("id cpus memory unit", same={"cpus": same_cpus}, keys=(attribute("id"),), owned=True),
    "cpu/numa/cell/distances": Rule(owned=True),
    "cpu/numa/cell/distances/sibling": Rule("id value", keys=(attribute("id"),), owned=True),
    "cpu/feature": Rule("name policy", keys=(attribute("name"),), owned=True),
    "cpu/maxphysaddr": Rule("mode", optional="bits limit", owned=True),
    # Board and firmware
    "os": Rule(optional="firmware", kinds={"@firmware": "loader nvram firmware"}),
    "os/firmware": Rule(),
    "os/firmware/feature": Rule("name enabled", keys=(attribute("name"),), owned=True, unless=is_disabled),
    "os/type": Rule("arch machine", same={"machine": same_machine}),
    "os/loader": Rule(
        "readonly type",
        optional="secure stateless",
        same={"": same_loader},
        owned=True,
        unless=is_chosen_by_libvirt,
    ),
    "os/nvram": Rule("template"),
    "os/boot": Rule("dev", keys=(POSITION,), owned=True),
    "os/bootmenu": Rule("enable", optional="timeout", owned=True),
    "os/smbios": Rule("mode", owned=True),
    "sysinfo": Rule("type", owned=True),
    "sysinfo/system": Rule(owned=True),
    "sysinfo/system/entry": Rule("name", keys=(attribute("name"),), owned=True),
    "sysinfo/chassis": Rule(owned=True),
    "sysinfo/chassis/entry": Rule("name", keys=(attribute("name"),), owned=True),
    "sysinfo/oemStrings": Rule(owned=True),
    "sysinfo/oemStrings/entry": Rule(keys=(POSITION,), owned=True),
    "features": Rule(),
    "features/acpi": Rule(owned=True),
    "features/apic": Rule(optional="eoi", owned=True),
    "features/pae": Rule(owned=True),
    "features/smm": Rule("state"),
    "features/pmu": Rule("state", owned=True),
    "features/vmport": Rule("state", owned=True),
    "features/hyperv": Rule(),
    "features/hyperv/*": Rule("state", optional="retries value", owned=True),
    "features/hyperv/stimer": Rule("state", owned=True),
    "features/hyperv/stimer/direct": Rule("state", owned=True),
    "features/gic": Rule("version"),
    "features/ioapic": Rule("driver"),
    "features/kvm": Rule(),
    "features/kvm/hidden": Rule("state", owned=True),
    "clock": Rule("offset", optional="adjustment basis timezone start"),
    "clock/timer": Rule(
        "name", optional="present tickpolicy track mode frequency", keys=(attribute("name"),), owned=True
    ),
    "on_poweroff": Rule(),
    "on_reboot": Rule(),
    "on_crash": Rule(),
    "pm": Rule(),
    "pm/suspend-to-mem": Rule("enabled", owned=True),
    "pm/suspend-to-disk": Rule("enabled", owned=True),
    "seclabel": Rule(
        "type",
        keys=(SECURITY_DRIVER,),
        owned=True,
        unless=is_dynamic_label,
        kinds={"@type": "label imagelabel baselabel"},
    ),
    "devices": Rule(),
    "devices/emulator": Rule(),
    # Volumes and CD drives
    "devices/disk": Rule(
        "type device",
        optional="snapshot sgio",
        keys=(DISK_SOURCE, DISK_TARGET),
        label=DISK_TARGET,
        owned=True,
        kinds={
            "target/@bus": "address @model",
            "source/@file": _PARTS_OF_A_SOURCE,
            "source/@dev": _PARTS_OF_A_SOURCE,
            "source/@name": _PARTS_OF_A_SOURCE,
            "source/@path": _PARTS_OF_A_SOURCE,
        },
    ),
    "devices/disk/driver": Rule("name type", optional="cache io discard queues iothread"),
    "devices/disk/source": Rule(optional="file dev protocol name type path", owned=True),
    "devices/disk/source/reconnect": Rule("enabled timeout", owned=True),
    "devices/disk/source/encryption": Rule("format", owned=True),
    "devices/disk/source/encryption/secret": Rule("type uuid", same={"uuid": same_caseless}),
    "devices/disk/source/host": Rule(optional="name port transport socket", keys=(NETWORK_HOST, POSITION), owned=True),
    "devices/disk/source/auth": Rule("username", owned=True),
    "devices/disk/source/auth/secret": Rule("type", optional="uuid usage"),
    "devices/disk/source/snapshot": Rule("name", owned=True),
    "devices/disk/target": Rule("dev bus"),
    "devices/disk/iotune": Rule(),
    "devices/disk/iotune/*": Rule(owned=True),
    "devices/disk/readonly": Rule(owned=True),
    "devices/disk/shareable": Rule(owned=True),
    "devices/disk/transient": Rule(owned=True),
    "devices/disk/serial": Rule(owned=True),
    "devices/disk/blockio": Rule("physical_block_size", owned=True),
    "devices/disk/wwn": Rule(owned=True, same={"": same_hexadecimal}),
    "devices/disk/boot": _BOOT_ORDER,
    "devices/disk/address": _GUEST_ADDRESS,
    "devices/controller": Rule(
        "type index model",
        same={"model": same_controller_model},
        keys=(CONTROLLER,),
        owned=True,
        unless=is_not_usb,
        kinds={"@model": "address driver master model target"},
    ),
    "devices/controller/master": Rule("startport"),
    "devices/controller/driver": Rule("iothread"),
    "devices/controller/address": _GUEST_ADDRESS,
    # Network cards
    "devices/interface": Rule(
        "type",
        optional="managed",
        keys=(INTERFACE_MAC, INTERFACE_NAME),
        named_by_libvirt=True,
        ordered=True,
        owned=True,
        kinds={"model/@type": "address driver"},
    ),
    "devices/interface/mac": Rule("address", same={"address": same_caseless}),
    "devices/interface/source": Rule(optional="bridge network dev mode portgroup"),
    "devices/interface/source/address": Rule("type domain bus slot function", same=_ADDRESS_NUMBERS),
    "devices/interface/virtualport": Rule("type", owned=True, kinds={"@type": "parameters"}),
    "devices/interface/virtualport/parameters": Rule("interfaceid", same={"interfaceid": same_caseless}),
    "devices/interface/vlan": Rule(optional="trunk", owned=True),
    "devices/interface/vlan/tag": Rule("id", optional="nativeMode", owned=True),
    "devices/interface/target": Rule("dev"),
    "devices/interface/model": Rule("type"),
    "devices/interface/driver": Rule(
        optional="name txmode ioeventfd event_idx queues rx_queue_size tx_queue_size",
        owned=True,
        unless=is_driver_of_operator,
    ),
    "devices/interface/mtu": Rule("size", owned=True),
    "devices/interface/port": Rule("isolated", owned=True),
    "devices/interface/filterref": Rule("filter", owned=True),
    "devices/interface/filterref/parameter": Rule("name value", keys=(attribute("name"),), owned=True),
    "devices/interface/bandwidth": Rule(),
    "devices/interface/bandwidth/inbound": Rule(optional="average peak burst floor", owned=True),
    "devices/interface/bandwidth/outbound": Rule(optional="average peak burst", owned=True),
    "devices/interface/link": Rule("state", owned=True),
    "devices/interface/boot": _BOOT_ORDER,
    "devices/interface/address": _GUEST_ADDRESS,
    # Console, screen, keyboard and mouse
    "devices/serial": Rule("type", keys=(CONSOLE, POSITION), kinds={"@type": "source protocol"}),
    "devices/serial/target": Rule("port"),
    "devices/serial/log": _CONSOLE_LOG,
    "devices/console": Rule("type", keys=(CONSOLE, POSITION), kinds={"@type": "source protocol"}),
    "devices/console/target": Rule("type port"),
    "devices/console/log": _CONSOLE_LOG,
    "devices/input": Rule(
        "type bus", keys=(INPUT, GUEST_USB_PORT, attribute("type")), kinds={"@type": "", "@bus": "address"}
    ),
    "devices/input/address": _GUEST_ADDRESS,
    "devices/graphics": Rule(
        "type port autoport", optional="listen passwd passwdValidTo", keys=(attribute("type"),), owned=True
    ),
    "devices/graphics/listen": Rule("type", optional="address network socket", keys=(POSITION,), owned=True),
    "devices/graphics/channel": Rule("name mode", keys=(attribute("name"),), owned=True),
    "devices/graphics/image": Rule("compression", owned=True),
    "devices/graphics/jpeg": Rule("compression", owned=True),
    "devices/graphics/zlib": Rule("compression", owned=True),
    "devices/graphics/playback": Rule("compression", owned=True),
    "devices/graphics/streaming": Rule("mode", owned=True),
    "devices/graphics/mouse": Rule("mode", owned=True),
    "devices/graphics/clipboard": Rule("copypaste", owned=True),
    "devices/graphics/filetransfer": Rule("enable", owned=True),
    "devices/video": Rule(keys=(POSITION,), owned=True, kinds={"model/@type": "address driver model/acceleration"}),
    "devices/video/model": Rule("type ram vram vgamem", defaults={"heads": "1"}),
    "devices/video/address": _GUEST_ADDRESS,
    "devices/sound": Rule("model", keys=(attribute("model"),), owned=True),
    "devices/sound/address": _GUEST_ADDRESS,
    # Channels and what is passed through
    "devices/channel": Rule("type", keys=(CHANNEL,), owned=True, kinds={"@type": "source protocol"}),
    "devices/channel/source": Rule("mode path channel"),
    "devices/channel/target": Rule("type name"),
    "devices/redirdev": Rule(
        "bus type", keys=(GUEST_USB_PORT, POSITION), owned=True, kinds={"@type": "source protocol"}
    ),
    "devices/redirdev/source": Rule("mode host service"),
    "devices/redirdev/source/reconnect": Rule("enabled timeout"),
    "devices/redirdev/address": _GUEST_ADDRESS,
    "devices/redirdev/boot": _BOOT_ORDER,
    "devices/hostdev": Rule("mode type", optional="managed model", keys=(HOST_ADDRESS, HOST_PRODUCT), owned=True),
    "devices/hostdev/driver": Rule("name"),
    "devices/hostdev/rom": Rule("bar file", owned=True, unless=is_rom_of_operator),
    "devices/hostdev/source": Rule(optional="startupPolicy"),
    "devices/hostdev/source/vendor": Rule("id", same={"id": same_number}),
    "devices/hostdev/source/product": Rule("id", same={"id": same_number}),
    "devices/hostdev/source/address": Rule("type domain bus slot function device uuid", same=_HOST_ADDRESS),
    "devices/hostdev/boot": _BOOT_ORDER,
    "devices/hostdev/address": _GUEST_ADDRESS,
    # Memory that was plugged in counts as part of the desired memory; see hardware.
    "devices/memory": Rule("model", keys=(POSITION,), owned=True, unless=is_not_dimm),
    "devices/memballoon": Rule("model", kinds={"@model": "address"}),
    "devices/memballoon/stats": Rule("period", owned=True),
    "devices/memballoon/address": _GUEST_ADDRESS,
    "devices/shmem": Rule("name", keys=(attribute("name"),), owned=True),
    "devices/shmem/model": Rule("type"),
    "devices/shmem/size": Rule("unit"),
    "devices/panic": Rule("model", keys=(attribute("model"),), owned=True),
    "devices/panic/address": Rule("type iobase", same={"iobase": same_number}),
    # The guest's secrets in its state are lost with a TPM, so that only a patch removes it.
    "devices/tpm": Rule("model", kinds={"@model": "address"}),
    "devices/tpm/backend": Rule("type version", kinds={"@type": "device source encryption"}),
    "devices/tpm/backend/encryption": Rule("secret", same={"secret": same_caseless}),
    "devices/iommu": Rule("model", owned=True),
    "devices/iommu/driver": Rule("intremap eim"),
    # Written only by domain patches
    "qemu:commandline": Rule(owned=True, whole=True),
}
