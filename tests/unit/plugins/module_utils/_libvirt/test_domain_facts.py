# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain's XML tells, also of domains that others than ZStack have made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import domain_facts
from lxml import etree

LOOPBACK = {"lo": {"hwaddr": "00:00:00:00:00:00", "addrs": [{"type": 0, "addr": "127.0.0.1", "prefix": 8}]}}


def domain(content: str) -> etree._Element:
    always = "<name>x</name><memory>2048</memory><vcpu current='1'>4</vcpu>"
    return etree.fromstring("<domain>%s%s</domain>" % (always, content))


def devices(content: str) -> etree._Element:
    return domain("<devices>%s</devices>" % content)


def nic(name: str, mac: str, address: str, prefix: int = 24) -> dict[str, Any]:
    """One NIC as libvirt tells of its addresses."""
    return {name: {"hwaddr": mac, "addrs": [{"type": 0, "addr": address, "prefix": prefix}]}}


def test_a_domain_of_nobody_has_its_own_name_and_no_metadata() -> None:
    assert domain_facts.identity(domain("")) == {
        "name": "x",
        "domain_name": "x",
        "metadata": {"internal_id": None, "host_management_ip": None},
        "memory": 2048 * 1024,
        "cpus": 1,
    }


def test_a_vm_of_zstack_has_its_name_and_metadata() -> None:
    described = domain_facts.identity(
        domain(
            "<description>web 01</description><metadata><zs:zstack xmlns:zs='http://zstack.org'>"
            "<internalId>42</internalId><hostManagementIp>10.0.0.2</hostManagementIp></zs:zstack></metadata>"
        )
    )
    assert described["name"] == "web 01"
    assert described["metadata"] == {"internal_id": 42, "host_management_ip": "10.0.0.2"}


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


def test_an_address_is_there_once_and_from_the_best_source() -> None:
    answers = {
        "agent": {**LOOPBACK, **nic("eth0", "FA:00:00:00:00:01", "10.0.0.5")},
        "lease": nic("vnet0", "fa:00:00:00:00:01", "10.0.0.5"),
        "arp": {**nic("vnet0", "fa:00:00:00:00:01", "10.0.0.5", 0), **nic("vnet1", "fa:00:00:00:00:02", "fe80::1", 0)},
    }
    found = domain_facts.merge_addresses(answers)
    assert [(each["address"], each["interface"], each["source"], each["prefix"]) for each in found] == [
        ("10.0.0.5", "eth0", "agent", 24),
        ("fe80::1", "vnet1", "arp", None),
    ]


def test_a_nic_without_addresses_has_none() -> None:
    assert domain_facts.merge_addresses({"agent": {"eth0": {"hwaddr": "fa:00:00:00:00:01", "addrs": None}}}) == []


def test_the_kernel_is_asked_for_what_libvirt_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "proc" / "net").mkdir(parents=True)
    (tmp_path / "proc" / "net" / "arp").write_text(
        "IP address  HW type  Flags  HW address         Mask  Device\n"
        "10.0.0.5    0x1      0x2    fa:00:00:00:00:01  *     br0\n"
        "10.0.0.6    0x1      0x0    00:00:00:00:00:00  *     br0\n"
        "10.0.0.7    0x1      0x6    fa:00:00:00:00:02  *     br0\n"
    )
    live = devices("<interface type='bridge'><mac address='FA:00:00:00:00:01'/><target dev='vnet0'/></interface>")
    answer = domain_facts.arp_answer(live, HostSystem(str(tmp_path)).arp_table())
    found = domain_facts.merge_addresses({"arp": answer})
    assert [(each["address"], each["interface"], each["source"]) for each in found] == [("10.0.0.5", "vnet0", "arp")]


def test_the_age_of_a_process_is_told_only_of_the_one_that_is_meant(tmp_path: Path) -> None:
    process = tmp_path / "proc" / "7"
    process.mkdir(parents=True)
    (tmp_path / "proc" / "uptime").write_text("1000.50 1.00\n")
    (process / "cmdline").write_text("qemu\0-uuid\0the-uuid\0")
    (process / "stat").write_text("7 (qemu (x) y) S " + " ".join(["0"] * 18) + " 60000 0 0\n")
    system = HostSystem(str(tmp_path))
    assert system.process_age(7, "the-uuid") == 1000.5 - 60000 / 100
    assert system.process_age(7, "another") is None
    assert system.process_age(8, "the-uuid") is None
