# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source of the agent API by itself: who is let in, and a hundred documents at once.

It is run as ansible-rulebook runs it. In place of the rulebook and its playbooks stands whoever takes its events.
"""

from __future__ import annotations

import asyncio
import json
import runpy
import socket
import ssl
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.spool import NO_RESULT
from ansible_collections.zstack.kvm.tests.support.agent_api import ManagementNode, start_vm_cmd
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

SOURCE = COLLECTIONS / "ansible_collections/zstack/kvm/extensions/eda/plugins/event_source/start_vm_cmd.py"


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    return runpy.run_path(str(SOURCE))


class Playbooks:
    """Takes the events of the source, and leaves a result for each a moment later.

    Those that are held leave none for so long; while it is refusing, events are not even taken.
    """

    def __init__(self) -> None:
        self.held = False
        self.refusing = False
        self.running: Counter[str] = Counter()
        self.most = 0
        self.most_for_one_vm = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def put(self, event: dict[str, Any]) -> None:
        while self.refusing:
            await asyncio.sleep(0.01)
        task = asyncio.create_task(self._run(event["start_vm_cmd"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, request: dict[str, str]) -> None:
        self.running[request["vm"]] += 1
        self.most = max(self.most, self.running.total())
        self.most_for_one_vm = max(self.most_for_one_vm, *self.running.values())
        await asyncio.sleep(0.01)
        while self.held:
            await asyncio.sleep(0.01)
        self.running[request["vm"]] -= 1
        arguments = json.loads(Path(request["request"]).read_text(encoding="utf-8"))
        Path(request["result"]).write_text(json.dumps({"success": False, "error": arguments["vms"][0]["name"]}))


@contextmanager
def agent_api(source: dict[str, Any], tmp_path: Path, **options: Any) -> Iterator[tuple[ManagementNode, Playbooks]]:
    """The source, serving on a free port, and who sends documents to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    playbooks, loop = Playbooks(), asyncio.new_event_loop()
    options = {"port": port, "spool": str(tmp_path / "spool"), **options}
    serving = loop.create_task(source["main"](playbooks, options))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([serving])))
    thread.start()
    try:
        for _attempt in range(1000):
            assert not serving.done(), serving.exception()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            threading.Event().wait(0.02)
        with ManagementNode(port) as node:
            yield node, playbooks
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()


def test_a_hundred_documents_at_once(source: dict[str, Any], tmp_path: Path) -> None:
    wanted = [start_vm_cmd("01-minimal", vmName=f"vm {number}") for number in range(50)]
    # Each VM is meant twice.
    tasks = {uuid.uuid4().hex: wanted[number % 50] for number in range(100)}
    with agent_api(source, tmp_path) as (node, playbooks):
        playbooks.held = True
        with ThreadPoolExecutor(20) as senders:
            assert set(senders.map(node.send, tasks.values(), tasks)) == {200}
        playbooks.held = False
        for task, document in tasks.items():
            assert node.result(task) == {"success": False, "error": document["vmName"]}
        assert [len(node.results(task)) for task in tasks] == [1] * 100
        assert (playbooks.most, playbooks.most_for_one_vm) == (4, 1)


class TestAPlaybookThatNeverLeavesAResult:
    """As when it cannot write to the spool, or when the rulebook takes no events."""

    @pytest.fixture(params=["held", "refusing"])
    def stuck(
        self, request: pytest.FixtureRequest, source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[ManagementNode, Playbooks]]:
        monkeypatch.setitem(source["main"].__globals__, "PLAYBOOK_SECONDS", 0)
        with agent_api(source, tmp_path, parallel=1) as (node, playbooks):
            setattr(playbooks, request.param, True)
            yield node, playbooks
            playbooks.held = playbooks.refusing = False

    def test_fails_when_its_time_is_over_and_holds_up_nobody(
        self, stuck: tuple[ManagementNode, Playbooks], tmp_path: Path
    ) -> None:
        node, playbooks = stuck
        document = start_vm_cmd("01-minimal", timeout=1)
        assert node.outcome(document) == {"success": False, "error": NO_RESULT}
        wait_until(lambda: not [*(tmp_path / "spool").glob("*.request")], "the secrets are gone")
        playbooks.held = playbooks.refusing = False
        assert node.outcome({**document, "timeout": 60}) == {"success": False, "error": document["vmName"]}


def test_a_result_is_sent_by_one_report_at_a_time(
    source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, task = start_vm_cmd("01-minimal"), uuid.uuid4().hex
    with agent_api(source, tmp_path, callback_attempts=2) as (node, _playbooks):
        node.refusals[task] = 1
        assert node.send(document, task) == 200
        wait_until(lambda: node.refusals[task] == 0, "the first attempt")
        # A second before the next one
        assert [node.send(document, task) for _number in range(5)] == [200] * 5
        node.result(task)
        wait_until(lambda: not [*(tmp_path / "spool").glob("*.task")], "the report is over")
        assert len(node.results(task)) == 1


def test_a_redirection_is_not_followed(source: dict[str, Any], tmp_path: Path) -> None:
    task = uuid.uuid4().hex
    with agent_api(source, tmp_path, callback_attempts=1) as (node, _playbooks):
        node.redirected.add(task)
        assert node.send(start_vm_cmd("01-minimal"), task) == 200
        wait_until(lambda: task not in node.redirected, "it is redirected")
        wait_until(lambda: not [*(tmp_path / "spool").glob("*.task")], "the report is over")
        assert node.results(task) == []


def test_it_listens_on_loopback_unless_told_otherwise_and_warns_when_open_to_all(
    source: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def reachable(address: str, port: int) -> bool:
        with socket.socket() as client:
            return client.connect_ex((address, port)) == 0

    with agent_api(source, tmp_path) as (node, _playbooks):
        assert (reachable("127.0.0.1", node.port), reachable("127.0.0.2", node.port)) == (True, False)
        assert caplog.messages == []
    with agent_api(source, tmp_path, host="0.0.0.0") as (node, _playbooks):
        assert reachable("127.0.0.2", node.port)
        assert "whoever reaches port %d of 0.0.0.0 can start VMs" % node.port in caplog.messages


def test_an_empty_list_of_callback_urls_allows_none(source: dict[str, Any], tmp_path: Path) -> None:
    with agent_api(source, tmp_path, callback_urls=[]) as (node, _playbooks):
        assert node.send(start_vm_cmd("01-minimal"), uuid.uuid4().hex) == 403


def test_who_asks_nothing_more_is_hung_up_on(
    source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(source["main"].__globals__, "KEEP_ALIVE_SECONDS", 0.2)
    with agent_api(source, tmp_path) as (node, _playbooks):
        with socket.create_connection(("127.0.0.1", node.port), 60) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: agent\r\n\r\n")
            while client.recv(1000):
                pass


def test_who_never_ends_a_document_is_not_waited_for(
    source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(source["main"].__globals__, "BODY_SECONDS", 0.2)
    with agent_api(source, tmp_path) as (node, _playbooks):
        with socket.create_connection(("127.0.0.1", node.port), 60) as client:
            client.sendall(
                b"POST /vm/start HTTP/1.1\r\nHost: agent\r\nContent-Length: 100\r\n"
                b"taskuuid: 1\r\ncallbackurl: http://127.0.0.1/\r\n\r\n{"
            )
            assert client.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_body_of_unknown_length_is_limited_too(source: dict[str, Any], tmp_path: Path) -> None:
    with agent_api(source, tmp_path, max_body=1000) as (node, _playbooks):
        with socket.create_connection(("127.0.0.1", node.port), 60) as client:
            client.sendall(
                b"POST /vm/start HTTP/1.1\r\nHost: agent\r\nTransfer-Encoding: chunked\r\n"
                b"taskuuid: 1\r\ncallbackurl: http://127.0.0.1/\r\n\r\n" + b"100\r\n" + b" " * 256 + b"\r\n"
            )
            client.sendall((b"100\r\n" + b" " * 256 + b"\r\n") * 4)
            assert client.recv(1000).startswith(b"HTTP/1.1 413 ")


class TestTls:
    @pytest.fixture(scope="class")
    @classmethod
    def certificates(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A CA with a server's and a client's certificate, and a stranger's certificate of his own."""
        directory = tmp_path_factory.mktemp("certificates")
        for name, signer in (("ca", None), ("server", "ca"), ("client", "ca"), ("stranger", None)):
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            command += ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
            command += ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
            command += ["-CA", f"{signer}.pem", "-CAkey", f"{signer}.key"] if signer else []
            subprocess.run(command, cwd=directory, check=True, capture_output=True)
        return directory

    def server(self, directory: Path) -> dict[str, str]:
        return {"certfile": str(directory / "server.pem"), "keyfile": str(directory / "server.key")}

    def client(self, directory: Path, name: str = "") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
        if name:
            context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
        return context

    def test_the_server_shows_its_certificate(self, source: dict[str, Any], tmp_path: Path, certificates: Path) -> None:
        task = uuid.uuid4().hex
        with agent_api(source, tmp_path, **self.server(certificates)) as (node, _playbooks):
            assert node.send(start_vm_cmd("01-minimal"), task, tls=self.client(certificates)) == 200
            assert node.result(task)["error"]
            with pytest.raises(ssl.SSLCertVerificationError):
                node.send(start_vm_cmd("01-minimal"), task, tls=ssl.create_default_context())

    def test_only_clients_of_the_ca_get_in(self, source: dict[str, Any], tmp_path: Path, certificates: Path) -> None:
        options = {**self.server(certificates), "cafile": str(certificates / "ca.pem")}
        with agent_api(source, tmp_path, **options) as (node, _playbooks):
            document, task = start_vm_cmd("01-minimal"), uuid.uuid4().hex
            for context in (self.client(certificates), self.client(certificates, "stranger"), None):
                with pytest.raises(OSError):
                    node.send(document, task, tls=context)
            assert node.send(document, task, tls=self.client(certificates, "client")) == 200
            node.result(task)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"port": "http"}, "port"),
        ({"prot": 7071}, "prot"),
        ({"parallel": 0}, "parallel must be at least 1"),
        ({"callback_urls": ["zs.example"]}, "callback_urls: zs.example: it is no http or https URL"),
        ({"cafile": "/etc/ca.pem"}, "cafile needs certfile"),
        ({"token_file": "/dev/null"}, "token_file: /dev/null is empty"),
        ({"token_file": ""}, "token_file is empty"),
        ({"callback_urls": ""}, "callback_urls is empty"),
        ({"host": ""}, "host is empty"),
    ],
)
def test_options_that_are_wrong(source: dict[str, Any], tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        asyncio.run(source["main"](None, {"spool": str(tmp_path / "spool"), **options}))
