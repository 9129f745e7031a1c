# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared parts of the servers: their programs, processes, directories and ports."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Optional

from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

PACKAGES = Path(__file__).parent.parent / "packages.txt"


class ServerError(Exception):
    """A server did not start, or a request to it failed; the message has its output."""


class ProgramMissingError(ServerError):
    """A program is not installed; the message names it and its Debian package."""


def package_of(name: str) -> str:
    """Return the Debian package of a program or Python module, from packages.txt."""
    for line in PACKAGES.read_text(encoding="utf-8").splitlines():
        package, _hash, programs = line.partition("#")
        if name in programs.split():
            return package.strip()
    raise KeyError(f"{name} is not in {PACKAGES}")


def program(name: str) -> str:
    """Return the path of a program."""
    path = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise ProgramMissingError(f"{name} is not installed; on Debian: apt-get install {package_of(name)}")
    return path


def run(*command: str, env: Optional[Mapping[str, str]] = None) -> str:
    """Run a program of packages.txt to its end and return its standard output."""
    argv = [program(command[0]), *command[1:]]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise ServerError(f"{' '.join(command)}: exit status {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def make_directory(purpose: str) -> Path:
    """Return a new directory that QEMU's user can enter."""
    directory = Path(tempfile.mkdtemp(prefix=f"zstack-kvm-{purpose}-"))
    directory.chmod(0o755)
    return directory


def free_port(address: str) -> int:
    """Return a TCP port that nobody listens on at this address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


class Daemon:
    """A server's process in the foreground; it is killed with the process that started it, however that ends."""

    def __init__(self, log: Path, *command: str, env: Optional[Mapping[str, str]] = None) -> None:
        self.log = log
        self.name = command[0]
        argv = [program("setpriv"), "--pdeathsig", "KILL", program(command[0]), *command[1:]]
        with open(log, "ab") as output:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def check(self) -> None:
        """Raise ServerError with its output if it has ended."""
        status = self._process.poll()
        if status is not None:
            output = self.log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
            raise ServerError(f"{self.name} ended with exit status {status}: {output}")

    def stop(self) -> None:
        """Kill it and wait for its end."""
        self._process.kill()
        self._process.wait()


def wait_for(what: str, condition: Callable[[], bool], daemon: Daemon, timeout: float = 120) -> None:
    """Wait until the condition is true; raise ServerError at once if the daemon has ended."""

    def holds() -> bool:
        if condition():
            return True
        daemon.check()
        return False

    wait_until(holds, what, timeout)
