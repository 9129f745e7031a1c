# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS access to the agent API: directly, and through nginx as docs/agent-api.md configures it."""

from __future__ import annotations

import re
import socket
import ssl
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.reply import failure
from ansible_collections.zstack.kvm.tests.support import certificates as certificate_files
from ansible_collections.zstack.kvm.tests.support.agent_api import ManagementNode, start_vm_cmd
from ansible_collections.zstack.kvm.tests.support.certificates import client_context, server_options
from ansible_collections.zstack.kvm.tests.support.event_source import agent_api, load
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS
from ansible_collections.zstack.kvm.tests.support.servers.nginx import Nginx
from ansible_collections.zstack.kvm.tests.support.servers.process import free_port

PAGE = COLLECTIONS / "ansible_collections/zstack/kvm/docs/agent-api.md"
TOKEN = "a-token-of-the-site"


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    return load()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_files.create(tmp_path_factory.mktemp("certificates"))


def is_accepted(node: ManagementNode, certificates: Path, client: str) -> bool:
    """Return whether a document is accepted with this client's certificate, and its result arrives."""
    document, task = start_vm_cmd("01-minimal"), uuid.uuid4().hex
    try:
        status = node.send(document, task, tls=client_context(certificates, client))
    except OSError:  # at the end of the handshake, or with the first byte after it
        return False
    if status == 200:
        assert node.result(task) == failure(document["vmName"])
    return status == 200


class TestDirectly:
    def test_the_server_shows_its_certificate(self, source: dict[str, Any], tmp_path: Path, certificates: Path) -> None:
        with agent_api(source, tmp_path, **server_options(certificates)) as (node, _playbooks):
            assert is_accepted(node, certificates, client="")
            with pytest.raises(ssl.SSLCertVerificationError):
                node.send(start_vm_cmd("01-minimal"), "1", tls=ssl.create_default_context())

    def test_only_clients_of_the_ca_get_in(self, source: dict[str, Any], tmp_path: Path, certificates: Path) -> None:
        options = {**server_options(certificates), "cafile": str(certificates / "ca.pem")}
        with agent_api(source, tmp_path, **options) as (node, _playbooks):
            accepted = {
                client: is_accepted(node, certificates, client) for client in ("client", "stranger", "expired", "")
            }
            assert accepted == {"client": True, "stranger": False, "expired": False, "": False}
            with pytest.raises(OSError):
                node.send(start_vm_cmd("01-minimal"), "1")

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
    def test_old_versions_are_not_spoken(self, source: dict[str, Any], tmp_path: Path, certificates: Path) -> None:
        old = client_context(certificates)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with agent_api(source, tmp_path, **server_options(certificates)) as (node, _playbooks):
            with pytest.raises(OSError):
                node.send(start_vm_cmd("01-minimal"), "1", tls=old)


class TestBehindNginx:
    """nginx requests the client's certificate, and sends the token that the management node cannot send."""

    @contextmanager
    def proxy(
        self, source: dict[str, Any], tmp_path: Path, certificates: Path, **options: Any
    ) -> Iterator[tuple[ManagementNode, ManagementNode]]:
        """Yield a client of nginx, and a client of the agent API itself."""
        (tmp_path / "token").write_text(TOKEN)
        with agent_api(source, tmp_path, token_file=str(tmp_path / "token"), **options) as (direct, _playbooks):
            port = free_port("127.0.0.1")
            server = documented_server(certificates, port, direct.port)
            if "cafile" in options:
                server = server.replace(
                    "proxy_pass http:", TLS_TO_THE_AGENT_API.format(certificates) + "proxy_pass https:"
                )
            with Nginx(server, port), ManagementNode(port) as node:
                yield node, direct

    def test_only_clients_of_the_ca_get_in(self, source: dict[str, Any], tmp_path: Path, certificates: Path) -> None:
        with self.proxy(source, tmp_path, certificates) as (node, direct):
            accepted = {
                client: is_accepted(node, certificates, client) for client in ("client", "stranger", "expired", "")
            }
            assert accepted == {"client": True, "stranger": False, "expired": False, "": False}
            assert direct.send(start_vm_cmd("01-minimal"), "1") == 401

    def test_the_proxy_may_need_a_certificate_too(
        self, source: dict[str, Any], tmp_path: Path, certificates: Path
    ) -> None:
        options = {**server_options(certificates), "cafile": str(certificates / "ca.pem")}
        with self.proxy(source, tmp_path, certificates, **options) as (node, direct):
            assert is_accepted(node, certificates, "client")
            with pytest.raises(OSError):
                direct.send(start_vm_cmd("01-minimal"), "1", tls=client_context(certificates))

    def test_what_is_refused_is_answered_as_without_it(
        self, source: dict[str, Any], tmp_path: Path, certificates: Path
    ) -> None:
        tls = client_context(certificates, "client")
        with self.proxy(source, tmp_path, certificates) as (node, _direct):
            headers = {"taskuuid": "1", "callbackurl": node.callback_url}
            assert node.ask(b"[", headers, tls=tls)[0] == 400
            assert node.ask(b" " * (2 << 20), headers, tls=tls)[0] == 413
            assert node.ask(b"", headers, path="/", tls=tls)[0] == 404
            assert node.ask(b"", headers, path="/vm/start/../../x", tls=tls)[0] == 404
            assert node.ask(b"", {**headers, "taskuuid": "../1"}, tls=tls)[0] == 400

    def test_slow_senders_keep_nobody_out(self, source: dict[str, Any], tmp_path: Path, certificates: Path) -> None:
        """nginx passes on only complete requests, so that slow clients take none of the agent API's connections."""
        slow = b"POST /vm/start HTTP/1.1\r\nHost: agent\r\ntaskuuid: 1\r\nContent-Length: 100\r\n\r\n{"
        tls = client_context(certificates, "client")
        with self.proxy(source, tmp_path, certificates, connections=2) as (node, _direct):
            with ExitStack() as stack:
                for _number in range(20):
                    plain = stack.enter_context(socket.create_connection(("127.0.0.1", node.port), 60))
                    client = stack.enter_context(tls.wrap_socket(plain, server_hostname="127.0.0.1"))
                    client.sendall(slow)
                assert is_accepted(node, certificates, "client")


TLS_TO_THE_AGENT_API = """proxy_ssl_certificate {0}/client.pem;
      proxy_ssl_certificate_key {0}/client.key;
      proxy_ssl_trusted_certificate {0}/ca.pem;
      proxy_ssl_verify on;
      proxy_ssl_name agent-api;
      """


def documented_server(certificates: Path, port: int, to: int) -> str:
    """Return the server block of the page, with this test's files and ports."""
    (block,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name in ("server.pem", "server.key", "ca.pem"):
        block = block.replace(f"/etc/zstack-kvm-agent-api/{name}", str(certificates / name))
    block = block.replace("listen 7443 ", f"listen 127.0.0.1:{port} ").replace("127.0.0.1:7071", f"127.0.0.1:{to}")
    return block.replace("Bearer TOKEN", f"Bearer {TOKEN}")
