# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First process of a hypervisor: makes it ready, starts its daemons and reaps what they leave.

Started in new namespaces by `boot.py` as: python3 -m laboratory.init PROCESS_NAME LABORATORY NAME.
Waits for a line on standard input, which says that its network is connected.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from . import cgroups, daemons, network, root, ssh
from .hypervisor import Hypervisor, load
from .programs import SYSTEM_PATH, path_of


def main(laboratory: str, name: str) -> None:
    """Turn the calling process into the hypervisor's first process."""
    hypervisor = load(Path(laboratory), name)
    if sys.stdin.readline() != "connected\n":
        raise SystemExit("the laboratory ended before the network was connected")
    os.umask(0o022)
    host_key = ssh.read_key(ssh.host_key(hypervisor))
    access_key = ssh.read_key(ssh.access_key(hypervisor.laboratory))
    root.enter(hypervisor)
    cgroups.enter_leaf()
    socket.sethostname(name)
    network.configure(hypervisor.network, hypervisor.number, hypervisor.settings.bridges)
    path = ":".join([*hypervisor.settings.path_first, SYSTEM_PATH])
    _write_configuration(hypervisor)
    ssh.write_server_configuration(host_key, access_key, path)
    os.environ.clear()
    os.environ.update(PATH=path, LANG="C.UTF-8", HOME="/root")
    with open("/dev/null", encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), 0)
    subprocess.run([path_of("sshd")], check=True)
    daemons.start(str(hypervisor.uuid))
    _reap_forever(hypervisor.process_name)


def _write_configuration(hypervisor: Hypervisor) -> None:
    # Without a password a root account may count as locked, which sshd refuses whatever key is offered.
    subprocess.run(["usermod", "--password", "*", "root"], check=True)
    Path("/etc/hostname").write_text(f"{hypervisor.name}\n", encoding="utf-8")
    Path("/etc/hosts").write_text(network.hosts_file(hypervisor.network, hypervisor.name), encoding="utf-8")
    Path("/etc/machine-id").write_text(f"{hypervisor.uuid.hex}\n", encoding="utf-8")


def _reap_forever(process_name: str) -> None:
    # A parent that ignores SIGCHLD has its orphans reaped by the kernel at once: libvirt waits for QEMU to
    # vanish when a machine is destroyed. What ended before is reaped here.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    os.execv(path_of("sleep"), [process_name, "infinity"])


if __name__ == "__main__":
    main(sys.argv[2], sys.argv[3])
