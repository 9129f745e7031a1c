# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a guest: their sources, and which of them can be used."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import VmError
from .._host.bridges import is_neighbour
from .._host.system import System
from ..addresses import merge_addresses
from . import domain_facts
from .circuit_breaker import CircuitBreaker
from .hypervisor import Hypervisor

_SOURCES = ("agent", "lease", "arp")

Address = dict[str, Any]


def ask_addresses(
    hypervisor: Hypervisor, system: System, uuid: str, live: etree._Element, circuit_breaker: CircuitBreaker
) -> tuple[list[Address], list[str]]:
    """Return the addresses of a running VM from the guest agent, libvirt's leases and the ARP table, and warnings about
    what was left out.
    """
    sources = _SOURCES if domain_facts.has_agent(live) else _SOURCES[1:]
    answers: dict[str, dict[str, Any]] = {}
    warnings = []
    for source in sources:
        question = partial(hypervisor.interface_addresses, uuid, source)
        try:
            answers[source] = circuit_breaker.ask(uuid, question) if source == "agent" else question()
        except VmError as error:
            if error.lost_libvirt:
                raise
            # A VM that has ended meanwhile, or an agent that says nothing, has no addresses; one that answers
            # what libvirt can't pass on hides them.
            if source == "agent" and error.code == "libvirt_error" and not error.agent_is_silent:
                warnings.append("there are no addresses from the guest agent: %s" % error)
    if not system.is_remote:
        # libvirt 9.0 cannot read the table of newer kernels, and 11.3 leaves out what the kernel is about to confirm.
        table = domain_facts.arp_answer(live, system.network.arp_table())
        answers["arp"] = _both(answers.get("arp", {}), table)
    addresses, left_out = merge_addresses(answers)
    return addresses, warnings + left_out


def _both(reported: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the interfaces with the addresses of both answers."""
    added = {
        name: {**interface, "addrs": [*((reported.get(name) or {}).get("addrs") or ()), *interface["addrs"]]}
        for name, interface in table.items()
    }
    return {**reported, **added}


def best_first(addresses: Sequence[Address], live: etree._Element) -> list[Address]:
    """Return the addresses of the NICs of a running VM, those that one can use from elsewhere first, then by NIC.

    What a guest has on devices of its own, such as bridges of containers, is left out.
    """
    macs = [nic["mac"].lower() for nic in domain_facts.nics(live, {}) if nic["mac"]]
    own = [each for each in addresses if str(each["mac"]).lower() in macs]
    return sorted(own, key=lambda each: _rank(each, macs))


def _rank(address: Address, macs: Sequence[str]) -> tuple[bool, int, int, bool]:
    nic, source = macs.index(address["mac"].lower()), _SOURCES.index(address["source"])
    return not is_global(address), nic, source, ":" in address["address"]


def is_global(address: Address) -> bool:
    """Return whether an address is valid beyond its own link."""
    parsed = ipaddress.ip_address(address["address"].partition("%")[0])
    return not (parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified)


def is_in_use(address: Address, system: System) -> bool:
    """Return whether the guest has an address now.

    A lease, or an entry of the ARP table, outlives its guest: on the hypervisor itself, the guest has to answer at the
    address.
    """
    if address["source"] == "agent" or system.is_remote:
        return True
    return is_neighbour(system, address["address"], address["mac"])
