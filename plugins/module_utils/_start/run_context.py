# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather once what all VMs of a task need."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Optional, TypeVar, Union

from .._domain.interface import is_filtered
from .._errors.errors import Problem, VmError
from .._host.bridges import BridgePorts
from .._host.capabilities import Capabilities, Host, domain_kind, parse_capabilities, parse_domain_capabilities
from .._host.device_support import device_support
from .._host.machine_types import on_newest_machine
from .._host.system import HostSystem, System
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.observed import DomainList, list_domains
from .._spec.vm import Vm
from ..import_lock import import_lock
from .other_domains import OtherDomains
from .plan import Policy
from .result import SecretMask

if TYPE_CHECKING:
    from .._actions.action import Action
    from .._host.firmware import Firmware
    from .._host_storage.volume_stores import VolumeStores

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class StartRequest:
    """Options for starting the VMs: C(parallel) at a time, by default as many as the hypervisor has CPUs.

    C(secrets) never appear in results. C(cancelled) is set when the task is interrupted. C(diff): whether results
    contain the domains before and after as text.
    """

    policy: Policy
    check_mode: bool
    parallel: Optional[int]
    secrets: frozenset[str]
    cancelled: threading.Event
    diff: bool = False


class SharedActions:
    """Actions that check mode has already reported, among those that several VMs share."""

    def __init__(self) -> None:
        self._shared: set[str] = set()
        self._lock = threading.Lock()

    def is_first(self, action: Action) -> bool:
        """Return whether an action remains to be done once those reported before are done."""
        with self._lock:
            is_first = action.shared not in self._shared
            if action.shared:
                self._shared.add(action.shared)
        return is_first


@dataclass(frozen=True)
class RunContext:
    """The input that all VMs of a task share, and the C(vms) as the policy has them.

    C(problems) are those of the storage of the VMs in C(checked), which were off at the beginning. C(free_memory): in
    bytes, None if unknown. C(networks): whether each libvirt network is active; C(network_filters): their names. Both
    are None if no VM needs them, or why libvirt doesn't say. C(volume_stores): None if the hypervisor is remote, or no
    volume says how it is created.
    """

    hypervisor: Hypervisor
    system: System
    request: StartRequest
    vms: Sequence[Vm]
    mask: SecretMask
    host: Host
    domains: DomainList
    free_memory: Optional[int]
    networks: Union[Mapping[str, bool], VmError, None]
    network_filters: Union[Sequence[str], VmError, None]
    problems: Sequence[Problem]
    checked: frozenset[str]
    others: OtherDomains
    bridge_ports: BridgePorts
    volume_stores: Optional[VolumeStores] = None
    shared_actions: SharedActions = field(default_factory=SharedActions)

    @property
    def policy(self) -> Policy:
        """Return what to do about drift."""
        return self.request.policy

    @property
    def workers(self) -> int:
        """Return how many VMs are worked on at a time."""
        if self.request.parallel is not None:
            return self.request.parallel
        return self.hypervisor.cpu_count() if self.system.is_remote else self.system.devices.cpu_count()

    @cached_property
    def missing_daemons(self) -> list[str]:
        """Return a message for each daemon that libvirt needs to start a VM and that isn't available."""
        with import_lock:
            from .daemons import missing_daemons

        return missing_daemons(self.system, self.hypervisor.uri)

    def storage_problems(self, vm: Vm) -> list[Problem]:
        """Return the problems that make the volumes and CDs of a VM unreachable."""
        asked = self.problems
        if vm.uuid not in self.checked:
            asked = _storage_problems([vm], self.system, self.hypervisor)
        return [problem for problem in asked if problem.option_path.startswith(vm.option_path + ".")]


def begin_run(hypervisor: Hypervisor, system: System, vms: Sequence[Vm], request: StartRequest) -> RunContext:
    """Query the hypervisor, and check the storage of all VMs that are off."""
    domains = list_domains(hypervisor, asks_autostart=any(vm.autostart is not None for vm in vms))
    capabilities = parse_capabilities(hypervisor.capabilities())
    if request.policy.on_missing_machine == "newest":
        vms = [on_newest_machine(vm, capabilities) for vm in vms]
    host = _ask_host(hypervisor, system, vms, capabilities)
    off = [vm for vm in vms if vm.uuid not in domains.active]
    return RunContext(
        hypervisor=hypervisor,
        system=system,
        request=request,
        vms=vms,
        mask=SecretMask(request.secrets),
        host=host,
        domains=domains,
        free_memory=hypervisor.free_memory() if system.is_remote else system.devices.free_memory(),
        networks=_ask_if(hypervisor.networks, any(nic.network_name for vm in vms for nic in vm.nics)),
        network_filters=_ask_if(hypervisor.network_filters, any(is_filtered(nic) for vm in vms for nic in vm.nics)),
        problems=_storage_problems(off, system, hypervisor),
        checked=frozenset(vm.uuid for vm in off),
        others=OtherDomains(hypervisor, domains, [vm.uuid for vm in vms]),
        bridge_ports=BridgePorts(system),
        volume_stores=_volume_stores(hypervisor, system, vms, host.capabilities.qemu_owner),
    )


def _storage_problems(vms: Sequence[Vm], system: System, hypervisor: Hypervisor) -> list[Problem]:
    if not vms:
        return []
    with import_lock:
        from .._host_storage.preparation import preflight

    return preflight(vms, system, hypervisor)


def _volume_stores(
    hypervisor: Hypervisor, system: System, vms: Sequence[Vm], owner: Optional[tuple[int, int]]
) -> Optional[VolumeStores]:
    if system.is_remote or not any(volume.create for vm in vms for volume in vm.volumes):
        return None
    with import_lock:
        from .._host_storage.volume_stores import VolumeStores

    return VolumeStores(system, hypervisor, owner, vms)


def _ask_if(question: Callable[[], Answer], is_needed: bool) -> Union[Answer, VmError, None]:
    if not is_needed:
        return None
    try:
        return question()
    except VmError as error:
        if error.lost_libvirt:
            raise
        return error


def _find_firmware(system: HostSystem) -> tuple[Firmware, ...]:
    with import_lock:
        from .._host.firmware import find_firmware

    return find_firmware(system.files)


def _may_name_firmware(vm: Vm, capabilities: Capabilities) -> bool:
    return vm.firmware is not None or vm.secure_boot or domain_kind(vm, capabilities).arch == "aarch64"


def _ask_host(hypervisor: Hypervisor, system: System, vms: Sequence[Vm], capabilities: Capabilities) -> Host:
    answers = {}
    for kind in {domain_kind(vm, capabilities) for vm in vms}:
        try:
            xml = hypervisor.domain_capabilities(kind.emulator, kind.arch, kind.machine, kind.domain_type)
        except VmError as error:
            if error.lost_libvirt:
                raise
            # The hypervisor lacks this kind; building the domain reports what is missing.
            continue
        answers[kind] = parse_domain_capabilities(xml)
    if system.is_remote:
        return Host(capabilities, answers, has_cpu_shares=not hypervisor.is_session)
    return Host(
        capabilities,
        answers,
        system.devices.cgroup_version(),
        system.network.ip_addresses(),
        not hypervisor.is_session,
        device_support=device_support(system),
        address_bits=system.devices.guest_address_bits() if capabilities.host_arch == "aarch64" else None,
        firmwares=_find_firmware(system) if any(_may_name_firmware(vm, capabilities) for vm in vms) else None,
    )
