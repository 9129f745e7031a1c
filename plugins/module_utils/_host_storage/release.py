# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM that is off gives back to the hypervisor: iSCSI sessions, and once it is undefined its secrets.

Only what this collection made for VMs is taken: sessions that have its mark, and ephemeral secrets; and of that only
what no other domain has in its definition.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._actions.shared_objects import secret_lock, used_by_other_than
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.secret_definition import parse_secret
from .._storage.iscsi import Lun
from .iscsi_login import Initiator

if TYPE_CHECKING:
    from .._host.system import System

_KINDS = ("ceph", "iscsi")
_DEVICE = re.compile(r"/dev/disk/by-path/ip-(?P<host>.+):(?P<port>\d+)-iscsi-(?P<iqn>.+)-lun-(?P<lun>\d+)")


def has_host_luns(domains: Iterable[etree._Element]) -> bool:
    """Whether domains have disks behind the hypervisor's initiator."""
    return bool(_host_luns(domains))


def sessions_of(domains: Iterable[etree._Element], system: System) -> list[Initiator]:
    """The sessions behind the disks of domains that this collection opened, each once."""
    targets = {(lun.portal, lun.iqn): lun for lun in _host_luns(domains)}
    sessions = [Initiator(system, lun) for lun in targets.values()]
    return [session for session in sessions if session.is_ours()]


def _host_luns(domains: Iterable[etree._Element]) -> list[Lun]:
    # Below an overlay too.
    named = "devices/disk//source[@dev]"
    found = [_DEVICE.fullmatch(source.get("dev")) for domain in domains for source in domain.iterfind(named)]
    return [Lun(lun["host"], int(lun["port"]), lun["iqn"], int(lun["lun"])) for lun in found if lun is not None]


def is_unneeded_session(initiator: Initiator, vm_uuids: Collection[str], hypervisor: Hypervisor) -> bool:
    """Whether no domain but the VMs has a disk behind the session."""
    return not used_by_other_than(vm_uuids, initiator.device_prefix(), hypervisor)


def close_session(initiator: Initiator, vm_uuids: Collection[str], hypervisor: Hypervisor) -> bool:
    """Logs out unless another domain has come to need the session; whether it did."""
    with initiator.lock():
        if not initiator.is_ours() or not is_unneeded_session(initiator, vm_uuids, hypervisor):
            return False
        initiator.close()
    return True


def secrets_of(domains: Iterable[etree._Element]) -> list[str]:
    """The UUIDs of the secrets that the disks of domains name, each once."""
    named = "devices/disk//auth/secret[@uuid]"
    return list(dict.fromkeys(str(secret.get("uuid")) for domain in domains for secret in domain.iterfind(named)))


def is_unneeded_secret(secret: str, vm_uuids: Collection[str], hypervisor: Hypervisor) -> bool:
    """Whether VMs brought the secret along, and no domain but the VMs names it."""
    xml = hypervisor.secret_xml(secret)
    if xml is None:
        return False
    found = parse_secret(xml)
    return found.ephemeral and found.kind in _KINDS and not used_by_other_than(vm_uuids, secret, hypervisor)


def remove_secret(secret: str, vm_uuids: Collection[str], hypervisor: Hypervisor, system: System) -> bool:
    """Removes the secret unless another domain has come to need it; whether it did."""
    with secret_lock(system, secret):
        if not is_unneeded_secret(secret, vm_uuids, hypervisor):
            return False
        hypervisor.undefine_secret(secret)
    return True
