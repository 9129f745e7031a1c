# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent API: requests of ZStack's management node to the running rulebook, its responses, and the callbacks."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.lock import vm_lock
from ansible_collections.zstack.kvm.tests.integration.conftest import image_directory
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.agent_api import (
    ManagementNode,
    Rulebook,
    next_document,
    start_vm_cmd,
    todays_start_vm_cmd,
)
from ansible_collections.zstack.kvm.tests.support.leaks import Watch, leaks_of
from ansible_collections.zstack.kvm.tests.support.playbook import TARGET_PYTHON
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import definition, remove_domain, state, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until
from lxml import etree

pytestmark = [pytest.mark.own_system, pytest.mark.timeout(900), pytest.mark.usefixtures("rulebook")]

PORT = 7071
TOKEN = "a-token-of-the-site"
PASSWORD = "Schl8ssl"  # of a console: VNC allows eight characters
# New ones each time: if one is found anywhere, it comes from this run.
CHAP, CEPHX, CONSOLE = secrets.token_hex(8), base64.b64encode(secrets.token_bytes(16)).decode(), secrets.token_hex(4)
HOST_UUID = "5f1b6c0e2d1f4a6c8f0b7a9d3c2e1f40"
INVENTORY = {
    "hypervisors": {
        "hosts": {
            "here": {
                "ansible_connection": "local",
                "ansible_host": "127.0.0.1",
                "ansible_python_interpreter": TARGET_PYTHON,
                "zstack_host_uuid": HOST_UUID,
                "zstack_vm_defaults": {"domain_type": "qemu"},
            },
            "off": {"ansible_host": "127.0.0.2", "ansible_port": 1},
            "twin1": {"zstack_host_management_ip": "127.0.0.3"},
            "twin2": {"zstack_host_management_ip": "127.0.0.3"},
        }
    }
}
NOWHERE = "203.0.113.9"
Document = Callable[..., dict[str, Any]]


def for_nowhere(**fields: Any) -> dict[str, Any]:
    """Return a document for a host that the inventory doesn't have."""
    usual = {"hostManagementIp": NOWHERE, "consolePassword": PASSWORD}
    return start_vm_cmd("01-minimal", **{**usual, **fields})


@pytest.fixture(scope="module")
def node() -> Iterator[ManagementNode]:
    with ManagementNode(PORT, {"Authorization": f"Bearer {TOKEN}"}) as node:
        yield node


@pytest.fixture(scope="module")
def rulebook(node: ManagementNode) -> Iterator[Rulebook]:
    with tempfile.TemporaryDirectory(prefix="zstack-kvm-agent-api-") as directory:
        token = Path(directory, "token")
        token.write_text(f"{TOKEN}\n")
        rulebook = Rulebook(
            Path(directory),
            INVENTORY,
            PORT,
            token_file=str(token),
            callback_urls=[node.callback_url.removesuffix("/callback")],
            callback_attempts=3,
            max_body=20_000,
            parallel=2,
            waiting=4,
        )
        rulebook.start()
        try:
            yield rulebook
        finally:
            rulebook.kill()


@pytest.fixture(scope="module")
def images() -> Iterator[Path]:
    with image_directory() as directory:
        yield directory


@pytest.fixture(scope="module")
def document(rulebook: Rulebook, images: Path) -> Iterator[Document]:
    """Yield a function that returns documents for new VMs, which boot and are removed at the end."""
    made = []

    def describe(**fields: Any) -> dict[str, Any]:
        # Without NICs and channels, as there can be only one of each name on a host.
        usual = {"memory": 32 << 20, "consolePassword": PASSWORD, "nics": [], "addons": {}}
        document = start_vm_cmd("01-minimal", **{**usual, **fields})
        identity = document["vmInstanceUuid"]
        made.append(identity)
        document["rootVolume"]["installPath"] = str(media.write_raw(images / identity, f"I am {identity}"))
        return document

    yield describe
    for identity in made:
        remove_domain(identity)


@pytest.fixture(scope="module")
def with_secrets(node: ManagementNode, document: Document) -> tuple[dict[str, Any], Watch]:
    """Send a document with secrets of all kinds, and return its result and what was visible meanwhile.

    Nothing serves its volumes here; what matters is that the secrets reach the module.
    """
    monitors, secret = [{"hostname": "127.0.0.1", "port": 9}], str(uuid.uuid4())
    ceph = {"deviceType": "ceph", "installPath": "ceph://pool/image", "monInfo": monitors, "secretUuid": secret}
    target = "iscsi://127.0.0.1:9/iqn.2026-01.org.example:x/1"
    iscsi = {"deviceType": "iscsi", "installPath": target, "chapUsername": "operator", "chapPassword": CHAP}
    volumes = [{**ceph, "deviceId": 1}, {**iscsi, "deviceId": 2}]
    addons = {"ceph_secret_key": CEPHX, "ceph_secret_uuid": secret}
    watch = Watch()
    with watch.watching():
        result = node.outcome(document(dataVolumes=volumes, addons=addons, consolePassword=CONSOLE))
    return result, watch


class TestADocument:
    def test_starts_its_vm(self, node: ManagementNode, document: Document) -> None:
        recorded = start_vm_cmd("01-minimal")
        sent = document(vmName="Büro № {{ 7 * 7 }}", nics=recorded["nics"], addons=recorded["addons"])
        task = uuid.uuid4().hex
        with vm_lock(str(uuid.UUID(sent["vmInstanceUuid"]))).acquire(1):
            # The lock keeps the VM from being started before the request has been answered.
            assert node.ask(sent, {"taskuuid": task, "callbackurl": node.callback_url}) == (200, "")
            assert state(sent["vmInstanceUuid"]) == "absent"
        assert node.result(task)["success"] is True
        wait_for_text(sent["vmInstanceUuid"], f"I am {sent['vmInstanceUuid']}")
        domain = definition(sent["vmInstanceUuid"])
        assert domain.findtext("description") == sent["vmName"]
        assert domain.find("devices/graphics").get("passwd") == PASSWORD

    def test_for_a_vm_that_runs_changes_what_is_to_change(self, node: ManagementNode, document: Document) -> None:
        """Two documents for one VM at once are carried out one after the other, in order."""
        first = document()
        second = {**first, "memory": 48 << 20}
        tasks = [uuid.uuid4().hex, uuid.uuid4().hex]
        assert [node.send(sent, task) for sent, task in zip([first, second], tasks)] == [200, 200]
        assert [node.result(task)["success"] for task in tasks] == [True, True]
        assert definition(first["vmInstanceUuid"]).findtext("memory") == str(48 << 10)

    def test_carries_options_beyond_the_protocol(self, node: ManagementNode, document: Document) -> None:
        patch = {"action": "add", "xpath": "/domain", "value": "<title>patched</title>"}
        sent = document(options={"domain_patches": [patch], "root_volume": {"format": "raw"}})
        assert node.outcome(sent)["success"] is True
        assert definition(sent["vmInstanceUuid"]).findtext("title") == "patched"
        changed = {**sent, "cpuSpeed": 7, "options": {**sent["options"], "on_drift": "fail"}}
        result = node.outcome(changed)
        assert not result["success"]
        assert "cputune/shares" in result["error"]

    def test_shows_its_secrets_nowhere(self, with_secrets: tuple[dict[str, Any], Watch], rulebook: Rulebook) -> None:
        result, watch = with_secrets
        assert not result["success"]
        assert "127.0.0.1:9" in result["error"]
        assert watch.scans > 10 and "zstack.kvm.start_vm_cmd" in watch.seen, "the watch saw nothing of the playbook"
        searched = (CHAP, CEPHX, CONSOLE)
        wait_until(lambda: not rulebook.waiting_files, "the spool is empty")
        for text in (result["error"], watch.seen, rulebook.log.read_text()):
            assert [each for each in searched if each in text] == []
        assert {each: leaks_of(each, ()) for each in searched} == {each: [] for each in searched}


def definition_without_links(identity: str) -> bytes:
    """Return the definition of a VM without the state of its NICs' links."""
    domain = definition(identity)
    for link in domain.findall("devices/interface/link"):
        link.getparent().remove(link)
    return etree.tostring(domain)


class TestAVmOfTodaysManagementNode:
    """The management node records what a reply says about devices, and sends it with the next document."""

    def test_keeps_its_addresses_from_its_first_start_on(self, node: ManagementNode, images: Path) -> None:
        first = todays_start_vm_cmd("01-first-start", memory=64 << 20, hostManagementIp="::1")
        identity = first["vmInstanceUuid"]
        first["rootVolume"]["installPath"] = str(media.write_raw(images / identity, f"I am {identity}"))
        first["nics"][0].update(bridgeName="br_eth0", nicInternalName="vnic7071.1", mac="fa:52:00:00:71:02")
        # No host of the inventory has that address, so the header names the host.
        node.headers["X-Resource-UUID"] = HOST_UUID
        try:
            started = node.outcome(first)
            assert started["success"], started["error"]
            defined = definition_without_links(identity)
            virsh("destroy", identity)

            second = next_document(first, started)
            again = node.outcome(second)
            assert {**again, "vmXml": ""} == {**started, "vmXml": ""}
            assert definition_without_links(identity) == defined

            second["nics"][0]["state"] = "disable"
            changed = node.outcome({**second, "options": {"on_drift": "live"}})
            assert changed["success"], changed["error"]
            assert "<link state='down'/>" in changed["vmXml"]
            assert definition_without_links(identity) == defined
        finally:
            del node.headers["X-Resource-UUID"]
            remove_domain(identity)


class TestTheTwoTextsThatZStackKnows:
    def test_no_memory(self, node: ManagementNode, document: Document) -> None:
        result = node.outcome({**document(), "memory": 200 << 40})
        assert (result["success"], result["error"]) == (False, "No enough physical memory for guest")

    def test_a_limit_of_a_nic(self, node: ManagementNode, document: Document) -> None:
        # libvirt 9.0 keeps the averages within the limits; a burst is passed on to the kernel as it is.
        nic = {"bridgeName": "br_eth0", "uuid": uuid.uuid4().hex, "mac": "fa:52:00:00:71:01", "deviceId": 0, "ip": ""}
        burst = "<bandwidth><outbound average='1000' burst='99999999'/></bandwidth>"
        patch = {"action": "replace", "xpath": "/domain/devices/interface/bandwidth", "value": burst}
        sent = document(
            nics=[{**nic, "nicInternalName": "vnic7071.0"}],
            addons={"NicQos": {nic["uuid"]: {"outboundBandwidth": 8_192_000}}},
            options={"domain_patches": [patch]},
        )
        error = "QoS exceed max limit, please check and reset it in zstack"
        result = node.outcome(sent)
        assert (result["success"], result["error"]) == (False, error)


class TestTheHost:
    def test_must_be_one(self, node: ManagementNode) -> None:
        result = node.outcome(for_nowhere(hostManagementIp="127.0.0.3"))
        assert not result["success"]
        assert "twin1 and twin2" in result["error"]

    def test_may_be_off(self, node: ManagementNode) -> None:
        result = node.outcome(for_nowhere(hostManagementIp="127.0.0.2"))
        assert not result["success"]
        assert "Connection refused" in result["error"]


class TestARequestIsRefused:
    """At once, and no result follows."""

    @pytest.mark.parametrize(
        ("headers", "status", "why"),
        [
            ({"taskuuid": ""}, 400, "taskuuid is missing"),
            ({"taskuuid": "../../etc"}, 400, "taskuuid is missing"),
            ({"callbackurl": ""}, 400, "callbackurl is missing"),
            ({"X-Resource-UUID": "{{ 7 }}"}, 400, "X-Resource-UUID"),
            ({"callbackurl": "ftp://127.0.0.1/"}, 403, "not an http or https URL"),
            ({"callbackurl": "http://127.0.0.1:9/zstack/asyncrest/callback"}, 403, "not an allowed one"),
            ({"Authorization": "Bearer other"}, 401, "token"),
            ({"Authorization": ""}, 401, "token"),
            ({"Authorization": "Bearer \u00fc"}, 401, "token"),
        ],
    )
    def test_for_its_headers(self, node: ManagementNode, headers: dict[str, str], status: int, why: str) -> None:
        usual = {"taskuuid": uuid.uuid4().hex, "callbackurl": node.callback_url}
        answer = node.ask(for_nowhere(), {**usual, **headers})
        assert answer[0] == status
        assert why in answer[1]

    @pytest.mark.parametrize(
        ("body", "status", "why"),
        [
            (b"", 400, "not JSON"),
            (b"memory=1", 400, "not JSON"),
            (b"\xff", 400, "UTF-8"),
            (b"[" * 15_000, 400, "nested"),
            (b"[]", 400, "must be a mapping"),
            (b"{}", 400, "vmInstanceUuid is required\nvmName is required"),
            (b"{" + b" " * 20_000 + b"}", 413, ""),
        ],
    )
    def test_for_what_is_no_document(self, node: ManagementNode, body: bytes, status: int, why: str) -> None:
        answer = node.ask(body, {"taskuuid": uuid.uuid4().hex, "callbackurl": node.callback_url})
        assert answer[0] == status
        assert why in answer[1]

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"hostManagementIp": ""}, "hostManagementIp is required"),
            ({"cpuNum": 0}, "cpu_num"),
            ({"options": ["live"]}, "options must be a mapping"),
            ({"options": {"on_drift": "explode"}}, "on_drift"),
            ({"options": {"uri": "qemu+ext:///system?command=/bin/sh"}}, "uri"),
            ({"options": {"uuid": str(uuid.UUID(int=1))}}, "options.uuid"),
        ],
    )
    def test_for_what_its_document_says(self, node: ManagementNode, fields: dict[str, Any], why: str) -> None:
        answer = node.ask(for_nowhere(**fields), {"taskuuid": uuid.uuid4().hex, "callbackurl": node.callback_url})
        assert answer[0] == 400
        assert why in answer[1]
        assert PASSWORD not in answer[1]

    @pytest.mark.parametrize(
        ("method", "path", "status"), [("POST", "/", 404), ("POST", "/vm/stop", 404), ("GET", "/vm/start", 405)]
    )
    def test_at_another_path(self, node: ManagementNode, method: str, path: str, status: int) -> None:
        headers = {"taskuuid": uuid.uuid4().hex, "callbackurl": node.callback_url}
        assert node.ask(for_nowhere(), headers, path=path, method=method)[0] == status


class TestManyDocuments:
    def test_a_repeated_task_is_carried_out_once(self, node: ManagementNode) -> None:
        task, sent = uuid.uuid4().hex, for_nowhere()
        assert [node.send(sent, task), node.send(sent, task)] == [200, 200]
        first = node.result(task)
        assert node.send({**sent, "vmName": "other"}, task) == 409
        # A client that repeats a request, perhaps because the result got lost, gets the same result again.
        assert node.send(sent, task, path="/vm/start") == 200
        assert node.result(task, count=2) == first
        assert len(node.results(task)) == 2

    def test_a_burst_is_accepted_as_far_as_there_is_room(self, node: ManagementNode) -> None:
        sent = [for_nowhere() for _number in range(100)]
        tasks = [uuid.uuid4().hex for _number in range(100)]
        with ThreadPoolExecutor(20) as senders:
            statuses = dict(zip(tasks, senders.map(node.send, sent, tasks)))
        assert set(statuses.values()) == {200, 503}
        accepted = [task for task in tasks if statuses[task] == 200]
        assert len(accepted) >= 6, "two that run, four that wait"
        for task in accepted:
            assert f"{NOWHERE} is that of no hypervisor" in node.result(task)["error"]
        assert [len(node.results(task)) for task in tasks] == [int(statuses[task] == 200) for task in tasks]


class TestTheResultArrives:
    def test_when_the_receiver_fails_first(self, node: ManagementNode) -> None:
        task = uuid.uuid4().hex
        node.refusals[task] = 2
        assert node.send(for_nowhere(), task) == 200
        assert not node.result(task)["success"]

    def test_or_is_given_up(self, node: ManagementNode, rulebook: Rulebook) -> None:
        task = uuid.uuid4().hex
        node.refusals[task] = 4
        assert node.send(for_nowhere(), task) == 200
        wait_until(lambda: node.refusals[task] == 1, "three attempts")
        wait_until(lambda: f"task {task}: gave up" in rulebook.log.read_text(), "it is given up")
        assert node.results(task) == []

    def test_when_the_playbook_is_killed(self, node: ManagementNode, rulebook: Rulebook) -> None:
        wait_until(lambda: not rulebook.playbooks(), "no playbook of another test runs")
        task = uuid.uuid4().hex
        assert node.send(for_nowhere(), task) == 200
        os.kill(wait_until(rulebook.playbooks, "the playbook")[0], signal.SIGKILL)
        assert "ended without a result" in node.result(task)["error"]

    def test_when_the_rulebook_is_killed(self, node: ManagementNode, rulebook: Rulebook) -> None:
        tasks = [uuid.uuid4().hex for _number in range(4)]
        for task in tasks:
            assert node.send(for_nowhere(), task) == 200
        rulebook.kill()
        rulebook.start()
        assert [node.result(task)["success"] for task in tasks] == [False] * 4
        assert "the agent API was stopped" in node.result(tasks[-1])["error"]
        assert all(len(node.results(task)) == 1 for task in tasks)


class TestNothingIsLeft:
    """Last, so that it examines what all tests above left."""

    @pytest.mark.usefixtures("with_secrets")
    def test_no_secret_is_in_the_log(self, rulebook: Rulebook) -> None:
        log = rulebook.log.read_text()
        assert "start_vm_cmd" in log
        assert '"chap_username": "operator"' in log, "the module's arguments are in it"
        assert not [secret for secret in (PASSWORD, CHAP, CEPHX, CONSOLE, TOKEN) if secret in log]

    def test_nothing_is_kept_of_what_is_done(self, rulebook: Rulebook) -> None:
        wait_until(lambda: not rulebook.waiting_files, "the spool is empty")
