# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop VMs side by side: shut down, force off where requested, and release what only they used."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._actions.shared_objects import used_by_other_than
from .._domain.tpm import may_lose_tpm_state
from .._errors.errors import Failure, VmError, internal_errors
from .._host.system import HostSystem, System
from .._host_storage import release
from .._host_storage.iscsi_login import Initiator
from .._libvirt.hypervisor import Hypervisor, Removal
from .._libvirt.observed import DomainList, ObservedVm, list_domains, observe_domain
from .._libvirt.power_state import BUSY, CRASHED, KEEP, RESUME, START_WHEN_OFF, WAKE_UP, power_of
from .._start.result import SecretMask, VmResult, domain_text, failed
from .._storage.seed import SEED_DIRECTORY, is_seed, seeds_among
from ..deadline import side_by_side
from .actions import (
    ForceOff,
    LogOutOfIscsiTarget,
    RemoveChannelSocket,
    RemoveSecret,
    RemoveSeed,
    ShutDown,
    StopAction,
    StopContext,
    Undefine,
    WaitForShutdown,
)

# Most of the time they wait for guests.
_WORKERS = 32
_LOCK_SECONDS = 10
_JOB_SECONDS = 3
_WHEN_OFF = "when the VM is off, because it is transient"

_NO_SECRETS = SecretMask(())


@dataclass(frozen=True)
class StopRequest:
    """Options for stopping VMs. C(timeout): seconds that a guest gets to shut down.

    C(force): force off a VM that hasn't shut down by then, or can't. C(undefine): remove its definition as well, and
    what C(removal) names with it. C(diff): create the texts for the diff.
    """

    timeout: int
    force: bool
    undefine: bool
    removal: Removal
    check_mode: bool
    diff: bool
    cancelled: threading.Event


def stop_vms(hypervisor: Hypervisor, system: System, uuids: Sequence[str], request: StopRequest) -> list[VmResult]:
    """Stop the VMs, and return one result for each, in their order. Never raise an error."""
    try:
        with internal_errors():
            domains = list_domains(hypervisor)
    except VmError as error:
        return [failed(VmResult(uuid, ""), Failure(error, "look"), _NO_SECRETS) for uuid in uuids]

    def stop(index: int) -> VmResult:
        # Check mode treats VMs that come earlier as undefined already: what VMs share is released with the last one.
        first = 0 if request.check_mode and request.undefine else index
        return _VmStop(hypervisor, system, uuids[index], uuids[first : index + 1], request, domains).result_of_all()

    return side_by_side(stop, range(len(uuids)), _WORKERS)


class _VmStop:
    """Stops one VM. Nothing is undone: a VM that was forced off can't be restored.

    C(going): the VMs that don't count as users of what it shares, itself among them.
    """

    def __init__(
        self,
        hypervisor: Hypervisor,
        system: System,
        uuid: str,
        going: Sequence[str],
        request: StopRequest,
        domains: DomainList,
    ) -> None:
        self._hypervisor = hypervisor
        self._system = system
        self._uuid = uuid
        self._going = going
        self._request = request
        self._domains = domains
        self._actions: list[str] = []
        self._doing = ""
        self._result = VmResult(uuid, "", actions=self._actions)
        self._context = StopContext(hypervisor, system, going, self._result)

    def result_of_all(self) -> VmResult:
        """Stop the VM, and return its result."""
        try:
            if self._request.cancelled.is_set():
                raise VmError("interrupted", "the task was interrupted before this VM was stopped")
            with internal_errors():
                if self._request.check_mode:
                    self._stop()
                else:
                    seconds = max(self._request.timeout, _LOCK_SECONDS)
                    with self._system.lock(self._uuid).acquire(seconds, self._request.cancelled):
                        self._stop()
        except VmError as error:
            return failed(self._result, Failure(error, self._phase()), _NO_SECRETS)
        return self._result

    def _stop(self) -> None:
        observed = self._observe()
        self._result.state = observed.state
        if observed.inactive_xml is None:
            self._result.before = self._result.after = self._text("absent", None)
            return
        domain = etree.fromstring(observed.inactive_xml)
        self._result.name = domain.findtext("description") or observed.name or ""
        self._check_stoppable(observed)
        undefines = self._request.undefine and observed.persistent
        stays = observed.persistent and not undefines
        if not stays:
            self._check_removal(domain, observed)
        self._result.before = self._text(observed.state, domain)
        if observed.active:
            self._power_off(observed)
        if undefines:
            self._do(Undefine(self._request.removal))
        state_after = "shutoff" if stays else "absent"
        self._result.after = self._text(state_after, domain if stays else None)
        if not self._request.check_mode:
            self._result.state = state_after
        self._release(domain, observed, stays)

    def _observe(self) -> ObservedVm:
        """Return the VM's state. One that libvirt can't describe, because its QEMU hangs, is forced off before."""
        try:
            return observe_domain(self._hypervisor, self._uuid, self._domains)
        except VmError as error:
            if error.code != "qemu_hangs" or not self._request.force or self._request.check_mode:
                raise
            self._check_unreadable(error)
        self._do(ForceOff())
        return observe_domain(self._hypervisor, self._uuid, self._domains)

    def _check_unreadable(self, error: VmError) -> None:
        """Raise an error if a VM whose definition can't be read must not be forced off, or might lose something."""
        state, reason = self._hypervisor.state(self._uuid)
        check_stoppable(ObservedVm(state, reason), self._request)
        is_transient = self._uuid in self._domains.transient
        if not (is_transient or self._request.undefine):
            return
        removal = self._request.removal
        self._check_snapshots("when the VM is undefined" if not is_transient else _WHEN_OFF)
        if is_transient and not removal.tpm:
            message = "%s; libvirt removes the state of a TPM, if the VM has one, %s" % (error.message, _WHEN_OFF)
            raise VmError("vm_has_tpm_state", message)

    def _check_stoppable(self, observed: ObservedVm) -> None:
        check_stoppable(observed, self._request)
        if observed.active and self._has_job():
            raise VmError("vm_busy", "the VM is %s, and a job is running on it" % observed.state)

    def _has_job(self) -> bool:
        try:
            return self._hypervisor.has_job(self._uuid, _JOB_SECONDS)
        except VmError as error:
            # If QEMU hangs, libvirt can't say whether a job runs; with force it is ended anyway.
            if error.code != "qemu_hangs" or not self._request.force:
                raise
            return False

    def _check_removal(self, domain: etree._Element, observed: ObservedVm) -> None:
        """Raise an error for what libvirt would remove with the domain without being requested to."""
        removal = self._request.removal
        when = "when the VM is undefined" if observed.persistent else _WHEN_OFF
        if observed.saved and not removal.saved_state:
            raise VmError("vm_has_saved_state", "the VM is suspended to disk; libvirt removes its memory %s" % when)
        self._check_snapshots(when)
        if not removal.tpm and may_lose_tpm_state(domain):
            if not observed.persistent or not self._hypervisor.can_keep_tpm():
                raise VmError("vm_has_tpm_state", "libvirt removes the state of the VM's TPM %s" % when)

    def _check_snapshots(self, when: str) -> None:
        removal, hypervisor = self._request.removal, self._hypervisor
        lost = {
            "snapshots": 0 if removal.snapshots else hypervisor.snapshot_count(self._uuid),
            "checkpoints": 0 if removal.checkpoints else hypervisor.checkpoint_count(self._uuid),
        }
        if any(lost.values()):
            named = " and ".join("%d %s" % (count, name) for name, count in lost.items() if count)
            raise VmError("vm_has_snapshots", "the VM has %s, which libvirt deletes %s" % (named, when))

    def _do(self, action: StopAction) -> None:
        """Execute an action, unless in check mode, and note it."""
        if not self._request.check_mode:
            self._doing = action.name
            action.do(self._context)
            self._doing = ""
        self._actions.append(action.name)

    def _phase(self) -> str:
        return self._doing or (self._actions[-1] if self._actions else "look")

    def _text(self, state: str, domain: Optional[etree._Element]) -> str:
        """Return the VM's text for the diff: its state, and its definition if affected; empty without a diff."""
        return "state: %s\n%s" % (state, domain_text(domain)) if self._request.diff else ""

    # The VM

    def _power_off(self, observed: ObservedVm) -> None:
        power = power_of(observed)
        if self._request.timeout and power in (KEEP, START_WHEN_OFF):
            self._shut_down(power == KEEP)
            if self._request.check_mode or self._context.was_off():
                return
            if not self._request.force:
                message = "the guest has not shut down within %d seconds: the VM is %s (%s)"
                state = self._hypervisor.state(self._uuid)
                raise VmError("shutdown_timeout", message % (self._request.timeout, *state))
            if self._context.is_off():
                return
            # A migration, for instance, may have started meanwhile.
            word, reason = self._hypervisor.state(self._uuid)
            self._check_stoppable(replace(observed, state=word, reason=reason))
        self._do(ForceOff())

    def _shut_down(self, asks: bool) -> None:
        """Wait until the guest has shut down, unless in check mode. C(asks): it needs a request for that."""
        seconds, cancelled = self._request.timeout, self._request.cancelled
        action = ShutDown(seconds, cancelled, self._request.force) if asks else WaitForShutdown(seconds, cancelled)
        # The request remains sent also if the wait for the guest fails.
        self._actions.append(action.name)
        if not self._request.check_mode:
            action.do(self._context)

    # Cleanup

    def _release(self, domain: etree._Element, observed: ObservedVm, stays: bool) -> None:
        """Release what the VM leaves on the hypervisor; secrets only if no remaining definition uses them."""
        used = [domain]
        if observed.live_xml is not None:
            # A VM that was redefined while it ran has used what its definition no longer contains.
            used.append(etree.fromstring(observed.live_xml))
        sockets = channel_sockets(used)
        if self._system.is_remote:
            if sockets or release.has_host_luns(used):
                self._result.warnings.append("its sockets and iSCSI sessions stay: only the hypervisor can remove them")
        else:
            # libvirt removes the sockets of a VM whose end it sees.
            if not (observed.active and self._request.check_mode):
                self._remove_sockets(sockets, self._system)
            if not stays:
                self._remove_seeds(domain, self._system)
            if self._system.is_root():
                self._close_sessions(release.sessions_of(used, self._system))
            elif release.has_host_luns(used):
                self._result.warnings.append("its iSCSI sessions stay: only root can close them")
        still_named = release.secrets_of([domain]) if stays else []
        self._remove_secrets([secret for secret in release.secrets_of(used) if secret not in still_named])

    def _remove_sockets(self, paths: Sequence[str], system: HostSystem) -> None:
        for path in filter(system.files.may_create, paths):
            if system.files.entry_kind(path) != "socket" or used_by_other_than(self._going, path, self._hypervisor):
                continue
            if not system.network.has_listener(path):
                self._do(RemoveChannelSocket(path))

    def _remove_seeds(self, domain: etree._Element, system: HostSystem) -> None:
        """Remove the cloud-init seeds of the VM, which may hold secrets."""
        if system.is_root():
            for path in seeds_among(self._uuid.replace("-", ""), system.files.list_directory(SEED_DIRECTORY)):
                self._do(RemoveSeed(path))
        elif any(is_seed(source.get("file")) for source in domain.iterfind("devices/disk/source")):
            self._result.warnings.append("its cloud-init seed stays in %s: only root can remove it" % SEED_DIRECTORY)

    def _close_sessions(self, sessions: Sequence[Initiator]) -> None:
        for session in sessions:
            if release.is_unneeded_session(session, self._going, self._hypervisor):
                self._do(LogOutOfIscsiTarget(session))

    def _remove_secrets(self, secrets: Sequence[str]) -> None:
        for secret in secrets:
            if release.is_unneeded_secret(secret, self._going, self._hypervisor):
                self._do(RemoveSecret(secret))


def check_stoppable(observed: ObservedVm, request: StopRequest) -> None:
    """Raise an error if a VM in this state can't be stopped this way."""
    power = power_of(observed)
    seen = "the VM is %s (%s)" % (observed.state, observed.reason)
    if power == BUSY:
        raise VmError("vm_busy", seen)
    if request.force:
        return
    if power in (RESUME, WAKE_UP):
        raise VmError("vm_not_running", seen + ", and its guest cannot shut down")
    if power == CRASHED:
        raise VmError("vm_crashed", seen, hint='Take a dump if you need one ("virsh dump"), then use force: true.')


def channel_sockets(domains: Iterable[etree._Element]) -> list[str]:
    """Return the sockets that QEMU creates for the channels of domains, each once, as far as they have a path."""
    named = 'devices/channel[@type="unix"]/source[@mode="bind"][@path]'
    return list(dict.fromkeys(str(source.get("path")) for domain in domains for source in domain.iterfind(named)))
