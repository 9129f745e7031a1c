# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest whose agent attacks its hypervisor harms only its own VM, on a real channel.

libvirt talks to the agent through a socket that a program of the test listens on: it answers instead of the
guest's own agent, which holds the guest's end of the channel open.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import vm_information
from ansible_collections.zstack.kvm.tests.integration.conftest import image_directory
from ansible_collections.zstack.kvm.tests.support import linux_guest, media
from ansible_collections.zstack.kvm.tests.support.in_process import hypervisor
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS
from ansible_collections.zstack.kvm.tests.support.virsh import definition, remove_domain, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

# What the agent sends in response to a request for its interfaces, in pieces.
Answer = Callable[[], Iterator[bytes]]
MAC = "52:54:00:0a:dd:02"
OWN = {"ip-address-type": "ipv4", "ip-address": "10.1.2.3", "prefix": 24}
CONNECTED = 'devices/channel/target[@name="org.qemu.guest_agent.0"][@state="connected"]'


class HostileAgent:
    """Listens where libvirt looks for the agent, and answers its requests as the guest would."""

    def __init__(self, path: Path) -> None:
        self.answer: Answer = interfaces
        self.request_count = 0
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        path.chmod(0o666)
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _address = self._server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as requests:
            for line in requests:
                request = re.search(rb'\{"execute".*', line)
                if request is None:
                    continue
                for piece in self._pieces(json.loads(request.group())):
                    connection.sendall(piece)

    def _pieces(self, request: dict[str, Any]) -> Iterator[bytes]:
        if request["execute"].startswith("guest-sync"):
            yield b"\xff" * (request["execute"] == "guest-sync-delimited")
            yield returned(request["arguments"]["id"])
        elif request["execute"] == "guest-network-get-interfaces":
            self.request_count += 1
            yield from self.answer()
        else:
            yield returned({})


def returned(value: Any) -> bytes:
    return json.dumps({"return": value}).encode() + b"\n"


def interfaces(count: int = 1, **replaced: Any) -> Iterator[bytes]:
    """Yield an answer with so many NICs, each with the address OWN; C(replaced) are other contents of a NIC."""
    nic = {"hardware-address": MAC, "ip-addresses": [OWN], **replaced}
    yield returned([{"name": f"eth{number}", **nic} for number in range(count)])


def endless() -> Iterator[bytes]:
    yield b'{"return": ['
    while True:
        yield b'{"name": "eth0", "ip-addresses": []},' * 1000


def slow() -> Iterator[bytes]:
    (reply,) = interfaces()
    for byte in reply:
        time.sleep(1)
        yield bytes([byte])


@pytest.fixture(scope="module")
def vms() -> Iterator[tuple[str, str, HostileAgent]]:
    """Yield the VM of the hostile guest and another one, both running."""
    hostile, other = str(uuid.uuid4()), str(uuid.uuid4())
    with image_directory() as images:
        agent = HostileAgent(images / "agent")
        disk = linux_guest.boot_disk(images / "disk.qcow2")
        channel = f"""<channel type='unix'><source mode='connect' path='{images}/agent'/>
            <target type='virtio' name='org.qemu.guest_agent.0'/></channel>"""
        _start(hostile, disk, channel)
        _start(other, media.write_qcow2(images / "other.qcow2", "I am another"), "")
        linux_guest.wait_until_booted(hostile)
        yield hostile, other, agent
        for each in (hostile, other):
            remove_domain(each)
        agent.close()


def _start(identity: str, disk: Path, channel: str) -> None:
    xml = f"""<domain type='qemu'><name>{identity}</name><uuid>{identity}</uuid><memory unit='MiB'>128</memory>
        <os><type arch='x86_64'>hvm</type></os><devices>
        <disk type='file'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda'/></disk>
        {channel}<serial type='pty'/></devices></domain>"""
    virsh("define", "/dev/stdin", stdin=xml)
    virsh("start", identity)


def reopen_channel(identity: str) -> None:
    """Reopen the guest's end, so that libvirt connects to its agent again."""
    wait_until(lambda: _is_open(identity))
    linux_guest.execute(identity, "killall qemu-ga; sleep 1")
    wait_until(lambda: _is_open(identity))


def _is_open(identity: str) -> bool:
    return definition(identity, inactive=False).find(CONNECTED) is not None


def look(*identities: str) -> list[dict[str, Any]]:
    return vm_information(hypervisor(), HostSystem(), identities)


# The warning quotes libvirt, whose wording depends on its release.
HOSTILE: dict[str, tuple[Answer, str]] = {
    "more NICs than libvirt passes on": (lambda: interfaces(5000), "5000"),
    "more addresses of a NIC than libvirt passes on": (lambda: interfaces(**{"ip-addresses": [OWN] * 5000}), "5000"),
    "text that is no UTF-8": (
        lambda: iter([next(interfaces(**{"hardware-address": "@"})).replace(b"@", b"\xff\xfe")]),
        "is not text|invalid utf-8",
    ),
    "no JSON": (lambda: iter([b"no\n"]), "(?i)json"),
    "an answer without an end": (endless, "10485760 bytes"),
    # libvirt treats such an agent as silent.
    "an answer of one letter a second": (slow, ""),
}  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", HOSTILE)
def test_an_invalid_answer_costs_only_the_addresses_of_its_vm(vms: tuple[str, str, HostileAgent], what: str) -> None:
    hostile, other, agent = vms
    agent.answer, warning = HOSTILE[what]
    request_count = agent.request_count
    reopen_channel(hostile)
    began = time.monotonic()
    entry, of_other = look(hostile, other)
    assert time.monotonic() - began < 100
    assert agent.request_count > request_count, "the agent got no request"
    assert (entry["state"], entry["addresses"]) == ("running", []), entry["warnings"]
    warned = [each for each in entry["warnings"] if each.startswith("there are no addresses from the guest agent: ")]
    assert [bool(re.search(warning, each)) for each in warned] == [True] * bool(warning), entry["warnings"]
    assert (of_other["state"], of_other["warnings"]) == ("running", [])


def test_the_inventory_has_all_vms_and_a_warning_that_names_the_one(
    vms: tuple[str, str, HostileAgent], tmp_path: Path
) -> None:
    hostile, other, agent = vms
    agent.answer = lambda: interfaces(5000)
    reopen_channel(hostile)
    configuration = tmp_path / "here.zstack_vms.yml"
    content = {"plugin": "zstack.kvm.zstack_vms", "hypervisors": {"here": "qemu:///system"}}
    configuration.write_text(json.dumps(content), encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "-i", configuration, "--list"],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {hostile, other} <= set(json.loads(done.stdout)["zstack_vms"]["hosts"])
    warnings = " ".join(done.stderr.split())
    assert f"VM {hostile} ({hostile}) on here: there are no addresses from the guest agent" in warnings, done.stderr


def test_of_an_answer_the_addresses_are_kept_and_the_rest_is_left_out(vms: tuple[str, str, HostileAgent]) -> None:
    hostile, _other, agent = vms
    addresses = [OWN] + [
        {**OWN, "ip-address": text}
        for text in ("no\x1b[2J", "10.0.0.5; reboot", "{{ 6 * 7 }}", "fe80::1%$(reboot)", "\u202e", "")
    ]
    agent.answer = lambda: interfaces(**{"ip-addresses": addresses})
    reopen_channel(hostile)
    (entry,) = look(hostile)
    assert [each["address"] for each in entry["addresses"]] == ["10.1.2.3"], entry["warnings"]
    assert len(entry["warnings"]) == 6
    assert all(warning.isprintable() for warning in entry["warnings"]), entry["warnings"]


def test_lone_surrogates_and_control_characters_reach_nobody(vms: tuple[str, str, HostileAgent]) -> None:
    hostile, _other, agent = vms
    reply = returned([{"name": "@", "hardware-address": MAC, "ip-addresses": [OWN]}])
    agent.answer = lambda: iter([reply.replace(b"@", rb"a\ud800\u001b[2J\u202eb")])
    reopen_channel(hostile)
    (entry,) = look(hostile)
    shown = json.dumps(entry, ensure_ascii=False)
    shown.encode("utf-8")
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", shown)
