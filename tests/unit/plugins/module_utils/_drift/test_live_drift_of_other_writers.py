# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains that other tools wrote lack elements that ours have: whatever is removed from one, nothing is raised.

C(tests/fixtures/live) holds domains with nearly every device that libvirt knows: as desired, and as libvirt 9.0 showed
them while they ran.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.live_drift import live_drift, restart_changes
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import left_from_before_patches, reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.facts import defined_formats
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.release import has_host_luns, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import domain_facts
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._start.console_address import console_of_domain
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Drift, Policy, plan_vm
from lxml import etree

LIVE = Path(__file__).parents[4] / "fixtures" / "live"
(VM,), _PROBLEMS = parse_vms(
    [
        {
            "uuid": "7e57ab1e-0000-4000-8000-0000000000d1",
            "name": "vm",
            "memory": "1GiB",
            "cpu_num": 1,
            "root_volume": {"install_path": "/root.raw"},
        }
    ]
)
# These NICs have left their bridges.
PORTS = {"vnicd1.0": "other", "vnicd2.0": None}
BOARDS = ("pc", "q35")
# libvirt always writes these; without one of them it is no domain.
ALWAYS_THERE = ("name", "uuid", "memory", "currentMemory", "vcpu", "os", "os/type", "devices")


def read(name: str) -> etree._Element:
    parser = etree.XMLParser(remove_blank_text=True)
    return etree.fromstring((LIVE / (name + ".xml")).read_bytes(), parser)


def mutants(domain: etree._Element, kept: Collection[str]) -> Iterator[tuple[str, etree._Element]]:
    """Yield the domain without one of its elements, or without one of half of its attributes, and what was removed."""
    drawn = random.Random(14)
    tree = domain.getroottree()
    paths = [tree.getelementpath(element) for element in domain.iterdescendants(tag=etree.Element)]
    for path in paths:
        if path not in kept:
            mutant = copy.deepcopy(domain)
            gone = mutant.find(path)
            gone.getparent().remove(gone)
            yield path, mutant
        for attribute in drawn.sample(domain.find(path).keys(), k=len(domain.find(path).attrib) // 2):
            mutant = copy.deepcopy(domain)
            del mutant.find(path).attrib[attribute]
            yield "%s/@%s" % (path, attribute), mutant


def compared(desired: etree._Element, defined: etree._Element) -> None:
    reconcile(desired, defined)


def settled(desired: etree._Element, defined: etree._Element) -> None:
    """Assert that a comparison with the outcome finds nothing."""
    assert reconcile(desired, reconcile(desired, defined).merged).differences == ()


def planned(desired: etree._Element, live: etree._Element) -> None:
    """Assert that every policy has a plan."""
    found = live_drift(desired, live, PORTS)
    observed = ObservedVm("running", name=VM.domain_name, persistent=True, inactive_xml="", live_xml="")
    drift = Drift(found.differences, found.for_guest, found.actions, found.remaining)
    for on_drift in ("next_boot", "live", "restart", "fail", "ignore"):
        plan_vm(VM, observed, drift, Policy(on_drift), "")


def facts(_desired: etree._Element, domain: etree._Element) -> None:
    domain_facts.identity(domain)
    domain_facts.disks(domain)
    domain_facts.nics(domain, PORTS)
    domain_facts.arp_answer(domain, {})
    console_of_domain(domain, None)
    has_host_luns([domain])
    secrets_of([domain])
    defined_formats(domain)


def restarted(desired: etree._Element, live: etree._Element) -> None:
    restart_changes(desired, live, PORTS)
    restart_changes(live, desired, PORTS)


def without_patches(desired: etree._Element, live: etree._Element) -> None:
    left_from_before_patches(desired, live, live, live)


LOOKS: tuple[Callable[[etree._Element, etree._Element], Any], ...] = (
    compared,
    planned,
    facts,
    restarted,
    without_patches,
)


def raised(look: Callable[[etree._Element, etree._Element], Any], *domains: etree._Element) -> str:
    try:
        look(*domains)
    except Exception as error:  # pylint: disable=broad-exception-caught
        return "%s: %s" % (type(error).__name__, error)
    return ""


@pytest.mark.parametrize("board", BOARDS)
class TestWithoutAnyPart:
    @pytest.mark.parametrize("look", [*LOOKS, settled], ids=lambda look: look.__name__)
    def test_of_what_runs(self, board: str, look: Callable[..., Any]) -> None:
        desired = read(board + "-desired")
        found = {path: raised(look, desired, live) for path, live in mutants(read(board + "-running"), ALWAYS_THERE)}

        assert {path: error for path, error in found.items() if error} == {}

    @pytest.mark.parametrize("look", [compared, planned, without_patches], ids=lambda look: look.__name__)
    def test_of_what_patches_made(self, board: str, look: Callable[..., Any]) -> None:
        live = read(board + "-running")
        found = {
            path: raised(look, desired, live) for path, desired in mutants(read(board + "-desired"), ("name", "uuid"))
        }

        assert {path: error for path, error in found.items() if error} == {}
