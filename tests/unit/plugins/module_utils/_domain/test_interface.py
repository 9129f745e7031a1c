# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NICs as libvirt gets them: model, MTU, link, queues, filter, isolation, virtual functions."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree


def built(**nic: Any) -> DesiredDomain:
    """Return the domain of a VM with one NIC."""
    desired = build(parsed_vm(nics=[{"bridge_name": "br0", **nic}]), recorded_host("debian-12"), StorageFacts({}))
    assert schema_errors(desired.element) == []
    return desired


def interface(**nic: Any) -> etree._Element:
    return built(**nic).element.find("devices/interface")


def attributes(element: Optional[etree._Element]) -> Optional[dict[str, str]]:
    return None if element is None else dict(element.attrib)


def test_a_nic_without_options_is_a_virtio_nic_and_nothing_more() -> None:
    assert [child.tag for child in interface()] == ["mac", "source", "model"]


def test_the_model_is_that_of_the_nic() -> None:
    assert interface(model="rtl8139").find("model").get("type") == "rtl8139"


def test_the_mtu_is_written() -> None:
    assert attributes(interface(mtu=1450).find("mtu")) == {"size": "1450"}


@pytest.mark.parametrize(("state", "link"), [("up", None), ("down", {"state": "down"})])
def test_the_link_is_written_where_it_is_down(state: str, link: Optional[dict[str, str]]) -> None:
    assert attributes(interface(link_state=state).find("link")) == link


def test_several_queues_are_served_as_zstack_serves_them() -> None:
    assert attributes(interface(queues=4, rx_queue_size=512).find("driver")) == {
        "name": "vhost",
        "txmode": "iothread",
        "ioeventfd": "on",
        "event_idx": "off",
        "queues": "4",
        "rx_queue_size": "512",
    }


@pytest.mark.parametrize(("given", "written"), [(True, "yes"), (False, "no")])
def test_an_isolated_nic_is_an_isolated_port(given: bool, written: str) -> None:
    assert attributes(interface(isolated=given).find("port")) == {"isolated": written}


def test_the_address_is_where_the_guest_finds_the_nic() -> None:
    assert attributes(interface(address={"type": "pci", "slot": 7}).find("address")) == {
        "type": "pci",
        "domain": "0x0000",
        "bus": "0x00",
        "slot": "0x07",
        "function": "0x0",
    }


@pytest.mark.parametrize(
    ("nic", "allowed"),
    [
        ({"ip": "10.0.0.1"}, "10.0.0.1"),
        ({"ips": ["10.0.0.1"]}, None),
        ({"ip": "10.0.0.1", "clean_traffic": False}, None),
        ({"clean_traffic": True, "ips": ["fd00::5", "10.0.0.2", "10.0.0.3"]}, "10.0.0.3"),
        ({"clean_traffic": True}, "the one that the guest uses"),
        ({"clean_traffic": True, "ips": ["fd00::5"]}, None),
    ],
)
def test_the_filter_allows_the_last_ipv4_address(nic: dict[str, Any], allowed: Optional[str]) -> None:
    filterref = interface(**nic).find("filterref")

    assert (filterref is not None) == (allowed is not None)
    if filterref is not None:
        assert filterref.get("filter") == "clean-traffic"
        assert [each.get("value") for each in filterref] == ([allowed] if "10." in (allowed or "") else [])


def test_a_nic_with_ipv6_addresses_only_has_no_filter_and_a_warning() -> None:
    (warning,) = built(clean_traffic=True, ips=["fd00::5"]).warnings

    assert warning.startswith("vms[0].nics[0].clean_traffic has no effect: the filter clean-traffic has IPv4 only")


def test_a_virtual_function_is_passed_through_with_its_vlan() -> None:
    nic = interface(pci_device_address="5e:02.1", vlan_id=30, mac="fa:00:00:00:00:01")

    assert attributes(nic) == {"type": "hostdev", "managed": "yes"}
    assert attributes(nic.find("source/address")) == {
        "type": "pci",
        "domain": "0x0000",
        "bus": "0x5e",
        "slot": "0x02",
        "function": "0x1",
    }
    assert attributes(nic.find("driver")) == {"name": "vfio"}
    assert attributes(nic.find("vlan/tag")) == {"id": "30"}
    assert nic.find("model") is None


def test_a_virtual_function_warns_of_limits_and_filters_that_have_no_effect() -> None:
    warnings = built(
        pci_device_address="5e:02.1", clean_traffic=True, mtu=9000, qos={"inbound_bandwidth": 9000}
    ).warnings

    assert [warning.partition(" ")[0] for warning in warnings] == ["vms[0].nics[0].clean_traffic", "vms[0].nics[0].qos"]
