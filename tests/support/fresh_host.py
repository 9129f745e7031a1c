# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with nothing but a minimal Debian, Python and an SSH server: a container of systemd-nspawn.

Its files are a layer in memory over those that the set-up created. It has a network namespace, in which ssh reaches it,
and from which slirp4netns lets it reach package mirrors.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Optional

from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until
from ansible_collections.zstack.kvm.tools.lab.laboratory import cgroups

# The name server that slirp4netns provides
_NAME_SERVER = "10.0.2.3"
_SSH_SERVER = """PermitRootLogin prohibit-password
AuthorizedKeysFile /etc/ssh/access_key.pub
UseDNS no
"""
_SSH_OPTIONS = ("-F /dev/null", "-o UserKnownHostsFile=/dev/null", "-o StrictHostKeyChecking=no", "-o LogLevel=ERROR")
# systemd-nspawn's sysfs shows the network devices of the machine's own namespace.
_OWN_DEVICES = """set -e
mkdir /run/own-sysfs
mount -t sysfs sysfs /run/own-sysfs
for directory in class/net devices/virtual/net; do
    mount --bind /run/own-sysfs/$directory /sys/$directory
done
"""
# With systemd as the first process, or with one that only reaps
_SYSTEMD = ("--boot",)
_PLAIN = ("--as-pid2", "/bin/sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D")


class FreshHost:
    """A running container."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self._inside = ["ip", "netns", "exec", name]
        self._ssh = ["-i", str(directory / "access_key"), *(word for each in _SSH_OPTIONS for word in each.split())]

    def try_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the host over ssh."""
        return _try([*self._inside, "ssh", *self._ssh, "root@127.0.0.1", *command])

    def run(self, *command: str) -> str:
        """Run a command on the host and return its output; raise AssertionError with the output if it fails."""
        done = self.try_run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def play(self, playbook: str, *arguments: str, **variables: Any) -> str:
        """Run a playbook on the host and return its output; raise AssertionError with the output if it fails."""
        inventory = self.directory / "inventory.json"
        known = {
            "ansible_host": "127.0.0.1",
            "ansible_user": "root",
            "ansible_ssh_common_args": " ".join(self._ssh),
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        hosts = {"hypervisors": {"hosts": {"fresh": {**known, **variables}}}}
        inventory.write_text(json.dumps(hosts), encoding="utf-8")
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        settings = {
            "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(COLLECTIONS)),
            "ANSIBLE_SSH_ARGS": f"-o ControlMaster=auto -o ControlPersist=60 -o ControlPath={self.directory}/c",
        }
        done = _try([*self._inside, program, "-i", str(inventory), *arguments, playbook], settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def fresh_host(files: Path, directory: Path, systemd: bool, shared: Optional[Path] = None) -> Iterator[FreshHost]:
    """Yield a host with C(files) and with the directory C(shared); nothing of it is left after the block."""
    name = f"zstack-kvm-{uuid.uuid4().hex[:8]}"
    access_key, server, resolver = (directory / each for each in ("access_key", "sshd.conf", "resolv.conf"))
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", access_key)
    server.write_text(_SSH_SERVER, encoding="utf-8")
    resolver.write_text(f"nameserver {_NAME_SERVER}\n", encoding="utf-8")
    with contextlib.ExitStack() as stack:
        _run("ip", "netns", "add", name)
        stack.callback(_run, "ip", "netns", "delete", name)
        _run("ip", "-n", name, "link", "set", "lo", "up")
        network = ["slirp4netns", "--netns-type=path", "--configure", "--mtu=65520", f"/run/netns/{name}", "tap0"]
        stack.enter_context(_running(network, directory / "network.log"))
        wait_until(lambda: "10.0.2" in _run("ip", "-n", name, "-4", "address"), "the network is configured")
        shown = [
            f"--bind-ro={access_key}.pub:/etc/ssh/access_key.pub",
            f"--bind-ro={server}:/etc/ssh/sshd_config.d/fresh_host.conf",
            f"--bind-ro={resolver}:/etc/resolv.conf",
            "--bind=/dev/net/tun",
            *([f"--bind={shared}"] if shared else []),
        ]
        container = [
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--console=pipe",
            "--capability=all",
            "--resolv-conf=off",
            "--volatile=overlay",
            f"--machine={name}",
            f"--directory={files}",
            f"--network-namespace-path=/run/netns/{name}",
            *shown,
            *(_SYSTEMD if systemd else _PLAIN),
        ]
        # Its own cgroup, because two containers in one cgroup would share what systemd-nspawn creates there
        stack.callback(cgroups.remove, name, 60)
        log = directory / "container.log"
        process = stack.enter_context(_running(container, log, partial(cgroups.create, name)))
        host = FreshHost(directory, name)
        wait_until(lambda: process.poll() is not None or host.try_run("true").returncode == 0, "it answers over ssh")
        assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
        host.run(_OWN_DEVICES)
        yield host


@contextmanager
def _running(
    command: Sequence[str], log: Path, first: Optional[Callable[[], None]] = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process, and kill it at the end of the block."""
    # Only cgroup version 2, with which today's systems boot.
    environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, preexec_fn=first
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _try(command: Sequence[str], settings: Optional[Mapping[str, str]] = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **(settings or {})}
    return subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=1500
    )


def _run(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
