# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains: their list, definitions and power."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Optional

from .._errors.errors import VmError
from ..waiting import with_retries
from .binding import libvirt
from .connection import ANSWER_SECONDS, Connection
from .entities import without_entities

# libvirt's error about its own schema when libxml2, which has no lock for that, initialises its types in two threads at
# once.
_SCHEMA_RACE = (1, 5)  # VIR_ERR_INTERNAL_ERROR, VIR_FROM_XML
_SCHEMA_ATTEMPTS = 5
_SCHEMA_PAUSE = 0.1

# libvirt's messages about definitions that it rejects.
_REFUSED_DEFINITIONS = frozenset(
    {libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_ERR_XML_DETAIL, libvirt.VIR_ERR_CONFIG_UNSUPPORTED} if libvirt else ()
)

# libvirt's names of states and of their reasons, by number.
_STATES = ("unknown", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended")
_REASONS = {
    'running': (
        'unknown', 'booted', 'migrated', 'restored', 'from_snapshot', 'unpaused', 'migration_canceled', 'save_canceled',
        'wakeup', 'crashed', 'postcopy', 'postcopy_failed',
    ),
    'paused': (
        'unknown', 'user', 'migration', 'save', 'dump', 'ioerror', 'watchdog', 'from_snapshot', 'shutting_down',
        'snapshot', 'crashed', 'starting_up', 'postcopy', 'postcopy_failed', 'api_error',
    ),
    'shutdown': ('unknown', 'user'),
    'shutoff': (
        'unknown', 'shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'from_snapshot', 'daemon',
    ),
    'crashed': ('unknown', 'panicked'),
}  # fmt: skip


# libvirt has had these flags since 8.9.0; the bindings may be older than the libvirt that answers. Only its version
# says so: no capability does, and a call that tries them could undefine the domain.
_UNDEFINE_TPM = 1 << 5
_UNDEFINE_KEEP_TPM = 1 << 6
_TPM_FLAGS_SINCE = 8_009_000


class Removal(NamedTuple):
    """Resources to remove with a definition. The rest is kept, or makes libvirt refuse to undefine the domain."""

    nvram: bool = False
    tpm: bool = False
    saved_state: bool = False
    snapshots: bool = False
    checkpoints: bool = False


class ListedDomain(NamedTuple):
    """A domain in the list of all domains."""

    uuid: str
    name: str
    active: bool


class DomainCalls(Connection):
    """Definitions and power."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._domains: dict[str, Any] = {}
        self._unreadable: dict[str, VmError] = {}
        self._first_validation = threading.Lock()
        self._has_validated = False

    def _forget(self) -> None:
        super()._forget()
        self._domains.clear()
        self._unreadable.clear()
        self._has_validated = False

    def _domain(self, uuid: str) -> Any:
        domain = self._domains.get(uuid)
        if domain is None:
            domain = self._call_libvirt("look up the domain", self._connection.lookupByUUIDString, uuid)
            self._domains[uuid] = domain
        return domain

    def list_domains(self) -> list[ListedDomain]:
        """Return all domains, in one call."""
        domains = {domain.UUIDString(): domain for domain in self._list(0)}
        self._domains.update(domains)
        return [ListedDomain(uuid, domain.name(), domain.ID() != -1) for uuid, domain in domains.items()]

    def list_saved(self) -> set[str]:
        """Return the UUIDs of the domains that are suspended to disk (managed save)."""
        return {domain.UUIDString() for domain in self._list(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)}

    def list_transient(self) -> set[str]:
        """Return the UUIDs of the domains without a persistent definition."""
        return {domain.UUIDString() for domain in self._list(libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)}

    def list_autostart(self) -> set[str]:
        """Return the UUIDs of the domains that start with the hypervisor."""
        return {domain.UUIDString() for domain in self._list(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)}

    def _list(self, flags: int) -> list[Any]:
        return list(self._call_libvirt("list the domains", self._connection.listAllDomains, flags))

    def find(self, uuid: str) -> Optional[str]:
        """Return the name of the domain with that UUID, None if there is none. Clears its cache."""
        self._domains.pop(uuid, None)
        try:
            return str(self._domain(uuid).name())
        except VmError as error:
            if error.libvirt_code == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def state(self, uuid: str) -> tuple[str, str]:
        """Return the state of a domain and the reason for it, in libvirt's words."""
        state, reason = self._call_libvirt("get the state", self._domain(uuid).state)
        name = _STATES[state] if state < len(_STATES) else "unknown"
        reasons = _REASONS.get(name, ())
        return name, reasons[reason] if reason < len(reasons) else "unknown"

    def xml(self, uuid: str, inactive: bool) -> str:
        """Return the definition for the next start, or the live one, including secrets.

        Raise C(qemu_hangs) if libvirt waits for the domain's QEMU; then until the domain is forced off, at once.
        """
        known = self._unreadable.get(uuid)
        if known is not None:
            raise known
        flags = libvirt.VIR_DOMAIN_XML_SECURE | (libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0)
        try:
            return without_entities(self._call_domain("read the definition", self._domain(uuid).XMLDesc, flags))
        except VmError as error:
            if error.code == "qemu_hangs":
                self._unreadable[uuid] = error
            raise

    def is_persistent(self, uuid: str) -> bool:
        """Return whether the domain has a persistent definition."""
        return bool(self._call_libvirt("check whether it is persistent", self._domain(uuid).isPersistent))

    def is_saved(self, uuid: str) -> bool:
        """Return whether the domain is suspended to disk (managed save)."""
        return bool(self._call_libvirt("check for saved memory", self._domain(uuid).hasManagedSaveImage))

    def saved_xml(self, uuid: str) -> str:
        """Return the definition that a domain is restored with which is suspended to disk, without secrets."""
        read = self._domain(uuid).managedSaveGetXMLDesc
        return without_entities(self._call_libvirt("read the definition of the saved memory", read, 0))

    def autostart(self, uuid: str) -> bool:
        """Return whether the domain starts with the hypervisor."""
        return bool(self._call_libvirt("get autostart", self._domain(uuid).autostart))

    def has_job(self, uuid: str, seconds: float = ANSWER_SECONDS) -> bool:
        """Return whether the domain is being migrated, saved, dumped, backed up or put into a snapshot."""
        try:
            # No QEMU is asked, but libvirt waits until another call has its answer from it.
            job = self._call_qemu(seconds, "get the job", self._domain(uuid).jobInfo)
            return int(job[0]) != libvirt.VIR_DOMAIN_JOB_NONE
        except VmError as error:
            if error.libvirt_code in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT):
                return False
            raise

    def define(self, xml: str, validate: bool = True) -> None:
        """Define a domain, or replace its definition.

        C(validate): check it against libvirt's schema, which a previous definition need not satisfy.
        """
        domain = self._define_validated(xml) if validate else self._define(xml, 0)
        self._domains[domain.UUIDString()] = domain

    def _define_validated(self, xml: str) -> Any:
        """Define one domain at a time until one succeeded: a new libvirtd may be loading its schema."""
        if self._has_validated:
            return self._define(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        with self._first_validation:
            define = partial(self._define, xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
            # The race may have been with another client's definition.
            domain = with_retries(define, _is_schema_race, _SCHEMA_ATTEMPTS, _SCHEMA_PAUSE)
            self._has_validated = True
            return domain

    def _define(self, xml: str, flags: int) -> Any:
        return self._change_domain("define the domain", self._connection.defineXMLFlags, xml, flags)

    def check_definition(self, xml: str, before: Optional[str]) -> None:
        """Raise the error that L(define) would raise, apart from those of the schema, without defining anything.

        libvirt builds QEMU's command line, for which more is needed: an error that the definition C(before) causes as
        well is ignored.
        """
        try:
            self._as_command_line(xml)
        except VmError as error:
            if error.libvirt_code not in _REFUSED_DEFINITIONS or (before and self._is_refused(before, error)):
                return
            raise

    def _is_refused(self, xml: str, refusal: VmError) -> bool:
        try:
            self._as_command_line(xml)
        except VmError as error:
            return error.message == refusal.message
        return False

    def _as_command_line(self, xml: str) -> None:
        self._call_libvirt("define the domain", self._connection.domainXMLToNative, "qemu-argv", xml, 0)

    def undefine(self, uuid: str, removal: Removal) -> None:
        """Remove a definition and what C(removal) names; disks stay.

        libvirt refuses it for a domain that has a saved state, snapshots or checkpoints which are not to be removed.
        A libvirt without L(can_keep_tpm) removes the state of a TPM in any case.
        """
        flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM if removal.nvram else libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
        if self.can_keep_tpm():
            flags |= _UNDEFINE_TPM if removal.tpm else _UNDEFINE_KEEP_TPM
        if removal.saved_state:
            flags |= libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        if removal.snapshots:
            flags |= libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        if removal.checkpoints:
            # Enterprise Linux 7 has a libvirt without checkpoints.
            flags |= getattr(libvirt, "VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA", 0)
        self._change_domain("undefine the domain", self._domain(uuid).undefineFlags, flags)

    def can_keep_tpm(self) -> bool:
        """Return whether this libvirt can undefine a domain and keep the state of its TPM."""
        return bool(self._call_libvirt("get the version", self._connection.getLibVersion) >= _TPM_FLAGS_SINCE)

    def create(self, uuid: str, seconds: float, paused: bool = False) -> None:
        """Start a defined domain, from its saved memory if it is suspended to disk."""
        # VIR_DOMAIN_START_VALIDATE is for XML that is started without being defined; this was validated when defined.
        flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
        self._call_qemu(seconds, "start the domain", self._domain(uuid).createWithFlags, flags)

    def saved_image_xml(self, path: str) -> str:
        """Return the definition in a file with the saved memory of a domain, with secrets."""
        # VIR_DOMAIN_SAVE_IMAGE_XML_SECURE, which older bindings lack.
        return str(self._call_libvirt("read the saved memory", self._connection.saveImageGetXMLDesc, path, 1))

    def restore(self, path: str, xml: str, seconds: float, paused: bool = False) -> None:
        """Restore a domain from a file with its saved memory, which is kept, as the definition C(xml)."""
        flags = libvirt.VIR_DOMAIN_SAVE_PAUSED if paused else libvirt.VIR_DOMAIN_SAVE_RUNNING
        self._call_qemu(seconds, "restore the domain", self._connection.restoreFlags, path, xml, flags)

    def shutdown(self, uuid: str, seconds: float) -> None:
        """Request a shutdown from the guest, and return at once."""
        self._call_qemu(seconds, "shut the domain down", self._domain(uuid).shutdown)

    def destroy(self, uuid: str) -> None:
        """Force a domain off, even if its QEMU does not respond."""
        self._change_domain("destroy the domain", self._domain(uuid).destroy)
        self._unreadable.pop(uuid, None)

    def resume(self, uuid: str) -> None:
        """Resume a paused domain."""
        self._change_qemu("resume the domain", self._domain(uuid).resume)

    def wake_up(self, uuid: str) -> None:
        """Wake a guest that has suspended itself to memory."""
        self._change_qemu("wake the domain up", self._domain(uuid).pMWakeup, 0)

    def discard_saved_state(self, uuid: str) -> None:
        """Discard the memory of a domain that is suspended to disk (managed save)."""
        self._change_domain("discard the saved memory", self._domain(uuid).managedSaveRemove, 0)

    def set_autostart(self, uuid: str, autostart: bool) -> None:
        """Set whether the domain starts with the hypervisor."""
        self._change_domain("set autostart", self._domain(uuid).setAutostart, int(autostart))

    def snapshot_count(self, uuid: str) -> int:
        """Return the number of a domain's snapshots, 0 if libvirt does not support them."""
        return self._count("snapshots", self._domain(uuid).listAllSnapshots)

    def snapshot_xmls(self, uuid: str) -> list[str]:
        """Return the XML of a domain's snapshots, none if libvirt does not support them."""
        try:
            snapshots = self._call_libvirt("list the snapshots", self._domain(uuid).listAllSnapshots, 0)
            found = [self._call_libvirt("read a snapshot", snapshot.getXMLDesc, 0) for snapshot in snapshots]
            return [without_entities(xml) for xml in found]
        except VmError as error:
            if error.libvirt_code in (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT):
                return []
            raise

    def checkpoint_count(self, uuid: str) -> int:
        """Return the number of a domain's checkpoints, 0 if libvirt does not support them."""
        return self._count("checkpoints", getattr(self._domain(uuid), "listAllCheckpoints", lambda flags: []))

    def _count(self, what: str, list_all: Callable[[int], list[Any]]) -> int:
        try:
            return len(self._call_libvirt("list the " + what, list_all, 0))
        except VmError as error:
            if error.libvirt_code == libvirt.VIR_ERR_NO_SUPPORT:
                return 0
            raise


def _is_schema_race(error: VmError) -> bool:
    return (error.libvirt_code, error.libvirt_source) == _SCHEMA_RACE
