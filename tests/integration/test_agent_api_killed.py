# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source of the agent API is killed while it accepts documents: every accepted one still gets a result."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.zstack.kvm.tests.support.agent_api import ManagementNode, start_vm_cmd
from ansible_collections.zstack.kvm.tests.support.event_source import SOURCE
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

ROUNDS = 4
KILLED_SECONDS = 60
SENDERS = 8
SERVER = """
import asyncio, json, runpy, sys
asyncio.run(runpy.run_path(sys.argv[1])["main"](asyncio.Queue(), json.loads(sys.argv[2])))
"""


@contextmanager
def server(port: int, spool: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Yield the source in a separate process; its events are never taken."""
    options = json.dumps({"port": port, "spool": str(spool), "parallel": 2, "waiting": 10_000})
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(SOURCE), options], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port), "it listens")
        yield process
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_every_accepted_document_gets_its_own_result(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spool, moments = tmp_path / "spool", random.Random(1)
    accepted: set[str] = set()
    with ManagementNode(port) as node:

        def send_until_killed(_sender: int) -> list[str]:
            accepted_tasks: list[str] = []
            ends = time.monotonic() + KILLED_SECONDS
            while time.monotonic() < ends:
                task = uuid.uuid4().hex
                try:
                    assert node.send(start_vm_cmd("01-minimal"), task) == 200
                except OSError:
                    return accepted_tasks
                accepted_tasks.append(task)
            raise AssertionError(f"the server still answers after {KILLED_SECONDS} s")

        for _round in range(ROUNDS):
            with server(port, spool) as process, ThreadPoolExecutor(SENDERS) as senders:
                threading.Timer(moments.uniform(0.05, 0.5), process.kill).start()
                accepted.update(task for tasks in senders.map(send_until_killed, range(SENDERS)) for task in tasks)
        assert accepted
        with server(port, spool):
            wait_until(lambda: all(node.results(task) for task in accepted), "all are reported")
            wait_until(lambda: {path.name for path in spool.iterdir()} == {"lock", "room"}, "nothing is left")
        # A result that was being sent at that moment is sent again.
        assert [
            task for task in accepted if any(result != node.results(task)[0] for result in node.results(task))
        ] == []
