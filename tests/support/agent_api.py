# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of ZStack's protocol: a client that sends documents and gets results, and the rulebook that serves it."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Optional, Union

from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS
from ansible_collections.zstack.kvm.tests.support.reference_cases import CASES
from ansible_collections.zstack.kvm.tests.support.todays_cases import TODAYS_CASES
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

TIMEOUT = 240  # seconds, on a machine that is busy with other tests


def start_vm_cmd(case: str, **fields: Any) -> dict[str, Any]:
    """Return a document as ZStack sends it, for a new VM; C(fields) are added or replaced."""
    document = json.loads((CASES / f"{case}.x86_64.json").read_text(encoding="utf-8"))
    return {**document, "vmInstanceUuid": uuid.uuid4().hex, "hostManagementIp": "127.0.0.1", **fields}


def todays_start_vm_cmd(case: str, **fields: Any) -> dict[str, Any]:
    """Return a document as ZStack sends it today, for a new VM; C(fields) are added or replaced."""
    text = (TODAYS_CASES / f"{case}.x86_64.json").read_text(encoding="utf-8")
    identity = uuid.uuid4().hex
    document = json.loads(text.replace(json.loads(text)["vmInstanceUuid"], identity))
    return {**document, "hostManagementIp": "127.0.0.1", **fields}


def next_document(document: Mapping[str, Any], reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of the next start: with the addresses that the management node records from a reply."""
    recorded = {
        info.get("macAddress", info.get("resourceUuid")): info["deviceAddress"]
        for info in [*reply["nicInfos"], *reply["virtualDeviceInfoList"]]
        if "deviceAddress" in info
    }

    def with_address(part: Mapping[str, Any], identity: Any, *names: str) -> dict[str, Any]:
        return {**part, **(dict.fromkeys(names, recorded[identity]) if identity in recorded else {})}

    return {
        **document,
        "nics": [with_address(nic, nic["mac"], "pci", "deviceAddress") for nic in document["nics"]],
        "rootVolume": with_address(document["rootVolume"], document["rootVolume"]["volumeUuid"], "deviceAddress"),
        "dataVolumes": [with_address(each, each["volumeUuid"], "deviceAddress") for each in document["dataVolumes"]],
        "cdRoms": [with_address(each, each["resourceUuid"], "deviceAddress") for each in document["cdRoms"]],
        "memBalloon": {**document["memBalloon"], **reply["memBalloonInfo"]},
        "vmXml": reply["vmXml"],
    }


class ManagementNode:
    """Sends documents and receives results, over real connections."""

    def __init__(self, port: int, headers: Optional[Mapping[str, str]] = None) -> None:
        self.port = port
        self.headers = dict(headers or {})
        self.refusals: Counter[str] = Counter()
        self.redirected: set[str] = set()
        self._results: list[tuple[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _receiver(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> ManagementNode:
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def callback_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/zstack/asyncrest/callback"

    def send(self, document: Any, task: str = "", **options: Any) -> int:
        """Send a document as ZStack does, and return the HTTP status of the answer."""
        return self.ask(document, {"taskuuid": task, "callbackurl": self.callback_url}, **options)[0]

    def ask(
        self,
        document: Any,
        headers: Mapping[str, str],
        path: str = "/ex/vm/start",
        method: str = "POST",
        tls: Optional[ssl.SSLContext] = None,
    ) -> tuple[int, str]:
        """Send anything, a document or bytes, and return the status and text of the answer."""
        body: Union[bytes, str] = document if isinstance(document, bytes) else json.dumps(document)
        if tls is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=tls)
        try:
            connection.request(method, path, body, {**self.headers, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def results(self, task: str) -> list[Any]:
        """Return the results that a task has so far."""
        return [result for other, result in self._results if other == task]

    def result(self, task: str, count: int = 1) -> Any:
        """Wait until a task's result has been sent C(count) times, and return the last one."""
        wait_until(lambda: len(self.results(task)) >= count, f"result {count} of task {task}")
        return self.results(task)[count - 1]

    def outcome(self, document: Any, task: str = "") -> Any:
        """Send a document and wait for its result."""
        task = task or uuid.uuid4().hex
        assert self.send(document, task) == 200
        return self.result(task)

    def take(self, task: str, result: Any) -> bool:
        """Accept a result, or refuse it as often as C(refusals) says; return whether it was accepted."""
        if self.refusals[task] > 0:
            self.refusals[task] -= 1
            return False
        self._results.append((task, result))
        return True


def _receiver(node: ManagementNode) -> type[BaseHTTPRequestHandler]:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body, task = self.rfile.read(int(self.headers["content-length"])), self.headers["taskuuid"]
            if task in node.redirected:
                node.redirected.remove(task)
                self.send_response(307)
                self.send_header("location", node.callback_url)
            else:
                self.send_response(200 if node.take(task, json.loads(body)) else 503)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Receiver


class Rulebook:
    """ansible-rulebook with the collection's rulebook; both it and its playbooks log as much as they can."""

    def __init__(self, directory: Path, inventory: Mapping[str, Any], port: int, **variables: Any) -> None:
        self.log = directory / "log"
        self.spool = directory / "spool"
        self._directory = directory
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._port = port
        (directory / "inventory").mkdir()
        (directory / "inventory" / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
        variables = {"port": port, "spool": str(self.spool), **variables}
        settings = {f"zstack_agent_api_{name}": value for name, value in variables.items()}
        (directory / "variables.yml").write_text(json.dumps(settings), encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it answers."""
        programs = Path(sys.executable).parent
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(COLLECTIONS)),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "ANSIBLE_INJECT_INVOCATION": "true",
            "ANSIBLE_VERBOSITY": "3",
        }
        command = [str(programs / "ansible-rulebook"), "--rulebook", "zstack.kvm.start_vm_cmd", "-vv", "--print-events"]
        command += ["--inventory", str(self._directory / "inventory"), "--vars", str(self._directory / "variables.yml")]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self._directory
            )
        wait_until(self._answers, "the rulebook answers")

    def kill(self) -> None:
        """Kill it, without any chance to clean up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def waiting_files(self) -> list[str]:
        """Return the names of the files in the spool."""
        return sorted(path.name for path in self.spool.iterdir() if path.name not in ("lock", "room"))

    def playbooks(self) -> list[int]:
        """Return the process IDs of the playbooks that start VMs."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        return [
            int(number)
            for numbers in children
            for number in numbers.read_text().split()
            if b"zstack.kvm.start_vm_cmd" in Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        ]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"ansible-rulebook ended: {self.log.read_text()[-4000:]}"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        try:
            # Connections are accepted before the engine is up, but answered only once it is.
            connection.request("GET", "/")
            return connection.getresponse().status > 0
        except OSError:
            return False
        finally:
            connection.close()
