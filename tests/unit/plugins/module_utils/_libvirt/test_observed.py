# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt is asked only for what the list of all domains doesn't have."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import DomainList, observe_domain
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeDomain, FakeHypervisor

KNOWN, NEW = "a domain of the list", "one that came later"
RUNNING = "a running domain of the list"


@pytest.mark.parametrize(
    ("uuid", "listed", "desired", "found", "asked"),
    [
        (KNOWN, {KNOWN}, True, True, 0),
        (KNOWN, {KNOWN}, False, True, 1),
        (KNOWN, set(), False, False, 0),
        (KNOWN, None, False, True, 1),
        (NEW, set(), False, True, 1),
        (KNOWN, {KNOWN}, None, None, 0),
    ],
)
def test_the_list_is_trusted_if_nothing_has_to_be_done(
    uuid: str, listed: Optional[set[str]], desired: Optional[bool], found: Optional[bool], asked: int
) -> None:
    off = FakeDomain("shutoff", "destroyed", autostart=True)
    libvirt: Any = FakeHypervisor({KNOWN: off, NEW: off})
    autostart = None if listed is None else frozenset(listed)
    domains = DomainList({KNOWN: "name"}, frozenset(), frozenset(), autostart)
    assert observe_domain(libvirt, uuid, domains, desired).autostart is found
    assert [call[0] for call in libvirt.calls].count("autostart") == asked


@pytest.mark.parametrize(
    ("uuid", "persistent", "asked"), [(KNOWN, True, 0), (KNOWN, False, 0), (NEW, True, 1), (NEW, False, 1)]
)
def test_the_list_says_what_is_transient_but_of_domains_that_came_since(
    uuid: str, persistent: bool, asked: int
) -> None:
    libvirt: Any = FakeHypervisor({uuid: FakeDomain("running", "booted", persistent=persistent)})
    transient = frozenset() if persistent or uuid == NEW else frozenset({KNOWN})
    domains = DomainList({KNOWN: "name"}, frozenset({KNOWN}), frozenset(), transient=transient)
    assert observe_domain(libvirt, uuid, domains).persistent is persistent
    assert [call[0] for call in libvirt.calls].count("is_persistent") == asked


@pytest.mark.parametrize(
    ("uuid", "trusts_off", "asked"), [(KNOWN, True, 0), (KNOWN, False, 1), (NEW, True, 1), (RUNNING, True, 1)]
)
def test_the_list_says_what_is_off_if_it_is_trusted(uuid: str, trusts_off: bool, asked: int) -> None:
    off, running = FakeDomain("shutoff", "destroyed"), FakeDomain("running", "booted")
    libvirt: Any = FakeHypervisor({KNOWN: off, NEW: off, RUNNING: running})
    domains = DomainList({KNOWN: "name", RUNNING: "other"}, frozenset({RUNNING}), frozenset())
    found = observe_domain(libvirt, uuid, domains, trusts_off=trusts_off)
    assert found.state == ("running" if uuid == RUNNING else "shutoff")
    assert [call[0] for call in libvirt.calls].count("state") == asked


@pytest.mark.parametrize("saved", [True, False])
def test_what_is_saved_is_asked_of_libvirt_because_it_may_have_changed_since(saved: bool) -> None:
    libvirt: Any = FakeHypervisor({RUNNING: FakeDomain("shutoff", "saved", saved=saved)})
    domains = DomainList({RUNNING: "name"}, frozenset({RUNNING}), frozenset() if saved else frozenset({RUNNING}))
    assert observe_domain(libvirt, RUNNING, domains).saved is saved


def test_the_list_says_what_is_saved_if_it_is_trusted() -> None:
    libvirt: Any = FakeHypervisor({KNOWN: FakeDomain("shutoff", "saved")})
    domains = DomainList({KNOWN: "name"}, frozenset(), frozenset({KNOWN}))
    assert observe_domain(libvirt, KNOWN, domains, trusts_off=True).saved
    assert [call[0] for call in libvirt.calls].count("is_saved") == 0
