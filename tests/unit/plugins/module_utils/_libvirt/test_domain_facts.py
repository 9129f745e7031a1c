# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Information from a domain's XML, even of domains that were not defined by ZStack."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import domain_facts
from ansible_collections.zstack.kvm.plugins.module_utils.addresses import merge_addresses
from lxml import etree


def domain(content: str) -> etree._Element:
    always = "<name>x</name><memory>2048</memory><vcpu current='1'>4</vcpu>"
    return etree.fromstring("<domain>%s%s</domain>" % (always, content))


def devices(content: str) -> etree._Element:
    return domain("<devices>%s</devices>" % content)


def test_a_nic_on_a_libvirt_network_has_the_bridge_as_well() -> None:
    live = devices("<interface type='network'><source network='default' bridge='virbr0'/></interface>")
    (nic,) = domain_facts.nics(live, {})
    assert (nic["bridge"], nic["network"]) == ("virbr0", "default")


def test_a_foreign_domain_has_its_own_name_and_no_metadata() -> None:
    assert domain_facts.identity(domain("")) == (
        {
            "name": "x",
            "domain_name": "x",
            "metadata": {"internal_id": None, "host_management_ip": None},
            "memory": 2048 * 1024,
            "cpus": 1,
        },
        [],
    )


def test_a_vm_of_zstack_has_its_name_and_metadata() -> None:
    described, warnings = domain_facts.identity(
        domain(
            "<description>web 01</description><metadata><zs:zstack xmlns:zs='http://zstack.org'>"
            "<internalId>42</internalId><hostManagementIp>10.0.0.2</hostManagementIp></zs:zstack></metadata>"
        )
    )
    assert described["name"] == "web 01"
    assert described["metadata"] == {"internal_id": 42, "host_management_ip": "10.0.0.2"}
    assert warnings == []


@pytest.mark.parametrize("number", ["forty-two", "-1", "1.5", "\u00b2", "\u0664", "9" * 5000, "4 2"])
def test_an_invalid_internal_id_is_ignored(number: str) -> None:
    metadata, warnings = domain_facts.zstack_metadata(metadata_of(number, "10.0.0.2"))
    assert metadata == {"internal_id": None, "host_management_ip": "10.0.0.2"}
    assert warnings == ["the internalId in the metadata of the domain is not a number, and is ignored"]


@pytest.mark.parametrize("address", ["here", "10.0.0.2; reboot", "{{ 6 * 7 }}", "10.0.0.256", "fe80::1%$(reboot)"])
def test_an_invalid_management_address_is_ignored(address: str) -> None:
    metadata, warnings = domain_facts.zstack_metadata(metadata_of("42", address))
    assert metadata == {"internal_id": 42, "host_management_ip": None}
    assert warnings == ["the hostManagementIp in the metadata of the domain is not an address, and is ignored"]


def metadata_of(number: str, address: str) -> etree._Element:
    return domain(
        "<metadata><zs:zstack xmlns:zs='http://zstack.org'><internalId>%s</internalId>"
        "<hostManagementIp>%s</hostManagementIp></zs:zstack></metadata>" % (number, address)
    )


def test_a_name_is_one_clean_line() -> None:
    described, _warnings = domain_facts.identity(domain("<description>web\n\u009b2J\u202e01</description>"))
    assert described["name"] == "web \ufffd2J\ufffd01"


def test_a_nic_that_libvirt_has_not_given_an_address_yet_has_none() -> None:
    without_mac = devices("<interface type='user'/>")
    assert domain_facts.nics(without_mac, {})[0]["mac"] is None
    assert domain_facts.arp_answer(without_mac, {}) == {}


def test_where_the_data_of_disks_lies() -> None:
    found = domain_facts.disks(
        devices("""
      <disk type='file'><driver type='qcow2'/><source file='/a.qcow2'/><target dev='vda'/></disk>
      <disk type='block' device='lun'><driver type='raw'/><source dev='/dev/b'/><target dev='sda'/></disk>
      <disk type='network'><source protocol='rbd' name='pool/c'/><target dev='vdb'/></disk>
      <disk type='volume'><source pool='p' volume='d'/><target dev='vdc'/></disk>
      <disk type='file' device='cdrom'><target dev='hdc'/></disk>""")
    )
    assert [(disk["target"], disk["device"], disk["source"], disk["format"]) for disk in found] == [
        ("vda", "disk", "/a.qcow2", "qcow2"),
        ("sda", "lun", "/dev/b", "raw"),
        ("vdb", "disk", "rbd:pool/c", None),
        ("vdc", "disk", "d", None),
        ("hdc", "cdrom", None, None),
    ]


def test_which_images_lie_below_a_disk() -> None:
    (disk,) = domain_facts.disks(
        devices("""
      <disk type='file'><source file='/s2'/><target dev='vda'/>
        <backingStore type='file'><source file='/s1'/>
          <backingStore type='network'><source protocol='rbd' name='pool/c'/><backingStore/></backingStore>
        </backingStore>
      </disk>""")
    )
    assert (disk["source"], disk["backing_chain"], disk["overlay_of"]) == ("/s2", ["/s1", "rbd:pool/c"], None)


def test_what_nics_are_connected_to() -> None:
    found = domain_facts.nics(
        devices("""
      <interface type='bridge'>
        <mac address='m1'/><source bridge='br0'/><target dev='vnet0'/><model type='virtio'/>
      </interface>
      <interface type='network'><mac address='m2'/><source network='default' bridge='virbr0'/></interface>
      <interface type='user'><mac address='m3'/></interface>"""),
        {"vnet0": ""},
    )
    assert [
        (each["mac"], each["type"], each["bridge"], each["model"], each["device"], each["connected"]) for each in found
    ] == [
        ("m1", "bridge", "br0", "virtio", "vnet0", False),
        ("m2", "network", "virbr0", None, None, None),
        ("m3", "user", None, None, None, None),
    ]


def test_the_agent_is_asked_only_where_its_channel_is_open() -> None:
    channel = "<channel><target name='org.qemu.guest_agent.0' state='%s'/></channel>"
    assert domain_facts.has_agent(devices(channel % "connected"))
    assert not domain_facts.has_agent(devices(channel % "disconnected"))
    assert not domain_facts.has_agent(devices(""))


def test_the_kernel_is_queried_for_what_libvirt_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "proc" / "net").mkdir(parents=True)
    (tmp_path / "proc" / "net" / "arp").write_text(
        "IP address  HW type  Flags  HW address         Mask  Device\n"
        "10.0.0.5    0x1      0x2    fa:00:00:00:00:01  *     br0\n"
        "10.0.0.6    0x1      0x0    00:00:00:00:00:00  *     br0\n"
        "10.0.0.7    0x1      0x6    fa:00:00:00:00:02  *     br0\n"
    )
    live = devices("<interface type='bridge'><mac address='FA:00:00:00:00:01'/><target dev='vnet0'/></interface>")
    answer = domain_facts.arp_answer(live, HostSystem(str(tmp_path)).network.arp_table())
    found, _warnings = merge_addresses({"arp": answer})
    assert [(each["address"], each["interface"], each["source"]) for each in found] == [("10.0.0.5", "vnet0", "arp")]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("<name>n</name>", "n"),
        ("<name>n</name><description>d</description>", "d"),
        ("<name>n</name><title>t</title><description>d</description>", "t"),
        ("<name>n</name><title>a&#10;b</title>", "a b"),
    ],
)
def test_the_name_of_a_domain_in_messages_is_one_line(names: str, shown: str) -> None:
    domain = etree.fromstring("<domain>%s<uuid>u</uuid></domain>" % names)
    assert domain_facts.label(domain) == "VM %s (u)" % shown
