# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions that change what libvirt keeps of a VM, and the directories of its channels."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain.metadata import REWRITTEN_NAMESPACE, REWRITTEN_PREFIX
from .._domain.tpm import may_lose_tpm_state
from .._errors.errors import VmError
from .._libvirt.hypervisor import Removal
from .._libvirt.observed import has_text
from .action import Action, Outcome, RollbackTurn, unanswered
from .shared_objects import used_by_another

if TYPE_CHECKING:
    from .context import ActionContext

# The record of what libvirt has rewritten in the definition that it holds now, None if there is nothing to record.
Rewriting = Callable[[str], Optional[str]]

BACKUP_DIRECTORY = "/var/lib/zstack-kvm/backups"
# Where libvirt puts the NVRAM of a domain whose definition names no file for it.
_NVRAM_DIRECTORY = "/var/lib/libvirt/qemu/nvram"
# Where libvirt keeps the state of virtual TPMs, by the UUID of the domain.
_TPM_DIRECTORY = "/var/lib/libvirt/swtpm"
_CHANNEL_DIRECTORY_MODE = 0o750
_MAX_BACKUPS_A_SECOND = 100


@dataclass(frozen=True, repr=False)
class BackUpDefinition(Action):
    """Keep the definition as it was, with its secrets, where only root can read it."""

    name = "back_up_definition"
    xml: str

    def do(self, context: ActionContext) -> Outcome:
        start = "%s/%s.%s" % (BACKUP_DIRECTORY, context.vm.domain_name, time.strftime("%Y%m%dT%H%M%S", time.gmtime()))
        path = _write_new_file(context, start, self.xml)
        context.backup_file = path

        def undo() -> None:
            context.backup_file = None
            context.system.files.remove_file(path)

        return Outcome(undo)


def _write_new_file(context: ActionContext, start: str, text: str) -> str:
    """Write the text to a new file, numbered if another run in the same second has written one, and return its path."""
    for suffix in (".xml", *(".%d.xml" % number for number in range(1, _MAX_BACKUPS_A_SECOND))):
        try:
            context.system.files.write_private_file(start + suffix, text, replace=False)
            return start + suffix
        except VmError as error:
            if error.code != "path_taken":
                raise
    raise VmError("path_taken", "%s.xml and all its numbered names are taken" % start)


@dataclass(frozen=True, repr=False)
class Define(Action):
    """Define the domain. Undone, it has its old definition, or none if it had none."""

    name = "define"
    xml: str
    rewriting: Optional[Rewriting] = None

    def do(self, context: ActionContext) -> Outcome:
        hypervisor, before = context.hypervisor, context.observed.inactive_xml
        had_nvram, had_tpm = _has_nvram(context, self.xml), _has_tpm_state(context)

        def undo() -> None:
            if before is not None and _needs_definition(context):
                # It need not conform to libvirt's schema.
                hypervisor.define(before, validate=False)
            else:
                _undefine(context, self.xml, Removal(nvram=not had_nvram, tpm=not had_tpm))

        outcome = unanswered(lambda: hypervisor.define(self.xml), undo)
        if outcome.failure is None and self.rewriting is not None:
            try:
                _record_rewriting(context, self.rewriting)
            except VmError as error:
                return Outcome(undo, failure=error)
        return outcome


def _needs_definition(context: ActionContext) -> bool:
    """Return whether a VM that existed before needs its old definition: without one it is gone once it is off."""
    return context.observed.persistent or context.asked_to_shut_down or context.is_off()


def _record_rewriting(context: ActionContext, rewriting: Rewriting) -> None:
    hypervisor, uuid = context.hypervisor, context.vm.uuid
    defined = hypervisor.xml(uuid, inactive=True)
    record = rewriting(defined)
    if record is not None or has_text(defined, REWRITTEN_NAMESPACE):
        hypervisor.set_defined_metadata(uuid, REWRITTEN_NAMESPACE, REWRITTEN_PREFIX, record)


def _undefine(context: ActionContext, definition: str, removal: Removal) -> None:
    """Undefine the VM, unless that would lose state of its TPM that was there before."""
    hypervisor = context.hypervisor
    if not removal.tpm and may_lose_tpm_state(etree.fromstring(definition)) and not hypervisor.can_keep_tpm():
        raise VmError("vm_has_tpm_state", "this libvirt would remove the state of the VM's TPM with its definition")
    try:
        hypervisor.undefine(context.vm.uuid, removal)
    except VmError as error:
        if error.code != "domain_gone":
            raise


def _has_nvram(context: ActionContext, definition: str) -> bool:
    """Return whether the NVRAM file exists before the definition: it is an older domain's, and is kept."""
    system = context.system
    if system.is_remote or not system.is_root() or context.hypervisor.is_session:
        # libvirt's files can't be read.
        return True
    path = etree.fromstring(definition).findtext("os/nvram")
    if path:
        return system.files.path_kind(path) is not None
    names = system.files.list_directory(_NVRAM_DIRECTORY)
    return any(name.startswith(context.vm.domain_name + "_VARS.") for name in names)


def _has_tpm_state(context: ActionContext) -> bool:
    """Return whether the state of a TPM exists before the definition: it is an older domain's, and is kept."""
    system = context.system
    if system.is_remote or not system.is_root() or context.hypervisor.is_session:
        # libvirt's files can't be read.
        return True
    return system.files.path_kind("%s/%s" % (_TPM_DIRECTORY, context.vm.uuid)) is not None


@dataclass(frozen=True, repr=False)
class SetAutostart(Action):
    """Set whether the VM starts with the hypervisor."""

    name = "set_autostart"
    autostart: bool

    def do(self, context: ActionContext) -> Outcome:
        uuid, before = context.vm.uuid, bool(context.observed.autostart)
        return unanswered(
            lambda: context.hypervisor.set_autostart(uuid, self.autostart),
            lambda: context.hypervisor.set_autostart(uuid, before),
        )


@dataclass(frozen=True, repr=False)
class CreateChannelDirectory(Action):
    """Create the directory of a channel's socket for QEMU's user alone; undone unless another VM has come to use it."""

    name = "create_channel_dir"
    rollback_turn = RollbackTurn.SHARED
    path: str
    owner: Optional[tuple[int, int]] = None

    @property
    def shared(self) -> str:
        return self.path

    def do(self, context: ActionContext) -> Outcome:
        created = context.system.files.make_directory(self.path, _CHANNEL_DIRECTORY_MODE, self.owner)
        if not created:
            return Outcome(is_needless=True)

        def undo() -> None:
            if not used_by_another(context, self.path + "/"):
                context.system.files.remove_directories(created)

        return Outcome(undo)


@dataclass(frozen=True, repr=False)
class RestrictQmpDirectory(Action):
    """Let only QEMU's user create sockets in the directory of the additional QMP sockets; this is not undone."""

    name = "restrict_qmp_dir"
    path: str
    owner: Optional[tuple[int, int]] = None

    @property
    def shared(self) -> str:
        return self.path

    def do(self, context: ActionContext) -> Outcome:
        return Outcome(is_needless=not context.system.files.restrict_directory(self.path, self.owner))


@dataclass(frozen=True, repr=False)
class CreateNvramDirectory(CreateChannelDirectory):
    """Create the directory of the NVRAM file."""

    name = "create_nvram_dir"
