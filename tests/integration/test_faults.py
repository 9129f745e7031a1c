# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task, libvirtd or QEMU is killed at every libvirt call: the state is consistent, and the next run repairs it.

These tests kill libvirtd, and therefore run only on a laboratory hypervisor, which has its own.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm, image_directory
from ansible_collections.zstack.kvm.tests.support import daemon, predicted
from ansible_collections.zstack.kvm.tests.support.forked_task import Fault, start
from ansible_collections.zstack.kvm.tests.support.obedient_guest import wait_until_up, write_obedient_disk
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.processes import (
    qemus_of,
)
from ansible_collections.zstack.kvm.tests.support.servers import IscsiServer
from ansible_collections.zstack.kvm.tests.support.virsh import definition, state, try_virsh, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until
from lxml import etree

LOCKS = Path("/run/zstack-kvm")
BACKUPS = Path("/var/lib/zstack-kvm/backups")
AUTOSTART = Path("/etc/libvirt/qemu/autostart")
IQN = "iqn.2026-01.org.example:faults"
CHAP = ("user", "pa55word")

QUERYING = ["open", "list the domains", "get the capabilities", "get the domain capabilities"]
# Once for all VMs of a task that have any.
SECRETS = "list the secrets"
STARTING = ["start the domain", "get the state", "read the definition"]
CHANGING_A_RUNNING_VM = [
    *QUERYING,
    "get the state",
    "read the definition",
    SECRETS,
    "get the job",
    "get the block job of a disk",
    "define the domain",
    "set the value of the secret",
]
# All libvirt calls of each scenario; consecutive calls of one name count as one.
CALLS = {
    "new": [
        *QUERYING,
        "look up the domain",
        SECRETS,
        "define the domain",
        "define the secret",
        "set the value of the secret",
        *STARTING,
    ],
    "changed": [
        *QUERYING,
        "get the state",
        "check for saved memory",
        "read the definition",
        SECRETS,
        "define the domain",
        "set the value of the secret",
        *STARTING,
    ],
    "restart": [
        *CHANGING_A_RUNNING_VM,
        "shut the domain down",
        "get the state",
        *STARTING,
    ],
    "live": [
        *CHANGING_A_RUNNING_VM,
        "set the limits of a disk",
        "get the state",
        "read the definition",
        "attach a device",
        "get the state",
    ],
    "paused": [
        *QUERYING,
        "get the state",
        "get autostart",
        "read the definition",
        SECRETS,
        "get the job",
        "define the domain",
        "set autostart",
        "resume the domain",
        "get the state",
    ],
    "new, undone": [
        *QUERYING,
        "look up the domain",
        SECRETS,
        "define the domain",
        "define the secret",
        "set the value of the secret",
        "start the domain",
        "get the state",
        "get the version",
        "undefine the domain",
        "list the domains",
        "remove the secret",
        "get the state",
    ],
    "restart, undone": [
        *CHANGING_A_RUNNING_VM,
        "shut the domain down",
        "get the state",
        "start the domain",
        "get the state",
        "define the domain",
        "list the domains",
        "start the domain",
        "get the state",
    ],
}
# The first call that differs from those of the scenarios before.
FIRST = {
    "new": "open",
    "changed": "define the domain",
    "restart": "define the domain",
    "live": "set the limits of a disk",
    "paused": "define the domain",
    "new, undone": "undefine the domain",
    "restart, undone": "define the domain",
}
UNDONE = [("connection_lost", "done"), ("connection_lost", "not_needed"), ("qemu_failed", "done")]
STOPPED = [("restart", "connection_lost"), ("restart", "secret_missing"), ("restart, undone", "qemu_failed")]
CHANGING = ("define", "set", "start", "shut", "attach", "resume", "undefine", "remove")

Vm = dict[str, Any]


def moments(scenario: str, what: str) -> list[tuple[str, Fault]]:
    """Return the faults to try: before each call, and for libvirtd also within calls that change something.

    In the other scenarios, the state after one call is that before the next. For a task, a libvirtd that is gone after
    one call is gone before the next. Calls that a scenario has in common with earlier ones are tried there.
    """
    calls = CALLS[scenario]
    first = last_index(calls, FIRST[scenario])
    found = []
    for number, call in enumerate(calls[first:], start=first + 1):
        found.append(("before", number, call))
        if scenario == "new" and (number == len(calls) or (what == "task" and call.startswith(CHANGING))):
            found.append(("after", number, call))
        is_common = call in CALLS["new"] and scenario in ("changed", "restart", "live", "paused")
        if what == "libvirtd" and call.startswith(CHANGING) and not is_common:
            found.append(("within", number, call))
    if what == "libvirtd" and scenario == "new":
        # There is nothing to connect to.
        found.remove(("before", 1, "open"))
    return [(f"{when} {number}: {call}", Fault(what, when, number)) for when, number, call in found]


def last_index(calls: list[str], call: str) -> int:
    """Return the index of the last occurrence of a call."""
    return len(calls) - 1 - calls[::-1].index(call)


def at(scenario: str, call: str, what: str = "task", when: str = "before") -> Fault:
    """Return the fault at a call of a scenario."""
    return Fault(what, when, CALLS[scenario].index(call) + 1)


def at_every_call(what: str) -> pytest.MarkDecorator:
    """Return a decorator that runs a test for each fault of each scenario."""
    cases = [
        pytest.param(scenario, fault, id=f"{scenario}, {moment}")
        for scenario in CALLS
        for moment, fault in moments(scenario, what)
    ]
    return pytest.mark.parametrize(("scenario", "fault"), cases, indirect=["scenario"])


@pytest.fixture(scope="module")
def iscsi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IscsiServer]:
    """Yield a portal that requires a password."""
    daemon.assert_own()
    lun = tmp_path_factory.mktemp("luns") / "lun.raw"
    lun.write_bytes(bytes(1 << 20))
    with IscsiServer() as server:
        server.add_target(IQN, lun, chap=CHAP)
        yield server


@pytest.fixture(scope="module")
def emulator() -> Iterator[Path]:
    """Yield a QEMU that starts no VM with two CPUs as long as the file C(broken) exists beside it."""
    with image_directory() as directory:
        emulator = directory / "qemu"
        emulator.write_text(
            "#!/bin/bash\n"
            f'if [[ -e {directory}/broken && "$*" == *guest=*"-smp 2"* ]]; then exit 1; fi\n'
            'exec /usr/bin/qemu-system-x86_64 "$@"\n'
        )
        emulator.chmod(0o755)
        yield emulator


class Scenario:
    """A desired state, and an initial state that is the same each time.

    The VM needs a directory (for its channel) and a secret (for its iSCSI volume). In the scenarios with an undo, it
    can't be started.
    """

    def __init__(self, name: str, vm: Vm) -> None:
        self.name = name
        self.vm = vm
        self.uuid: str = vm["uuid"]
        self.directory = Path(vm["channels"][0]["socket_path"]).parent
        self.broken = Path(vm["emulator"]).with_name("broken")
        self.desired = vm if name == "new" else {**vm, "cpu_num": 2}
        self.options: dict[str, Any] = {}
        self.fails = name.endswith("undone")
        self.begin(name.split(",")[0])
        self.before = self.seen()

    def begin(self, what: str) -> None:
        """Create the initial state, and complete the desired state."""
        if what == "changed":
            start(self.vm, fault=at("new", "start the domain"))
        elif what != "new":
            start(self.vm)
        if what == "live":
            self.desired = with_more_volumes(self.vm)
        if what == "paused":
            virsh("suspend", self.uuid)
            self.desired["autostart"] = True
            self.options = {"backup": True}
        elif what in ("live", "restart"):
            wait_until_up(self.uuid)
            self.options = {"on_drift": what}
        if self.fails:
            self.broken.touch()

    def seen(self) -> dict[str, Any]:
        """Return all that exists of the VM outside of the task."""
        known, domain_name = state(self.uuid) != "absent", self.uuid.replace("-", "")
        return {
            "state": state(self.uuid),
            "definition": etree.tostring(definition(self.uuid)).decode() if known else None,
            "secrets": [line for line in virsh("secret-list").splitlines() if IQN in line],
            "directory": self.directory.exists(),
            "autostart": (AUTOSTART / f"{domain_name}.xml").exists(),
            "disks": limits_of_disks(self.uuid) if known else None,
            "backups": len(list(BACKUPS.glob(f"{domain_name}.*"))),
        }

    def assert_as_before(self) -> None:
        """Assert that a failed run left nothing. A restarted libvirtd has lost ephemeral secrets."""
        now = self.seen()
        assert now["secrets"] in ([], self.before["secrets"])
        assert {**now, "secrets": self.before["secrets"]} == self.before

    def run(self, **watched: Any) -> TaskRun:
        """Run the module, watched or with a fault, and return the run."""
        return start(self.desired, **self.options, **watched)

    def assert_whole_and_repaired_by_the_next_run(self) -> None:
        """Assert that the definition is the old or the new one, and that the next run reaches the desired state."""
        left = self.seen()
        self.broken.unlink(missing_ok=True)
        wait_until(lambda: len(qemus_of(self.uuid)) == (state(self.uuid) in ("running", "paused")))
        assert_no_lock(self.uuid)
        again = self.run()
        assert not again.failed, again.output
        now = self.seen()
        assert left["definition"] in (self.before["definition"], now["definition"])
        assert (now["state"], now["directory"], len(now["secrets"]) < 2) == ("running", True, True)
        assert now["autostart"] == self.desired.get("autostart", False)
        # A paused VM is not restarted.
        next_boot = self.name == "paused"
        assert definition(self.uuid, inactive=next_boot).findtext("vcpu") == str(self.desired["cpu_num"])
        assert self.run().actions == []
        assert len(qemus_of(self.uuid)) == 1


def limits_of_disks(uuid: str) -> dict[str, Optional[str]]:
    """Return the current disks of a VM, and their limits."""
    disks = definition(uuid, inactive=False).iterfind("devices/disk")
    return {disk.find("target").get("dev"): disk.findtext("iotune/total_iops_sec") for disk in disks}


def with_more_volumes(vm: Vm) -> Vm:
    """Return the VM with a limit for its root volume and another data volume."""
    another = Path(vm["root_volume"]["install_path"]).with_name("another.raw")
    another.write_bytes(bytes(1 << 20))
    another.chmod(0o666)
    root = {**vm["root_volume"], "qos": {"total_iops": 100}}
    data = {"install_path": str(another), "device_id": 5, "format": "raw"}
    return {**vm, "root_volume": root, "data_volumes": [*vm["data_volumes"], data]}


def assert_no_lock(uuid: str) -> None:
    """Assert that nobody holds the VM's lock; a killed task may leave the file, but not a held lock."""
    lock = LOCKS / f"{uuid}.lock"
    assert not lock.exists() or subprocess.run(["flock", "--nonblock", lock, "true"], check=False).returncode == 0


@pytest.fixture
def scenario(
    request: pytest.FixtureRequest, new_vm: NewVm, images: Path, iscsi: IscsiServer, emulator: Path
) -> Iterator[Scenario]:
    """Yield the scenario that the test names, with a guest that shuts down on request."""
    root = {"install_path": str(write_obedient_disk(images / "root.raw")), "format": "raw"}
    data = {"install_path": iscsi.install_path(IQN), "device_type": "iscsi"}
    yield Scenario(
        request.param,
        new_vm(
            emulator=str(emulator),
            root_volume=root,
            data_volumes=[{**data, "chap_username": CHAP[0], "chap_password": CHAP[1]}],
            channels=[{"socket_path": str(images / "channel" / "socket"), "target_name": "org.example.0"}],
        ),
    )
    emulator.with_name("broken").unlink(missing_ok=True)
    for line in virsh("secret-list").splitlines():
        if IQN in line:
            try_virsh("secret-undefine", line.split()[0])


@pytest.mark.parametrize("scenario", CALLS, indirect=True)
def test_these_are_all_calls_and_check_mode_predicts_their_effect(scenario: Scenario, tmp_path: Path) -> None:
    file = tmp_path / "calls"

    def run(check: bool = False) -> TaskRun:
        return scenario.run(check=True) if check else scenario.run(calls=file)

    run_predicted = predicted.failed if scenario.fails else predicted.agreed
    assert run_predicted(run).failed == scenario.fails
    calls = file.read_text().splitlines()
    assert [call for call, last in zip(calls, ["", *calls]) if call != last] == CALLS[scenario.name]


@at_every_call("task")
def test_the_task_is_killed(scenario: Scenario, fault: Fault) -> None:
    assert scenario.run(fault=fault).result == {}
    scenario.assert_whole_and_repaired_by_the_next_run()


@at_every_call("libvirtd")
def test_libvirtd_is_killed_and_comes_back(scenario: Scenario, fault: Fault) -> None:
    run = scenario.run(fault=fault)
    assert run.failed or not scenario.fails
    if scenario.name == "live" and run.failed and run.error["rollback"] == "partial":
        # This guest never releases a device.
        assert "attach_volume could not be undone: the guest has not released" in run.error["message"]
        assert len(scenario.seen()["disks"]) == len(scenario.before["disks"]) + 1
    elif run.failed and run.error["rollback"] == "partial":
        # Once stopped for the restart, neither the new nor the old VM can start: its secret was lost with libvirtd.
        assert (scenario.name, run.error["code"]) in STOPPED, run.error
        assert scenario.seen() == {**scenario.before, "state": "shut off", "secrets": []}
    elif run.failed:
        assert (run.error["code"], run.error["rollback"]) in UNDONE, run.error
        scenario.assert_as_before()
    scenario.assert_whole_and_repaired_by_the_next_run()


@pytest.mark.parametrize(
    ("scenario", "when", "call"),
    [("new", "within", "define the domain"), ("restart", "before", "start the domain")],
    indirect=["scenario"],
)
def test_libvirtd_is_killed_and_stays_away(scenario: Scenario, when: str, call: str) -> None:
    began = time.monotonic()
    try:
        run = scenario.run(fault=at(scenario.name, call, what="libvirtd for good", when=when))
    finally:
        daemon.start()
    assert time.monotonic() - began < 100
    assert (run.error["code"], run.error["rollback"]) == ("connection_lost", "partial"), run.error
    assert "define could not be undone" in run.error["message"]
    scenario.assert_whole_and_repaired_by_the_next_run()


@pytest.mark.parametrize("scenario", ["new", "changed", "restart"], indirect=True)
def test_qemu_is_killed_when_it_has_started(scenario: Scenario) -> None:
    run = scenario.run(fault=at(scenario.name, "start the domain", what="qemu", when="after"))
    assert (run.error["code"], run.error["rollback"]) == ("qemu_failed", "done"), run.error
    scenario.assert_as_before()
    scenario.assert_whole_and_repaired_by_the_next_run()


@pytest.mark.parametrize("scenario", ["restart, undone"], indirect=True)
def test_a_transient_vm_whose_restart_fails_runs_again(scenario: Scenario) -> None:
    virsh("undefine", scenario.uuid)
    run = scenario.run()
    assert (run.error["code"], run.error["rollback"]) == ("qemu_failed", "done"), run.error
    assert state(scenario.uuid) == "running"
    assert definition(scenario.uuid).findtext("vcpu") == str(scenario.vm["cpu_num"])
