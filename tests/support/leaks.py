# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search for a secret where it must not be: in processes, the system log, files."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SYSLOG = Path("/dev/log")
# Wherever a task may write; LIBVIRTS_OWN is what libvirt itself keeps, readable by root alone.
SEARCHED = ("/root/.ansible", "/tmp", "/var/tmp", "/var/log", "/var/lib/zstack-kvm", "/run", "/etc/libvirt", "/home")
LIBVIRTS_OWN = ("/etc/libvirt/qemu/", "/run/libvirt/qemu/")


class Watch:
    """Collects what is written to the system log, and the command line and environment of every process."""

    def __init__(self) -> None:
        self.seen = ""
        self.scans = 0
        self._over = threading.Event()
        self._log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs."""
        assert not SYSLOG.exists(), "this test replaces the system log"
        self._log.bind(str(SYSLOG))
        self._log.settimeout(0.05)
        watchers = [threading.Thread(target=watch) for watch in (self._read_log, self._read_processes)]
        for watcher in watchers:
            watcher.start()
        try:
            yield
        finally:
            self._over.set()
            for watcher in watchers:
                watcher.join()
            self._log.close()
            SYSLOG.unlink()

    def _read_log(self) -> None:
        while not self._over.is_set():
            try:
                self.seen += self._log.recv(65536).decode(errors="replace")
            except TimeoutError:
                continue

    def _read_processes(self) -> None:
        own = str(os.getpid())
        while not self._over.is_set():
            self.scans += 1
            for process in Path("/proc").glob("[0-9]*"):
                if process.name != own:
                    self.seen += _text(process / "cmdline") + _text(process / "environ")
            time.sleep(0.02)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def files_with(secret: str) -> list[str]:
    """Return the files that have a secret in them."""
    paths = [path for path in SEARCHED if os.path.isdir(path)]
    found = subprocess.run(
        ["grep", "--recursive", "--files-with-matches", "--devices=skip", "--binary-files=text", "--fixed-strings"]
        + ["--regexp", secret, *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.splitlines()


def leaks_of(secret: str, owners: tuple[str, ...]) -> list[str]:
    """Return the files that contain the secret but should not."""
    return [file for file in files_with(secret) if not file.startswith(owners)]
