# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the other domains of a hypervisor: gathered once, by whether the domains run."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import DomainList
from ansible_collections.zstack.kvm.plugins.module_utils._start.other_domains import OtherDomains
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor

RUNNING, OFF = (f"{number}d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5" for number in (1, 2))
LABELS = {uuid: "VM vm-%s (%s)" % (uuid, uuid) for uuid in (UUID, RUNNING, OFF)}
CHANNEL = "<channel type='unix'><source mode='bind' path='/run/agent'/></channel>"


def listens(claims: Any) -> bool:
    return "/run/agent" in claims.sockets


def libvirt_with(running: str = "", off: str = "") -> FakeHypervisor:
    """Return a libvirt with a running domain and one that is off."""
    return FakeHypervisor({RUNNING: FakeDomain(running=running), OFF: FakeDomain("shutoff", defined=off)})


def others_of(libvirt: FakeHypervisor, *task: str) -> OtherDomains:
    """Return the domains other than those of the task."""
    domains = DomainList({RUNNING: "r", OFF: "o"}, frozenset([RUNNING]), frozenset())
    return OtherDomains(libvirt, domains, [UUID, *task])


def test_none_is_read_before_it_is_needed() -> None:
    libvirt = libvirt_with()
    others_of(libvirt)
    assert libvirt.calls == []


def test_they_are_read_once_as_they_run_or_are_defined() -> None:
    libvirt = libvirt_with()
    others = others_of(libvirt)
    for _vm in range(3):
        others.active(listens)
        others.inactive(listens)
    assert libvirt.calls == [("xml", RUNNING, False), ("xml", OFF, True)]


def test_one_that_runs_and_one_that_is_off_are_distinguished() -> None:
    running, off = others_of(libvirt_with(running=CHANNEL)), others_of(libvirt_with(off=CHANNEL))
    assert (running.active(listens), running.inactive(listens)) == (LABELS[RUNNING], None)
    assert (off.active(listens), off.inactive(listens)) == (None, LABELS[OFF])


def test_vms_of_the_task_are_not_read() -> None:
    libvirt = libvirt_with(running=CHANNEL, off=CHANNEL)
    others = others_of(libvirt, RUNNING, OFF)
    assert (others.active(listens), others.inactive(listens), libvirt.calls) == (None, None, [])


@pytest.mark.parametrize(("uuid", "found"), [(UUID, LABELS[RUNNING]), (RUNNING, None)])
def test_of_the_vms_of_the_task_another_that_runs_is_found(uuid: str, found: str) -> None:
    libvirt = libvirt_with(running=CHANNEL, off=CHANNEL)
    assert others_of(libvirt, RUNNING, OFF).of_task(uuid, listens) == found


@pytest.mark.parametrize("code", ["domain_gone", "qemu_hangs"])
def test_one_that_cannot_be_read_claims_nothing(code: str) -> None:
    libvirt = libvirt_with(running=CHANNEL)
    libvirt.errors["xml"] = VmError(code, "no")
    assert others_of(libvirt).active(listens) is None


def test_nobody_knows_the_claims_while_libvirt_is_lost() -> None:
    libvirt = libvirt_with()
    libvirt.errors["xml"] = VmError("connection_lost", "lost")
    with pytest.raises(VmError):
        others_of(libvirt).active(listens)


DISK = "<disk><source file='%s'/></disk>"


@pytest.mark.parametrize(
    ("running", "off", "writer"),
    [
        (DISK % "/image", "", RUNNING),
        ("", DISK % "/image", OFF),
        ("", DISK % "/link", OFF),
        (DISK.replace("</disk>", "<readonly/></disk>") % "/image", DISK % "/other", None),
    ],
)
def test_the_writer_of_an_image_is_found_by_any_of_its_names(running: str, off: str, writer: Optional[str]) -> None:
    found = others_of(libvirt_with(running, off), OFF).writer_of(
        "/image", UUID, lambda path: path.replace("link", "image")
    )
    assert found == (None if writer is None else LABELS[writer])


def test_the_definition_of_a_running_domain_may_have_another_disk_that_is_written() -> None:
    libvirt = FakeHypervisor({RUNNING: FakeDomain(defined=DISK % "/image", running="")})
    domains = DomainList({RUNNING: "r"}, frozenset([RUNNING]), frozenset())
    others = OtherDomains(libvirt, domains, [])
    assert others.writer_of("/image", UUID, str) == LABELS[RUNNING]
    assert others.writer_of("/image", RUNNING, str) is None
    # They are read once.
    assert libvirt.calls == [("xml", RUNNING, False), ("xml", RUNNING, True)]
