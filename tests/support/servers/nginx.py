# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx as a proxy, with one server block."""

from __future__ import annotations

import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

from .process import Daemon, make_directory, wait_for

CONFIGURATION = """
daemon off;
pid {directory}/pid;
error_log {directory}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  scgi_temp_path {directory}/scgi;
  uwsgi_temp_path {directory}/uwsgi;
{server}
}}
"""


class Nginx:
    """Serves one C(server) block, which listens on a port of the loopback address."""

    def __init__(self, server: str, port: int) -> None:
        self.port = port
        self._server = server
        self._cleanup = ExitStack()

    def __enter__(self) -> Nginx:
        with ExitStack() as cleanup:
            directory = make_directory("nginx")
            cleanup.callback(shutil.rmtree, directory)
            configuration = Path(directory, "nginx.conf")
            configuration.write_text(CONFIGURATION.format(directory=directory, server=self._server), encoding="utf-8")
            daemon = Daemon(directory / "log", "nginx", "-c", str(configuration), "-e", str(directory / "error.log"))
            cleanup.callback(daemon.stop)
            wait_for(f"nginx on port {self.port}", self._listens, daemon)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._cleanup.close()

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0
