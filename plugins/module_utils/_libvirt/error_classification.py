# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the words of libvirt, QEMU and the kernel become one of our error codes.

The texts that the patterns look for are theirs, in the C locale; each has a recorded example among the unit tests.
"""

from __future__ import annotations

import re
from typing import Optional

# libvirt's numbers, from its virterror.h.
_BY_NUMBER = {
    5: "libvirt_unavailable",  # NO_CONNECT
    8: "invalid_domain",  # INVALID_ARG
    27: "invalid_domain",  # XML_ERROR
    29: "libvirt_denied",  # OPERATION_DENIED
    35: "invalid_domain",  # XML_DETAIL
    42: "domain_gone",  # NO_DOMAIN
    45: "libvirt_denied",  # AUTH_FAILED
    66: "secret_missing",  # NO_SECRET
    67: "unsupported_device",  # CONFIG_UNSUPPORTED
    68: "vm_busy",  # OPERATION_TIMEOUT
    79: "libvirt_denied",  # AUTH_CANCELLED
    87: "vm_busy",  # RESOURCE_BUSY
    88: "libvirt_denied",  # ACCESS_DENIED
    91: "unsupported_device",  # CPU_INCOMPATIBLE
    92: "invalid_domain",  # XML_INVALID_SCHEMA
    94: "libvirt_denied",  # AUTH_UNAVAILABLE
}
_CONNECTION_SOURCES = frozenset({7, 13})  # VIR_FROM_RPC, VIR_FROM_REMOTE
_CONNECTION_NUMBERS = frozenset({1, 6, 38, 39})  # INTERNAL_ERROR, INVALID_CONN, SYSTEM_ERROR, RPC

# The first that is found counts: what is behind a failure comes before the words it is wrapped in.
_TEXTS = (
    ("qos_limit", r"(?s)(?=.*burst)(?=.*Illegal)(?=.*rate)"),
    ("qos_limit", r'Illegal "(quantum|burst|rate)"'),
    ("qos_limit", r'argument "[^"]*" is wrong: (buffer|rate|burst)'),
    ("qos_limit", r"could not convert bandwidth \w+ value"),
    ("qos_unsupported", r"(Specified qdisc (kind is unknown|not found))|(TC (classifier|action module) not found)"),
    # QEMU's words until 4.0, and since.
    (
        "vfio_irq_conflict",
        r"Failed to setup INTx fd: Device or resource busy|[Ff]ailed to set up .*INTX.*: Device or resource busy",
    ),
    (
        "not_enough_memory",
        r"cannot set up guest memory|cannot (map|allocate).*guest (RAM|memory)|Cannot allocate memory",
    ),
    ("disk_full", r"No space left on device|Disk quota exceeded"),
    ("security_denied", r'apparmor="DENIED"|AppArmor profile|avc:\s+denied|security context|SELinux'),
    (
        "kvm_unavailable",
        r"Could not access KVM kernel module|failed to initialize [kK][vV][mM]|invalid accelerator kvm"
        r"|KVM is not available|KVM acceleration not available|/dev/kvm",
    ),
    (
        "image_locked",
        r'Failed to get (shared )?"?(write|consistent read|resize)"? lock|Is another process using the image',
    ),
    (
        "storage_denied",
        r"rbd.*(Operation not permitted|Permission denied)|[Aa]uthentication failure|iSCSI.*[Ll]ogin.*(fail|denied)",
    ),
    ("storage_missing", r"error reading header from|error opening pool|rbd.*No such file or directory"),
    ("storage_missing", r"export .* not (present|available|found)|iSCSI.*(target|LUN).*not (found|exist)"),
    (
        "storage_unreachable",
        r"error connecting|Failed to connect to (LUN|.*iSCSI|: (Connection refused|No such file or directory))"
        r"|(Connection (refused|timed out)|No route to host).*(iscsi|rbd|nbd)"
        r"|(iscsi|rbd|nbd|iSCSI).*(Connection (refused|timed out)|No route to host)",
    ),
    (
        "image_permission",
        r"(Could not open|Could not read|Cannot access storage file|cannot access).*Permission denied",
    ),
    (
        "image_missing",
        r"(Could not open|Cannot access storage file|cannot access|could not stat).*No such file or directory",
    ),
    ("channel_dir_missing", r"Unable to bind to UNIX socket path.*No such file or directory"),
    ("image_format", r"Image is not in \w+ format"),
    ("bridge_missing", r"Cannot get interface MTU on|[Uu]nable to add bridge|bridge .*(does not exist|No such device)"),
    ("openvswitch_failed", r"Unable to add port .* to OVS bridge"),
    ("filter_failed", r"nwfilter|[Nn]etwork filter|referenced filter|(ip6?|eb)tables"),
    ("address_missing", r"Cannot assign requested address"),
    ("address_in_use", r"Address already in use|Unable to find an unused port|Failed to find an available port"),
    ("secret_missing", r"[Ss]ecret not found|no secret with matching|secret .* does not have a value"),
    (
        "iommu_missing",
        r"host doesn't support passthrough|"
        r"no iommu_group|IOMMU not (present|enabled)|no IOMMU|[Uu]nsupported passthrough"
        r"|does not support PCI passthrough|cannot be assigned.*IOMMU|vfio.*group .* is not viable",
    ),
    ("device_in_use", r"(PCI|USB) device .* is in use|is in use by driver|in use by domain"),
    ("device_missing", r"Did not find USB device|(PCI )?[Dd]evice .* not found|/sys/bus/pci/devices/.*No such file"),
    ("unsupported_domain_type", r"does not support virt type"),
    ("firmware_missing", r"[Uu]nable to find any (master var store|firmware)"),
    ("unsupported_machine", r"[Uu]nsupported machine type|does not support machine type|is not supported by emulator"),
    (
        "unsupported_device",
        r"is not a valid device model name|not supported (by|in) this QEMU|by this QEMU binary"
        r"|is not supported on this|[Uu]nknown device",
    ),
    ("name_taken", r"domain '?[^' ]*'? already exists with uuid|is already defined with uuid"),
    (
        "vm_busy",
        r"cannot acquire state change lock|is (already )?being (migrated|saved|started)|block copy still active",
    ),
    (
        "qemu_failed",
        r"process exited while connecting to monitor|Unable to read from monitor|unexpectedly closed the monitor"
        r"|qemu.*(exited|died)|domain is not running|monitor socket",
    ),
)
_PATTERNS = tuple((code, re.compile(pattern)) for code, pattern in _TEXTS)
# Names of files and images may be anything, error messages included; those of devices of the kernel say something.
_PATHS = re.compile(r"""'(?!/dev/|/sys/)[^'\s]*/[^']*'|"(?!/dev/|/sys/)[^"\s]*/[^"]*\"""")
# What happened to the connection, rather than what libvirtd reports of the VM through a connection that works.
_HANGS = re.compile(r"keepalive timeout")
_REFUSED = re.compile(r"Failed to connect socket|[Uu]nable to connect to server")


def classify_text(text: str) -> Optional[str]:
    """The code of what libvirt, QEMU or the kernel wrote, None where nothing is recognised."""
    words = _PATHS.sub("", text)
    return next((code for code, pattern in _PATTERNS if pattern.search(words)), None)


def classify(number: int, source: int, message: str) -> str:
    """The code of an error of libvirt: its number (VIR_ERR_*), its source (VIR_FROM_*) and its message."""
    if source in _CONNECTION_SOURCES and number in _CONNECTION_NUMBERS:
        if _HANGS.search(message):
            return "libvirt_hangs"
        return "libvirt_unavailable" if _REFUSED.search(message) else "connection_lost"
    return classify_text(message) or _BY_NUMBER.get(number, "libvirt_error")
