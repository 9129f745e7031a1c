# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""wait_for address: a start that succeeds returns an address at which the guest can be reached."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm, image_directory
from ansible_collections.zstack.kvm.tests.support import linux_guest
from ansible_collections.zstack.kvm.tests.support.in_process import start
from ansible_collections.zstack.kvm.tests.support.virsh import remove_domain, try_virsh, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

NETWORK, BRIDGE, MAC = "waited-for", "vbrwaited", "52:54:00:0e:0e:01"
GATEWAY = "10.213.12.1"
ADDRESS, OTHER_ADDRESS = "10.213.12.9", "10.213.12.77"
PROMPT = 3


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    """Yield a libvirt network, whose bridge has an address of the hypervisor."""
    xml = f"""<network><name>{NETWORK}</name><bridge name='{BRIDGE}'/><ip address='{GATEWAY}' prefix='24'>
        <dhcp><range start='10.213.12.50' end='10.213.12.60'/></dhcp></ip></network>"""
    virsh("net-create", "/dev/stdin", stdin=xml)
    yield
    try_virsh("net-destroy", NETWORK)


@contextmanager
def described(**options: Any) -> Iterator[dict[str, Any]]:
    """Yield a VM whose disk has a Linux without network configuration."""
    vm = {
        "uuid": str(uuid.uuid4()),
        "name": "guest",
        "memory": "128MiB",
        "cpu_num": 1,
        "cpu_speed": 1024,
        "domain_type": "qemu",
        "nics": [{"bridge_name": BRIDGE, "mac": MAC}],
        "use_boot_menu": False,
        **options,
    }
    with image_directory() as images:
        vm["root_volume"] = {"install_path": str(linux_guest.boot_disk(images / "guest.qcow2"))}
        try:
            yield vm
        finally:
            remove_domain(vm["uuid"])


def agent(vm: dict[str, Any], command: str, **arguments: Any) -> bool:
    """Return whether the guest's agent responds."""
    request = json.dumps({"execute": command, "arguments": arguments} if arguments else {"execute": command})
    return try_virsh("qemu-agent-command", vm["uuid"], "--timeout", "1", request).returncode == 0


def wait(vm: dict[str, Any], seconds: int = PROMPT) -> Any:
    return start({**vm, "wait_for": "address", "timeout": seconds})


class TestWithAnAgent:
    @pytest.fixture(scope="class")
    def vm(self, network: None) -> Iterator[dict[str, Any]]:
        channel = {"socket_path": f"/run/zstack-kvm-test-{uuid.uuid4()}", "target_name": "org.qemu.guest_agent.0"}
        with described(channels=[channel]) as vm:
            yield vm

    @pytest.fixture(scope="class")
    def first(self, vm: dict[str, Any]) -> Any:
        """Return the run that started the VM, which got its address only when its agent had answered for a while."""
        with ThreadPoolExecutor() as pool:
            run = pool.submit(wait, vm, linux_guest.BOOT_SECONDS)
            wait_until(lambda: agent(vm, "guest-ping"), "its agent answers", linux_guest.BOOT_SECONDS)
            assert not run.done()
            add = f"ip address add {ADDRESS}/24 dev eth0"
            assert agent(vm, "guest-exec", path="/bin/sh", arg=["-c", add])
            return run.result()

    def test_the_address_that_others_can_use_comes_first(self, first: Any) -> None:
        assert not first.failed, first.output
        best, *others = first.vm["addresses"]
        expected = {"address": ADDRESS, "prefix": 24, "mac": MAC, "interface": "eth0", "source": "agent"}
        assert best == expected
        assert all(each["address"].startswith("fe80:") for each in others)

    def test_a_vm_that_ran_before_has_it_at_once(self, vm: dict[str, Any], first: Any) -> None:
        run = wait(vm)
        assert (run.vm["changed"], run.vm["addresses"][0]["address"]) == (False, ADDRESS)

    @pytest.fixture
    def link_local(self, vm: dict[str, Any], first: Any) -> Iterator[None]:
        """Take its other address from the guest for a while."""
        change = f"ip address %s {ADDRESS}/24 dev eth0"
        assert agent(vm, "guest-exec", path="/bin/sh", arg=["-c", change % "del"])
        wait_until(lambda: ADDRESS not in virsh("domifaddr", vm["uuid"], "--source", "agent"))
        yield
        assert agent(vm, "guest-exec", path="/bin/sh", arg=["-c", change % "add"])
        wait_until(lambda: ADDRESS in virsh("domifaddr", vm["uuid"], "--source", "agent"))

    @pytest.mark.usefixtures("link_local")
    def test_a_link_local_address_is_not_enough(self, vm: dict[str, Any]) -> None:
        run = wait(vm)
        assert (run.error["code"], run.error["phase"]) == ("address_timeout", "wait_for_address")
        assert run.error["rollback"] == "not_needed"
        assert re.search(rf"last seen: fe80:\S+ of {MAC} from agent, which is link-local", run.error["message"])


class TestWithoutAnAgent:
    @pytest.fixture(scope="class")
    def vm(self, network: None) -> Iterator[dict[str, Any]]:
        patches = [
            {"action": "set", "xpath": "/domain/devices/interface/@type", "value": "network"},
            {
                "action": "replace",
                "xpath": "/domain/devices/interface/source",
                "value": f"<source network='{NETWORK}'/>",
            },
        ]
        with described(domain_patches=patches) as vm:
            assert not start(vm).failed
            linux_guest.wait_until_booted(vm["uuid"])
            yield vm

    @pytest.fixture(scope="class")
    def lease(self, vm: dict[str, Any]) -> str:
        """Return the address that the guest was offered and has not configured."""
        output = linux_guest.execute(vm["uuid"], "udhcpc -i eth0 -n -q -f -s /bin/true")
        found = re.search(r"lease of (\S+) obtained", output)
        assert found, output
        return found[1]

    @contextmanager
    def configured(self, vm: dict[str, Any], address: str) -> Iterator[None]:
        """Give the guest an address for a while, and let the hypervisor hear of it."""
        use = f"ip address add {address}/24 dev eth0; ping -c 1 -I {address} {GATEWAY}"
        linux_guest.execute(vm["uuid"], use)
        try:
            yield
        finally:
            linux_guest.execute(vm["uuid"], f"ip address del {address}/24 dev eth0")
            subprocess.run(["ip", "neighbour", "flush", "dev", BRIDGE], check=True)

    def test_a_lease_that_the_guest_does_not_use_is_not_enough(self, vm: dict[str, Any], lease: str) -> None:
        run = wait(vm)
        assert run.error["code"] == "address_timeout"
        assert f"{lease} of {MAC} from lease, which does not answer" in run.error["message"]

    def test_a_lease_that_it_uses_is(self, vm: dict[str, Any], lease: str) -> None:
        with self.configured(vm, lease):
            (found,) = wait(vm, 30).vm["addresses"]
        assert (found["address"], found["source"]) == (lease, "lease")

    def test_and_so_is_what_the_arp_table_knows(self, vm: dict[str, Any]) -> None:
        with self.configured(vm, OTHER_ADDRESS):
            found = {each["address"]: each["source"] for each in wait(vm, 30).vm["addresses"]}
        assert found[OTHER_ADDRESS] == "arp"

    def test_a_lease_from_before_the_start_is_not_enough(self, vm: dict[str, Any], lease: str) -> None:
        virsh("destroy", vm["uuid"])
        run = wait(vm)
        assert (run.error["code"], run.vm["state"]) == ("address_timeout", "running")
        assert f"{lease} of {MAC} from lease, which does not answer" in run.error["message"]


def test_the_lack_of_any_address_is_reported(network: None, new_vm: NewVm) -> None:
    run = wait(new_vm(nics=[{"bridge_name": BRIDGE, "mac": "52:54:00:0e:0e:02"}]))
    assert run.error["code"] == "address_timeout"
    assert "(no address was seen; its guest agent is not connected) for 3 seconds" in run.error["message"]
