# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""iSCSI volumes without virtio: the hypervisor's own kernel logs in, and the LUN is passed through to the VM.

On an emulated hypervisor, whose kernel has an initiator, against a real target on this machine. It has VLAN devices as
well, for the bridges of the role networks: booting another one would take too long.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.emulated_hypervisor import MACHINE, MACHINE_IPV6, EmulatedHypervisor
from ansible_collections.zstack.kvm.tests.support.failing_start import UNKNOWN_TO_QEMU
from ansible_collections.zstack.kvm.tests.support.managed_host import (
    ADDRESS,
    NAMESPACES,
    NETWORKD,
    Manager,
    network_manager,
)
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.servers import IscsiServer

pytestmark = [pytest.mark.outside, pytest.mark.timeout(1200)]

OPEN, LOCKED = "iqn.2024-01.io.zstack:open", "iqn.2024-01.io.zstack:locked"
USER, PASSWORD = "zs", 'p w"#=d\\12345'
CHAP = {"chap_username": USER, "chap_password": PASSWORD}
WRONG = {**CHAP, "chap_password": "wrong-password"}
NAME = "san"  # of the machine with the server, in the hypervisor
BOOT_SECONDS = 180

# Wraps the real program and records its arguments, as anybody could who watches the processes.
# A script that a test has written is run once, after a login.
WATCHED_ISCSIADM = """#!/bin/sh
echo "$*" >> /run/iscsiadm.log
/usr/sbin/iscsiadm "$@" || exit
case "$*" in *--login) if mv /run/after-login /run/now; then . /run/now; fi 2> /dev/null;; esac
"""
KILL_TASK = "kill -9 $PPID"
KILL_LIBVIRTD = "kill -9 $(cat /run/libvirtd.pid); until libvirtd -d; do sleep 0.1; done"


PROGRAM = Path(__file__).resolve().parents[2] / "roles/networks/files/bridges"
BRIDGES = [{"uplink": "eth0", "vlan": 100}]
MORE_BRIDGES = [*BRIDGES, {"uplink": "eth0", "move_addresses": True}, {"uplink": "eth0", "vlan": 7}]

# Only frames in VLAN 100 reach that address.
PEER_IN_VLAN = """ip -n peer link add link eth0 name eth0.100 type vlan id 100
ip -n peer address add 10.100.0.2/24 dev eth0.100
ip -n peer link set eth0.100 up
"""
CONNECT = """import socket, subprocess, sys, time
accept = "import socket; socket.create_server(('10.100.0.2', 9)).accept()"
server = subprocess.Popen(["ip", "netns", "exec", "peer", sys.executable, "-c", accept])
while True:
    try:
        socket.create_connection(("10.100.0.2", 9), 5)
        break
    except OSError:
        time.sleep(0.5)
server.wait()
"""


class TaskPlayed(NamedTuple):
    """A VM, and what the playbook that started it printed."""

    domain: dict[str, Any]
    output: str


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IscsiServer]:
    """Yield a server with two targets of two LUNs each, one of which requires CHAP."""
    directory = tmp_path_factory.mktemp("luns")
    with IscsiServer() as server:
        for name, chap in ((OPEN, None), (LOCKED, (USER, PASSWORD))):
            luns = [media.write_raw(directory / ("%s-%d" % (name, lun)), "I am LUN %d" % lun) for lun in (1, 2)]
            server.add_target(name, *luns, chap=chap)
        yield server


@pytest.fixture(scope="module")
def hypervisor() -> Iterator[EmulatedHypervisor]:
    with EmulatedHypervisor() as running:
        running.run("cat > /usr/local/bin/iscsiadm; chmod +x /usr/local/bin/iscsiadm", WATCHED_ISCSIADM)
        running.run("echo %s %s >> /etc/hosts" % (MACHINE, NAME))
        yield running


@pytest.fixture(scope="module")
def played(hypervisor: EmulatedHypervisor, target: IscsiServer, tmp_path_factory: pytest.TempPathFactory) -> TaskPlayed:
    """Return a VM that a playbook has started over ssh from a LUN behind CHAP, with another target's LUN as well."""
    domain = vm(lun(target, LOCKED, 2, NAME, **CHAP), data_volumes=[lun(target, OPEN, 2, MACHINE_IPV6)])
    task = {"zstack.kvm.zstack_vm_start": {"vms": [domain]}, "register": "started"}
    play = {"hosts": "all", "gather_facts": False, "tasks": [task, {"ansible.builtin.debug": {"var": "started"}}]}
    playbook = tmp_path_factory.mktemp("playbook") / "play.json"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-vvv", "-i", hypervisor.inventory, str(playbook)]
    # An emulated machine is slow to answer.
    patient = {**os.environ, "ANSIBLE_TIMEOUT": "120", "ANSIBLE_PIPELINING": "1"}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=patient)
    assert done.returncode == 0, done.stdout
    return TaskPlayed(domain, done.stdout + done.stderr)


@pytest.fixture
def running(hypervisor: EmulatedHypervisor, played: TaskPlayed) -> TaskPlayed:
    """Return the running VM that the playbook started, whatever an earlier test did to it."""
    if state(hypervisor, played.domain) != "running":
        assert not hypervisor.start(played.domain).failed
    return played


@pytest.fixture
def nothing_there(hypervisor: EmulatedHypervisor) -> Iterator[None]:
    """Assert that the test begins and ends without VMs, sessions and records, and ends without locks."""
    clean(hypervisor)
    yield
    clean(hypervisor)
    assert hypervisor.run("ls -A /run/zstack-kvm 2>/dev/null || true") == ""


def clean(hypervisor: EmulatedHypervisor) -> None:
    hypervisor.run("for vm in $(virsh -q list --all --uuid); do virsh destroy $vm; virsh undefine $vm; done; true")
    hypervisor.run("iscsiadm -m session -u; rm -rf /etc/iscsi/nodes/*; rm -f /run/zstack-kvm/*.session; true")


def lun(target: IscsiServer, iqn: str, number: int = 1, portal: str = MACHINE, **options: Any) -> dict[str, Any]:
    path = target.install_path(iqn, number, portal)
    return {"device_type": "iscsi", "install_path": path, "use_virtio": False, **options}


def vm(root_volume: dict[str, Any], **options: Any) -> dict[str, Any]:
    identity = str(uuid.uuid4())
    small = {"name": "test " + identity[:8], "memory": "32MiB", "cpu_num": 1, "domain_type": "qemu"}
    # With the menu, the guest would wait for a key.
    patient = {"timeout": 120, "wait_for": "running", "use_boot_menu": False}
    return {"uuid": identity, **small, **patient, "root_volume": root_volume, **options}


def sessions(hypervisor: EmulatedHypervisor) -> int:
    return hypervisor.try_run("iscsiadm -m session").stdout.count("tcp:")


def wait_for_text(hypervisor: EmulatedHypervisor, domain: dict[str, Any], text: str) -> None:
    hypervisor.run("timeout %d grep -a -m 1 '%s' $(virsh ttyconsole %s)" % (BOOT_SECONDS, text, domain["uuid"]))


def state(hypervisor: EmulatedHypervisor, domain: dict[str, Any]) -> str:
    done = hypervisor.try_run("virsh -q domstate " + domain["uuid"])
    return done.stdout.strip() if done.returncode == 0 else "absent"


def fails(hypervisor: EmulatedHypervisor, domain: dict[str, Any]) -> TaskRun:
    run = hypervisor.start(domain)
    assert run.failed
    assert run.error["rollback"] == "done", run.error
    assert state(hypervisor, domain) == "absent"
    return run


class TestVmsOfOneSession:
    """VMs that share a session with the VM of the playbook."""

    def test_a_guest_boots_from_a_lun_that_the_hypervisor_logged_in_to(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer, running: TaskPlayed
    ) -> None:
        assert '"log_in_to_iscsi_target"' in running.output
        wait_for_text(hypervisor, running.domain, "I am LUN 2")
        assert (target.sessions(LOCKED), target.sessions(OPEN)) == (1, 1)

    def test_a_portal_may_have_a_name_or_an_ipv6_address(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer, running: TaskPlayed
    ) -> None:
        portals = hypervisor.run("iscsiadm -m session")
        assert "[%s]:%d,1 %s" % (NAME, target.port, LOCKED) in portals
        assert "[%s]:%d,1 %s" % (MACHINE_IPV6, target.port, OPEN) in portals

    def test_nobody_sees_the_password(self, hypervisor: EmulatedHypervisor, running: TaskPlayed) -> None:
        """Neither in what was printed, nor in the arguments of any process, nor in the initiator's record."""
        assert PASSWORD not in running.output
        assert PASSWORD not in hypervisor.run("cat /run/iscsiadm.log")
        record = hypervisor.run("grep -rl '^node.session.auth.password' /etc/iscsi/nodes")
        assert hypervisor.run("stat -c %%a '%s'" % record) == "600"

    def test_a_second_run_changes_nothing(self, hypervisor: EmulatedHypervisor, running: TaskPlayed) -> None:
        again = hypervisor.start(running.domain)
        assert (again.result["changed"], again.actions) == (False, [])

    def test_another_vm_uses_the_session_and_leaves_it_when_it_fails(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer, running: TaskPlayed
    ) -> None:
        fails(hypervisor, vm(lun(target, LOCKED, 1, NAME, **CHAP), domain_patches=[UNKNOWN_TO_QEMU]))
        assert (sessions(hypervisor), target.sessions(LOCKED)) == (2, 1)
        assert state(hypervisor, running.domain) == "running"

    def test_a_restart_that_fails_leaves_the_session_to_the_vm_that_is_started_again(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer, running: TaskPlayed
    ) -> None:
        changed = {**running.domain, "timeout": 30, "domain_patches": [UNKNOWN_TO_QEMU]}
        # An emulated machine is slow: the new start has only the VM's timeout.
        run = hypervisor.start(changed, on_drift="restart")
        assert run.failed
        assert (run.error["phase"], run.error["rollback"]) == ("start", "done"), run.error
        assert (run.vm["changed"], state(hypervisor, running.domain)) == (True, "running")
        assert (sessions(hypervisor), target.sessions(LOCKED), target.sessions(OPEN)) == (2, 1, 1)

    def test_a_stopped_vm_ends_only_the_session_that_no_other_vm_uses(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer, running: TaskPlayed
    ) -> None:
        other = vm(lun(target, LOCKED, 1, NAME, **CHAP))
        assert not hypervisor.start(other).failed
        stopped = hypervisor.stop(running.domain["uuid"], timeout=0, force=True)
        assert stopped.actions == ["destroy", "log_out_of_iscsi_target"]
        assert (sessions(hypervisor), target.sessions(OPEN), target.sessions(LOCKED)) == (1, 0, 1)
        # The first one is still defined, with a disk behind the session: the last to be undefined ends it.
        both = hypervisor.stop(other["uuid"], running.domain["uuid"], timeout=0, force=True, undefine=True)
        assert not both.failed, both.output
        assert (sessions(hypervisor), target.sessions(LOCKED)) == (0, 0)


@pytest.mark.usefixtures("nothing_there")
class TestOneVm:
    def test_the_only_one_of_a_session_ends_it_when_it_fails(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer
    ) -> None:
        last = vm(lun(target, LOCKED, 1, NAME, **CHAP), data_volumes=[lun(target, OPEN, 1, MACHINE_IPV6)])
        hypervisor.run("cat > /run/after-login", KILL_LIBVIRTD)
        assert fails(hypervisor, last).error["code"] == "connection_lost"
        assert (sessions(hypervisor), target.sessions(OPEN), target.sessions(LOCKED)) == (0, 0, 0)
        assert hypervisor.run("find /etc/iscsi/nodes -type f") == ""

    def test_a_session_that_was_open_before_is_not_ended(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer
    ) -> None:
        portal = "%s:%d" % (MACHINE, target.port)
        hypervisor.run("iscsiadm -m node -T {0} -p {1} -o new; iscsiadm -m node -T {0} -p {1} -l".format(OPEN, portal))
        fails(hypervisor, vm(lun(target, OPEN), domain_patches=[UNKNOWN_TO_QEMU]))
        assert sessions(hypervisor) == 1

    def test_the_next_task_uses_the_session_of_one_that_is_killed_and_it_is_still_to_be_ended(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer
    ) -> None:
        domain = vm(lun(target, LOCKED, **CHAP))
        hypervisor.run("cat > /run/after-login", KILL_TASK)
        assert hypervisor.start(domain).result == {}
        assert (sessions(hypervisor), state(hypervisor, domain)) == (1, "shut off")
        again = hypervisor.start(domain)
        assert (again.failed, sessions(hypervisor), state(hypervisor, domain)) == (False, 1, "running"), again.output
        assert hypervisor.run("ls /run/zstack-kvm").endswith(".session")

    def test_a_device_that_does_not_appear_is_an_error_and_undone(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer
    ) -> None:
        """Without udev, the hypervisor has the session but no device for it."""
        hypervisor.run("pkill -STOP udevd")
        try:
            run = fails(hypervisor, vm(lun(target, OPEN)))
        finally:
            hypervisor.run("pkill -CONT udevd")
        assert run.error["code"] == "storage_missing"
        assert run.error["phase"] == "log_in_to_iscsi_target"
        assert sessions(hypervisor) == 0

    def test_a_refused_login_is_a_listed_error_even_if_only_the_login_reveals_it(
        self, hypervisor: EmulatedHypervisor, target: IscsiServer
    ) -> None:
        """A QEMU without an iSCSI driver can't check the login beforehand."""
        hypervisor.run("mkdir -p /run/blocks; mv /usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so /run/blocks")
        try:
            run = fails(hypervisor, vm(lun(target, LOCKED, **WRONG)))
        finally:
            hypervisor.run("mv /run/blocks/block-iscsi.so /usr/lib/x86_64-linux-gnu/qemu")
        assert run.error["code"] == "storage_denied"
        assert (sessions(hypervisor), hypervisor.run("find /etc/iscsi/nodes -type f")) == (0, "")


APPLY = f"/usr/bin/python3 -B {PROGRAM} apply"
MORE_BRIDGES_APPLIED = f"{APPLY} {shlex.quote(json.dumps(MORE_BRIDGES))}"
FROM_ONE_TO_MORE = [
    f"{APPLY} {shlex.quote(json.dumps(BRIDGES))} >&2",
    f"{MORE_BRIDGES_APPLIED} >&2",
    f'again=$({MORE_BRIDGES_APPLIED}); [ -z "$again" ]',
    "ip address add 10.100.0.1/24 dev br_eth0_100",
    f"/usr/bin/python3 -c {shlex.quote(CONNECT)} >&2",
]


def script_with_vlans(manager: Manager, *steps: str) -> str:
    wait = f"until ip -4 address show dev eth0 | grep -q {ADDRESS}; do sleep 0.5; done"
    return "\n".join([manager.set_up + PEER_IN_VLAN, wait, *steps, "ip -json -details address show"])


@pytest.mark.parametrize(
    ("manager", "steps"),
    [(lambda: NETWORKD, FROM_ONE_TO_MORE), (network_manager, [f"{MORE_BRIDGES_APPLIED} >&2"])],
    ids=["systemd-networkd", "NetworkManager"],
)
def test_bridges_on_vlans_and_a_plain_one_share_an_uplink(
    hypervisor: EmulatedHypervisor, manager: Callable[[], Manager], steps: list[str]
) -> None:
    command = shlex.join([*NAMESPACES, "sh", "-c", script_with_vlans(manager(), *steps)])
    found = {each["ifname"]: each for each in json.loads(hypervisor.run(command)) if each}
    assert {name: found[name]["master"] for name in ("eth0", "eth0.100", "eth0.7")} == {
        "eth0": "br_eth0",
        "eth0.100": "br_eth0_100",
        "eth0.7": "br_eth0_7",
    }
    assert [found[f"eth0.{number}"]["linkinfo"]["info_data"]["id"] for number in (7, 100)] == [7, 100]
    assert ADDRESS in [each["local"] for each in found["br_eth0"]["addr_info"]]
