# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to know of the VMs of a hypervisor, asked side by side. Changes nothing."""

from __future__ import annotations

import base64
import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Optional, Union

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._diagnostics.screenshot import write_picture
from .._diagnostics.thumbnail import thumbnail
from .._drift.live_changes import live_changes
from .._errors.errors import VmError, internal_errors
from .._host.bridge_ports import Ports, stray_warnings
from .._host.bridges import BridgePorts
from .._host.system import System
from .._libvirt import domain_facts
from .._libvirt.circuit_breaker import CircuitBreaker
from .._libvirt.guest_addresses import ask_addresses
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.observed import DomainList, ObservedVm, list_domains, observe_domain
from .._spec.vm import Vm
from .._start.plan import Policy
from .._start.readiness import console_of_domain
from .._start.result import VmResult
from .._start.run_context import StartRequest
from .._start.start import start_vms
from ..addresses import usable_address
from ..deadline import side_by_side
from ..foreign_text import clean_line

_WORKERS = 8
_PID_FILE = "/run/libvirt/qemu/%s.pid"
_IN_PART = "this VM is told of only in part: %s"

Information = dict[str, Any]

# Whoever reads the entry of a VM that could not be looked at finds all that the others have.
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
    "disks": [],
    "nics": [],
    "restart_required": False,
    "screenshot": None,
    "thumbnail": None,
}
_NOT_COMPARED: Information = {"in_sync": None, "differences": [], "error": None}


@dataclass(frozen=True)
class Pictures:
    """What is wanted of the screens: PNG files in C(directory), on the machine that this runs on, and small pictures,
    C(thumbnail_width) pixels wide at most, in the entries."""

    directory: Optional[str] = None
    thumbnail_width: Optional[int] = None


NO_PICTURES = Pictures()


@dataclass(frozen=True)
class _Survey:
    """What the looks at all VMs of a hypervisor share."""

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
    """One entry for each of the VMs, in the order given; with C(others), then for all others, by domain name."""
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
            outcome = {**_NOTHING_KNOWN, **named, "warnings": ["this VM could not be looked at: %s" % outcome]}
        # Another VM that has been removed since it was listed is none of those that there are.
        if index < len(uuids) or outcome["state"] != "absent":
            found.append(outcome)
    return found


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
    # Asked before the agent is, whose silence is not QEMU's.
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
        "disks": disks,
        "nics": domain_facts.nics(domain, ports),
        "restart_required": live is not None and observed.persistent and restart_changes(defined, live, ports),
        **pictures,
        "warnings": list(dict.fromkeys(warnings)),
    }


def restart_changes(defined: etree._Element, live: etree._Element, ports: Ports) -> bool:
    """Whether a guest would find anything changed if what is defined took the place of what runs."""
    desired, running = copy.deepcopy(defined), copy.deepcopy(live)
    for processor in desired.iterfind("cpu[@check]"):
        # libvirt writes here how it has checked the processor of the VM that runs.
        del processor.attrib["check"]
    for wanted, found in zip(desired.iterfind("devices/graphics"), running.iterfind("devices/graphics")):
        if wanted.get("listen") is None:
            # libvirt writes here what its configuration says.
            for listening in [found, *found.iterfind('listen[@type="address"]')]:
                listening.attrib.pop("listen", None)
                listening.attrib.pop("address", None)
    return bool(live_changes(desired, running, ports).for_guest)


def _uptime(system: System, uuid: str, domain_name: str) -> Optional[int]:
    """Seconds since QEMU started. A reboot inside the guest doesn't end that, nor does a pause."""
    if system.is_remote:
        return None
    pid = (system.files.read_text(_PID_FILE % domain_name) or "").strip()
    age = system.processes.process_age(int(pid), uuid) if pid.isdigit() else None
    return None if age is None else int(age)


def _size(survey: _Survey, uuid: str, disk: Information, warnings: list[str]) -> Information:
    """Bytes of a disk; None where libvirt can't say, as of network storage that nobody has open."""
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
    # A VM without a display is nothing to warn of.
    if live is None or live.find("devices/video") is None:
        return taken
    hypervisor, wanted = survey.hypervisor, survey.pictures
    attempt = partial(_attempt, survey.circuit_breaker, uuid, warnings)
    if wanted.directory is not None:
        taken["screenshot"] = attempt(partial(write_picture, hypervisor, uuid, wanted.directory))
    if wanted.thumbnail_width is not None:
        taken["thumbnail"] = attempt(partial(_thumbnail, hypervisor, uuid, wanted.thumbnail_width))
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
        warnings.append((_IN_PART if hangs else "there is no picture of the screen: %s") % error)
        return None


def compare(
    hypervisor: Hypervisor, system: System, vms: Sequence[Vm], secrets: frozenset[str], entries: Sequence[Information]
) -> None:
    """Adds to the entries of VMs that are described how they differ from that, as zstack_vm_start would find it."""
    request = StartRequest(Policy(), check_mode=True, parallel=None, secrets=secrets, cancelled=threading.Event())
    found = {result.uuid: result for result in start_vms(hypervisor, system, vms, request)} if vms else {}
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
