# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Classification of errors of libvirt, QEMU and the kernel into error codes.

libvirtd may be localised, so its errors are recognised by their numbers: that of the error, that of the part of
libvirt which reports it, and errno. QEMU, the kernel and the programs that libvirt runs are never translated; their
texts, which libvirt quotes, are matched first. English texts of libvirt itself make some codes more precise,
but nothing depends on them: in another language the numbers decide. Each code has an example among the
unit tests.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Optional

from ..foreign_text import shorten

# libvirt's numbers, from its virterror.h.
_INTERNAL_ERROR, _SYSTEM_ERROR = 1, 38
_RPC_SOURCE, _QEMU_SOURCE, _STORAGE_SOURCE, _NWFILTER_SOURCE, _FIREWALL_SOURCE, _REMOTE_SOURCE = 7, 10, 18, 33, 59, 13
_CGROUP_SOURCE = 54
_BY_NUMBER = {
    5: "libvirt_unavailable",  # NO_CONNECT
    8: "invalid_domain",  # INVALID_ARG
    27: "invalid_domain",  # XML_ERROR
    29: "libvirt_denied",  # OPERATION_DENIED
    35: "invalid_domain",  # XML_DETAIL
    42: "domain_gone",  # NO_DOMAIN
    45: "libvirt_denied",  # AUTH_FAILED
    62: "filter_failed",  # NO_NWFILTER
    66: "secret_missing",  # NO_SECRET
    67: "unsupported_device",  # CONFIG_UNSUPPORTED
    68: "vm_busy",  # OPERATION_TIMEOUT
    79: "libvirt_denied",  # AUTH_CANCELLED
    83: "vm_busy",  # BLOCK_COPY_ACTIVE
    87: "vm_busy",  # RESOURCE_BUSY
    88: "libvirt_denied",  # ACCESS_DENIED
    91: "unsupported_device",  # CPU_INCOMPATIBLE
    92: "invalid_domain",  # XML_INVALID_SCHEMA
    94: "libvirt_denied",  # AUTH_UNAVAILABLE
}
_BY_SOURCE = {_NWFILTER_SOURCE: "filter_failed", _FIREWALL_SOURCE: "filter_failed"}
_BY_ERRNO = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.ENOMEM: "not_enough_memory",
    errno.EADDRNOTAVAIL: "address_missing",
    errno.EADDRINUSE: "address_in_use",
}
# The meaning of an errno in these parts of libvirt; others use it for much else.
_BY_SOURCE_AND_ERRNO = {
    (_STORAGE_SOURCE, errno.ENOENT): "image_missing",
    (_STORAGE_SOURCE, errno.EACCES): "image_permission",
    (_STORAGE_SOURCE, errno.EPERM): "image_permission",
    (_CGROUP_SOURCE, errno.EAGAIN): "cgroup_busy",
    # Network devices are looked up by parts of libvirt that have no number of their own.
    (0, errno.ENODEV): "bridge_missing",
    (_QEMU_SOURCE, errno.ECONNRESET): "qemu_failed",
    (_QEMU_SOURCE, errno.EPIPE): "qemu_failed",
}
_CONNECTION_SOURCES = frozenset({_RPC_SOURCE, _REMOTE_SOURCE})
_CONNECTION_NUMBERS = frozenset({_INTERNAL_ERROR, 6, _SYSTEM_ERROR, 39})  # 6: INVALID_CONN, 39: RPC

# The first match counts: causes come before the words that wrap them. C(.*) stands only between two parts on one line,
# so that matching takes linear time.
_TEXTS = (
    ("qos_limit", r"(?s)\A(?=[^\0]*burst)(?=[^\0]*Illegal)(?=[^\0]*rate)"),
    ("qos_limit", r'Illegal "(quantum|burst|rate)"'),
    ("qos_limit", r'argument "[^"]*" is wrong: (buffer|rate|burst)'),
    ("qos_limit", r"could not convert bandwidth \w+ value"),
    # libvirt refuses such a value itself since 9.x; the parameter's name is not translated.
    ("qos_limit", r"""['"»](average|peak|burst)['"«]"""),
    ("qos_unsupported", r"Specified qdisc (kind is unknown|not found)|TC (classifier|action module) not found"),
    # QEMU's texts until 4.0, and since.
    ("vfio_irq_conflict", r"Failed to setup INTx fd: Device or resource busy"),
    ("vfio_irq_conflict", r"[Ff]ailed to set up .*INTX.*: Device or resource busy"),
    ("not_enough_memory", r"cannot set up guest memory|Cannot allocate memory"),
    ("not_enough_memory", r"cannot (map|allocate).*guest (RAM|memory)"),
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
    ("storage_denied", r"rbd.*(Operation not permitted|Permission denied)"),
    ("storage_denied", r"iSCSI.*[Ll]ogin.*(fail|denied)"),
    ("storage_denied", r"[Aa]uthentication failure"),
    ("storage_missing", r"error reading header from|error opening pool"),
    ("storage_missing", r"rbd.*No such file or directory"),
    ("storage_missing", r"export .* not (present|available|found)"),
    ("storage_missing", r"iSCSI.*(target|LUN).*not (found|exist)"),
    # A disk's chardev, of vhost-user, is one of storage.
    ("socket_unreachable", r"-chardev socket,id=(?!chr-vu-virtio-disk).*Failed to connect to : "),
    (
        "storage_unreachable",
        r"error connecting|Failed to connect to (LUN|: (Connection refused|No such file or directory))",
    ),
    ("storage_unreachable", r"Failed to connect to .*iSCSI"),
    ("storage_unreachable", r"(Connection (refused|timed out)|No route to host).*(iscsi|rbd|nbd)"),
    ("storage_unreachable", r"(iscsi|rbd|nbd|iSCSI).*(Connection (refused|timed out)|No route to host)"),
    (
        "image_permission",
        r"(Could not open|Could not read|Cannot access (storage|backing) file|cannot access).*Permission denied",
    ),
    (
        "image_missing",
        r"(Could not open|Cannot access (storage|backing) file|cannot access|could not stat)"
        r".*No such file or directory",
    ),
    ("channel_dir_missing", r"Unable to bind to UNIX socket path.*No such file or directory"),
    ("image_format", r"Image is not in \w+ format"),
    ("bridge_missing", r"Cannot get interface MTU on|[Uu]nable to add bridge"),
    ("bridge_missing", r"bridge .*(does not exist|No such device)"),
    ("openvswitch_failed", r"Unable to add port .* to OVS bridge"),
    ("filter_failed", r"nwfilter|[Nn]etwork filter|referenced filter|(ip6?|eb)tables"),
    ("address_missing", r"Cannot assign requested address"),
    ("address_in_use", r"Address already in use|Unable to find an unused port|Failed to find an available port"),
    ("iommu_missing", r"host doesn't support passthrough|no iommu_group|IOMMU not (present|enabled)|no IOMMU"),
    ("iommu_missing", r"[Uu]nsupported passthrough|does not support PCI passthrough"),
    ("iommu_missing", r"cannot be assigned.*IOMMU"),
    ("iommu_missing", r"vfio.*group .* is not viable"),
    ("device_in_use", r"(PCI|USB) device .* is in use"),
    ("device_in_use", r"is in use by driver|in use by domain"),
    ("device_missing", r"Did not find USB device"),
    ("device_missing", r"[Dd]evice .* not found"),
    ("device_missing", r"/sys/bus/pci/devices/.*No such file"),
    ("unsupported_domain_type", r"does not support virt type"),
    ("firmware_missing", r"[Uu]nable to find any (master var store|firmware)"),
    ("unsupported_machine", r"[Uu]nsupported machine type|does not support machine type|is not supported by emulator"),
    (
        "unsupported_device",
        r"is not a valid device model name|not supported (by|in) this QEMU|by this QEMU binary"
        r"|is not supported on this|[Uu]nknown device",
    ),
    ("name_taken", r"already exists with uuid|is already defined with uuid"),
    (
        "vm_busy",
        r"cannot acquire state change lock|is (already )?being (migrated|saved|started)|block copy still active",
    ),
    (
        "qemu_failed",
        r"qemu-(system-\w+|kvm): |process exited while connecting to monitor|unexpectedly closed the monitor"
        r"|Unable to read from monitor|domain is not running|monitor socket",
    ),
)
# Names of files and images may be anything, even error messages; names of the kernel's devices are reliable.
_PATHS = re.compile(
    r"""'(?!/dev/|/sys/)[^'\s/]*/[^']*'|"(?!/dev/|/sys/)[^"\s/]*/[^"]*\"|»(?!/dev/|/sys/)[^«\s/]*/[^«]*«"""
)


@cache
def _patterns() -> tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]:
    """Return the compiled patterns; most tasks see no error."""
    return tuple((code, tuple(map(re.compile, pattern.split(".*")))) for code, pattern in _TEXTS)


def classify_text(text: str) -> Optional[str]:
    """Return the code for a text of libvirt, QEMU or the kernel, None if it is not recognised."""
    words = _PATHS.sub("", shorten(text))
    lines = words.split("\n")
    return next((code for code, parts in _patterns() if _has_in_one(lines if parts[1:] else [words], parts)), None)


def _has_in_one(texts: Iterable[str], parts: Sequence[re.Pattern[str]]) -> bool:
    return any(_has(text, parts) for text in texts)


def _has(text: str, parts: Sequence[re.Pattern[str]]) -> bool:
    """Return whether the text contains the parts in order."""
    end = 0
    for part in parts:
        found = part.search(text, end)
        if found is None:
            return False
        end = found.end()
    return True


def broke_connection(number: int, source: int) -> bool:
    """Return whether an error may mean that the connection to libvirt is lost; the caller has to check it."""
    return source in _CONNECTION_SOURCES and number in _CONNECTION_NUMBERS


def classify(number: int, source: int, error_number: int, message: str) -> str:
    """Return the code of an error that libvirt reports through a connection which works.

    C(number) is VIR_ERR_*, C(source) is VIR_FROM_*, C(error_number) is errno where C(number) is SYSTEM_ERROR.
    """
    if broke_connection(number, source):
        # libvirtd couldn't get through to another process, or can't pass on what a guest answers.
        return _BY_ERRNO.get(error_number, "daemon_unavailable") if number == _SYSTEM_ERROR else "libvirt_error"
    return classify_text(message) or _by_numbers(number, source, error_number) or "libvirt_error"


def _by_numbers(number: int, source: int, error_number: int) -> Optional[str]:
    code = _BY_SOURCE.get(source)
    if code is None and number == _SYSTEM_ERROR:
        code = _BY_SOURCE_AND_ERRNO.get((source, error_number)) or _BY_ERRNO.get(error_number)
    return code or _BY_NUMBER.get(number)
