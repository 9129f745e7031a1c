# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor's own iSCSI initiator, through iscsiadm: it logs in for LUNs that are passed through as devices.

A session serves all VMs with a LUN of its target. One that this collection did not open is left alone;
one that it opened has a mark in C(/run), and ends when the last VM with a LUN of it releases it. The mark keeps
open-iscsi's previous record of the target. CHAP passwords
are written into open-iscsi's record of the target, which only root can read: iscsiadm takes them only as
arguments, which every user can read.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Optional

from .._actions.action import Action, Outcome, RollbackTurn
from .._actions.shared_objects import shared_lock, shared_name, used_by_another
from .._errors.errors import VmError
from .._host.lock import lock_directory
from .._host.processes import CommandResult
from .._spec.vm import Vm
from .._storage.iscsi import Lun, lun_of, uses_host_initiator
from .._storage.iscsi_cd import parse_cd_lun
from ..waiting import wait_until

if TYPE_CHECKING:
    from .._actions.context import ActionContext
    from .._host.system import System

DEVICE_SECONDS = 30
_COMMAND_SECONDS = 60

# Where open-iscsi keeps its records: on Debian, and on other distributions.
_RECORD_DIRECTORIES = ("/etc/iscsi/nodes", "/var/lib/iscsi/nodes")

# Exit codes of iscsiadm, see its manual page.
_SESSION_EXISTS = 15
_NOTHING_FOUND = 21
_ERROR_CODES = {
    4: "storage_unreachable",
    8: "storage_unreachable",
    11: "storage_unreachable",
    19: "storage_missing",
    24: "storage_denied",
}
# A host name is in brackets, like an IPv6 address.
_SESSION = re.compile(r"^\w+: \[\d+\] \[?(?P<host>[^]\s]+?)\]?:(?P<port>\d+),-?\d+ (?P<iqn>\S+)", re.MULTILINE)


@dataclass(frozen=True, repr=False)
class LogInToIscsiTarget(Action):
    """Open the session of a target unless it is open, and wait for C(devices)."""

    name = "log_in_to_iscsi_target"
    rollback_turn = RollbackTurn.SHARED
    target: Lun
    devices: tuple[str, ...]
    username: Optional[str]
    password: Optional[str]

    def do(self, context: ActionContext) -> Outcome:
        initiator = Initiator(context.system, self.target)
        prefix = initiator.device_prefix()
        with initiator.lock():
            had_session = initiator.has_session()
            if had_session:
                initiator.rescan()
            else:
                initiator.open(self.username, self.password)

        def undo() -> None:
            if had_session and context.observed.has(prefix):
                # The VM is restored to its previous state, which uses this session.
                return
            with initiator.lock():
                if initiator.is_ours() and not used_by_another(context, prefix):
                    initiator.close()

        try:
            _wait_for_devices(context.system, self)
        except VmError:
            undo()
            raise
        return Outcome(undo)


def plan_logins(vm: Vm) -> list[LogInToIscsiTarget]:
    """Return the logins that a VM needs, also to targets with a session, which the undo may have to end."""
    logins: dict[tuple[str, str], LogInToIscsiTarget] = {}
    for volume in vm.volumes:
        if uses_host_initiator(volume):
            lun = lun_of(volume)
            new = LogInToIscsiTarget(lun, (), volume.chap_username, volume.chap_password)
            first = logins.get((lun.portal, lun.iqn), new)
            logins[lun.portal, lun.iqn] = replace(first, devices=(*first.devices, lun.device))
    for cd_lun in filter(None, (parse_cd_lun(cd.path) for cd in vm.cds)):
        for host in cd_lun.hosts:
            target = Lun(host, cd_lun.port, cd_lun.iqn, 0)
            first = logins.get((target.portal, target.iqn), LogInToIscsiTarget(target, (), None, None))
            logins[target.portal, target.iqn] = replace(first, devices=(*first.devices, cd_lun.device))
    return list(logins.values())


def _wait_for_devices(system: System, login: LogInToIscsiTarget) -> None:
    def missing() -> list[str]:
        return [device for device in login.devices if system.files.path_kind(device) != "block"]

    if not wait_until(lambda: not missing(), DEVICE_SECONDS):
        message = "the hypervisor is logged in to %s, but %s has not appeared within %d seconds"
        raise VmError("storage_missing", message % (login.target.iqn, ", ".join(missing()), DEVICE_SECONDS))


class Initiator:
    """open-iscsi, for one target behind one portal."""

    def __init__(self, system: System, target: Lun) -> None:
        self._system = system
        self._target = target
        self._name = "iscsi %s %s" % (target.portal, target.iqn)
        self._mark = "%s/%s.session" % (lock_directory(), shared_name(self._name))

    def lock(self) -> Any:
        """Return the lock of the session."""
        label = "the iSCSI session of %s at %s" % (self._target.iqn, self._target.portal)
        return shared_lock(self._system, self._name, label)

    def device_prefix(self) -> str:
        """Return the common prefix of the target's device paths."""
        return self._target._replace(lun=0).device[:-1]

    def is_ours(self) -> bool:
        """Return whether this collection opened the session."""
        return self._system.files.path_kind(self._mark) is not None

    def has_session(self) -> bool:
        """Return whether the hypervisor is logged in."""
        done = self._run("-m", "session", allowed=(_NOTHING_FOUND,))
        return has_session(done.stdout, self._target)

    def rescan(self) -> None:
        """Rescan the session for LUNs added since the login."""
        self._run_node("--rescan")

    def open(self, username: Optional[str], password: Optional[str]) -> None:
        """Log in; a failure restores the previous state."""
        self._discover()
        before = {path: self._system.files.read_text(path) for path in self._record_files()}
        # Before the login, so that a session left behind by a killed task is ours too.
        self._system.files.write_private_file(self._mark, json.dumps(before))
        try:
            if not before:
                self._run_node("-o", "new")
            if username:
                self._write_chap(username, password or "")
            done = self._run_node("--login", allowed=(_SESSION_EXISTS,))
        except VmError:
            with contextlib.suppress(VmError):
                # iscsid may continue a login that timed out here.
                self.close()
            raise
        if done.returncode == _SESSION_EXISTS:
            # Another program has logged in meanwhile.
            self._system.files.remove_file(self._mark)

    def close(self) -> None:
        """Log out, and restore the target's record from before the login, or remove it if there was none."""
        self._run_node("--logout", allowed=(_NOTHING_FOUND,))
        before = json.loads(self._system.files.read_text(self._mark) or "{}")
        for path, text in before.items():
            self._system.files.write_private_file(path, text)
        if not before:
            self._run_node("-o", "delete", allowed=(_NOTHING_FOUND,))
        self._system.files.remove_file(self._mark)

    def _discover(self) -> None:
        portal, iqn = self._target.portal, self._target.iqn
        done = self._run("-m", "discovery", "-t", "sendtargets", "-p", portal, "-o", "nonpersistent")
        if iqn not in done.stdout.split():
            raise VmError("storage_missing", "the portal %s has no target %s" % (portal, iqn))

    def _write_chap(self, username: str, password: str) -> None:
        paths = self._record_files()
        if not paths:
            message = "open-iscsi's record of %s was not found in any of %s"
            raise VmError("command_failed", message % (self._target.iqn, ", ".join(_RECORD_DIRECTORIES)))
        for path in paths:
            text = self._system.files.read_text(path) or ""
            self._system.files.write_private_file(path, with_chap(text, username, password))

    def _record_files(self) -> list[str]:
        """Return the files of the record: C(IQN/HOST,PORT), or C(IQN/HOST,PORT,GROUP/INTERFACE) after a discovery."""
        start = "%s,%d" % (self._target.host, self._target.port)
        found = []
        for directory in _RECORD_DIRECTORIES:
            top = "%s/%s" % (directory, self._target.iqn)
            for name in self._system.files.list_directory(top):
                path = "%s/%s" % (top, name)
                if name == start:
                    found.append(path)
                elif name.startswith(start + ","):
                    found.extend("%s/%s" % (path, interface) for interface in self._system.files.list_directory(path))
        return found

    def _run_node(self, *arguments: str, allowed: tuple[int, ...] = ()) -> CommandResult:
        return self._run("-m", "node", "-T", self._target.iqn, "-p", self._target.portal, *arguments, allowed=allowed)

    def _run(self, *arguments: str, allowed: tuple[int, ...] = ()) -> CommandResult:
        done = self._system.processes.run(["iscsiadm", *arguments], _COMMAND_SECONDS)
        if done.returncode != 0 and done.returncode not in allowed:
            reason = " ".join(line.replace("iscsiadm: ", "", 1) for line in done.stderr.strip().split("\n"))
            raise VmError(
                _ERROR_CODES.get(done.returncode, "command_failed"),
                "iscsiadm %s failed for the target %s at %s: %s"
                % (arguments[1], self._target.iqn, self._target.portal, reason),
            )
        return done


def has_session(listing: str, target: Lun) -> bool:
    """Return whether the output of C(iscsiadm -m session) lists a session of the target."""
    found = {(each["host"], int(each["port"]), each["iqn"]) for each in _SESSION.finditer(listing)}
    return (target.host, target.port, target.iqn) in found


def with_chap(record: str, username: str, password: str) -> str:
    """Return an open-iscsi record with CHAP instead of its previous authentication."""
    chap = {"authmethod": "CHAP", "username": username, "password": password}
    names = tuple("node.session.auth.%s " % name for name in chap)
    kept = [line for line in record.split("\n") if line and not line.startswith((*names, "# END RECORD"))]
    added = ["node.session.auth.%s = %s" % entry for entry in chap.items()]
    return "\n".join([*kept, *added, "# END RECORD", ""])
