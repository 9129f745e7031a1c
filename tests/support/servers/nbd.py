# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An NBD server on a Unix socket, like FusionStor's: exports named POOL/IMAGE."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Optional

from .process import Daemon, make_directory, wait_for


class NbdServer:
    """Serves files, each under its export name. Their bytes reach the client unchanged, even those of a qcow2 image."""

    def __init__(self, exports: Mapping[str, Path], socket: Optional[Path] = None) -> None:
        self._exports = dict(exports)
        self._requested_socket = socket
        self._cleanup = ExitStack()
        self.socket = Path()

    def __enter__(self) -> NbdServer:
        with ExitStack() as cleanup:
            directory = make_directory("nbd")
            cleanup.callback(shutil.rmtree, directory)
            self.socket = self._requested_socket or directory / "socket"
            cleanup.callback(self.socket.unlink, missing_ok=True)
            # Written when everything is served.
            pid_file = directory / "pid"
            address = {"addr": {"type": "unix", "path": str(self.socket)}}
            command = ["--pidfile", str(pid_file), "--nbd-server", json.dumps(address)]
            for number, (name, path) in enumerate(self._exports.items()):
                file = {"driver": "file", "filename": str(path), "node-name": f"node{number}"}
                export = {"type": "nbd", "id": f"export{number}", "node-name": f"node{number}", "name": name}
                command += ["--blockdev", json.dumps(file), "--export", json.dumps({**export, "writable": True})]
            daemon = Daemon(directory / "log", "qemu-storage-daemon", *command)
            cleanup.callback(daemon.stop)
            wait_for(f"NBD socket {self.socket}", pid_file.exists, daemon)
            # QEMU runs as another user.
            self.socket.chmod(0o666)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._cleanup.close()

    def url(self, name: str) -> str:
        """Return the URL of the export for QEMU's programs."""
        return f"nbd+unix:///{name}?socket={self.socket}"
