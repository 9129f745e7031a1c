# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt secrets that are created for VMs: cephx keys and CHAP passwords.

Several VMs may use one secret. A VM is defined before its secrets are set, under a lock, so that an
undo that finds no other VM using the secret can remove it, and a later VM sets it again.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Optional

from .._actions.action import Action, Outcome, RollbackTurn
from .._actions.shared_objects import secret_lock, used_by_another
from .._errors.errors import Problem, VmError
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.secret_definition import SecretDefinition
from .._spec.vm import Vm
from .._storage.base import StorageFacts
from .._storage.iscsi import chap_secret_uuid, lun_of, uses_host_initiator

if TYPE_CHECKING:
    from .._actions.context import ActionContext


class _DesiredSecret(NamedTuple):
    """A secret of a VM. C(option_path) is the path of its value in the input."""

    option_path: str
    definition: SecretDefinition
    value: bytes


def secret_conflicts(vm: Vm, facts: StorageFacts, hypervisor: Hypervisor) -> list[Problem]:
    """Return the secrets of a VM whose UUID libvirt uses for something else."""
    problems = []
    for option_path, definition, _value in _desired_secrets(vm, facts):
        known = hypervisor.known_secrets().get(definition.uuid)
        if known is not None and known.kind != definition.kind:
            message = "the libvirt secret %s already exists, for %s instead of %s"
            found = "no particular use" if known.kind == "none" else known.kind
            problems.append(
                Problem(option_path, message % (definition.uuid, found, definition.kind), "secret_conflict")
            )
    return problems


def plan_secrets(vm: Vm, facts: StorageFacts, hypervisor: Hypervisor) -> list[Action]:
    """Return the actions that give the secrets of a VM their values."""
    actions = (_plan(definition, value, hypervisor) for _option_path, definition, value in _desired_secrets(vm, facts))
    return [action for action in actions if action is not None]


def _desired_secrets(vm: Vm, facts: StorageFacts) -> Iterator[_DesiredSecret]:
    if vm.ceph_secret is not None:
        uuid, key = vm.ceph_secret.uuid, base64.b64decode(vm.ceph_secret.key)
        yield _DesiredSecret("%s.ceph_secret" % vm.option_path, SecretDefinition(uuid, "ceph", uuid, True, False), key)
    with_password = {
        lun_of(volume).iqn: volume
        for volume in vm.volumes
        if volume.device_type == "iscsi" and volume.chap_password and not uses_host_initiator(volume)
    }
    for iqn, volume in sorted(with_password.items()):
        definition = SecretDefinition(
            facts.chap_secrets.get(iqn) or chap_secret_uuid(iqn), "iscsi", iqn, ephemeral=True, private=True
        )
        yield _DesiredSecret(
            "%s.chap_password" % volume.option_path, definition, str(volume.chap_password).encode("utf-8")
        )


def _plan(definition: SecretDefinition, value: bytes, hypervisor: Hypervisor) -> Optional[Action]:
    if definition.uuid not in hypervisor.known_secrets():
        return DefineSecret(definition, value)
    if _readable_value(definition, hypervisor) != value:
        return SetSecretValue(definition, value)
    return None


@dataclass(frozen=True, repr=False)
class _GiveSecret(Action):
    """Ensure that a secret exists and has its value."""

    rollback_turn = RollbackTurn.SHARED
    definition: SecretDefinition
    value: bytes

    @property
    def shared(self) -> str:
        return self.definition.uuid

    def do(self, context: ActionContext) -> Outcome:
        definition, hypervisor = self.definition, context.hypervisor
        with secret_lock(context.system, definition.uuid):
            before = _readable_value(definition, hypervisor)
            if before == self.value:
                return Outcome(is_needless=True)
            is_new = _set_value(definition, self.value, hypervisor)

        def undo() -> None:
            with secret_lock(context.system, definition.uuid):
                if used_by_another(context, definition.uuid):
                    return
                if is_new:
                    hypervisor.undefine_secret(definition.uuid)
                elif before is not None:
                    hypervisor.set_secret_value(definition.uuid, before)

        return Outcome(undo)


@dataclass(frozen=True, repr=False)
class DefineSecret(_GiveSecret):
    """Define a secret with its value."""

    name = "define_secret"


@dataclass(frozen=True, repr=False)
class SetSecretValue(_GiveSecret):
    """Set the value of an existing secret."""

    name = "set_secret_value"


def _set_value(definition: SecretDefinition, value: bytes, hypervisor: Hypervisor) -> bool:
    """Set the value of a secret. Return whether the secret had to be defined for it."""
    if definition.uuid in hypervisor.known_secrets():
        try:
            hypervisor.set_secret_value(definition.uuid, value)
            return False
        except VmError as error:
            # Another task has removed it since the secrets were listed.
            if error.code != "secret_missing":
                raise
    hypervisor.define_secret(definition.to_xml(), definition.private)
    try:
        hypervisor.set_secret_value(definition.uuid, value)
    except VmError:
        hypervisor.undefine_secret(definition.uuid)
        raise
    return True


def _readable_value(definition: SecretDefinition, hypervisor: Hypervisor) -> Optional[bytes]:
    """Return the value of a secret, None if it has none, or is private and was not set by this connection.

    A secret that was not listed is looked up, unless it would be private: the UUID of a target's secret is only
    used by secrets created for VMs.
    """
    known = hypervisor.known_secrets().get(definition.uuid)
    if (known or definition).private:
        return known.given if known else None
    try:
        return hypervisor.secret_value(definition.uuid)
    except VmError as error:
        if error.code == "libvirt_denied":
            return None
        raise
