# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt secrets that VMs bring along: cephx keys and CHAP passwords.

Several VMs may use one secret. A VM is defined before its secrets are set, and all this is done under a lock: so an
undo that finds no other VM using the secret can remove it, and a VM that comes later sets it again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Optional

from ..action import Action
from ..errors import VmError
from ..hypervisor import Hypervisor
from ..libvirt_secret import SecretDefinition, parse_secret
from ..vm import Vm
from .base import StorageFacts
from .iscsi import chap_secret_uuid, lun_of, uses_host_initiator
from .shared import shared_lock, used_by_another

if TYPE_CHECKING:
    from ..context import Context

Undo = Callable[[], None]


def plan_secrets(vm: Vm, facts: StorageFacts, hypervisor: Hypervisor) -> list[Action]:
    """What is missing for the secrets of a VM to have their values."""
    wanted = []
    if vm.ceph_secret is not None:
        uuid = vm.ceph_secret.uuid
        wanted.append((SecretDefinition(uuid, 'ceph', uuid, True, False), base64.b64decode(vm.ceph_secret.key)))
    passwords = {
        lun_of(volume).iqn: volume.chap_password
        for volume in vm.volumes
        if volume.device_type == 'iscsi' and volume.chap_password and not uses_host_initiator(volume)
    }
    for iqn, password in sorted(passwords.items()):
        uuid = facts.chap_secrets.get(iqn) or chap_secret_uuid(iqn)
        wanted.append((SecretDefinition(uuid, 'iscsi', iqn, True, True), password.encode('utf-8')))
    actions = (_plan(definition, value, hypervisor) for definition, value in wanted)
    return [action for action in actions if action is not None]


def _plan(definition: SecretDefinition, value: bytes, hypervisor: Hypervisor) -> Optional[Action]:
    detail = {'definition': definition, 'value': value}
    xml = hypervisor.secret_xml(definition.uuid)
    if xml is None:
        return Action('define_secret', detail)
    kind = parse_secret(xml).kind
    if kind != definition.kind:
        message = 'the libvirt secret %s is there already, for %s instead of %s'
        raise VmError('secret_conflict', message % (definition.uuid, kind or 'nothing in particular', definition.kind))
    if _readable_value(definition.uuid, hypervisor) != value:
        return Action('set_secret_value', detail)
    return None


def set_secret(context: Context, detail: Mapping[str, Any]) -> Optional[Undo]:
    """Sees that a secret is there and has its value; returns what takes that back."""
    definition: SecretDefinition = detail['definition']
    hypervisor = context.hypervisor
    with shared_lock(context.system, definition.uuid):
        is_new = hypervisor.secret_xml(definition.uuid) is None
        before = None if is_new else _readable_value(definition.uuid, hypervisor)
        if before == detail['value']:
            return None
        if is_new:
            hypervisor.define_secret(definition.to_xml())
        try:
            hypervisor.set_secret_value(definition.uuid, detail['value'])
        except VmError:
            if is_new:
                hypervisor.undefine_secret(definition.uuid)
            raise

    def undo() -> None:
        with shared_lock(context.system, definition.uuid):
            if used_by_another(context, definition.uuid):
                return
            if is_new:
                hypervisor.undefine_secret(definition.uuid)
            elif before is not None:
                hypervisor.set_secret_value(definition.uuid, before)

    return undo


def _readable_value(uuid: str, hypervisor: Hypervisor) -> Optional[bytes]:
    """The value of a secret, None where it has none or shows it to nobody."""
    try:
        return hypervisor.secret_value(uuid)
    except VmError as error:
        if error.code == 'libvirt_denied':
            return None
        raise
