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
