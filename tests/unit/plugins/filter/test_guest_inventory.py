# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of guests: which hosts it has, and how they are reached."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.filter.guest_inventory import FilterModule

guest_inventory = FilterModule().filters()["guest_inventory"]
NETWORK, BRIDGE = [{"type": "network"}], [{"type": "bridge"}]


def vm(name: str, address: Any = "10.0.0.7", nics: Any = None) -> dict[str, Any]:
    return {"name": name, "uuid": f"uuid-of-{name}", "address": address, "nics": nics or NETWORK}


def hosts(*vms: dict[str, Any], **hypervisor: Any) -> dict[str, dict[str, str]]:
    variables = {"inventory_hostname": "hv1", "zstack_created": {"vms": list(vms)}, **hypervisor}
    found: dict[str, Any] = guest_inventory([variables, {"inventory_hostname": "hv2"}], "ops")
    hosts_: dict[str, dict[str, str]] = found["created_vms"]["hosts"]
    return hosts_


def ssh_options(host: dict[str, str]) -> dict[str, str]:
    words = shlex.split(host["ansible_ssh_common_args"])
    return dict(word.split("=", 1) for word in words if word != "-o")


def test_each_vm_with_an_address_is_a_host() -> None:
    found = hosts(vm("b"), vm("a"), vm("none", None), {"uuid": "absent", "state": "absent"})
    assert list(found) == ["a", "b"]
    assert {name: value for name, value in found["a"].items() if name != "ansible_ssh_common_args"} == {
        "ansible_host": "10.0.0.7",
        "ansible_user": "ops",
        "zstack_vm_uuid": "uuid-of-a",
        "zstack_vm_hypervisor": "hv1",
    }


def test_its_host_key_is_known_by_its_uuid() -> None:
    assert ssh_options(hosts(vm("a", nics=BRIDGE))["a"]) == {
        "HostKeyAlias": "uuid-of-a",
        "StrictHostKeyChecking": "accept-new",
    }


def test_a_libvirt_network_is_behind_its_hypervisor() -> None:
    way = {"ansible_host": "192.0.2.1", "ansible_user": "root", "ansible_ssh_private_key_file": "/a key%"}
    command = ssh_options(hosts(vm("a"), **way, ansible_ssh_common_args="-o 'A=b c'")["a"])["ProxyCommand"]
    assert command.split(" ", 4)[:4] == ["ssh", "-W", "%h:%p", "-q"]
    assert shlex.split(command)[4:] == ["-l", "root", "-i", "/a key%%", "-o", "A=b c", "192.0.2.1"]


def test_without_a_proxy_if_ansible_runs_on_the_hypervisor() -> None:
    assert "ProxyCommand" not in ssh_options(hosts(vm("a"), ansible_connection="local")["a"])


class TestOfTheInventoryWrittenBefore:
    WRITTEN = yaml.safe_dump(
        guest_inventory(
            [{"inventory_hostname": hv, "zstack_created": {"vms": [vm(f"of-{hv}")]}} for hv in ("hv1", "hv2", "hv3")],
            "ops",
        )
    )

    def test_guests_of_other_hypervisors_are_kept(self) -> None:
        now = {"inventory_hostname": "hv1", "zstack_created": {"vms": [vm("new")]}}
        found = guest_inventory([now], "ops", others=["hv2"], written=self.WRITTEN)
        assert list(found["created_vms"]["hosts"]) == ["new", "of-hv2"]

    def test_a_vm_that_has_moved_is_where_it_is_now(self) -> None:
        now = {"inventory_hostname": "hv1", "zstack_created": {"vms": [vm("of-hv2")]}}
        found = guest_inventory([now], "ops", others=["hv2"], written=self.WRITTEN)
        assert found["created_vms"]["hosts"]["of-hv2"]["zstack_vm_hypervisor"] == "hv1"

    @pytest.mark.parametrize(
        "text", ["a: [", "some text", "all: {}", "created_vms: {hosts: [a]}", "created_vms: {hosts: {a: b}}"]
    )
    def test_what_else_is_in_the_file_is_not_overwritten(self, text: str) -> None:
        with pytest.raises(AnsibleFilterError, match="zstack_inventory: the file exists, and is no inventory"):
            guest_inventory([], "ops", written=text)
