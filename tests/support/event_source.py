# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source of the agent API in the test's process, and a stand-in for the rulebook that takes its events."""

from __future__ import annotations

import asyncio
import json
import runpy
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.support.agent_api import ManagementNode
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS

SOURCE = COLLECTIONS / "ansible_collections/zstack/kvm/extensions/eda/plugins/event_source/start_vm_cmd.py"


def load() -> dict[str, Any]:
    """Return the globals of the event source's file, run as ansible-rulebook runs it."""
    return runpy.run_path(str(SOURCE))


class Playbooks:
    """Takes the events of the source, and writes a result for each a moment later.

    While they are C(held), they write no results; while they are C(refusing), they take no events.
    """

    def __init__(self) -> None:
        self.held = False
        self.refusing = False
        self.written_by_test = False
        self.size = 0
        self.requests: list[dict[str, str]] = []
        self.running: Counter[str] = Counter()
        self.peak = 0
        self.peak_for_one_vm = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def put(self, event: dict[str, Any]) -> None:
        while self.refusing:
            await asyncio.sleep(0.01)
        task = asyncio.create_task(self._run(event["start_vm_cmd"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, request: dict[str, str]) -> None:
        self.requests.append(request)
        if self.written_by_test:
            return
        self.running[request["vm"]] += 1
        self.peak = max(self.peak, self.running.total())
        self.peak_for_one_vm = max(self.peak_for_one_vm, *self.running.values())
        await asyncio.sleep(0.01)
        while self.held:
            await asyncio.sleep(0.01)
        self.running[request["vm"]] -= 1
        arguments = json.loads(Path(request["request"]).read_text(encoding="utf-8"))
        Path(request["result"]).write_text(
            json.dumps({"success": False, "error": arguments["vms"][0]["name"] + " " * self.size})
        )


@contextmanager
def agent_api(source: dict[str, Any], tmp_path: Path, **options: Any) -> Iterator[tuple[ManagementNode, Playbooks]]:
    """Yield a client of the source, which serves on a free port, and its playbooks."""
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
