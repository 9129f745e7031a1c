# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a guest, from its agent and from the DHCP server of a libvirt network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import vm_information
from ansible_collections.zstack.kvm.tests.integration.conftest import image_directory
from ansible_collections.zstack.kvm.tests.support import linux_guest
from ansible_collections.zstack.kvm.tests.support.in_process import hypervisor
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS
from ansible_collections.zstack.kvm.tests.support.virsh import remove_domain, try_virsh, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

NETWORK, MAC, OWN_ADDRESS = "leases", "52:54:00:0a:dd:01", "10.213.9.7"


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    xml = f"""<network><name>{NETWORK}</name><bridge name='vbrleases'/><ip address='10.213.8.1' prefix='24'>
        <dhcp><range start='10.213.8.50' end='10.213.8.60'/></dhcp></ip></network>"""
    virsh("net-create", "/dev/stdin", stdin=xml)
    yield
    try_virsh("net-destroy", NETWORK)


@pytest.fixture(scope="module")
def guest(network: None) -> Iterator[str]:
    """Yield a Linux with an agent, with one address from DHCP and another that it has configured itself."""
    identity = str(uuid.uuid4())
    with image_directory() as images:
        disk = linux_guest.boot_disk(images / "disk.qcow2")
        xml = f"""<domain type='qemu'><name>{identity}</name><uuid>{identity}</uuid><memory unit='MiB'>128</memory>
            <os><type arch='x86_64'>hvm</type></os><devices><disk type='file'><driver name='qemu' type='qcow2'/>
            <source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
            <interface type='network'><mac address='{MAC}'/><source network='{NETWORK}'/>
            <model type='virtio'/></interface>
            <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
            <serial type='pty'/><graphics type='vnc'/><video><model type='vga'/></video></devices></domain>"""
        virsh("define", "/dev/stdin", stdin=xml)
        virsh("start", identity)
        linux_guest.wait_until_booted(identity)
        yield identity
        remove_domain(identity)


def look(identity: str) -> dict[str, Any]:
    (entry,) = vm_information(hypervisor(), HostSystem(), [identity])
    return entry


def test_addresses_have_the_source_that_knows_them(guest: str) -> None:
    output = linux_guest.execute(guest, f"udhcpc -i eth0 -n -q -f; ip address add {OWN_ADDRESS}/20 dev eth0")
    leased = re.search(r"lease of (\S+) obtained", output)[1]
    # libvirt learns about it from a helper of its DHCP server.
    wait_until(lambda: leased in virsh("net-dhcp-leases", NETWORK))
    addresses = {each["address"]: each for each in look(guest)["addresses"]}
    # busybox's client prints its lease and configures nothing, so that the agent doesn't know the address.
    assert addresses[leased] == {
        "address": leased, "prefix": 24, "mac": MAC, "interface": look(guest)["nics"][0]["device"], "source": "lease",
    }  # fmt: skip
    assert addresses[OWN_ADDRESS] == {
        "address": OWN_ADDRESS, "prefix": 20, "mac": MAC, "interface": "eth0", "source": "agent",
    }  # fmt: skip


def test_what_the_agent_knows_too_is_listed_once(guest: str) -> None:
    output = linux_guest.execute(guest, "udhcpc -i eth0 -n -q -f")
    leased = re.search(r"lease of (\S+) obtained", output)[1]
    linux_guest.execute(guest, f"ip address add {leased}/24 dev eth0")
    sources = [each["source"] for each in look(guest)["addresses"] if each["address"] == leased]
    linux_guest.execute(guest, f"ip address del {leased}/24 dev eth0")
    assert sources == ["agent"]


def test_the_inventory_has_them_too(guest: str, tmp_path: Path) -> None:
    linux_guest.execute(guest, f"ip address replace {OWN_ADDRESS}/20 dev eth0")
    configuration = tmp_path / "here.zstack_vms.yml"
    content = {"plugin": "zstack.kvm.zstack_vms", "hypervisors": {"here": "qemu:///system"}}
    configuration.write_text(json.dumps(content), encoding="utf-8")
    variables = json.loads(
        subprocess.check_output(
            [Path(sys.executable).with_name("ansible-inventory"), "-i", configuration, "--host", guest],
            env={"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), **os.environ},
        )
    )
    addresses = [each["address"] for each in variables["zstack_vm_addresses"]]
    assert OWN_ADDRESS in addresses
    assert addresses == [each["address"] for each in look(guest)["addresses"]]


def test_what_libvirt_adds_to_a_definition_requires_no_restart(guest: str) -> None:
    assert look(guest)["restart_required"] is False
