# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event source: the HTTP protocol with which ZStack's management node starts VMs."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
import logging
import re
import resource
import ssl
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, Optional

import aiohttp
from aiohttp import web
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

# ansible-rulebook runs this file by its path; the rest of the collection lies around it.
sys.path.insert(0, str(Path(__file__).absolute().parents[7]))

from ansible_collections.zstack.kvm.plugins.module_utils._spec.input_bounds import convertible  # noqa: E402
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api import callback_url  # noqa: E402
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.body import BodyError, text_of  # noqa: E402
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.connections import (  # noqa: E402
    ClientConnection,
    Connections,
    Limits,
    listen,
)
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.reply import failure  # noqa: E402
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.request import (  # noqa: E402
    RequestError,
    VmRequest,
    read_request,
)
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
  connections:
    description:
      - How many connections may be open at once. For a new one, the one that has waited longest for the end of its
        request is closed.
    type: int
    default: 200
  connections_per_address:
    description: How many of them may come from one IPv4 address, or from one IPv6 network of 64 bits.
    type: int
    default: 100
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
    "connections": {"type": "int", "default": 200},
    "connections_per_address": {"type": "int", "default": 100},
    "parallel": {"type": "int", "default": 4},
    "waiting": {"type": "int", "default": 200},
    "spool": {"type": "path", "default": "/var/lib/zstack-kvm-agent-api"},
}
PATHS = ("/ex/vm/start", "/vm/start")
HEAD_SECONDS = 15  # for a request's head to arrive, on a new connection and after an answer
BODY_SECONDS = 30  # for a request's body to arrive
READ_SECONDS = 30  # for a document to be read, after those that came before it
CALLBACK_SECONDS = 10  # for one attempt
LOOK_SECONDS = 0.2  # between two looks for results
# For a playbook, beyond the timeout of its VM: start_vm_cmd.yml gives the module 600 s, and there is what surrounds it
PLAYBOOK_SECONDS = 900
# Beside those for connections: for callbacks, playbooks, and what ansible-rulebook has open itself
OTHER_DESCRIPTORS = 200
CALLBACKS = 50  # connections for callbacks at once
MAX_LOGGED = 2000  # characters of what is wrong with a document
# Errors of this machine that pass, not of whom a result is for
_WAITED_OUT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_IDENTIFIER = re.compile(r"[0-9A-Za-z-]{1,64}")
_AN_IDENTIFIER = "made of up to 64 letters, digits and dashes"

logger = logging.getLogger("zstack.kvm.start_vm_cmd")


class ErrorResponse(Exception):
    """A request is answered by this status and text, and nothing is done."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Head(NamedTuple):
    """The headers of a request: the task's UUID, the callback URL, and the host's UUID, which may be missing."""

    task_uuid: str
    callback: str
    host_uuid: str


class AgentApi:
    """Accept documents, run their playbooks, and report the results."""

    def __init__(
        self,
        queue: Any,
        options: Mapping[str, Any],
        session: aiohttp.ClientSession,
        spool: Spool,
        worker: ThreadPoolExecutor,
    ) -> None:
        self._queue = queue
        self._options = options
        self._session = session
        self._token = _token(options["token_file"])
        self._spool = spool
        self._worker = worker
        self._tasks = Tasks(options["parallel"], options["waiting"])
        self._reports: dict[str, asyncio.Task[None]] = {}
        self._events: set[asyncio.Task[None]] = set()
        self._storing: dict[str, asyncio.Future[None]] = {}
        self._trouble = ""

    async def answer(self, request: web.Request, connection: ClientConnection) -> web.Response:
        """Answer a request; only 200 means that there will be a callback."""
        try:
            head = self._head(request)
            body = await self._body(request)
            connection.complete = True
            await self._take(head, body, request.headers.get("Content-Encoding", ""))
        except ErrorResponse as refused:
            return web.Response(status=refused.status, text="%s\n" % refused)
        return web.Response()

    def _head(self, request: web.Request) -> Head:
        """Return what the headers of a request say."""
        if self._token is not None and not hmac.compare_digest(
            request.headers.get("Authorization", "").encode(errors="surrogateescape"), b"Bearer " + self._token
        ):
            raise ErrorResponse(401, "the token is missing or wrong")
        task_uuid, callback = request.headers.get("taskuuid", ""), request.headers.get("callbackurl", "")
        if not _IDENTIFIER.fullmatch(task_uuid):
            raise ErrorResponse(400, "taskuuid is missing in the headers, or is not %s" % _AN_IDENTIFIER)
        if not callback:
            raise ErrorResponse(400, "callbackurl is missing in the headers")
        problem = callback_url.problem_of(callback, self._options["callback_urls"])
        if problem:
            raise ErrorResponse(403, "callbackurl: %s" % problem)
        host_uuid = request.headers.get("X-Resource-UUID", "")
        if host_uuid and not _IDENTIFIER.fullmatch(host_uuid):
            raise ErrorResponse(400, "X-Resource-UUID in the headers is not %s" % _AN_IDENTIFIER)
        return Head(task_uuid, callback, host_uuid)

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await asyncio.wait_for(request.read(), BODY_SECONDS)
        except asyncio.TimeoutError:
            raise ErrorResponse(408, "the document did not arrive within %d s" % BODY_SECONDS) from None
        except web.HTTPRequestEntityTooLarge:
            raise ErrorResponse(413, "the document is larger than %d bytes" % self._options["max_body"]) from None
        except (web.RequestPayloadError, aiohttp.http.HttpProcessingError):
            raise ErrorResponse(400, "the body is not valid HTTP") from None

    async def _take(self, head: Head, body: bytes, encoding: str) -> None:
        """Accept a document, or one that is known already."""
        content = hashlib.sha256(b"\n".join((head.callback.encode(), head.host_uuid.encode(), body))).hexdigest()
        if await self._is_repeated(head.task_uuid, content):
            return
        request = await self._read(head, partial(text_of, body, encoding, self._options["max_body"]))
        if not await self._is_repeated(head.task_uuid, content):
            await self._accept(head.task_uuid, head.callback, content, request)

    async def _is_repeated(self, task_uuid: str, content: str) -> bool:
        """Return whether a document is known; if it is done, its result is reported again."""
        while task_uuid in self._storing:
            await asyncio.wait([self._storing[task_uuid]])
        known = self._tasks.known(task_uuid)
        if known is None:
            return False
        if known.content != content:
            raise ErrorResponse(409, "this taskuuid came with another document or callbackurl before")
        if known.result is not None:
            self._report(known)
        return True

    async def _read(self, head: Head, text: Callable[[], str]) -> VmRequest:
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(self._worker, lambda: read_request(text(), head.host_uuid))
        try:
            return await asyncio.wait_for(reading, READ_SECONDS)
        except asyncio.TimeoutError:
            logger.error("task %s: refused, its document was not read within %d s", head.task_uuid, READ_SECONDS)
            raise ErrorResponse(503, "the document could not be read in time, send it again later") from None
        except BodyError as error:
            raise ErrorResponse(error.status, str(error)) from None
        except RequestError as error:
            logger.warning("task %s: refused: %r", head.task_uuid, str(error)[:MAX_LOGGED])
            raise ErrorResponse(400, "\n".join(error.problems)) from None

    async def _accept(self, task_uuid: str, callback: str, content: str, request: VmRequest) -> None:
        if self._tasks.full:
            logger.warning("task %s: refused, too many documents wait", task_uuid)
            raise ErrorResponse(503, "%d documents wait already, send it again later" % self._options["waiting"])
        if self._trouble:
            raise ErrorResponse(503, "the document cannot be kept, send it again later")
        task = Task(
            token=uuid.uuid4().hex,
            uuid=task_uuid,
            callback=callback,
            vm=request.vm,
            content=content,
            seconds=request.timeout + PLAYBOOK_SECONDS,
        )
        self._tasks.add(task)
        await self._store(task, request.arguments)
        logger.info("task %s: accepted for VM %s", task_uuid, request.vm)
        for warning in request.warnings:
            logger.warning("task %s: %s", task_uuid, warning)

    async def _store(self, task: Task, arguments: Mapping[str, Any]) -> None:
        """Write a task to the disk, beside the event loop; until then the request is not acknowledged."""
        loop = asyncio.get_running_loop()
        self._storing[task.uuid] = loop.create_future()
        try:
            await loop.run_in_executor(self._worker, self._spool.add, task, arguments)
            task.stored = True
        except OSError as error:
            logger.error("task %s: refused, its document cannot be kept: %s", task.uuid, error.strerror)
            raise ErrorResponse(503, "the document cannot be kept, send it again later") from None
        finally:
            if not task.stored:
                self._tasks.drop(task)
            self._storing.pop(task.uuid).set_result(None)

    async def work(self) -> None:
        """Run playbooks and collect their results forever. Retry after errors of the system."""
        while not self._attempt(self._take_over):
            await asyncio.sleep(LOOK_SECONDS)
        while True:
            self._attempt(self._look)
            await asyncio.sleep(LOOK_SECONDS)

    def _attempt(self, step: Callable[[], None]) -> bool:
        """Return whether a step worked; while it doesn't, no documents are accepted."""
        try:
            step()
        except OSError as error:
            trouble = "%s: %s" % (self._options["spool"], error.strerror)
            if trouble != self._trouble:
                logger.error("the spool cannot be used, trying again: %s", trouble)
            self._trouble = trouble
            return False
        self._trouble = ""
        return True

    def _take_over(self) -> None:
        for task in self._spool.left_over():
            logger.warning("task %s: left over from an earlier run", task.uuid)
            self._tasks.add(task)
            self._report(task)

    def _look(self) -> None:
        """Start the tasks that may run, and end those with a result or out of time."""
        for task in self._tasks.begin(time.monotonic()):
            self._announce(task)
        errors = [error for error in map(self._look_at, self._tasks.running) if error is not None]
        self._spool.keep_room(len(self._tasks.running))
        self._spool.sweep()
        if errors:
            raise errors[0]

    def _look_at(self, task: Task) -> Optional[OSError]:
        """End a task that has a result or no more time. An error of the system leaves it as it is."""
        try:
            result, trouble = self._spool.read_result(task.token), None
        except OSError as error:
            result, trouble = None, error
        if result is None and time.monotonic() > task.deadline:
            logger.error("task %s: the playbook left no result within %d s", task.uuid, task.seconds)
            result = failure(NO_RESULT)
        if result is not None:
            self._tasks.finish(task, result)
            self._report(task)
        return trouble

    def _announce(self, task: Task) -> None:
        """Queue a task's event, without waiting for room in the queue: other tasks deliver results meanwhile."""
        event = {
            "task": task.uuid,
            "vm": task.vm,
            "request": str(self._spool.request(task.token)),
            "result": str(self._spool.result(task.token)),
        }
        putting = asyncio.create_task(self._queue.put({"start_vm_cmd": event}))
        self._events.add(putting)
        putting.add_done_callback(self._events.discard)

    def _report(self, task: Task) -> None:
        """Send a task's result, unless it is being sent already."""
        if task.token in self._reports:
            return
        self._reports[task.token] = asyncio.create_task(self._send(task))
        self._reports[task.token].add_done_callback(lambda _done: self._reports.pop(task.token))

    async def _send(self, task: Task) -> None:
        """Post the result of a task to its callback URL, then forget the task."""
        problem = ""
        try:
            self._spool.forget_request(task.token)
        except OSError as error:
            logger.error("task %s: its document cannot be removed: %s", task.uuid, error.strerror)
        for attempt in range(self._options["callback_attempts"]):
            if attempt:
                await asyncio.sleep(2 ** (attempt - 1))
            problem = await self._post(task)
            if not problem:
                logger.info("task %s: reported, success: %s", task.uuid, (task.result or {}).get("success"))
                break
            logger.warning("task %s: attempt %d to report: %s", task.uuid, attempt + 1, problem)
        else:
            outcome = {name: (task.result or {}).get(name) for name in ("success", "error")}
            logger.error("task %s: gave up reporting %s: %s", task.uuid, outcome, problem)
        await self._forget(task)

    async def _post(self, task: Task) -> str:
        """Return why a result did not arrive, empty if it did. A redirection is a failure, as it leads elsewhere."""
        while True:
            try:
                async with self._session.post(
                    task.callback, json=task.result, headers={"taskuuid": task.uuid}, allow_redirects=False
                ) as response:
                    return "" if response.status // 100 == 2 else "HTTP status %d" % response.status
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
                if getattr(error, "errno", None) not in _WAITED_OUT:
                    return type(error).__name__
            await asyncio.sleep(LOOK_SECONDS)

    async def _forget(self, task: Task) -> None:
        """Remove a task that is reported from the spool, where it would be reported again after a restart."""
        while True:
            try:
                self._spool.remove(task.token)
                return
            except OSError:
                await asyncio.sleep(LOOK_SECONDS)


def _token(path: Optional[str]) -> Optional[bytes]:
    if path is None:
        return None
    token = Path(path).read_bytes().strip()
    if not token:
        raise ValueError("token_file: %s is empty" % path)
    return token


def _tls(options: Mapping[str, Any]) -> Optional[ssl.SSLContext]:
    if options["certfile"] is None:
        for name in ("cafile", "keyfile"):
            if options[name] is not None:
                raise ValueError("%s needs certfile" % name)
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options["cafile"])
    context.load_cert_chain(options["certfile"], options["keyfile"])
    if options["cafile"] is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def read_options(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source's options with their defaults; null counts as omitted. Raises C(ValueError)."""
    given = {name: value for name, value in args.items() if value is not None}
    result = ArgumentSpecValidator(OPTIONS).validate(convertible(given, OPTIONS))
    problems = ["%s is empty; leave it out for its default" % name for name, value in given.items() if value == ""]
    problems = problems or list(result.error_messages) or list(_problems(result.validated_parameters))
    if problems:
        raise ValueError("; ".join(problems))
    return result.validated_parameters


def _problems(options: Mapping[str, Any]) -> Iterator[str]:
    for name in (
        "callback_attempts",
        "max_body",
        "connections",
        "connections_per_address",
        "parallel",
        "waiting",
    ):
        if options[name] < 1:
            yield "%s must be at least 1" % name
    descriptors, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = options["connections"] + OTHER_DESCRIPTORS
    if descriptors != resource.RLIM_INFINITY and needed > descriptors:
        yield "connections: %d need %d file descriptors, but this process may have only %d; see ulimit -n" % (
            options["connections"],
            needed,
            descriptors,
        )
    for url in options["callback_urls"] or ():
        problem = callback_url.problem_of(url)
        if problem:
            yield "callback_urls: %s: %s" % (url, problem)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _worker() -> ThreadPoolExecutor:
    """Return a thread that reads and stores documents. It is started first: later the system may have none left."""
    worker = ThreadPoolExecutor(1, "zstack.kvm.start_vm_cmd")
    try:
        worker.submit(int).result()
    except RuntimeError as error:
        raise RuntimeError("no thread to read documents with: %s; raise the limit of processes" % error) from None
    return worker


async def main(queue: Any, args: dict[str, Any]) -> None:
    """Serve until cancelled. What was not reported by then is reported when it runs again."""
    options = read_options(args)
    tls = _tls(options)
    timeout = aiohttp.ClientTimeout(total=CALLBACK_SECONDS)
    worker = _worker()
    try:
        with closing(Spool(options["spool"], options["parallel"])) as spool:
            connector = aiohttp.TCPConnector(limit=CALLBACKS)
            async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
                await _serve(AgentApi(queue, options, session, spool, worker), options, tls)
    finally:
        worker.shutdown(wait=False)


def _http_logger() -> logging.Logger:
    """Return a logger without the errors of requests: their senders see them, and could flood the log."""
    http_logger = logger.getChild("http")
    http_logger.filters[:] = [
        lambda record: not (record.exc_info and isinstance(record.exc_info[1], aiohttp.http.HttpProcessingError))
    ]
    return http_logger


async def _serve(api: AgentApi, options: Mapping[str, Any], tls: Optional[ssl.SSLContext]) -> None:
    connections: Connections

    @web.middleware
    async def watched(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        with connections.answering(request.transport) as connection:
            request["connection"] = connection
            return await handler(request)

    async def answer(request: web.Request) -> web.Response:
        return await api.answer(request, request["connection"])

    application = web.Application(client_max_size=options["max_body"], middlewares=[watched])
    application.add_routes([web.post(path, answer) for path in PATHS])
    runner = web.AppRunner(
        application,
        logger=_http_logger(),
        access_log=None,
        keepalive_timeout=HEAD_SECONDS,
        lingering_time=HEAD_SECONDS,
        auto_decompress=False,
    )
    await runner.setup()
    limits = Limits(options["connections"], options["connections_per_address"], HEAD_SECONDS)
    assert runner.server is not None
    connections = Connections(runner.server, limits, tls)
    listeners = await listen(options["host"], options["port"])
    accepting = [asyncio.create_task(connections.serve(listener)) for listener in listeners]
    try:
        if not _is_loopback(options["host"]) and options["cafile"] is None and options["token_file"] is None:
            logger.warning("anyone who can reach port %d of %s can start VMs", options["port"], options["host"])
        await api.work()
    finally:
        for task in accepting:
            task.cancel()
        for listener in listeners:
            listener.close()
        await runner.cleanup()
