# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event source: the HTTP protocol by which ZStack's management node has VMs started."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import ssl
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Optional

import aiohttp
from aiohttp import web
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

# ansible-rulebook runs this file by its path; the rest of the collection lies around it.
sys.path.insert(0, str(Path(__file__).absolute().parents[7]))

from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api import callback_url  # noqa: E402
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.request import RequestError, read_request  # noqa: E402
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.spool import NO_RESULT, Spool  # noqa: E402
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.tasks import Task, Tasks  # noqa: E402

DOCUMENTATION = r"""
---
short_description: Serve the HTTP protocol of ZStack's agent for starting VMs
description:
  - Listens for C(POST /ex/vm/start) and C(POST /vm/start) with a StartVmCmd document and the headers C(taskuuid) and
    C(callbackurl), answers at once, and later posts the result to the callback URL with the same C(taskuuid).
  - For each document it puts an event C(start_vm_cmd) into the queue, with C(task), C(vm), and the paths C(request) and
    C(result). The rule is to run a playbook that reads its request from the one and leaves its result at the other; see
    the rulebook zstack.kvm.start_vm_cmd. Events hold no secrets.
  - Needs in the Python of ansible-rulebook what C(extensions/eda/requirements.txt) lists.
options:
  host:
    description:
      - The address to listen on. Beyond loopback, ask for a token (O(token_file)) or client certificates (O(cafile)).
    type: str
    default: 127.0.0.1
  port:
    description: The port to listen on.
    type: int
    default: 7071
  certfile:
    description: A file with the certificate to serve HTTPS with.
    type: path
  keyfile:
    description: A file with the certificate's key, where O(certfile) doesn't hold it.
    type: path
  cafile:
    description: A file with CA certificates; then every client must show a certificate of theirs. Needs O(certfile).
    type: path
  token_file:
    description: A file with a token that every request must bring, as C(Authorization: Bearer TOKEN).
    type: path
  callback_urls:
    description:
      - Where results may be sent; requests with any other callback URL are refused. Scheme, host and port must be the
        same, the path the same or below. Any http or https URL by default; none if the list is empty.
    type: list
    elements: str
  callback_attempts:
    description: How often to try to send a result, with pauses of 1, 2, 4 … seconds.
    type: int
    default: 6
  max_body:
    description: How large a document may be, in bytes.
    type: int
    default: 1048576
  parallel:
    description: How many playbooks may run at once. Other documents wait.
    type: int
    default: 4
  waiting:
    description: How many documents may wait. More are refused.
    type: int
    default: 200
  spool:
    description:
      - A directory for what waits and runs, secrets included. It must belong to the user alone, and is created where it
        is missing.
    type: path
    default: /var/lib/zstack-kvm-agent-api
"""

EXAMPLES = r"""
- zstack.kvm.start_vm_cmd:
    host: 0.0.0.0
    certfile: /etc/zstack-kvm-agent-api/cert.pem
    cafile: /etc/zstack-kvm-agent-api/clients.pem
    callback_urls: ["https://10.0.0.2:8080/"]
"""

OPTIONS: dict[str, dict[str, Any]] = {
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 7071},
    "certfile": {"type": "path"},
    "keyfile": {"type": "path"},
    "cafile": {"type": "path"},
    "token_file": {"type": "path", "no_log": False},
    "callback_urls": {"type": "list", "elements": "str"},
    "callback_attempts": {"type": "int", "default": 6},
    "max_body": {"type": "int", "default": 1048576},
    "parallel": {"type": "int", "default": 4},
    "waiting": {"type": "int", "default": 200},
    "spool": {"type": "path", "default": "/var/lib/zstack-kvm-agent-api"},
}
PATHS = ("/ex/vm/start", "/vm/start")
BODY_SECONDS = 30  # for a request's body to arrive
KEEP_ALIVE_SECONDS = 15  # for another request on the same connection
CALLBACK_SECONDS = 10  # for one attempt
LOOK_SECONDS = 0.2  # between two looks for results
# For a playbook, beyond the timeout of its VM: start_vm_cmd.yml gives the module 600 s, and there is what surrounds it
PLAYBOOK_SECONDS = 900
_TASK_UUID = re.compile(r"[0-9A-Za-z-]{1,64}")

logger = logging.getLogger("zstack.kvm.start_vm_cmd")


class AgentApi:
    """Takes documents, has their playbooks run, reports what came of them."""

    def __init__(self, queue: Any, options: Mapping[str, Any], session: aiohttp.ClientSession, spool: Spool) -> None:
        self._queue = queue
        self._options = options
        self._session = session
        self._token = _token(options["token_file"])
        self._spool = spool
        self._tasks = Tasks(options["parallel"], options["waiting"])
        self._reports: dict[str, asyncio.Task[None]] = {}
        self._events: set[asyncio.Task[None]] = set()

    async def answer(self, request: web.Request) -> web.Response:
        """What a request is answered; only 200 means that there will be a callback."""
        if self._token is not None and not hmac.compare_digest(
            request.headers.get("Authorization", "").encode(errors="surrogateescape"), b"Bearer " + self._token
        ):
            return _refused(401, "the token is missing or wrong")
        task_uuid, callback = request.headers.get("taskuuid", ""), request.headers.get("callbackurl", "")
        if not _TASK_UUID.fullmatch(task_uuid):
            return _refused(400, "taskuuid is missing in the headers, or is no UUID")
        if not callback:
            return _refused(400, "callbackurl is missing in the headers")
        problem = callback_url.problem_of(callback, self._options["callback_urls"])
        if problem:
            return _refused(403, "callbackurl: %s" % problem)
        try:
            body = await asyncio.wait_for(request.read(), BODY_SECONDS)
        except asyncio.TimeoutError:
            return _refused(408, "the document did not arrive within %d s" % BODY_SECONDS)
        return self._take(task_uuid, callback, body)

    def _take(self, task_uuid: str, callback: str, body: bytes) -> web.Response:
        content = hashlib.sha256(callback.encode() + b"\n" + body).hexdigest()
        known = self._tasks.known(task_uuid)
        if known is not None:
            return self._repeated(known, content)
        try:
            request = read_request(body.decode("utf-8"))
        except UnicodeDecodeError:
            return _refused(400, "the document is not in UTF-8")
        except RequestError as error:
            logger.warning("task %s: refused: %r", task_uuid, str(error))
            return _refused(400, "\n".join(error.problems))
        if self._tasks.full:
            logger.warning("task %s: refused, too many documents wait", task_uuid)
            return _refused(503, "%d documents wait already, send it again later" % self._options["waiting"])
        task = Task(
            token=uuid.uuid4().hex,
            uuid=task_uuid,
            callback=callback,
            vm=request.vm,
            content=content,
            seconds=request.timeout + PLAYBOOK_SECONDS,
        )
        try:
            self._spool.add(task, request.arguments)
        except OSError as error:
            logger.error("task %s: refused, its document cannot be kept: %s", task_uuid, error)
            return _refused(503, "the document cannot be kept, send it again later")
        self._tasks.add(task)
        logger.info("task %s: accepted for VM %s", task_uuid, request.vm)
        for warning in request.warnings:
            logger.warning("task %s: %s", task_uuid, warning)
        return web.Response()

    def _repeated(self, task: Task, content: str) -> web.Response:
        if task.content != content:
            return _refused(409, "this taskuuid came with another document or callbackurl before")
        if task.result is not None:
            self._report(task)
        return web.Response()

    async def work(self) -> None:
        """Has playbooks run and looks for their results, for ever; a playbook has a limited time to leave one."""
        for task in self._spool.left_over():
            logger.warning("task %s: left over from an earlier run", task.uuid)
            self._tasks.add(task)
            self._report(task)
        while True:
            for task in self._tasks.begin(time.monotonic()):
                self._announce(task)
            for task in self._tasks.running:
                result = self._result(task)
                if result is not None:
                    self._spool.forget_request(task.token)
                    self._tasks.finish(task, result)
                    self._report(task)
            self._spool.sweep()
            await asyncio.sleep(LOOK_SECONDS)

    def _announce(self, task: Task) -> None:
        """Puts a task's event into the queue, without waiting for room there: other tasks have results meanwhile."""
        event = {
            "task": task.uuid,
            "vm": task.vm,
            "request": str(self._spool.request(task.token)),
            "result": str(self._spool.result(task.token)),
        }
        putting = asyncio.create_task(self._queue.put({"start_vm_cmd": event}))
        self._events.add(putting)
        putting.add_done_callback(self._events.discard)

    def _result(self, task: Task) -> Optional[dict[str, Any]]:
        """What came of a task that runs, None as long as that may still come."""
        result = self._spool.read_result(task.token)
        if result is None and time.monotonic() > task.deadline:
            logger.error("task %s: the playbook left no result within %d s", task.uuid, task.seconds)
            return {"success": False, "error": NO_RESULT}
        return result

    def _report(self, task: Task) -> None:
        """Has a task's result sent, unless it is being sent already."""
        if task.token in self._reports:
            return
        self._reports[task.token] = asyncio.create_task(self._send(task))
        self._reports[task.token].add_done_callback(lambda _done: self._reports.pop(task.token))

    async def _send(self, task: Task) -> None:
        """Posts the result of a task to its callback URL; a redirection counts as a failure, as it leads elsewhere."""
        attempts, problem = self._options["callback_attempts"], ""
        for attempt in range(attempts):
            if attempt:
                await asyncio.sleep(2 ** (attempt - 1))
            try:
                async with self._session.post(
                    task.callback, json=task.result, headers={"taskuuid": task.uuid}, allow_redirects=False
                ) as response:
                    if response.status // 100 == 2:
                        logger.info("task %s: reported, success: %s", task.uuid, (task.result or {}).get("success"))
                        break
                    problem = "HTTP status %d" % response.status
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
                problem = type(error).__name__
            logger.warning("task %s: attempt %d of %d to report: %s", task.uuid, attempt + 1, attempts, problem)
        else:
            logger.error("task %s: gave up to report %s: %s", task.uuid, task.result, problem)
        self._spool.remove(task.token)


def _token(path: Optional[str]) -> Optional[bytes]:
    if path is None:
        return None
    token = Path(path).read_bytes().strip()
    if not token:
        raise ValueError("token_file: %s is empty" % path)
    return token


def _refused(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=why + "\n")


def _tls(options: Mapping[str, Any]) -> Optional[ssl.SSLContext]:
    if options["certfile"] is None:
        if options["cafile"] is not None:
            raise ValueError("cafile needs certfile")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options["cafile"])
    context.load_cert_chain(options["certfile"], options["keyfile"])
    if options["cafile"] is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def read_options(args: Mapping[str, Any]) -> dict[str, Any]:
    """The source's options with their defaults; those that are null count as left out. ValueError for wrong ones."""
    given = {name: value for name, value in args.items() if value is not None}
    result = ArgumentSpecValidator(OPTIONS).validate(given)
    problems = ["%s is empty; leave it out for its default" % name for name, value in given.items() if value == ""]
    problems = problems or list(result.error_messages) or list(_problems(result.validated_parameters))
    if problems:
        raise ValueError("; ".join(problems))
    return result.validated_parameters


def _problems(options: Mapping[str, Any]) -> Iterator[str]:
    for name in ("callback_attempts", "max_body", "parallel", "waiting"):
        if options[name] < 1:
            yield "%s must be at least 1" % name
    for url in options["callback_urls"] or ():
        problem = callback_url.problem_of(url)
        if problem:
            yield "callback_urls: %s: %s" % (url, problem)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def main(queue: Any, args: dict[str, Any]) -> None:
    """Serves until it is cancelled. What was not reported by then is reported when it runs again."""
    options = read_options(args)
    tls = _tls(options)
    timeout = aiohttp.ClientTimeout(total=CALLBACK_SECONDS)
    with closing(Spool(options["spool"])) as spool:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            api = AgentApi(queue, options, session, spool)
            application = web.Application(client_max_size=options["max_body"])
            application.add_routes([web.post(path, api.answer) for path in PATHS])
            runner = web.AppRunner(application, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS)
            await runner.setup()
            try:
                await web.TCPSite(runner, options["host"], options["port"], ssl_context=tls).start()
                if not _is_loopback(options["host"]) and options["cafile"] is None and options["token_file"] is None:
                    logger.warning("whoever reaches port %d of %s can start VMs", options["port"], options["host"])
                await api.work()
            finally:
                await runner.cleanup()
