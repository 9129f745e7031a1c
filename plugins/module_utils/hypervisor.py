# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt. Nothing else imports it; from here come plain data and L(VmError)s only.

A libvirtd that hangs must not hang the task: opening has a deadline, and an open connection is given up when
libvirtd has answered no keepalive for C(KEEPALIVE_SECONDS) times C(KEEPALIVE_COUNT) seconds, which ends every
call that waits for it. Neither must a QEMU that hangs: what waits for one has a deadline of its own.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Optional, TypeVar

from .deadline import call_with_deadline
from .error_texts import classify
from .errors import VmError

try:
    import libvirt
    import libvirt_qemu

    LIBVIRT_IMPORT_ERROR: Optional[str] = None
except ImportError:
    LIBVIRT_IMPORT_ERROR = traceback.format_exc()

Answer = TypeVar('Answer')

OPEN_SECONDS = 30
RECONNECT_SECONDS = 15
KEEPALIVE_SECONDS = 5
KEEPALIVE_COUNT = 3
# libvirtd works on five requests of a connection at a time (max_client_requests in libvirtd.conf); behind five that
# wait for their QEMUs not even a keepalive is read. So one place stays free.
SLOW_CALLS_AT_ONCE = 4
# A QEMU that answers does so in much less.
ANSWER_SECONDS = 10
CHANGE_SECONDS = 60
# A guest chooses the size of its screen. More than any that people look at.
PICTURE_BYTES = 64 * 1024**2
# What libvirt says of its own schema when libxml2, which readies its types unlocked, does so in two threads at once.
_SCHEMA_RACE = 'Unable to parse RNG'
_SCHEMA_ATTEMPTS = 5
_SCHEMA_PAUSE = 0.1
# More than a guest says between two looks.
_CONSOLE_BYTES = 1024**2

# libvirt's numbers of what secrets are for, and of states and the reasons for them, in its own words.
_SECRET_KINDS = ('none', 'volume', 'ceph', 'iscsi', 'tls', 'vtpm')
_STATES = ('unknown', 'running', 'blocked', 'paused', 'shutdown', 'shutoff', 'crashed', 'pmsuspended')
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


@dataclass(frozen=True)
class ListedDomain:
    """A domain as the list of all domains shows it."""

    uuid: str
    name: str
    active: bool


@dataclass(frozen=True)
class ListedSecret:
    """A secret as the list of all secrets shows it.

    C(kind): ceph, iscsi or what else libvirt has secrets for; C(usage): its name among those; C(private): libvirt
    shows its value to nobody. C(given): the value that this connection gave it.
    """

    uuid: str
    kind: str
    usage: str
    private: bool = False
    given: Optional[bytes] = field(default=None, repr=False)


class ConsoleStream:
    """The serial console of a running domain, from which is read what its guest says; nothing is ever written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self) -> bytes:
        """What the guest has said and nobody has read yet; empty after the console has gone too."""
        said = bytearray()
        while self._stream is not None and len(said) < _CONSOLE_BYTES:
            try:
                part = self._stream.recv(65536)
            except libvirt.libvirtError:
                part = b''
            # libvirt's word for: nothing just now.
            if part == -2:
                break
            if not part:
                self.close()
            said += part
        return bytes(said)

    def close(self) -> None:
        """Gives the console back."""
        if self._stream is not None:
            try:
                self._stream.abort()
            except libvirt.libvirtError:
                # The domain has ended, or somebody else has taken the console.
                pass
            self._stream = None


_loop_started = threading.Lock()


def _run_event_loop() -> None:
    """Without an event loop libvirt keeps no connection under watch; one for the whole process will do."""
    if not _loop_started.acquire(blocking=False):
        return
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, name='libvirt-events', daemon=True).start()


class Hypervisor:
    """A connection to libvirt. Its methods may be called from several threads at once."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._connection: Any = None
        self._domains: dict[str, Any] = {}
        self._secrets: dict[str, Any] = {}
        self._known_secrets: Optional[dict[str, ListedSecret]] = None
        self._listing_secrets = threading.Lock()
        self._reconnecting = threading.Lock()
        self._first_validation = threading.Lock()
        self._has_validated = False
        self._given_up = False
        self._slow_calls = threading.BoundedSemaphore(SLOW_CALLS_AT_ONCE)

    # The connection

    @classmethod
    def connect(cls, uri: str, seconds: int = OPEN_SECONDS) -> Hypervisor:
        """Opens the connection, in C(seconds) at most."""
        hypervisor = cls(uri)
        hypervisor._open(seconds)
        return hypervisor

    def _open(self, seconds: int) -> None:
        # libvirt prints errors to stderr unless it is told otherwise before its first call.
        libvirt.registerErrorHandler(lambda context, error: None, None)
        _run_event_loop()
        try:
            self._connection = call_with_deadline(lambda: self._call('open', libvirt.open, self.uri), seconds)
        except TimeoutError as error:
            message = 'libvirt at %s has not answered for %d seconds' % (self.uri, seconds)
            raise VmError('libvirt_hangs', message) from error
        except ValueError as error:
            # The bindings take no text that C doesn't, such as one with a NUL.
            raise VmError('invalid_input', 'uri: %a cannot be given to libvirt: %s' % (self.uri, error)) from error
        except VmError as error:
            if error.code == 'connection_lost':
                error.code = 'libvirt_unavailable'
            raise
        try:
            self._connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
        except libvirt.libvirtError:
            # Drivers that live in this process (test, embed) have nobody to keep alive.
            pass

    def reconnect(self) -> None:
        """Opens a broken connection again, and waits for a libvirtd that is being restarted; in vain only once."""
        deadline = time.monotonic() + RECONNECT_SECONDS
        with self._reconnecting:
            while not self._is_alive():
                if self._given_up:
                    raise VmError('connection_lost', 'the connection to libvirt at %s is lost' % self.uri)
                self._forget()
                self._has_validated = False
                try:
                    self._open(RECONNECT_SECONDS)
                except VmError:
                    self._given_up = time.monotonic() >= deadline
                    time.sleep(0.5)

    def _is_alive(self) -> bool:
        return self._connection is not None and bool(self._connection.isAlive())

    def close(self) -> None:
        """Closes the connection; a broken one is fine."""
        if self._connection is not None:
            self._forget()
            try:
                self._connection.close()
            except libvirt.libvirtError:
                pass
            self._connection = None

    def _forget(self) -> None:
        """What a libvirtd has told may be no more when another answers; ephemeral secrets are not."""
        self._domains.clear()
        self._secrets.clear()
        self._known_secrets = None

    def _call(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Every call of libvirt goes through here; C(what) says it in the error."""
        try:
            return function(*arguments)
        except libvirt.libvirtError as error:
            raise _vm_error(what, error) from None

    def _call_qemu(self, seconds: float, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """A call that waits for a QEMU: C(qemu_hangs) when it takes longer, while it goes on behind our back.

        C(vm_busy) when as many calls as there may be wait for other QEMUs all that time.
        """

        def call() -> Any:
            try:
                return self._call(what, function, *arguments)
            finally:
                self._slow_calls.release()

        if not self._slow_calls.acquire(timeout=seconds):
            message = 'cannot %s: libvirt has waited for the QEMUs of %d other VMs for %g seconds'
            raise VmError('vm_busy', message % (what, SLOW_CALLS_AT_ONCE, seconds))
        try:
            return call_with_deadline(call, seconds)
        except TimeoutError as error:
            message = 'cannot %s: QEMU has not answered for %g seconds' % (what, seconds)
            raise VmError('qemu_hangs', message) from error

    def _change(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._call_qemu(CHANGE_SECONDS, what, function, *arguments)

    def _domain(self, uuid: str) -> Any:
        domain = self._domains.get(uuid)
        if domain is None:
            domain = self._call('look up the domain', self._connection.lookupByUUIDString, uuid)
            self._domains[uuid] = domain
        return domain

    # The host

    def capabilities(self) -> str:
        """The capabilities of the hypervisor as XML."""
        return str(self._call('ask for the capabilities', self._connection.getCapabilities))

    def domain_capabilities(
        self, emulator: Optional[str], arch: Optional[str], machine: Optional[str], domain_type: Optional[str]
    ) -> str:
        """The domain capabilities of one kind of domain as XML."""
        ask = self._connection.getDomainCapabilities
        return str(self._call('ask for the domain capabilities', ask, emulator, arch, machine, domain_type))

    def free_memory(self) -> int:
        """Bytes of memory that nobody uses."""
        return int(self._call('ask for the free memory', self._connection.getFreeMemory))

    def cpu_count(self) -> int:
        """The CPUs of the hypervisor."""
        return int(self._call('ask for the CPUs', self._connection.getInfo)[2])

    def memory_size(self) -> int:
        """Bytes of memory that the hypervisor has."""
        return int(self._call('ask for the memory', self._connection.getInfo)[1]) * 1024**2

    def hostname(self) -> str:
        """What the hypervisor calls itself."""
        return str(self._call('ask for the host name', self._connection.getHostname))

    def libvirt_version(self) -> str:
        """The version of the libvirt that answers."""
        return _version(self._call('ask for the version of libvirt', self._connection.getLibVersion))

    def qemu_version(self) -> str:
        """The version of the QEMU that domains of the hypervisor's own architecture get; empty without one."""
        return _version(self._call('ask for the version of QEMU', self._connection.getVersion))

    def network_filters(self) -> list[str]:
        """The names of the network filters that NICs can have."""
        return list(self._call('list the network filters', self._connection.listNWFilters))

    # Domains: all at once

    def list_domains(self) -> list[ListedDomain]:
        """All domains, in one call."""
        domains = {domain.UUIDString(): domain for domain in self._list(0)}
        self._domains.update(domains)
        return [ListedDomain(uuid, domain.name(), domain.ID() != -1) for uuid, domain in domains.items()]

    def list_saved(self) -> set[str]:
        """The UUIDs of the domains that are suspended to disk (managed save)."""
        return {domain.UUIDString() for domain in self._list(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)}

    def list_autostart(self) -> set[str]:
        """The UUIDs of the domains that start with the hypervisor."""
        return {domain.UUIDString() for domain in self._list(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)}

    def _list(self, flags: int) -> list[Any]:
        return list(self._call('list the domains', self._connection.listAllDomains, flags))

    # Domains: one

    def find(self, uuid: str) -> Optional[str]:
        """The name of the domain with that UUID, None where there is none. What was known of it is forgotten."""
        self._domains.pop(uuid, None)
        try:
            return str(self._domain(uuid).name())
        except VmError as error:
            if error.libvirt_code == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def state(self, uuid: str) -> tuple[str, str]:
        """The state of a domain and the reason for it, in libvirt's words."""
        state, reason = self._call('ask for the state', self._domain(uuid).state)
        name = _STATES[state] if state < len(_STATES) else 'unknown'
        reasons = _REASONS.get(name, ())
        return name, reasons[reason] if reason < len(reasons) else 'unknown'

    def xml(self, uuid: str, inactive: bool) -> str:
        """The definition that holds at the next start, or the one that runs; secrets included."""
        flags = libvirt.VIR_DOMAIN_XML_SECURE | (libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0)
        return str(self._call('read the definition', self._domain(uuid).XMLDesc, flags))

    def is_persistent(self, uuid: str) -> bool:
        """Whether the domain has a definition that outlives its running."""
        return bool(self._call('ask whether it is persistent', self._domain(uuid).isPersistent))

    def autostart(self, uuid: str) -> bool:
        """Whether the domain starts with the hypervisor."""
        return bool(self._call('ask for autostart', self._domain(uuid).autostart))

    def has_job(self, uuid: str, seconds: float = ANSWER_SECONDS) -> bool:
        """Whether the domain is being migrated, saved, dumped, backed up or put into a snapshot."""
        try:
            # No QEMU is asked, but libvirt waits until another call has its answer from it.
            job = self._call_qemu(seconds, 'ask for the job', self._domain(uuid).jobInfo)
            return int(job[0]) != libvirt.VIR_DOMAIN_JOB_NONE
        except VmError as error:
            if error.libvirt_code in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT):
                return False
            raise

    def define(self, xml: str, validate: bool = True) -> None:
        """Defines a domain, or defines it anew.

        C(validate): libvirt checks it against its schema; what libvirt had before need not hold that.
        """
        domain = self._define_validated(xml) if validate else self._define(xml, 0)
        self._domains[domain.UUIDString()] = domain

    def _define_validated(self, xml: str) -> Any:
        """One at a time until one was defined, for a new libvirtd may then read its schema for the first time."""
        if self._has_validated:
            return self._define(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        with self._first_validation:
            attempts = _SCHEMA_ATTEMPTS
            while True:
                try:
                    domain = self._define(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
                    self._has_validated = True
                    return domain
                except VmError as error:
                    # Somebody else's definition may have been the other of the two.
                    attempts -= 1
                    if not attempts or _SCHEMA_RACE not in error.message:
                        raise
                time.sleep(_SCHEMA_PAUSE)

    def _define(self, xml: str, flags: int) -> Any:
        return self._call('define the domain', self._connection.defineXMLFlags, xml, flags)

    def undefine(
        self, uuid: str, remove_nvram: bool, remove_saved: bool = False, remove_snapshots: bool = False
    ) -> None:
        """Takes a definition away; disks stay, NVRAM as asked.

        libvirt refuses it for a domain that is suspended to disk unless C(remove_saved), and for one that has snapshots
        or checkpoints unless C(remove_snapshots).
        """
        flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM if remove_nvram else libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
        if remove_saved:
            flags |= libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        if remove_snapshots:
            flags |= libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            # Enterprise Linux 7 has a libvirt without checkpoints.
            flags |= getattr(libvirt, 'VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA', 0)
        self._call('undefine the domain', self._domain(uuid).undefineFlags, flags)

    def create(self, uuid: str, seconds: float) -> None:
        """Starts a defined domain; from its saved memory where it is suspended to disk."""
        # VIR_DOMAIN_START_VALIDATE is for XML that is started without being defined; this was validated when defined.
        self._call_qemu(seconds, 'start the domain', self._domain(uuid).createWithFlags, 0)

    def shutdown(self, uuid: str, seconds: float) -> None:
        """Asks the guest to shut down, and doesn't wait until it has."""
        self._call_qemu(seconds, 'shut the domain down', self._domain(uuid).shutdown)

    def destroy(self, uuid: str) -> None:
        """Ends a domain the hard way, whatever its QEMU does."""
        self._call('destroy the domain', self._domain(uuid).destroy)

    def resume(self, uuid: str) -> None:
        """Lets a paused domain go on."""
        self._change('resume the domain', self._domain(uuid).resume)

    def suspend(self, uuid: str) -> None:
        """Pauses a running domain."""
        self._change('pause the domain', self._domain(uuid).suspend)

    def wake_up(self, uuid: str) -> None:
        """Wakes a guest that has suspended itself to memory."""
        self._change('wake the domain up', self._domain(uuid).pMWakeup, 0)

    def set_autostart(self, uuid: str, autostart: bool) -> None:
        """Sets whether the domain starts with the hypervisor."""
        self._call('set autostart', self._domain(uuid).setAutostart, int(autostart))

    def agent_answers(self, uuid: str, timeout: int) -> bool:
        """Whether the guest agent answers a ping within C(timeout) seconds."""
        ping = '{"execute": "guest-ping"}'
        try:
            ask = libvirt_qemu.qemuAgentCommand
            self._call_qemu(
                timeout + ANSWER_SECONDS, 'ping the guest agent', ask, self._domain(uuid), ping, timeout, 0
            )
        except VmError as error:
            if error.lost_libvirt:
                raise
            return False
        return True

    def snapshot_count(self, uuid: str) -> int:
        """How many snapshots libvirt knows of a domain; a libvirt without them knows none."""
        return self._count('snapshots', self._domain(uuid).listAllSnapshots)

    def checkpoint_count(self, uuid: str) -> int:
        """The same of checkpoints, which Enterprise Linux 7 does not have."""
        return self._count('checkpoints', getattr(self._domain(uuid), 'listAllCheckpoints', lambda flags: []))

    def _count(self, what: str, list_all: Callable[[int], list[Any]]) -> int:
        try:
            return len(self._call('list the ' + what, list_all, 0))
        except VmError as error:
            if error.libvirt_code == libvirt.VIR_ERR_NO_SUPPORT:
                return 0
            raise

    # What people look at

    def interface_addresses(self, uuid: str, source: str) -> dict[str, dict[str, Any]]:
        """The NICs of a running domain with their addresses, as the guest agent, libvirt's leases or ARP know them."""
        number = getattr(libvirt, 'VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_' + source.upper())
        ask, what = self._domain(uuid).interfaceAddresses, 'ask for the addresses'
        if source == 'agent':
            return dict(self._call_qemu(ANSWER_SECONDS, what, ask, number, 0))
        return dict(self._call(what, ask, number, 0))

    def block_size(self, uuid: str, target: str) -> tuple[int, int]:
        """Bytes that the guest sees of a disk, and bytes that it takes where it lies."""
        ask = self._domain(uuid).blockInfo
        size, allocated, _end = self._call_qemu(ANSWER_SECONDS, 'ask for the size of a disk', ask, target, 0)
        return int(size), int(allocated)

    def screenshot(self, uuid: str) -> bytes:
        """What a running domain shows on its first screen, as PNG or as PPM, whatever its QEMU gives.

        At most C(PICTURE_BYTES) of it, or C(VmError).
        """
        stream = self._call('open a stream', self._connection.newStream, 0)
        take = self._domain(uuid).screenshot
        self._call_qemu(ANSWER_SECONDS, 'take a picture of the screen', take, stream, 0, 0)
        picture = bytearray()
        while True:
            part = self._call('receive the picture', stream.recv, 65536)
            if not part:
                break
            picture += part
            if len(picture) > PICTURE_BYTES:
                self._call('give up the picture', stream.abort)
                raise VmError('libvirt_error', 'the picture of the screen has more than %d bytes' % PICTURE_BYTES)
        self._call('end the stream', stream.finish)
        return bytes(picture)

    def open_console(self, uuid: str) -> ConsoleStream:
        """The first serial console of a running domain. Refused where another has it open through libvirt."""
        stream = self._call('open a stream', self._connection.newStream, libvirt.VIR_STREAM_NONBLOCK)
        self._call('open the console', self._domain(uuid).openConsole, None, stream, 0)
        return ConsoleStream(stream)

    # Changes of a running domain

    def update_device(self, uuid: str, xml: str) -> None:
        """Changes a device of the running domain to what C(xml) says."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._change('change a device', self._domain(uuid).updateDeviceFlags, xml, flags)

    def attach_device(self, uuid: str, xml: str) -> None:
        """Plugs a device into the running domain."""
        self._change('attach a device', self._domain(uuid).attachDeviceFlags, xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def detach_device(self, uuid: str, xml: str) -> None:
        """Asks the guest to let go of a device; it is gone when the live definition no longer has it."""
        self._change('detach a device', self._domain(uuid).detachDeviceFlags, xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def set_vcpus(self, uuid: str, count: int) -> None:
        """Sets the number of CPUs of the running domain."""
        self._change('set the CPUs', self._domain(uuid).setVcpusFlags, count, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def set_memory_stats_period(self, uuid: str, seconds: int) -> None:
        """Sets how often the balloon of the running domain tells its statistics."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._change('set the balloon period', self._domain(uuid).setMemoryStatsPeriod, seconds, flags)

    def set_description(self, uuid: str, text: Optional[str]) -> None:
        """Sets what the running domain is called for people."""
        kind, flags = libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._call('set the description', self._domain(uuid).setMetadata, kind, text, None, None, flags)

    def set_block_io_tune(self, uuid: str, target: str, limits: dict[str, int]) -> None:
        """Sets the limits of a disk of the running domain, by libvirt's names of them; 0 is none."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._change('set the limits of a disk', self._domain(uuid).setBlockIoTune, target, limits, flags)

    def set_scheduler(self, uuid: str, parameters: dict[str, int]) -> None:
        """Sets the share of CPU time of the running domain, by libvirt's names."""
        set_parameters = self._domain(uuid).setSchedulerParametersFlags
        self._call('set the CPU shares', set_parameters, parameters, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    # Storage

    def storage_volume_xml(self, path: str) -> Optional[str]:
        """What libvirt knows of a file in one of its storage pools, None where no pool has it."""
        try:
            volume = self._call('look up the volume', self._connection.storageVolLookupByPath, path)
        except VmError as error:
            if error.libvirt_code == libvirt.VIR_ERR_NO_STORAGE_VOL:
                return None
            raise
        return str(self._call('read the volume', volume.XMLDesc))

    # Secrets

    def known_secrets(self) -> dict[str, ListedSecret]:
        """All secrets by UUID. libvirt is asked once; afterwards what this connection does, or comes upon, counts."""
        with self._listing_secrets:
            known = self._known_secrets
            if known is None:
                hidden = self._list_secrets(libvirt.VIR_CONNECT_LIST_SECRETS_PRIVATE)
                private, listed = {secret.UUIDString() for secret in hidden}, self._list_secrets(0)
                known = self._known_secrets = {}
                for secret in listed:
                    self._remember(secret, secret.UUIDString() in private)
            return dict(known)

    def _list_secrets(self, flags: int) -> list[Any]:
        return list(self._call('list the secrets', self._connection.listAllSecrets, flags))

    def _remember(self, secret: Any, private: bool) -> None:
        uuid, number = secret.UUIDString(), secret.usageType()
        self._secrets[uuid] = secret
        known = self._known_secrets
        if known is not None:
            kind = _SECRET_KINDS[number] if number < len(_SECRET_KINDS) else 'unknown'
            known[uuid] = ListedSecret(uuid, kind, secret.usageID() or '', private)

    def _forget_secret(self, uuid: str) -> None:
        self._secrets.pop(uuid, None)
        known = self._known_secrets
        if known is not None:
            known.pop(uuid, None)

    def secret_xml(self, uuid: str) -> Optional[str]:
        """The definition of a secret, None where there is none."""
        return self._of_secret(uuid, lambda secret: str(self._call('read the secret', secret.XMLDesc)))

    def secret_value(self, uuid: str) -> Optional[bytes]:
        """The value of a secret, None where it has none; a private one gives VmError with C(libvirt_denied)."""
        return self._of_secret(uuid, self._value)

    def _value(self, secret: Any) -> Optional[bytes]:
        try:
            return bytes(self._call('read the value of the secret', secret.value))
        except VmError as error:
            # libvirt says so of a secret without a value, too.
            if error.libvirt_code == libvirt.VIR_ERR_NO_SECRET:
                return None
            if error.libvirt_code == libvirt.VIR_ERR_INVALID_SECRET:
                self._remember(secret, private=True)
                raise VmError('libvirt_denied', 'the secret %s is private' % secret.UUIDString()) from error
            raise

    def define_secret(self, xml: str, private: bool) -> None:
        """Defines a secret, or defines it anew. C(private) is what C(xml) says of it."""
        self._remember(self._call('define the secret', self._connection.secretDefineXML, xml), private)

    def set_secret_value(self, uuid: str, value: bytes) -> None:
        """Gives a secret its value; C(secret_missing) where there is no such secret."""

        def set_value(secret: Any) -> bool:
            self._call('set the value of the secret', secret.setValue, value)
            return True

        if not self._of_secret(uuid, set_value):
            raise VmError('secret_missing', 'libvirt has no secret %s' % uuid)
        known = self._known_secrets
        if known is not None and uuid in known:
            known[uuid] = replace(known[uuid], given=value)

    def undefine_secret(self, uuid: str) -> None:
        """Removes a secret; none is fine."""
        self._of_secret(uuid, lambda secret: self._call('remove the secret', secret.undefine))
        self._forget_secret(uuid)

    def _of_secret(self, uuid: str, ask: Callable[[Any], Answer]) -> Optional[Answer]:
        """What C(ask) returns of the secret, None where it is not, or is no more."""
        try:
            secret = self._secrets.get(uuid)
            if secret is None:
                secret = self._call('look up the secret', self._connection.secretLookupByUUIDString, uuid)
                self._remember(secret, private=False)
            return ask(secret)
        except VmError as error:
            if error.libvirt_code == libvirt.VIR_ERR_NO_SECRET:
                self._forget_secret(uuid)
                return None
            raise


def _version(number: int) -> str:
    return '%d.%d.%d' % (number // 1000000, number // 1000 % 1000, number % 1000) if number else ''


def _vm_error(what: str, error: Any) -> VmError:
    number, source, message = error.get_error_code(), error.get_error_domain(), str(error.get_error_message())
    return VmError(
        classify(number, source, message),
        'cannot %s: %s' % (what, message),
        libvirt_code=number,
        libvirt_message=message,
    )
