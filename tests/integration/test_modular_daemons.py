# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modular daemons that are down: found before the start, and irrelevant to VMs that do not need them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import daemon, media
from ansible_collections.zstack.kvm.tests.support.forked_task import run_module
from ansible_collections.zstack.kvm.tests.support.module_run import agreed, failed, start
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.servers import IscsiServer
from ansible_collections.zstack.kvm.tests.support.virsh import state, try_virsh, virsh

pytestmark = pytest.mark.modular

IQN, CHAP = "iqn.2026-01.org.example:modular", ("user", "a password")
NETWORK = "<network><name>modular</name><bridge name='modular'/><ip address='10.213.1.1' prefix='24'/></network>"

Vm = dict[str, Any]


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Keep these daemons down within the block."""
    daemon.assert_own()
    for name in names:
        daemon.kill(name)
    try:
        yield
    finally:
        for name in names:
            daemon.start(name=name)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IscsiServer]:
    """Yield a portal that requires a password."""
    with IscsiServer() as server:
        lun = media.write_raw(tmp_path_factory.mktemp("luns") / "lun", "I am a LUN")
        server.add_target(IQN, lun, chap=CHAP)
        yield server


@pytest.fixture
def vm_with_a_secret(new_vm: NewVm, portal: IscsiServer) -> Iterator[Vm]:
    volume = {"device_type": "iscsi", "install_path": portal.install_path(IQN)}
    yield new_vm(root_volume={**volume, "chap_username": CHAP[0], "chap_password": CHAP[1]})
    for line in virsh("secret-list").splitlines():
        if IQN in line:
            virsh("secret-undefine", line.split()[0])


@pytest.fixture
def network() -> Iterator[str]:
    virsh("net-create", "/dev/stdin", stdin=NETWORK)
    yield "modular"
    try_virsh("net-destroy", "modular")


def test_libvirtd_is_not_there() -> None:
    assert daemon.NAME == "virtqemud"
    assert not Path("/run/libvirtd.pid").exists()


def test_a_vm_that_needs_none_of_the_others_starts_and_is_in_sync(new_vm: NewVm) -> None:
    vm = new_vm()
    with without("virtsecretd", "virtnetworkd", "virtnwfilterd", "virtstoraged", "virtnodedevd", "virtproxyd"):
        assert agreed(vm).actions == ["define", "start"]
        assert not agreed(vm).result["changed"]
        run = run_module("zstack_vm_info", {"uuids": [vm["uuid"]]})
        assert (run.vm["state"], run.vm["warnings"]) == ("running", [])
        stop = {"vms": [vm["uuid"]], "timeout": 0, "force": True}
        assert run_module("zstack_vm_stop", stop).actions == ["destroy"]


def test_a_vm_whose_password_nothing_can_hold_is_not_created_and_its_neighbour_is(
    vm_with_a_secret: Vm, new_vm: NewVm
) -> None:
    other = new_vm()
    with without("virtsecretd"):
        run = start(vm_with_a_secret, other)
    assert [entry["actions"] for entry in run.vms] == [[], ["define", "start"]]
    error = run.vms[0]["error"]
    assert (error["code"], state(vm_with_a_secret["uuid"])) == ("daemon_unavailable", "absent"), error
    assert "virtsecretd" in error["message"]
    assert CHAP[1] not in run.output


def test_a_password_that_virtsecretd_has_lost_is_set_again(vm_with_a_secret: Vm) -> None:
    assert not start(vm_with_a_secret).failed
    virsh("destroy", vm_with_a_secret["uuid"])
    with without("virtsecretd"):
        pass
    assert IQN not in virsh("secret-list")
    assert "start" in agreed(vm_with_a_secret).actions
    wait_for_text(vm_with_a_secret["uuid"], "I am a LUN")


def test_a_nic_on_a_network_is_refused_before_anything_is_changed(new_vm: NewVm, network: str) -> None:
    vm = new_vm(nics=[{"network_name": network}])
    with without("virtnetworkd"):
        run = failed(vm)
    assert (run.error["code"], run.error["phase"]) == ("daemon_unavailable", "preflight"), run.error
    assert "virtnetworkd" in run.error["message"]
    assert (run.actions, state(vm["uuid"])) == ([], "absent")
    assert agreed(vm).actions == ["define", "start"]


def test_a_filter_that_nothing_can_apply_is_found_before_a_restart_stops_the_vm(new_vm: NewVm) -> None:
    vm = new_vm()
    assert not start(vm).failed
    identity = virsh("domid", vm["uuid"])
    filtered = {**vm, "nics": [{"bridge_name": "br_eth0", "ip": "10.0.0.5"}]}
    with without("virtnwfilterd"):
        run = failed(filtered, on_drift="restart")
    assert (run.error["code"], run.error["phase"]) == ("daemon_unavailable", "preflight"), run.error
    assert "virtnwfilterd" in run.error["message"]
    assert virsh("domid", vm["uuid"]) == identity


@pytest.mark.parametrize("module", ["zstack_vm_info", "zstack_host_info"])
def test_a_host_without_virtqemud_has_no_libvirt_though_virtproxyd_listens(module: str) -> None:
    with without("virtqemud"):
        run = run_module(module, {})
    assert run.result["error"]["code"] == "libvirt_unavailable", run.result


def test_a_vm_outlives_all_of_them(new_vm: NewVm) -> None:
    vm = new_vm()
    assert not start(vm).failed
    identity = virsh("domid", vm["uuid"])
    with without("virtqemud", "virtsecretd", "virtnetworkd", "virtnwfilterd", "virtstoraged", "virtnodedevd"):
        pass
    assert not agreed(vm).result["changed"]
    assert virsh("domid", vm["uuid"]) == identity
