# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor's own iSCSI initiator, through iscsiadm: it logs in where a LUN is passed through as a device.

A session belongs to all VMs with a LUN of its target. One that was open before this collection came is left alone;
one that it opened has a mark in C(/run), and ends when the last VM that has a LUN of it gives it up. The mark keeps
what open-iscsi's record of the target was before. CHAP passwords
are written into open-iscsi's own record of the target, which only root can read: iscsiadm would take them as an
argument only, and everybody can read those.
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
from ..waiting import wait_until

if TYPE_CHECKING:
    from .._actions.context import ActionContext
    from .._host.system import System

DEVICE_SECONDS = 30
_COMMAND_SECONDS = 60

# Where open-iscsi keeps its records: Debian's place, and that of the others.
_RECORD_FOLDERS = ("/etc/iscsi/nodes", "/var/lib/iscsi/nodes")

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
# A host with a name stands in brackets, as an IPv6 address does.
_SESSION = re.compile(r"^\w+: \[\d+\] \[?(?P<host>[^]\s]+?)\]?:(?P<port>\d+),-?\d+ (?P<iqn>\S+)", re.MULTILINE)


@dataclass(frozen=True, repr=False)
class LogInToIscsiTarget(Action):
    """Open the session of a target, or use the one that is open, and wait for C(devices)."""

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
                # The VM is as it was before: on this session.
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
    """Return the logins that a VM needs, also to targets with a session: its undo may have to end that."""
    logins: dict[tuple[str, str], LogInToIscsiTarget] = {}
    for volume in vm.volumes:
        if uses_host_initiator(volume):
            lun = lun_of(volume)
            new = LogInToIscsiTarget(lun, (), volume.chap_username, volume.chap_password)
            first = logins.get((lun.portal, lun.iqn), new)
            logins[lun.portal, lun.iqn] = replace(first, devices=(*first.devices, lun.device))
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
        """One at a time at the session."""
        label = "the iSCSI session of %s at %s" % (self._target.iqn, self._target.portal)
        return shared_lock(self._system, self._name, label)

    def device_prefix(self) -> str:
        """What the devices of the target have in common."""
        return self._target._replace(lun=0).device[:-1]

    def is_ours(self) -> bool:
        """Whether this collection opened the session."""
        return self._system.files.path_kind(self._mark) is not None

    def has_session(self) -> bool:
        """Whether the hypervisor is logged in."""
        done = self._run("-m", "session", allowed=(_NOTHING_FOUND,))
        return has_session(done.stdout, self._target)

    def rescan(self) -> None:
        """Looks for LUNs that the target got since the login."""
        self._run_node("--rescan")

    def open(self, username: Optional[str], password: Optional[str]) -> None:
        """Logs in; what failed leaves everything as it was."""
        self._discover()
        before = {path: self._system.files.read_text(path) for path in self._record_files()}
        # Before the login: a session that a killed task left behind is ours too.
        self._system.files.write_private_file(self._mark, json.dumps(before))
        try:
            if not before:
                self._run_node("-o", "new")
            if username:
                self._write_chap(username, password or "")
            done = self._run_node("--login", allowed=(_SESSION_EXISTS,))
        except VmError:
            with contextlib.suppress(VmError):
                # iscsid may go on with a login that has taken too long.
                self.close()
            raise
        if done.returncode == _SESSION_EXISTS:
            # Somebody else has logged in meanwhile.
            self._system.files.remove_file(self._mark)

    def close(self) -> None:
        """Logs out; the record of the target is then what it was before the login, or gone where there was none."""
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
            message = "open-iscsi's record of %s is in none of %s"
            raise VmError("command_failed", message % (self._target.iqn, ", ".join(_RECORD_FOLDERS)))
        for path in paths:
            text = self._system.files.read_text(path) or ""
            self._system.files.write_private_file(path, with_chap(text, username, password))

    def _record_files(self) -> list[str]:
        """The files of the record: C(IQN/HOST,PORT), or C(IQN/HOST,PORT,GROUP/INTERFACE) after a discovery."""
        start = "%s,%d" % (self._target.host, self._target.port)
        found = []
        for folder in _RECORD_FOLDERS:
            top = "%s/%s" % (folder, self._target.iqn)
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
    """Whether what C(iscsiadm -m session) prints has a session of the target."""
    found = {(each["host"], int(each["port"]), each["iqn"]) for each in _SESSION.finditer(listing)}
    return (target.host, target.port, target.iqn) in found


def with_chap(record: str, username: str, password: str) -> str:
    """An open-iscsi record with CHAP instead of what it had for authentication."""
    chap = {"authmethod": "CHAP", "username": username, "password": password}
    names = tuple("node.session.auth.%s " % name for name in chap)
    kept = [line for line in record.split("\n") if line and not line.startswith((*names, "# END RECORD"))]
    added = ["node.session.auth.%s = %s" % entry for entry in chap.items()]
    return "\n".join([*kept, *added, "# END RECORD", ""])
