# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirtd with German messages: errors are recognised by their numbers, and nothing depends on the texts.

These tests restart libvirtd, and therefore run only on a laboratory hypervisor, which has its own.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import vm_information
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import daemon
from ansible_collections.zstack.kvm.tests.support.in_process import start
from ansible_collections.zstack.kvm.tests.support.virsh import state, virsh

NOWHERE = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment in which libvirtd speaks German."""
    locales = tmp_path_factory.mktemp("locales")
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", locales / "de_DE.UTF-8"], check=True)
    return {"LOCPATH": str(locales), "LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"}


@pytest.fixture(scope="module", autouse=True)
def german_libvirtd(german: dict[str, str]) -> Iterator[None]:
    daemon.assert_own()
    daemon.kill()
    with _environment(**german):
        daemon.start()
    yield
    daemon.kill()
    daemon.start()


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def hypervisor() -> Iterator[Hypervisor]:
    connected = Hypervisor.connect("qemu:///system")
    yield connected
    connected.close()


def raised(call: Any, *arguments: Any) -> VmError:
    with pytest.raises(VmError) as caught:
        call(*arguments)
    return caught.value


def test_libvirtd_speaks_german(hypervisor: Hypervisor) -> None:
    error = raised(hypervisor.xml, NOWHERE, True)
    assert (error.code, error.libvirt_message.partition(":")[0]) == ("domain_gone", "Domain nicht gefunden")


def domain(devices: str = "", **replaced: str) -> str:
    values = {"type": "qemu", "machine": "pc", "memory": "32", **replaced}
    return """<domain type='{type}'><name>{name}</name><uuid>{name}</uuid><memory unit='MiB'>{memory}</memory>
        <os><type arch='x86_64' machine='{machine}'>hvm</type></os><devices>{devices}</devices></domain>""".format(
        name=uuid.uuid4(), devices=devices, **values
    )


REFUSED = {
    "image_missing": domain("<disk type='file'><source file='/nowhere'/><target dev='vda'/></disk>"),
    "bridge_missing": domain("<interface type='bridge'><source bridge='br_nope'/></interface>"),
    "filter_failed": domain(
        "<interface type='bridge'><source bridge='br_eth0'/><filterref filter='nope'/></interface>"
    ),
    "secret_missing": domain(
        f"<disk type='network'><auth username='x'><secret type='ceph' uuid='{NOWHERE}'/></auth><source protocol='rbd' "
        "name='a/b'><host name='127.0.0.1'/></source><target dev='vda'/></disk>"
    ),
    "not_enough_memory": domain(memory="99999999"),
    "unsupported_device": domain("<panic model='pseries'/>"),
    "invalid_domain": domain("<tpm model='tpm-tis'><backend type='emulator' version='9'/></tpm>"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_keeps_a_domain_from_starting_has_its_code(hypervisor: Hypervisor, code: str) -> None:
    create = hypervisor._connection.createXML
    error = raised(hypervisor._call, "start the domain", create, REFUSED[code], 0)
    assert error.code == code, error.message


def test_what_libvirt_refuses_for_the_state_of_a_vm_is_no_lost_connection(hypervisor: Hypervisor) -> None:
    xml = domain()
    hypervisor.define(xml)
    identity = xml.partition("<uuid>")[2].partition("</uuid>")[0]
    assert not hypervisor.has_job(identity)
    error = raised(hypervisor.shutdown, identity, 5)
    assert (error.code, error.libvirt_code) == ("libvirt_error", 55)
    assert "nicht gültig" in error.message
    virsh("undefine", identity)


def test_a_vm_starts_changes_and_is_reported(new_vm: NewVm, hypervisor: Hypervisor) -> None:
    # The guest ignores the shutdown request.
    vm = new_vm(timeout=10)
    run = start(vm)
    assert (run.failed, run.actions) == (False, ["define", "start"]), run.vm
    assert start(vm).actions == []
    run = start({**vm, "cpu_num": 2}, on_drift="restart")
    assert not run.failed and "stop" in run.actions, run.vm
    (entry,) = vm_information(hypervisor, HostSystem(), [vm["uuid"]])
    assert (entry["state"], entry["cpus"], entry["warnings"]) == ("running", 2, [])


def test_a_qemu_that_fails_is_reported_in_its_own_words(new_vm: NewVm) -> None:
    run = start(new_vm(domain_patches=[{"xpath": "memory", "action": "set", "value": "99999999999"}]))
    assert run.failed
    assert run.error["code"] == "not_enough_memory", run.error


def test_a_libvirtd_that_is_killed_is_a_lost_connection(hypervisor: Hypervisor, german: dict[str, str]) -> None:
    daemon.kill()
    try:
        error = raised(hypervisor.list_domains)
        assert error.code == "connection_lost", error.message
        hypervisor.close()
        error = raised(Hypervisor.connect, "qemu:///system")
        assert error.code == "libvirt_unavailable", error.message
    finally:
        with _environment(**german):
            daemon.start()


def test_virtlogd_that_is_down_is_found_before_a_restart_stops_the_vm(new_vm: NewVm) -> None:
    # The guest ignores requests to shut down.
    vm = new_vm(timeout=10)
    start(vm)
    number = virsh("domid", vm["uuid"])
    with without_virtlogd():
        run = start({**vm, "cpu_num": 2}, on_drift="restart")
        assert (run.error["code"], run.error["rollback"]) == ("daemon_unavailable", "not_needed"), run.error
        assert "virtlogd" in run.error["message"]
        # The code must be right whichever check finds it first.
        error = raised(_create, domain())
        assert error.code == "daemon_unavailable", error.message
    assert (state(vm["uuid"]), virsh("domid", vm["uuid"])) == ("running", number)
    run = start({**vm, "cpu_num": 2}, on_drift="restart")
    assert not run.failed and "start" in run.actions, run.vm


def _create(xml: str) -> None:
    hypervisor = Hypervisor.connect("qemu:///system")
    hypervisor._call("start the domain", hypervisor._connection.createXML, xml, 0)


@contextmanager
def without_virtlogd() -> Iterator[None]:
    """Kill virtlogd, and start it again at the end."""
    pid_file, path = Path("/run/virtlogd.pid"), Path("/run/libvirt/virtlogd-sock")
    os.kill(int(pid_file.read_text(encoding="ascii")), 9)
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        subprocess.run(["virtlogd", "-d"], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
