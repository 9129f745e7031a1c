# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for AWX, which runs only in containers: as much of its REST API as the modules of awx.awx use.

It stores what it receives, refuses surveys by AWX's rules, and hides secrets as AWX does. It runs no jobs.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .awx_survey import ENCRYPTED, specification_problems

TOKEN = "token-of-the-stand-in"
SECRET_INPUTS = ("ssh_key_data", "password", "become_password")
TEMPLATES = ("job_templates", "workflow_job_templates")


class Awx:
    """The objects that clients have created."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict[str, Any]]] = {}
        self.associated: dict[str, list[int]] = {}
        self.surveys: dict[str, dict[str, Any]] = {}
        self.url = ""
        self.add("organizations", {"name": "Default"})
        self.add("credential_types", {"name": "Machine"})

    def add(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Return a new object with an id; a job template belongs to its project's organization."""
        identity = sum(map(len, self.objects.values())) + 1
        url = f"/api/v2/{kind}/{identity}/"
        if kind == "job_templates":
            fields["organization"] = self.objects["projects"][fields["project"]]["organization"]
        related = {name: f"{url}{name}/" for name in ("survey_spec", "hosts", "children")}
        if kind == "projects":
            # AWX updates a new project by itself.
            fields["scm_revision"] = "5f0c1d2e"
        known = {"id": identity, "url": url, "type": kind[:-1], "related": related, "summary_fields": {}}
        self.objects.setdefault(kind, {})[identity] = {**fields, **known}
        return self.objects[kind][identity]

    def found(self, kind: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """Return the objects of a kind that have these values."""
        kinds = TEMPLATES if kind == "unified_job_templates" else (kind,)
        objects = [each for name in kinds for each in self.objects.get(name, {}).values()]
        return [each for each in objects if all(str(each.get(key)) == value for key, value in query.items())]

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """Return the only object of that name."""
        (found,) = self.found(kind, {"name": name})
        return found

    def survey(self, kind: str, name: str) -> list[dict[str, Any]]:
        """Return the questions of a template."""
        return self.surveys[self.named(kind, name)["related"]["survey_spec"]]["spec"]


def shown(item: dict[str, Any]) -> dict[str, Any]:
    """Return an object as AWX shows it: without secrets."""
    if "inputs" not in item:
        return item
    inputs = {key: ENCRYPTED if key in SECRET_INPUTS else value for key, value in item["inputs"].items()}
    return {**item, "inputs": inputs}


def answered(awx: Awx, method: str, path: str, query: dict[str, str], data: dict[str, Any]) -> tuple[int, Any]:
    """Return the status and the content of the response to a request."""
    match = re.fullmatch(r"/api/v2/(\w+)/(?:(\d+)/(?:(\w+)/)?)?", path)
    if not match:
        return 404, {"detail": "Not found."}
    kind, identity, part = match.groups()
    if not identity:
        if method == "POST":
            return 201, shown(awx.add(kind, data))
        found = [shown(each) for each in awx.found(kind, query)]
        return 200, {"count": len(found), "next": None, "previous": None, "results": found}
    item = awx.objects.get(kind, {}).get(int(identity))
    if item is None:
        return 404, {"detail": "Not found."}
    if part == "survey_spec":
        return _survey(awx, method, path, data)
    if part:
        return _associations(awx, method, path, data)
    if method == "PATCH":
        item.update(data)
    return 200, shown(item)


def _survey(awx: Awx, method: str, path: str, data: dict[str, Any]) -> tuple[int, Any]:
    if method == "POST":
        problems = specification_problems(data, awx.surveys.get(path))
        if problems:
            return 400, {"error": "; ".join(problems)}
        awx.surveys[path] = data
        return 200, {}
    return 200, awx.surveys.get(path, {})


def _associations(awx: Awx, method: str, path: str, data: dict[str, Any]) -> tuple[int, Any]:
    known = awx.associated.setdefault(path, [])
    if method == "POST":
        known.remove(data["id"]) if data.get("disassociate") else known.append(data["id"])
        return 204, None
    return 200, {"count": len(known), "next": None, "previous": None, "results": [{"id": each} for each in known]}


@contextmanager
def running() -> Iterator[Awx]:
    """Yield the stand-in, listening on this machine."""
    awx = Awx()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            address = urlsplit(self.path)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, content = 401, {"detail": "Authentication credentials were not provided."}
            else:
                with lock:
                    data = json.loads(body or b"{}")
                    status, content = answered(awx, self.command, address.path, dict(parse_qsl(address.query)), data)
            sent = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.send_header("X-API-Product-Name", "AWX")
            self.send_header("X-API-Product-Version", "24.6.1")
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = handle_any

        def log_message(self, *_arguments: Any) -> None:
            """Log nothing: tests assert what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    awx.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield awx
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
