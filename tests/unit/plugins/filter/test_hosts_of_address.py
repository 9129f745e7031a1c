# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that a StartVmCmd refers to."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.filter.hosts_of_address import FilterModule

hosts_of_address = FilterModule().filters()["hosts_of_address"]

ADDRESS = "10.0.0.11"


def test_a_host_is_found_by_its_address_or_its_name() -> None:
    hosts = [{"inventory_hostname": "hv1", "ansible_host": ADDRESS}, {"inventory_hostname": ADDRESS}]
    assert hosts_of_address(hosts, ADDRESS) == ["hv1", ADDRESS]


def test_the_management_address_has_precedence() -> None:
    hosts = [
        {"inventory_hostname": "hv1", "ansible_host": ADDRESS, "zstack_host_management_ip": "10.1.0.11"},
        {"inventory_hostname": "hv2", "ansible_host": "hv2.example", "zstack_host_management_ip": ADDRESS},
    ]
    assert hosts_of_address(hosts, ADDRESS) == ["hv2"]


def test_there_may_be_no_such_host() -> None:
    assert hosts_of_address([{"inventory_hostname": "hv1"}], ADDRESS) == []


def test_the_uuid_decides_between_hosts_of_one_address() -> None:
    hosts = [
        {"inventory_hostname": "hv1", "ansible_host": ADDRESS},
        {
            "inventory_hostname": "hv2",
            "ansible_host": ADDRESS,
            "zstack_host_uuid": "0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02",
        },
    ]
    assert hosts_of_address(hosts, ADDRESS, "0D0C2F866F0E4F1B8A501F3F0D7D6A02") == ["hv2"]
    assert hosts_of_address(hosts, "10.9.9.9", "0d0c2f866f0e4f1b8a501f3f0d7d6a02") == ["hv2"]


def test_a_uuid_that_no_host_has_leaves_it_to_the_address() -> None:
    hosts = [{"inventory_hostname": "hv1", "ansible_host": ADDRESS}, {"inventory_hostname": "hv2"}]
    assert hosts_of_address(hosts, ADDRESS, "0d0c2f866f0e4f1b8a501f3f0d7d6a02") == ["hv1"]


def test_a_uuid_and_an_address_of_two_hosts_name_both() -> None:
    hosts = [
        {"inventory_hostname": "hv1", "ansible_host": ADDRESS},
        {"inventory_hostname": "hv2", "zstack_host_uuid": "a"},
    ]
    assert hosts_of_address(hosts, ADDRESS, "a") == ["hv2", "hv1"]
