# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a VM in libvirt before any change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import VmError
from .._spec.vm import Vm
from .hypervisor import Hypervisor

# The functions of Python's library that do this take longer to import than all that needs it here.
_AS_LIBVIRT_WRITES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"})


@dataclass(frozen=True)
class DomainList:
    """All domains of a hypervisor at the beginning of the task: names by UUID, and the UUIDs of some kinds.

    C(autostart) is None if it was not requested. C(transient): those without a persistent definition.
    """

    names: dict[str, str]
    active: frozenset[str]
    saved: frozenset[str]
    autostart: Optional[frozenset[str]] = None
    transient: frozenset[str] = frozenset()

    @cached_property
    def holders(self) -> dict[str, str]:
        """Return the UUIDs by name."""
        return {name: uuid for uuid, name in self.names.items()}


@dataclass(frozen=True)
class ObservedVm:
    """One VM as libvirt has it. C(state) is libvirt's word, or C(absent); C(reason) is libvirt's for the state.

    C(name): the domain's name, None if there is no domain of the VM's UUID. C(name_holder): the UUID of another
    domain that has the VM's domain name. C(autostart) is None if it was not requested. C(inactive_xml) is what the
    next start takes, C(live_xml) what runs; both hold secrets.
    """

    state: str = "absent"
    reason: str = "unknown"
    name: Optional[str] = None
    name_holder: Optional[str] = None
    persistent: bool = False
    autostart: Optional[bool] = None
    saved: bool = False
    inactive_xml: Optional[str] = None
    live_xml: Optional[str] = None

    @cached_property
    def inactive(self) -> Optional[etree._Element]:
        """Return the definition; nobody may change it."""
        return None if self.inactive_xml is None else etree.fromstring(self.inactive_xml)

    @cached_property
    def live(self) -> Optional[etree._Element]:
        """Return what runs; nobody may change it."""
        return None if self.live_xml is None else etree.fromstring(self.live_xml)

    @property
    def exists(self) -> bool:
        """Return whether there is a domain of the VM's UUID."""
        return self.name is not None

    @property
    def active(self) -> bool:
        """Return whether there is a QEMU process for it, running or not."""
        return self.state not in ("absent", "shutoff")

    def has(self, text: str) -> bool:
        """Return whether its definition, or what runs of it, has the text."""
        return any(has_text(xml, text) for xml in (self.inactive_xml, self.live_xml) if xml is not None)


def has_text(xml: str, text: str) -> bool:
    """Return whether a domain that libvirt has written has the text, a path for instance, or a part of one."""
    return text.translate(_AS_LIBVIRT_WRITES) in xml


def list_domains(hypervisor: Hypervisor, asks_autostart: bool = False) -> DomainList:
    """Return the list of all domains."""
    entries = hypervisor.list_domains()
    return DomainList(
        {entry.uuid: entry.name for entry in entries},
        frozenset(entry.uuid for entry in entries if entry.active),
        frozenset(hypervisor.list_saved()),
        frozenset(hypervisor.list_autostart()) if asks_autostart else None,
        frozenset(hypervisor.list_transient()),
    )


def observe(hypervisor: Hypervisor, vm: Vm, domains: DomainList, trusts_off: bool = False) -> ObservedVm:
    """Return the current state of one VM. C(domains) saves calls; domains that came or went since are noticed.

    C(trusts_off): a domain that was off when they were listed is taken to be off, which only a prediction may do.
    """
    holder = domains.holders.get(vm.domain_name)
    name_holder = holder if holder != vm.uuid else None
    observed = observe_domain(hypervisor, vm.uuid, domains, vm.autostart, trusts_off)
    return replace(observed, name_holder=name_holder)


def observe_domain(
    hypervisor: Hypervisor,
    uuid: str,
    domains: DomainList,
    desired_autostart: Optional[bool] = None,
    trusts_off: bool = False,
) -> ObservedVm:
    """Return the current state of a VM given by its UUID, including autostart; see L(observe)."""
    name = domains.names.get(uuid) or hypervisor.find(uuid)
    if name is None:
        return ObservedVm()
    try:
        is_off = trusts_off and uuid in domains.names and uuid not in domains.active
        state, reason = ("shutoff", "unknown") if is_off else hypervisor.state(uuid)
        active = state != "shutoff"
        return ObservedVm(
            state=state,
            reason=reason,
            name=name,
            persistent=not active or _is_persistent(hypervisor, uuid, domains),
            autostart=_autostart(hypervisor, uuid, domains, desired_autostart),
            saved=not active and (uuid in domains.saved if is_off else hypervisor.is_saved(uuid)),
            inactive_xml=hypervisor.xml(uuid, inactive=True),
            live_xml=hypervisor.xml(uuid, inactive=False) if active else None,
        )
    except VmError as error:
        if error.code != "domain_gone":
            raise
        return ObservedVm()


def _is_persistent(hypervisor: Hypervisor, uuid: str, domains: DomainList) -> bool:
    """Return whether a running domain has a definition; libvirt is asked about those that came since."""
    return uuid not in domains.transient if uuid in domains.names else hypervisor.is_persistent(uuid)


def _autostart(hypervisor: Hypervisor, uuid: str, domains: DomainList, desired: Optional[bool]) -> Optional[bool]:
    """Return autostart from the list if that needs no change, else ask libvirt."""
    if desired is None:
        return None
    listed = domains.autostart
    if listed is not None and uuid in domains.names and (uuid in listed) == desired:
        return desired
    return hypervisor.autostart(uuid)
