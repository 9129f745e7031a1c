# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role networks: libvirt networks that are defined, active and start with the hypervisor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.support.playbook import run_tasks
from ansible_collections.zstack.kvm.tests.support.virsh import try_virsh, virsh
from lxml import etree

pytestmark = pytest.mark.timeout(300)

NAME, BRIDGED = "role-nat", "role-bridged"
NAT = {"name": NAME, "address": "10.215.1.1/24", "dhcp_start": "10.215.1.50", "dhcp_end": "10.215.1.60"}
ISOLATED = {"name": NAME, "mode": "isolated", "address": "10.215.2.1/24"}
ON_BRIDGE = {"name": BRIDGED, "mode": "bridge", "bridge": "br_eth1"}


@pytest.fixture(autouse=True)
def removed() -> Iterator[None]:
    """Remove the networks afterwards."""
    yield
    for name in (NAME, BRIDGED):
        try_virsh("net-destroy", name)
        try_virsh("net-undefine", name)


def roles(*runs: dict[str, Any]) -> list[list[str]]:
    """Run the role once with each of these variables, in one playbook, and return what each run planned and changed."""
    tasks = [{"ansible.builtin.include_role": {"name": "zstack.kvm.networks"}, "vars": variables} for variables in runs]
    results = run_tasks(tasks)
    return [result["stdout_lines"] for result in results if "stdout_lines" in result]


def definition(name: str) -> etree._Element:
    return etree.fromstring(virsh("net-dumpxml", "--inactive", name))


def test_networks_are_created_once_and_changed_when_their_description_changes() -> None:
    networks = {"networks_libvirt": [NAT, ON_BRIDGE]}
    changed = {"networks_libvirt": [ISOLATED], "networks_restart": True}
    planned, first, second, planned_again, third, last = roles(networks, networks, changed, changed)
    assert (planned, planned_again) == (first, third)
    assert first == [
        line for name in (NAME, BRIDGED) for line in (f"{name}: defined", f"{name}: started",
                                                      f"{name}: starts with the hypervisor")
    ]  # fmt: skip
    assert (second, last) == ([], [])
    assert third == [f"{NAME}: redefined (mode, address, dhcp)", f"{NAME}: stopped", f"{NAME}: started"]
    assert "active" in virsh("net-list", "--all")
    network = definition(NAME)
    assert (network.find("forward"), network.find("ip").get("address")) == (None, "10.215.2.1")
    assert definition(BRIDGED).find("bridge").get("name") == "br_eth1"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({**ON_BRIDGE, "bridge": "br_none"}, "the hypervisor has no bridge br_none"),
        ({"name": NAME}, "needs an address"),
        (
            {**NAT, "dhcp_end": "10.99.9.9"},
            f"networks_libvirt[0] ({NAME}): the range 10.215.1.50 to 10.99.9.9 is not in 10.215.1.0/24",
        ),
        ({**NAT, "address": "10.215.1.300/24"}, f"networks_libvirt[0] ({NAME}): Octet 300"),
    ],
    ids=["bridge", "no address", "range", "address"],
)
def test_what_cannot_be_is_an_error(network: dict[str, str], message: str) -> None:
    results = run_tasks(
        [{"ansible.builtin.include_role": {"name": "zstack.kvm.networks"}, "vars": {"networks_libvirt": [network]}}]
    )
    assert message in str([(result.get("msg"), result.get("results")) for result in results])
    assert NAME not in virsh("net-list", "--all", "--name").split()
