# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that are LUNs of an iSCSI target: through QEMU's initiator with virtio, else through the host's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Optional, cast

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem, VmError
from .._spec.vm import Vm, Volume
from .base import (
    ISCSI_SCHEME,
    SECRET_OBJECT,
    Address,
    Backend,
    DiskSource,
    HostFiles,
    Inquiry,
    InquiryContext,
    StorageFacts,
    StorageItem,
    add_auth,
    bracketed,
    check_url,
    host_name,
    image_options,
    network_source,
    option_path_of,
)

DEFAULT_PORT = 3260

# The highest LUN of peripheral addressing, whose numbers all layers write in the same way.
HIGHEST_LUN = 255

# The user names that libvirt's schema accepts.
_USER_NAME = re.compile(r"[A-Za-z0-9_+-]+")

_URL = re.compile(
    r"iscsi://(?P<host>\[[^]/]*\]|[^]\[:/@]+)(?::(?P<port>[0-9]{1,5}))?/(?P<iqn>[^/\s]+)/(?P<lun>[0-9]{1,5})"
)

# The secret of a target gets the same UUID on every hypervisor and after every reboot.
_CHAP_SECRETS = "6a4c5b0e-7d39-5f0c-9c55-3e8c3c1f7d11"


class Lun(NamedTuple):
    """A LUN of a target behind a portal."""

    host: str
    port: int
    iqn: str
    lun: int

    @property
    def portal(self) -> str:
        """Return HOST:PORT, IPv6 in brackets."""
        return "%s:%d" % (bracketed(self.host), self.port)

    @property
    def device(self) -> str:
        """Return the device that appears after the login. udev writes IPv6 without brackets here."""
        return "/dev/disk/by-path/ip-%s:%d-iscsi-%s-lun-%d" % (self.host, self.port, self.iqn, self.lun)


def parse_lun(install_path: str) -> Optional[Lun]:
    """Return the LUN of C(iscsi://HOST:PORT/IQN/LUN); None if it has another form. Names are literal."""
    match = _URL.fullmatch(install_path)
    if not match:
        return None
    host = host_name(match.group("host"))
    lun = Lun(host or "", int(match.group("port") or DEFAULT_PORT), match.group("iqn"), int(match.group("lun")))
    return lun if host and 0 < lun.port < 65536 and lun.lun <= HIGHEST_LUN else None


def lun_of(volume: Volume) -> Lun:
    """Return the LUN of a volume that has passed C(check)."""
    lun = parse_lun(volume.install_path)
    if lun is None:
        raise ValueError("%r is not an iSCSI URL" % volume.install_path)
    return lun


def chap_secret_uuid(iqn: str) -> str:
    """Return the UUID for a target's libvirt secret, if it has none yet."""
    from uuid import UUID, uuid5

    return str(uuid5(UUID(_CHAP_SECRETS), iqn))


def uses_host_initiator(item: StorageItem) -> bool:
    """Return whether the hypervisor itself has to log in."""
    return isinstance(item, Volume) and item.device_type == "iscsi" and not item.use_virtio


def check_passwords(volumes: Iterable[Volume]) -> list[Problem]:
    """Return targets with different user names or passwords, as libvirt has one secret for a target."""
    problems = []
    first: dict[str, Volume] = {}
    for volume in volumes:
        lun = parse_lun(volume.install_path) if volume.device_type == "iscsi" else None
        if lun is None or not volume.chap_password:
            continue
        other = first.setdefault(lun.iqn, volume)
        if (volume.chap_username, volume.chap_password) != (other.chap_username, other.chap_password):
            problems.append(
                Problem(
                    "%s.chap_password" % volume.option_path,
                    "the target %s has a different user name or password in %s" % (lun.iqn, other.option_path),
                )
            )
    return problems


# What QEMU does for a disk that it emulates, but not for a LUN that it passes through
_NOT_FOR_LUNS = {
    "luks_secret_uuid": "cannot be used: the guest gets the LUN itself, which nothing decrypts for it",
    "physical_block_size": "cannot be used: the guest gets the LUN itself, which has block sizes of its own",
}


class IscsiBackend(Backend):
    """C(install_path) is C(iscsi://HOST:PORT/IQN/LUN)."""

    def check(self, item: StorageItem) -> list[Problem]:
        volume = cast(Volume, item)
        form = "iscsi://HOST:PORT/IQN/LUN (LUN 0 to %d, an IPv6 address in brackets)" % HIGHEST_LUN
        problems = check_url(item, ISCSI_SCHEME, form)
        if not problems and parse_lun(volume.install_path) is None:
            problems.append(Problem(option_path_of(item), "%r does not have the form %s" % (volume.install_path, form)))
        if bool(volume.chap_username) != bool(volume.chap_password):
            problems.append(
                Problem(
                    "%s.chap_username" % volume.option_path,
                    "chap_username and chap_password must be set together",
                )
            )
        if uses_host_initiator(volume):
            problems += [
                Problem("%s.%s" % (volume.option_path, option), message, hint="set use_virtio to true")
                for option, message in _NOT_FOR_LUNS.items()
                if getattr(volume, option)
            ]
        if volume.chap_username and volume.use_virtio and not _USER_NAME.fullmatch(volume.chap_username):
            problems.append(
                Problem(
                    "%s.chap_username" % volume.option_path,
                    '%r may have only letters, digits, "_", "+" and "-": libvirt accepts no others'
                    % volume.chap_username,
                )
            )
        return problems

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        volume = cast(Volume, item)
        lun = lun_of(volume)
        if uses_host_initiator(volume):
            return DiskSource("block", etree.Element("source", dev=lun.device), device="lun", bus="scsi")
        source = network_source("iscsi", "%s/%d" % (lun.iqn, lun.lun), [(lun.host, lun.port)])
        if volume.chap_username:
            add_auth(source, volume.chap_username, "iscsi", facts.chap_secrets.get(lun.iqn, chap_secret_uuid(lun.iqn)))
        return DiskSource("network", source, shareable=True, bus="scsi")

    def addresses(self, item: StorageItem) -> tuple[Address, ...]:
        lun = lun_of(cast(Volume, item))
        return (Address(lun.host, lun.port),)

    def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
        volume = cast(Volume, item)
        if context.files is None:
            if uses_host_initiator(volume):
                raise VmError("needs_hypervisor", "the login to an iSCSI target must run on the hypervisor itself")
            return None
        lun = lun_of(volume)
        options = {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": lun.portal,
            "target": lun.iqn,
            "lun": lun.lun,
            "initiator-name": _initiator_name(volume, context.vm, context.files),
        }
        if volume.chap_username:
            options.update({"user": volume.chap_username, "password-secret": SECRET_OBJECT})
        return Inquiry(image_options(**options), volume.chap_password or None, is_secret=bool(volume.chap_password))

    def explain(self, item: StorageItem, reason: str) -> Optional[tuple[str, str]]:
        volume = cast(Volume, item)
        lun = lun_of(volume)
        if "Authentication failure" in reason:
            what = "user name or password" if volume.chap_username else "login without chap_username"
            return "storage_denied", "the target %s rejects the %s" % (lun.iqn, what)
        if "Authorization failure" in reason:
            return "storage_denied", "the target %s denies access to this initiator" % lun.iqn
        if "Target not found" in reason or "Target removed" in reason:
            return "storage_missing", "the portal %s has no target %s" % (lun.portal, lun.iqn)
        if "LOGICAL_UNIT_NOT_SUPPORTED" in reason:
            return "storage_missing", "the target %s has no LUN %d" % (lun.iqn, lun.lun)
        if uses_host_initiator(volume) and "driver 'iscsi'" in reason:
            return None
        return super().explain(item, reason)


def _initiator_name(volume: Volume, vm: Vm, files: HostFiles) -> str:
    """Return the initiator name that the target will see: QEMU's own for the VM, or the host's."""
    if uses_host_initiator(volume):
        for line in (files.read_text("/etc/iscsi/initiatorname.iscsi") or "").split("\n"):
            if line.startswith("InitiatorName="):
                return line.partition("=")[2].strip()
    return "iqn.2008-11.org.linux-kvm:%s" % vm.uuid
