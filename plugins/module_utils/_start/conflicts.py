# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what a VM that is to start would take from others: files, sockets, tap devices, ports, MAC addresses.

This happens before anything is changed. Others are the hypervisor and its other domains.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain.serial import console_log
from .._errors.errors import Problem, VmError
from .._host.system import HostSystem, System
from .._libvirt.observed import ObservedVm
from .._spec.vm import Vm
from .domain_claims import NO_CLAIMS, Claims, Endpoint, claims_of
from .other_domains import OtherDomains
from .plan import Use

if TYPE_CHECKING:
    from .other_domains import Has

_NVRAM_HEAD = 64
_FIRMWARE_VOLUME = slice(40, 44)
_FIRMWARE_VOLUME_SIGNATURE = b"_FVH"
_QCOW2 = b"QFI\xfb"
_BLANKS = b"\0\xff"


@dataclass(frozen=True)
class Conflicts:
    """Problems that keep a VM from starting, and warnings that don't."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_conflicts(
    vm: Vm, desired: etree._Element, observed: ObservedVm, use: Use, system: System, others: OtherDomains
) -> Conflicts:
    """Return what the desired domain would take from others; C(desired) may be the definition that exists."""
    desired_claims = claims_of(desired)
    defined = desired_claims if desired is observed.inactive else None
    own = _Own(
        defined or (NO_CLAIMS if observed.inactive is None else claims_of(observed.inactive)),
        NO_CLAIMS if observed.live is None else claims_of(observed.live, live=True),
    )
    search = _Search(vm, desired_claims, own, None if system.is_remote else system, others)
    if use.starts or use.attaches:
        search.find_taps()
        search.find_macs()
        search.find_disks()
    if use.starts:
        search.find_sockets()
        search.find_endpoints()
    search.find_peers()
    # What its definition names already was checked when that was written.
    search.find_logs()
    search.find_streams()
    search.find_nvram()
    return search.found


@dataclass(frozen=True)
class _Own:
    """The VM's own claims: in its definition, and while it runs."""

    defined: Claims
    live: Claims


class _Search:
    """The conflicts of one VM. C(system) is None if the hypervisor can't be inspected."""

    def __init__(self, vm: Vm, desired: Claims, own: _Own, system: Optional[HostSystem], others: OtherDomains) -> None:
        self._vm = vm
        self._desired = desired
        self._own = own
        self._system = system
        self._others = others
        self.found = Conflicts()

    def find_taps(self) -> None:
        for name in sorted(self._desired.taps - self._own.live.taps):
            exists = self._system is not None and self._system.network.network_device_exists(name)
            self._judge(
                self._option_path("nics", "nic_internal_name", name),
                "the name %s of the NIC's network device" % name,
                partial(_has_tap, name),
                "a network device of the hypervisor has it already" if exists else "",
                "nic_name_taken",
            )

    def find_macs(self) -> None:
        for mac in sorted(self._desired.macs - self._own.live.macs):
            what = "%s is also a MAC address" % mac
            self._warn(self._option_path("nics", "mac", mac), what, partial(_has_mac, mac))

    def find_disks(self) -> None:
        """Check the images that the guest writes to. While another VM runs with one, QEMU's locks refuse a start."""
        for image in sorted(self._desired.unshared - self._own.live.images):
            what = "%s is also an image" % image
            self._warn(self._option_path("volumes", "install_path", image), what, partial(_has_image, image))

    def find_sockets(self) -> None:
        for path in sorted(self._desired.sockets - self._own.live.sockets):
            reason, code = self._on_host(_socket_conflict, path)
            self._judge(
                self._option_path("channels", "socket_path", path),
                "the socket %s" % path,
                partial(_has_socket, path),
                reason,
                code or "address_in_use",
            )

    def find_peers(self) -> None:
        """Check the sockets that devices connect to. A missing one may appear: some devices retry."""
        for path in sorted(self._desired.peers):
            reason, code = self._on_host(_peer_conflict, path)
            if reason:
                what = "a device of the VM cannot connect to %s: %s" % (path, reason)
                self.found.problems.append(Problem(self._patch(path), what, code))

    def find_logs(self) -> None:
        images = self._desired.images | self._own.defined.images | self._own.live.images
        for path in sorted(self._desired.logs & images):
            message = "the file %s, to be written by a device of the VM, is a disk of the VM" % path
            self.found.problems.append(Problem(self._patch(path), message, "path_taken"))
        for path in sorted(self._desired.logs - images - self._own.defined.logs - self._own.live.logs):
            what = "the file %s, to be written by a device of the VM," % path
            self._judge_file(path, what, self._on_host(self._log_conflict, path))

    def find_streams(self) -> None:
        """Check pipes and character devices. Several VMs may share one, but QEMU would write to other files too."""
        images = self._desired.images | self._own.defined.images | self._own.live.images
        for path in sorted(self._desired.streams):
            reason, code = self._on_host(_stream_conflict, path)
            if path in images:
                reason, code = "it is a disk of the VM", "path_taken"
            if reason:
                what = "the pipe or character device %s is taken: %s" % (path, reason)
                pipe = re.sub(r"\.(in|out)$", "", path)
                self.found.problems.append(Problem(self._patch(path, pipe), what, code))

    def find_nvram(self) -> None:
        known = {path for path, _format in (*self._own.defined.nvram, *self._own.live.nvram)}
        for path, image_format in self._desired.nvram:
            if path not in known:
                self._judge_file(
                    path, "the NVRAM %s" % path, self._on_host(partial(_nvram_conflict, image_format), path)
                )

    def find_endpoints(self) -> None:
        endpoints = [endpoint for endpoint in self._desired.endpoints if endpoint not in self._own.live.endpoints]
        listening = self._system.network.listening_endpoints() if endpoints and self._system is not None else []
        own = self._own.live.endpoints
        for endpoint in endpoints:
            taken = [
                other
                for other in (Endpoint(*pair) for pair in listening)
                if endpoint.clashes_with(other) and not any(other.clashes_with(each) for each in own)
            ]
            self._judge(
                self._patch(str(endpoint.port)),
                "port %d on %s" % (endpoint.port, endpoint.address or "all addresses"),
                partial(_has_endpoint, endpoint),
                "a process of the hypervisor listens there already" if taken else "",
                "address_in_use",
            )

    def _warn(self, option_path: str, what: str, has: Has) -> None:
        """Warn of what another domain has too, running or not."""
        holder = self._others.active(has) or self._others.inactive(has)
        if holder is not None:
            self.found.warnings.append("%s: %s of %s" % (option_path, what, holder))

    def _judge(self, option_path: str, what: str, has: Has, reason: str, code: str) -> None:
        """Record a conflict, if any. C(reason): why the hypervisor considers it taken, empty if it does not."""
        holder = self._others.active(has)
        if holder is None and reason:
            holder = self._others.of_task(self._vm.uuid, has)
        if holder is not None:
            message = "%s is taken: the running %s has it" % (what, holder)
            self.found.problems.append(Problem(option_path, message, code))
        elif reason:
            self.found.problems.append(Problem(option_path, "%s is taken: %s" % (what, reason), code))
        else:
            holder = self._others.inactive(has)
            if holder is not None:
                message = "%s: %s is also claimed by %s, which is off: only one of both can run"
                self.found.warnings.append(message % (option_path, what, holder))

    def _judge_file(self, path: str, what: str, conflict: tuple[str, str]) -> None:
        """Record a conflict of a file, whose content is lost even if it belongs to a VM that is off."""
        reason, code = conflict
        has = partial(_has_file, path)
        holder = self._others.active(has) or self._others.inactive(has)
        if holder is not None:
            reason = "%s has it" % holder
        if reason:
            message = "%s is taken: %s" % (what, reason)
            self.found.problems.append(Problem(self._origin(path), message, code or "path_taken"))

    def _on_host(self, check: Callable[[HostSystem, str], tuple[str, str]], path: str) -> tuple[str, str]:
        """Return why a path is taken, and the error code. One that cannot be looked at is a problem of its own."""
        if self._system is None:
            return "", ""
        try:
            return check(self._system, path)
        except VmError as error:
            option_path = self._option_path("channels", "socket_path", path)
            self.found.problems.append(Problem(option_path, error.message, error.code))
            return "", ""

    def _log_conflict(self, system: HostSystem, path: str) -> tuple[str, str]:
        """Check a log file; one that an earlier run of the VM has written is named after it."""
        kind = system.files.entry_kind(path)
        if kind is None:
            return "", ""
        if kind == "other":
            return (
                "a special file is there, which virtlogd would replace (type='null' drops what is written)",
                "path_taken",
            )
        name = path.rpartition("/")[2]
        is_named_after_vm = self._vm.uuid in name or self._vm.domain_name in name
        if kind == "file" and (is_named_after_vm or not system.files.file_size(path)):
            return "", ""
        return "a %s is there that this VM has not written" % _word(kind), "path_taken"

    def _option_path(self, things: str, option: str, value: str) -> str:
        """Return the path of the option that has the value; a value that no option has comes from domain_patches."""
        named = [thing for thing in getattr(self._vm, things) if getattr(thing, option) == value]
        return "%s.%s" % (named[0].option_path, option) if named else self._origin(value)

    def _origin(self, path: str) -> str:
        """Return the path of the option that a path on the hypervisor follows from; otherwise a patch contains it."""
        options = {
            self._vm.qmp_socket: "additional_qmp",
            console_log(self._vm.domain_name) if self._vm.console_log else None: "console_log",
            self._vm.nvram: "nvram",
        }
        option = options.get(path)
        return "%s.%s" % (self._vm.option_path, option) if option else self._patch(path)

    def _patch(self, *values: str) -> str:
        """Return the path of the last patch that contains one of the values; of all patches if none does."""
        whole = re.compile(r"(?<![\w/.-])(?:%s)(?![\w/.-])" % "|".join(map(re.escape, values)), re.IGNORECASE)
        patches = self._vm.domain_patches
        found = [patch.option_path for patch in patches if whole.search(html.unescape(patch.value or ""))]
        return found[-1] if found else "%s.domain_patches" % self._vm.option_path


def _has_tap(name: str, claims: Claims) -> bool:
    return name in claims.taps


def _has_mac(mac: str, claims: Claims) -> bool:
    return mac in claims.macs


def _has_image(image: str, claims: Claims) -> bool:
    return image in claims.images


def _has_socket(path: str, claims: Claims) -> bool:
    return path in claims.sockets | claims.images


def _has_file(path: str, claims: Claims) -> bool:
    return path in claims.logs | claims.images or any(path == nvram for nvram, _format in claims.nvram)


def _has_endpoint(endpoint: Endpoint, claims: Claims) -> bool:
    return any(endpoint.clashes_with(other) for other in claims.endpoints)


def _socket_conflict(system: HostSystem, path: str) -> tuple[str, str]:
    """Check a socket's path, from which QEMU removes whatever exists."""
    kind = system.files.entry_kind(path)
    if kind is None:
        return "", ""
    if kind != "socket":
        return "a %s is there, which QEMU would remove" % _word(kind), "path_taken"
    if system.network.has_listener(path):
        return "a process of the hypervisor listens on it already", "address_in_use"
    return "", ""


def _peer_conflict(system: HostSystem, path: str) -> tuple[str, str]:
    kind = system.files.path_kind(path)
    return ("", "") if kind in (None, "socket") else ("a %s is there" % _word(kind), "socket_unreachable")


def _stream_conflict(system: HostSystem, path: str) -> tuple[str, str]:
    """Return why a path is neither pipe nor character device, and the error code. Links to devices are followed."""
    kind = system.files.path_kind(path)
    if kind in (None, "other"):
        return "", ""
    return "a %s is there, which QEMU would write to" % _word(kind), "path_taken"


def _nvram_conflict(image_format: str, system: HostSystem, path: str) -> tuple[str, str]:
    kind = system.files.path_kind(path)
    if kind is None:
        return "", ""
    head = (system.files.read_head(path, _NVRAM_HEAD) or b"") if kind == "file" else b""
    is_nvram = head.startswith(_QCOW2) if image_format == "qcow2" else _holds_variables(head)
    if kind == "file" and is_nvram:
        return "", ""
    return "a %s is there that holds no variables of firmware" % _word(kind), "path_taken"


def _holds_variables(head: bytes) -> bool:
    """Return whether a file may hold firmware variables; new ones of aarch64 are blank."""
    return head[_FIRMWARE_VOLUME] == _FIRMWARE_VOLUME_SIGNATURE or not head.strip(_BLANKS)


def _word(kind: Optional[str]) -> str:
    return {"block": "block device", "link": "symbolic link", "other": "special file"}.get(kind or "", kind or "")
