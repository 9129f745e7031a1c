# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source of the agent API alone: access control, and a thousand documents at once.

It is run as ansible-rulebook runs it. The tests take its events instead of the rulebook and its playbooks.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import resource
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.reply import failure
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.spool import NO_RESULT, Spool, SpoolError
from ansible_collections.zstack.kvm.tests.support.agent_api import ManagementNode, start_vm_cmd
from ansible_collections.zstack.kvm.tests.support.certificates import client_context, create, server_options
from ansible_collections.zstack.kvm.tests.support.event_source import Playbooks, agent_api, load
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

pytestmark = pytest.mark.own_system


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    return load()


def test_a_thousand_documents_at_once(source: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(source["main"].__globals__, "LOOK_SECONDS", 0.02)
    bodies = [json.dumps(start_vm_cmd("01-minimal", vmName=f"vm {number}")).encode() for number in range(500)]
    tasks = [uuid.uuid4().hex for _number in range(1000)]
    limits = {"connections": 1000, "connections_per_address": 1000, "waiting": 1000, "parallel": 25}
    # In memory: each document is synced twice.
    with TemporaryDirectory(dir="/dev/shm") as spool, ExitStack() as stack:
        node, playbooks = stack.enter_context(agent_api(source, Path(spool), **limits))
        playbooks.held = True
        clients = [stack.enter_context(connect(node.port)) for _task in tasks]
        for number, (client, task) in enumerate(zip(clients, tasks)):
            # Each VM gets two documents.
            body = bodies[number % 500]
            head = f"taskuuid: {task}\r\ncallbackurl: {node.callback_url}\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(b"POST /ex/vm/start HTTP/1.1\r\nHost: agent\r\n" + head.encode() + body)
        assert {client.recv(1000).split()[1] for client in clients} == {b"200"}
        playbooks.held = False
        for number, task in enumerate(tasks):
            assert node.result(task) == failure(f"vm {number % 500}")
        wait_until(lambda: not [*Path(spool, "spool").glob("*.task")], "all are reported")
        assert [len(node.results(task)) for task in tasks] == [1] * 1000
        assert (playbooks.peak, playbooks.peak_for_one_vm) == (25, 1)


class TestAPlaybookThatNeverLeavesAResult:
    """Either a full spool, or a rulebook that takes no events."""

    @pytest.fixture(params=["held", "refusing"])
    def stuck(
        self, request: pytest.FixtureRequest, source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[ManagementNode, Playbooks]]:
        monkeypatch.setitem(source["main"].__globals__, "PLAYBOOK_SECONDS", 0)
        with agent_api(source, tmp_path, parallel=1) as (node, playbooks):
            setattr(playbooks, request.param, True)
            yield node, playbooks
            playbooks.held = playbooks.refusing = False

    def test_fails_when_its_time_is_over_and_delays_nobody(
        self, stuck: tuple[ManagementNode, Playbooks], tmp_path: Path
    ) -> None:
        node, playbooks = stuck
        document = start_vm_cmd("01-minimal", timeout=1)
        assert node.outcome(document) == failure(NO_RESULT)
        wait_until(lambda: not [*(tmp_path / "spool").glob("*.request")], "the secrets are gone")
        playbooks.held = playbooks.refusing = False
        assert node.outcome({**document, "timeout": 60}) == failure(document["vmName"])


def test_a_result_is_sent_by_one_report_at_a_time(
    source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, task = start_vm_cmd("01-minimal"), uuid.uuid4().hex
    with agent_api(source, tmp_path, callback_attempts=2) as (node, _playbooks):
        node.refusals[task] = 1
        assert node.send(document, task) == 200
        wait_until(lambda: node.refusals[task] == 0, "the first attempt")
        # One second before the next attempt
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


def test_it_listens_on_loopback_by_default_and_warns_when_open_to_all(
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
        assert "anyone who can reach port %d of 0.0.0.0 can start VMs" % node.port in caplog.messages


def test_an_empty_list_of_callback_urls_allows_none(source: dict[str, Any], tmp_path: Path) -> None:
    with agent_api(source, tmp_path, callback_urls=[]) as (node, _playbooks):
        assert node.send(start_vm_cmd("01-minimal"), uuid.uuid4().hex) == 403


def test_an_idle_connection_is_closed(source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(source["main"].__globals__, "HEAD_SECONDS", 0.2)
    with agent_api(source, tmp_path) as (node, _playbooks):
        with socket.create_connection(("127.0.0.1", node.port), 60) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: agent\r\n\r\n")
            while client.recv(1000):
                pass


def test_a_document_that_never_ends_times_out(
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


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 60, source_address=(address, 0))


def is_closed(client: socket.socket) -> bool:
    client.settimeout(60)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


class TestManyConnections:
    """A client without a token, or one that gives up, does not keep others from being served."""

    HEAD = b"POST /vm/start HTTP/1.1\r\nHost: agent\r\ntaskuuid: 1\r\ncallbackurl: http://127.0.0.1/\r\n"

    @pytest.mark.parametrize(
        ("sent", "addresses"),
        [
            pytest.param(b"", 1, id="idle"),
            pytest.param(b"POST /vm/start HTTP/1.1\r\nHost", 200, id="slow heads from everywhere"),
            pytest.param(HEAD + b"Content-Length: 100\r\n\r\n{", 1, id="slow bodies"),
        ],
    )
    def test_a_thousand_at_once(self, source: dict[str, Any], tmp_path: Path, sent: bytes, addresses: int) -> None:
        document = start_vm_cmd("01-minimal")
        with agent_api(source, tmp_path) as (node, playbooks), ExitStack() as stack:
            playbooks.held = True
            task = uuid.uuid4().hex
            assert node.send(document, task) == 200
            for number in range(1000):
                client = stack.enter_context(connect(node.port, f"127.0.1.{number % addresses}"))
                client.sendall(sent)
            playbooks.held = False
            assert node.result(task) == failure(document["vmName"])
            assert node.outcome(start_vm_cmd("01-minimal"))

    def test_a_thousand_without_a_handshake(self, source: dict[str, Any], tmp_path: Path) -> None:
        certificates = create(tmp_path)
        with agent_api(source, tmp_path, **server_options(certificates)) as (node, _playbooks), ExitStack() as stack:
            for _number in range(1000):
                stack.enter_context(connect(node.port))
            assert node.send(start_vm_cmd("01-minimal"), uuid.uuid4().hex, tls=client_context(certificates)) == 200

    def test_one_address_cannot_take_all_connections(self, source: dict[str, Any], tmp_path: Path) -> None:
        with agent_api(source, tmp_path, connections_per_address=2) as (node, _playbooks), ExitStack() as stack:
            other = stack.enter_context(connect(node.port, "127.0.1.1"))
            first, second, third = (stack.enter_context(connect(node.port)) for _number in range(3))
            assert is_closed(first)
            for client in (second, third, other):
                client.sendall(b"GET / HTTP/1.1\r\nHost: agent\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 404 ")

    @pytest.mark.parametrize("sent", [b"", b"POST /vm/start HTTP/1.1\r\nHost: agent\r\n"])
    def test_the_head_of_a_request_has_to_arrive_in_time(
        self, source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
    ) -> None:
        monkeypatch.setitem(source["main"].__globals__, "HEAD_SECONDS", 0.2)
        with agent_api(source, tmp_path) as (node, _playbooks):
            with connect(node.port) as client:
                client.sendall(sent)
                assert is_closed(client)

    def test_a_limit_beyond_the_file_descriptors_is_refused(self, source: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="connections: 2000000 need 2000200 file descriptors"):
            asyncio.run(source["main"](None, {"connections": 2000000}))


def test_a_result_that_cannot_be_read_without_file_descriptors_is_waited_for(
    source: dict[str, Any], tmp_path: Path
) -> None:
    """A result that exists but can't be read for a while does not count as a missing result."""
    with agent_api(source, tmp_path) as (node, playbooks):
        playbooks.written_by_test = True
        task = uuid.uuid4().hex
        assert node.send(start_vm_cmd("01-minimal"), task) == 200
        wait_until(lambda: playbooks.requests, "the playbook runs")
        with (tmp_path / "result").open("w") as result, no_more_file_descriptors():
            result.write('{"success": true}')
            result.flush()
            os.rename(tmp_path / "result", playbooks.requests[0]["result"])
            threading.Event().wait(1)  # Enough for five checks
            assert node.results(task) == []
        assert node.result(task) == {"success": True, "error": ""}
        assert node.send(start_vm_cmd("01-minimal"), uuid.uuid4().hex) == 200


@contextmanager
def no_more_file_descriptors() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open("/dev/null") as last:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            assert last.fileno() > 3
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_full_disk_leaves_room_for_the_results_of_what_was_accepted(source: dict[str, Any], tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", str(spool)], check=True)
    try:
        with agent_api(source, tmp_path, parallel=2) as (node, playbooks):
            playbooks.held, playbooks.size = True, 900_000
            tasks = [uuid.uuid4().hex for _number in range(2)]
            assert [node.send(start_vm_cmd("01-minimal"), task) for task in tasks] == [200, 200]
            wait_until(lambda: len(playbooks.requests) == 2, "they run")
            fill(spool)
            assert node.send(start_vm_cmd("01-minimal"), uuid.uuid4().hex) == 503
            wait_until(lambda: os.statvfs(spool).f_bavail * os.statvfs(spool).f_frsize > 2_000_000, "there is room")
            playbooks.held = False
            assert [len(node.result(task)["error"]) > 900_000 for task in tasks] == [True, True]
            (spool / "other").unlink()
            wait_until(
                lambda: node.send(start_vm_cmd("01-minimal"), uuid.uuid4().hex) == 200, "documents are taken again"
            )
    finally:
        subprocess.run(["umount", "--lazy", str(spool)], check=True)


def test_a_read_only_spool_refuses_documents_until_it_can_be_written_again(
    source: dict[str, Any], tmp_path: Path
) -> None:
    def status() -> int:
        return node.send(start_vm_cmd("01-minimal"), uuid.uuid4().hex)

    with agent_api(source, tmp_path) as (node, _playbooks):
        with read_only(tmp_path / "spool"):
            assert status() == 503
        wait_until(lambda: status() == 200, "documents are taken again")
    with read_only(tmp_path / "spool"):
        with pytest.raises(SpoolError, match="Read-only file system"):
            Spool(str(tmp_path / "spool"))


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Make the path read-only within the block."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=4k,mode=0700", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def fill(directory: Path) -> None:
    space = os.statvfs(directory)
    with (directory / "other").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize)


class TestWhatIsMalformed:
    """It is refused at once, with a short message."""

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("[" * 15_000, "nested more than 32 levels"),
            ('{"options":' + '{"a":' * 500 + "1" + "}" * 501, "nested more than 32 levels"),
            ('{"options": {"boot_dev": [' + "1," * 400_000 + "1]}}", "more than 20000 values"),
            ('{"vmName": "' + "a" * 500_000 + '"}', "text of more than"),
            ('{"memory": 1' + "0" * 5000 + "}", "number of more than"),
            ('{"memory": NaN}', "not finite"),
            ('{"memory": 1e999}', "not finite"),
            ('{"vmName": "\\ud800"}', "surrogate"),
            ('{"options": {"\\udfff": 1}}', "surrogate"),
            ('{"a\\u001b": 1, "a": 1}', "is required"),
        ],
    )
    def test_documents(self, source: dict[str, Any], tmp_path: Path, text: str, why: str) -> None:
        with agent_api(source, tmp_path) as (node, _playbooks):
            status, answer = node.ask(text.encode(), {"taskuuid": "1", "callbackurl": node.callback_url})
            assert (status, why in answer, len(answer) < 1000) == (400, True, True)

    def test_the_number_of_reported_problems_is_limited(self, source: dict[str, Any], tmp_path: Path) -> None:
        options = {"boot_dev": ["hdd"] * 5000, **{f"memry{number}": 1 for number in range(5000)}}
        with agent_api(source, tmp_path) as (node, _playbooks):
            document, sent = start_vm_cmd("01-minimal", options=options), time.monotonic()
            status, answer = node.ask(document, {"taskuuid": "1", "callbackurl": node.callback_url})
            assert (status, len(answer.splitlines())) == (400, 101)
            assert time.monotonic() - sent < 60, "it took minutes"
            assert len(answer) < 20_000

    @pytest.mark.parametrize(
        ("body", "encoding", "status"),
        [
            (gzip.compress(b"{}", mtime=0), "gzip", 400),
            (b"{}", "gzip", 400),
            (gzip.compress(b"{}", mtime=0)[:-1], "gzip", 400),
            (gzip.compress(b" " * 2_000_000, mtime=0), "gzip", 413),
            (b"{}", "br", 415),
        ],
    )
    def test_bodies(self, source: dict[str, Any], tmp_path: Path, body: bytes, encoding: str, status: int) -> None:
        with agent_api(source, tmp_path) as (node, _playbooks):
            headers = {"taskuuid": "1", "callbackurl": node.callback_url, "Content-Encoding": encoding}
            assert node.ask(body, headers)[0] == status

    def test_a_document_may_be_compressed(self, source: dict[str, Any], tmp_path: Path) -> None:
        with agent_api(source, tmp_path) as (node, _playbooks):
            headers = {"taskuuid": "1", "callbackurl": node.callback_url, "Content-Encoding": "gzip"}
            assert node.ask(gzip.compress(json.dumps(start_vm_cmd("01-minimal")).encode()), headers)[0] == 200

    def test_invalid_chunks(self, source: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with agent_api(source, tmp_path) as (node, _playbooks):
            with connect(node.port) as client:
                client.sendall(TestManyConnections.HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n")
                assert client.recv(100).split()[1] == b"400"
            assert caplog.messages == []


def test_the_others_are_answered_while_a_document_is_read(
    source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(source["main"].__globals__, "READ_SECONDS", 0.5)
    reading = threading.Event()
    monkeypatch.setitem(source["main"].__globals__, "read_request", lambda *_request: reading.wait(60))
    with agent_api(source, tmp_path) as (node, _playbooks), ThreadPoolExecutor(1) as sender:
        answer = sender.submit(node.send, start_vm_cmd("01-minimal"), uuid.uuid4().hex)
        assert node.ask({}, {}, path="/")[0] == 404
        assert answer.result(timeout=240) == 503
        reading.set()


def test_without_a_thread_it_does_not_begin(
    source: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="no thread to read documents with"):
        asyncio.run(source["main"](None, {"spool": str(tmp_path / "spool")}))
    Spool(str(tmp_path / "spool")).close()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"port": "http"}, "port"),
        ({"parallel": float("inf")}, "parallel"),
        ({"waiting": "1e999999999"}, "waiting"),
        ({"prot": 7071}, "prot"),
        ({"parallel": 0}, "parallel must be at least 1"),
        ({"callback_urls": ["zs.example"]}, "callback_urls: zs.example: it is not an http or https URL"),
        ({"cafile": "/etc/ca.pem"}, "cafile needs certfile"),
        ({"keyfile": "/etc/key.pem"}, "keyfile needs certfile"),
        ({"token_file": "/dev/null"}, "token_file: /dev/null is empty"),
        ({"token_file": ""}, "token_file is empty"),
        ({"callback_urls": ""}, "callback_urls is empty"),
        ({"host": ""}, "host is empty"),
    ],
)
def test_options_that_are_wrong(source: dict[str, Any], tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        asyncio.run(source["main"](None, {"spool": str(tmp_path / "spool"), **options}))
