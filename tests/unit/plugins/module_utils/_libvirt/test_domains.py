# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains of libvirt's test driver; what that driver can't do is called on a domain that records the calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import connection, domains
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.binding import libvirt
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import (
    SLOW_CALLS_AT_ONCE,
    Hypervisor,
    ListedDomain,
    Removal,
)
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._libvirt.node import (
    ABSENT,
    DOMAIN,
    RUNNING,
    SHUT_OFF,
    connected,
    libvirt_error,
)

NEW = DOMAIN % ("", "new", ABSENT, "")
INVALID = NEW.replace("<os>", "<nonsense/><os>")
# virDomainUndefineFlagsValues.
UNDEFINE_FLAGS = {
    "MANAGED_SAVE": 1,
    "SNAPSHOTS_METADATA": 2,
    "NVRAM": 4,
    "KEEP_NVRAM": 8,
    "CHECKPOINTS_METADATA": 16,
    "TPM": 32,
    "KEEP_TPM": 64,
}


class Noting:
    """A domain or connection of libvirt that records the calls and returns the given answers."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            return self._answers.get(name)

        return call


def connected_to(domain: Noting, **answers: Any) -> Hypervisor:
    """Return a connection with these answers that knows the domain RUNNING."""
    hypervisor = Hypervisor("test:///default")
    hypervisor._connection = Noting(**answers)
    hypervisor._domains[RUNNING] = domain
    return hypervisor


@pytest.fixture
def hypervisor(tmp_path: Path) -> Iterator[Hypervisor]:
    with connected(tmp_path) as hypervisor:
        yield hypervisor


class TestTheList:
    def test_has_running_and_shut_off_domains(self, hypervisor: Hypervisor) -> None:
        assert sorted(hypervisor.list_domains(), key=lambda domain: domain.uuid) == [
            ListedDomain(RUNNING, "running", True),
            ListedDomain(SHUT_OFF, "off", False),
        ]

    def test_of_each_kind_has_only_that(self, hypervisor: Hypervisor) -> None:
        hypervisor.set_autostart(SHUT_OFF, True)
        hypervisor._domain(RUNNING).managedSave(0)
        hypervisor._connection.createXML(NEW, 0)
        assert (hypervisor.list_autostart(), hypervisor.list_saved(), hypervisor.list_transient()) == (
            {SHUT_OFF},
            {RUNNING},
            {ABSENT},
        )

    def test_finds_a_domain_by_its_uuid(self, hypervisor: Hypervisor) -> None:
        assert [hypervisor.find(uuid) for uuid in (RUNNING, ABSENT)] == ["running", None]

    def test_finds_no_domain_that_was_known_and_is_gone(self, hypervisor: Hypervisor) -> None:
        hypervisor.list_domains()
        hypervisor._connection.lookupByUUIDString(SHUT_OFF).undefine()
        assert hypervisor.find(SHUT_OFF) is None


class TestPower:
    def test_each_state_has_libvirts_reason(self, hypervisor: Hypervisor) -> None:
        states = [hypervisor.state(SHUT_OFF)]
        for change in (
            lambda: hypervisor.create(SHUT_OFF, 60),
            hypervisor._domain(SHUT_OFF).suspend,
            lambda: hypervisor.resume(SHUT_OFF),
            lambda: hypervisor.shutdown(SHUT_OFF, 60),
            lambda: hypervisor.create(SHUT_OFF, 60),
            lambda: hypervisor.destroy(SHUT_OFF),
        ):
            change()
            states.append(hypervisor.state(SHUT_OFF))
        assert states[1:] == [
            ("running", "booted"),
            ("paused", "user"),
            ("running", "unpaused"),
            ("shutoff", "shutdown"),
            ("running", "booted"),
            ("shutoff", "destroyed"),
        ]

    @pytest.mark.parametrize(
        ("numbers", "words"),
        [
            ((0, 0), ("unknown", "unknown")),
            ((1, 11), ("running", "postcopy_failed")),
            ((3, 5), ("paused", "ioerror")),
            ((3, 14), ("paused", "api_error")),
            ((5, 5), ("shutoff", "saved")),
            ((6, 1), ("crashed", "panicked")),
            ((7, 1), ("pmsuspended", "unknown")),
            ((5, 99), ("shutoff", "unknown")),
            ((99, 1), ("unknown", "unknown")),
        ],
    )
    def test_a_number_has_libvirts_word(self, numbers: tuple[int, int], words: tuple[str, str]) -> None:
        assert connected_to(Noting(state=numbers)).state(RUNNING) == words

    def test_discarded_memory_is_gone(self, hypervisor: Hypervisor) -> None:
        hypervisor._domain(RUNNING).managedSave(0)
        hypervisor.discard_saved_state(RUNNING)
        assert hypervisor.list_saved() == set()

    def test_a_domain_that_is_gone_has_no_state(self, hypervisor: Hypervisor) -> None:
        with pytest.raises(VmError) as caught:
            hypervisor.state(ABSENT)
        assert caught.value.code == "domain_gone"

    @pytest.mark.parametrize(("paused", "flags"), [(False, 0), (True, 1)])
    def test_a_domain_is_started_paused_on_demand(self, paused: bool, flags: int) -> None:
        domain = Noting()
        connected_to(domain).create(RUNNING, 60, paused)
        assert domain.calls == [("createWithFlags", flags)]


class TestDefinitions:
    def test_a_definition_is_taken_and_found(self, hypervisor: Hypervisor) -> None:
        hypervisor.define(NEW)
        assert (hypervisor.find(ABSENT), hypervisor.is_persistent(ABSENT)) == ("new", True)
        assert "<name>new</name>" in hypervisor.xml(ABSENT, inactive=True)

    def test_only_a_validated_one_is_compared_with_the_schema(self, hypervisor: Hypervisor) -> None:
        with pytest.raises(VmError) as caught:
            hypervisor.define(INVALID)
        assert (caught.value.code, caught.value.libvirt_code) == ("invalid_domain", libvirt.VIR_ERR_XML_INVALID_SCHEMA)
        hypervisor.define(INVALID, validate=False)
        assert hypervisor.find(ABSENT) == "new"

    @pytest.mark.parametrize(("inactive", "flags"), [(False, 1), (True, 3)])
    def test_one_is_read_with_its_secrets(self, inactive: bool, flags: int) -> None:
        domain = Noting(XMLDesc="<domain/>")
        assert connected_to(domain).xml(RUNNING, inactive) == "<domain/>"
        assert domain.calls == [("XMLDesc", flags)]

    def test_a_domain_whose_qemu_hangs_is_queried_again_only_after_it_is_forced_off(
        self, hypervisor: Hypervisor
    ) -> None:
        hypervisor._unreadable[RUNNING] = VmError("qemu_hangs", "QEMU has not answered")
        with pytest.raises(VmError, match="QEMU has not answered"):
            hypervisor.xml(RUNNING, inactive=True)
        hypervisor.destroy(RUNNING)
        assert "<name>running</name>" in hypervisor.xml(RUNNING, inactive=True)

    def test_autostart_is_what_was_set(self, hypervisor: Hypervisor) -> None:
        before = hypervisor.autostart(RUNNING)
        hypervisor.set_autostart(RUNNING, True)
        assert (before, hypervisor.autostart(RUNNING)) == (False, True)

    @pytest.mark.parametrize(
        ("removal", "version", "flags"),
        [
            (Removal(), 8_009_000, {"KEEP_NVRAM", "KEEP_TPM"}),
            (Removal(), 8_008_999, {"KEEP_NVRAM"}),
            (Removal(nvram=True, tpm=True), 9_000_000, {"NVRAM", "TPM"}),
            (Removal(tpm=True), 7_000_000, {"KEEP_NVRAM"}),
            (Removal(saved_state=True), 7_000_000, {"KEEP_NVRAM", "MANAGED_SAVE"}),
            (Removal(snapshots=True), 7_000_000, {"KEEP_NVRAM", "SNAPSHOTS_METADATA"}),
            (Removal(checkpoints=True), 7_000_000, {"KEEP_NVRAM", "CHECKPOINTS_METADATA"}),
        ],
    )
    def test_only_what_is_named_is_removed_with_a_definition(
        self, removal: Removal, version: int, flags: set[str]
    ) -> None:
        domain = Noting()
        connected_to(domain, getLibVersion=version).undefine(RUNNING, removal)
        assert domain.calls == [("undefineFlags", sum(UNDEFINE_FLAGS[flag] for flag in flags))]


class TestAChangeThatLibvirtDoesNotAnswer:
    @pytest.mark.parametrize(
        "change",
        [
            lambda hypervisor: hypervisor.define(NEW),
            lambda hypervisor: hypervisor.undefine(RUNNING, Removal()),
            lambda hypervisor: hypervisor.set_autostart(RUNNING, True),
            lambda hypervisor: hypervisor.discard_saved_state(RUNNING),
            lambda hypervisor: hypervisor.set_description(RUNNING, "text"),
            lambda hypervisor: hypervisor.set_defined_metadata(RUNNING, "urn:x", "x", "<x/>"),
            lambda hypervisor: hypervisor.destroy(RUNNING),
        ],
    )
    def test_ends_at_its_deadline(self, monkeypatch: pytest.MonkeyPatch, change: Callable[[Hypervisor], None]) -> None:
        monkeypatch.setattr(connection, "LIBVIRT_SECONDS", 0.01)
        ended = threading.Event()
        hanging: Any = Noting(getLibVersion=9_000_000)
        for name in ("defineXMLFlags", "undefineFlags", "setAutostart", "managedSaveRemove", "setMetadata", "destroy"):
            setattr(hanging, name, lambda *arguments: ended.wait())
        hypervisor = connected_to(hanging)
        hypervisor._connection = hanging
        with pytest.raises(VmError) as caught:
            change(hypervisor)
        ended.set()
        assert caught.value.code == "libvirt_hangs"
        assert caught.value.message.endswith("libvirt has not answered for 0.01 seconds; this may still happen later")


class TestTheFirstDefinition:
    def test_is_tried_again_while_the_schema_is_being_loaded(
        self, hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.attempts(hypervisor, monkeypatch, (1, 5)) == 5

    @pytest.mark.parametrize("error", [(1, 10), (92, 5)])
    def test_is_not_tried_again_after_any_other_error(
        self, hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch, error: tuple[int, int]
    ) -> None:
        assert self.attempts(hypervisor, monkeypatch, error) == 1

    def attempts(self, hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch, error: tuple[int, int]) -> int:
        """Return how often a definition is tried that always fails with this error number and source."""
        attempts = []

        def fail(xml: str, flags: int) -> None:
            attempts.append(flags)
            raise VmError("libvirt_error", "no", libvirt_code=error[0], libvirt_source=error[1])

        monkeypatch.setattr(hypervisor, "_define", fail)
        monkeypatch.setattr(domains, "_SCHEMA_PAUSE", 0)
        with pytest.raises(VmError):
            hypervisor.define(NEW)
        return len(attempts)


class TestSnapshots:
    def test_are_counted_and_read(self, hypervisor: Hypervisor) -> None:
        assert (hypervisor.snapshot_count(RUNNING), hypervisor.snapshot_xmls(RUNNING)) == (0, [])
        hypervisor._domain(RUNNING).snapshotCreateXML("<domainsnapshot><name>before</name></domainsnapshot>", 0)
        (xml,) = hypervisor.snapshot_xmls(RUNNING)
        assert hypervisor.snapshot_count(RUNNING) == 1
        assert "<name>before</name>" in xml

    def test_and_checkpoints_are_none_where_libvirt_has_no_support(self) -> None:
        def unsupported(flags: int) -> list[Any]:
            raise libvirt_error(libvirt.VIR_ERR_NO_SUPPORT)

        domain: Any = Noting()
        domain.listAllSnapshots = domain.listAllCheckpoints = unsupported
        hypervisor = connected_to(domain)
        counts = hypervisor.snapshot_count(RUNNING), hypervisor.checkpoint_count(RUNNING)
        assert (counts, hypervisor.snapshot_xmls(RUNNING)) == ((0, 0), [])


@pytest.mark.parametrize(("job", "has_job"), [(0, False), (1, True), (2, True)])
def test_a_job_is_anything_but_none(job: int, has_job: bool) -> None:
    assert connected_to(Noting(jobInfo=[job, 0])).has_job(RUNNING, 60) is has_job


def test_jobs_are_not_queried_while_all_slots_wait_for_qemus_but_a_vm_is_forced_off() -> None:
    domain = Noting(jobInfo=[1, 0])
    hypervisor = connected_to(domain)
    for _slot in range(SLOW_CALLS_AT_ONCE):
        hypervisor._slow_calls.acquire()
    with pytest.raises(VmError) as caught:
        hypervisor.has_job(RUNNING, 0.01)
    hypervisor.destroy(RUNNING)
    assert (caught.value.code, domain.calls) == ("vm_busy", [("destroy",)])


def test_a_domain_that_does_not_run_has_no_job(hypervisor: Hypervisor) -> None:
    assert not hypervisor.has_job(SHUT_OFF, 60)


@pytest.mark.parametrize(("paused", "flags"), [(False, 2), (True, 4)])
def test_a_saved_domain_is_restored_running_or_paused(paused: bool, flags: int) -> None:
    hypervisor = connected_to(Noting())
    hypervisor.restore("/memory", "<domain/>", 60, paused)
    assert hypervisor._connection.calls == [("restoreFlags", "/memory", "<domain/>", flags)]
