# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather information about the VMs of a hypervisor, side by side. Changes nothing."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Optional, Union

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._diagnostics.screenshot import write_picture
from .._diagnostics.thumbnail import thumbnail
from .._drift.live_drift import restart_changes
from .._errors.errors import VmError, internal_errors
from .._host.bridge_ports import stray_warnings
from .._host.bridges import BridgePorts
from .._host.system import System
from .._libvirt import domain_facts
from .._libvirt.circuit_breaker import CircuitBreaker
from .._libvirt.cloud_init import cloud_init_state
from .._libvirt.guest_addresses import ask_addresses
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.observed import DomainList, ObservedVm, list_domains, observe_domain
from .._spec.vm import Vm
from .._start.console_address import console_of_domain
from .._start.plan import Policy
from .._start.result import VmResult
from .._start.run_context import StartRequest
from .._start.start import start_vms
from .._storage.seed import is_seed
from ..addresses import usable_address
from ..deadline import side_by_side
from ..foreign_text import clean_line

_WORKERS = 8
_PID_FILE = "/run/libvirt/qemu/%s.pid"
_IN_PART = "the information about this VM is incomplete: %s"

Information = dict[str, Any]

# The entry of a VM about which information could not be gathered has the same keys as all others.
_NOTHING_KNOWN: Information = {
    "domain_name": None,
    "metadata": {"internal_id": None, "host_management_ip": None},
    "memory": None,
    "cpus": None,
    "state": "unknown",
    "reason": "unknown",
    "qemu_hangs": False,
    "uptime": None,
    "console": None,
    "address": None,
    "addresses": [],
    "cloud_init": None,
    "disks": [],
    "nics": [],
    "restart_required": False,
    "screenshot": None,
    "thumbnail": None,
}
_NOT_COMPARED: Information = {"in_sync": None, "differences": [], "error": None}


@dataclass(frozen=True)
class Pictures:
    """The requested screenshots: PNG files in C(directory), on the machine that this runs on, and thumbnails in the
    entries, at most C(thumbnail_width) pixels wide.
    """

    directory: Optional[str] = None
    thumbnail_width: Optional[int] = None


NO_PICTURES = Pictures()


@dataclass(frozen=True)
class _Survey:
    """The input for all VMs of a hypervisor."""

    hypervisor: Hypervisor
    system: System
    domains: DomainList
    pictures: Pictures
    bridge_ports: BridgePorts
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)


def vm_information(
    hypervisor: Hypervisor,
    system: System,
    uuids: Sequence[str],
    others: bool = False,
    pictures: Pictures = NO_PICTURES,
) -> list[Information]:
    """Return one entry for each VM, in the order given; with C(others), then for all others, by domain name."""
    domains = list_domains(hypervisor)
    desired = list(uuids)
    if others:
        desired += sorted(set(domains.names) - set(desired), key=lambda uuid: domains.names[uuid])
    look = partial(_look, _Survey(hypervisor, system, domains, pictures, BridgePorts(system)))
    found = []
    for index, (uuid, outcome) in enumerate(zip(desired, side_by_side(look, desired, _WORKERS))):
        if isinstance(outcome, VmError):
            if outcome.lost_libvirt:
                raise outcome
            named = {"uuid": uuid, "name": clean_line(domains.names.get(uuid) or uuid)}
            hangs = _of_hanging(hypervisor, uuid) if outcome.code == "qemu_hangs" else {}
            outcome = {
                **_NOTHING_KNOWN,
                **named,
                **hangs,
                "warnings": ["its information could not be gathered: %s" % outcome],
            }
        # One of the others that has been removed since the list was read is left out.
        if index < len(uuids) or outcome["state"] != "absent":
            found.append(outcome)
    return found


def _of_hanging(hypervisor: Hypervisor, uuid: str) -> Information:
    """Return what libvirt knows of a VM without its QEMU."""
    try:
        state, reason = hypervisor.state(uuid)
    except VmError:
        return {"qemu_hangs": True}
    return {"state": state, "reason": reason, "qemu_hangs": True}


def _look(survey: _Survey, uuid: str) -> Union[Information, VmError]:
    try:
        with internal_errors():
            observed = observe_domain(survey.hypervisor, uuid, survey.domains)
            if observed.inactive_xml is None:
                return {"uuid": uuid, "state": "absent", "reason": "unknown", "warnings": []}
            return _describe(survey, uuid, observed, etree.fromstring(observed.inactive_xml))
    except VmError as error:
        return error


def _describe(survey: _Survey, uuid: str, observed: ObservedVm, defined: etree._Element) -> Information:
    live = None if observed.live_xml is None else etree.fromstring(observed.live_xml)
    domain = defined if live is None else live
    described, warnings = domain_facts.identity(domain)
    ports = {} if live is None else survey.bridge_ports.of(live)
    warnings += [] if live is None else stray_warnings(live, ports)
    management_ip = described["metadata"]["host_management_ip"]
    disks = [{**disk, **_size(survey, uuid, disk, warnings)} for disk in domain_facts.disks(domain)]
    pictures = _pictures(survey, uuid, live, warnings)
    # Read before the guest agent is queried, whose silence does not mean that QEMU hangs.
    hangs = live is not None and survey.circuit_breaker.lost_with(uuid) is not None
    addresses: list[Information] = []
    if live is not None:
        addresses, left_out = ask_addresses(survey.hypervisor, survey.system, uuid, live, survey.circuit_breaker)
        warnings += left_out
    return {
        "uuid": uuid,
        **described,
        "state": observed.state,
        "reason": observed.reason,
        "qemu_hangs": hangs,
        "uptime": None if live is None else _uptime(survey.system, uuid, described["domain_name"]),
        "console": None if live is None else console_of_domain(live, management_ip),
        "address": usable_address([each["address"] for each in addresses]),
        "addresses": addresses,
        "cloud_init": None if live is None or hangs else _cloud_init(survey, uuid, live),
        "disks": disks,
        "nics": domain_facts.nics(domain, ports),
        "restart_required": live is not None and observed.persistent and restart_changes(defined, live, ports),
        **pictures,
        "warnings": list(dict.fromkeys(warnings)),
    }


def _cloud_init(survey: _Survey, uuid: str, live: etree._Element) -> Optional[Information]:
    has_seed = any(is_seed(source.get("file")) for source in live.iterfind("devices/disk/source"))
    return cloud_init_state(survey.hypervisor, uuid) if has_seed and domain_facts.has_agent(live) else None


def _uptime(system: System, uuid: str, domain_name: str) -> Optional[int]:
    """Return the seconds since QEMU started. Neither a reboot of the guest nor a pause resets them."""
    if system.is_remote:
        return None
    pid = (system.files.read_text(_PID_FILE % domain_name) or "").strip()
    age = system.processes.process_age(int(pid), uuid) if pid.isdigit() else None
    return None if age is None else int(age)


def _size(survey: _Survey, uuid: str, disk: Information, warnings: list[str]) -> Information:
    """Return size and allocation of a disk in bytes; None if unknown, as of network storage that isn't open."""
    if disk["source"] is not None:
        try:
            size, allocated = survey.circuit_breaker.ask(
                uuid, partial(survey.hypervisor.block_size, uuid, disk["target"])
            )
            return {"size": size, "allocated": allocated}
        except VmError as error:
            if error.lost_libvirt:
                raise
            if error.code == "qemu_hangs":
                warnings.append(_IN_PART % error)
    return {"size": None, "allocated": None}


def _pictures(survey: _Survey, uuid: str, live: Optional[etree._Element], warnings: list[str]) -> Information:
    taken: Information = {"screenshot": None, "thumbnail": None}
    # The lack of a display is no reason for a warning.
    if live is None or live.find("devices/video") is None:
        return taken
    hypervisor, pictures = survey.hypervisor, survey.pictures
    attempt = partial(_attempt, survey.circuit_breaker, uuid, warnings)
    if pictures.directory is not None:
        taken["screenshot"] = attempt(partial(write_picture, hypervisor, uuid, pictures.directory))
    if pictures.thumbnail_width is not None:
        taken["thumbnail"] = attempt(partial(_thumbnail, hypervisor, uuid, pictures.thumbnail_width))
    return taken


def _thumbnail(hypervisor: Hypervisor, uuid: str, width: int) -> str:
    return base64.b64encode(thumbnail(hypervisor.screenshot(uuid), width)).decode()


def _attempt(circuit_breaker: CircuitBreaker, uuid: str, warnings: list[str], take: Callable[[], str]) -> Optional[str]:
    try:
        return circuit_breaker.ask(uuid, take)
    except (VmError, ValueError) as error:
        if isinstance(error, VmError) and error.lost_libvirt:
            raise
        hangs = isinstance(error, VmError) and error.code == "qemu_hangs"
        warnings.append((_IN_PART if hangs else "no screenshot could be taken: %s") % error)
        return None


def compare(hypervisor: Hypervisor, system: System, vms: Sequence[Vm], secrets: frozenset[str]) -> dict[str, VmResult]:
    """Return by UUID how the VMs differ from their options, as zstack_vm_start would report it.

    Ask this first: what L(vm_information) asks of a QEMU that hangs may make libvirt hold its definition back.
    """
    request = StartRequest(Policy(), check_mode=True, parallel=None, secrets=secrets, cancelled=threading.Event())
    return {result.uuid: result for result in start_vms(hypervisor, system, vms, request)} if vms else {}


def add_comparison(entries: Sequence[Information], found: Mapping[str, VmResult]) -> None:
    """Add to the entries of described VMs what L(compare) has found."""
    for entry in entries:
        result = found.get(entry["uuid"])
        images = {each["target"]: each["overlay_of"] for each in result.overlays or ()} if result is not None else {}
        for disk in entry.get("disks", ()):
            disk["overlay_of"] = images.get(disk["target"])
        entry.update(_comparison(result) if result is not None else _NOT_COMPARED)
        entry["warnings"] = entry["warnings"] + (result.warnings if result is not None else [])


def _comparison(result: VmResult) -> Information:
    entry = result.as_entry()
    compared = result.failure is None and result.state != "absent"
    as_desired: Optional[bool] = not result.differences if compared else None
    if result.state == "absent":
        as_desired = False
    return {
        "in_sync": as_desired,
        "differences": entry["differences"],
        "error": entry.get("error"),
    }
