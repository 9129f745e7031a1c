# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a hypervisor: namespaces, first process, network, and the wait until it answers."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

from . import cgroups, network, ssh
from .errors import LabError
from .hypervisor import Hypervisor

# Flags of unshare(2), from linux/sched.h; os.unshare came with Python 3.12.
_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000


def start(hypervisor: Hypervisor) -> None:
    """Start the hypervisor's first process and connect its network; it is not ready yet when this returns.

    The caller holds network.alone(), so that nobody else takes the address meanwhile.
    """
    network.require(hypervisor.network, hypervisor.number)
    hypervisor.save()
    ssh.create_host_key(hypervisor)
    pid, stdin = _start_first_process(hypervisor)
    hypervisor.save_pid(pid)
    with os.fdopen(stdin, "w", encoding="utf-8") as line:
        network.connect(hypervisor.network, hypervisor.number, pid, hypervisor.directory)
        line.write("connected\n")


def _start_first_process(hypervisor: Hypervisor) -> tuple[int, int]:
    """Start the first process; return its pid and the descriptor that writes to its standard input."""
    pid_reader, pid_writer = os.pipe()
    stdin_reader, stdin_writer = os.pipe()
    helper = os.fork()
    if helper == 0:
        # Unsharing a PID namespace affects children only, hence a helper that ends at once.
        try:
            os.setsid()
            cgroups.create(hypervisor.cgroup)
            _unshare()
            pid = _spawn(hypervisor, stdin_reader)
            os.write(pid_writer, str(pid).encode())
        except Exception as error:
            hypervisor.log.write_text(f"{error}\n", encoding="utf-8")
            os._exit(1)
        os._exit(0)
    os.close(pid_writer)
    os.close(stdin_reader)
    with os.fdopen(pid_reader, encoding="utf-8") as reader:
        text = reader.read()
    os.waitpid(helper, 0)
    if not text:
        raise LabError(f"{hypervisor.name} did not start: {_last_words(hypervisor)}")
    return int(text), stdin_writer


def _unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NAMESPACES):
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")


def _spawn(hypervisor: Hypervisor, stdin: int) -> int:
    with open(hypervisor.log, "wb") as log:
        command = [
            sys.executable,
            "-B",
            "-m",
            "laboratory.init",
            hypervisor.process_name,
            str(hypervisor.laboratory),
            hypervisor.name,
        ]
        first = subprocess.Popen(command, cwd=Path(__file__).parent.parent, stdin=stdin, stdout=log, stderr=log)
    return first.pid


def wait_until_ready(hypervisor: Hypervisor, timeout: float) -> None:
    """Wait until libvirt answers over ssh; fail at once when the first process has ended."""
    deadline = time.monotonic() + timeout
    command = [*ssh.command(hypervisor), "virsh", "--connect", "qemu:///system", "uri"]
    while True:
        if hypervisor.pid() is None:
            raise LabError(f"{hypervisor.name} did not come up: {_last_words(hypervisor)}")
        if hypervisor.inside("/run/libvirt/libvirt-sock").exists():
            answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise LabError(f"{hypervisor.name} does not answer: {answer.stderr.strip()}")
        elif time.monotonic() > deadline:
            raise LabError(f"{hypervisor.name} is not ready after {timeout:.0f} s: {_last_words(hypervisor)}")
        time.sleep(0.1)


def _last_words(hypervisor: Hypervisor) -> str:
    try:
        return hypervisor.log.read_text(encoding="utf-8", errors="replace")[-2000:].strip() or "it printed nothing"
    except FileNotFoundError:
        return "it printed nothing"
