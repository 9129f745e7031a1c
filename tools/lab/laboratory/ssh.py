# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH keys of a laboratory, and the configuration for connecting to its hypervisors."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .hypervisor import Hypervisor, load_all

_SERVER = """HostKey /etc/ssh/lab_host_key
AuthorizedKeysFile /etc/ssh/lab_access_key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxStartups 200
MaxSessions 200
AcceptEnv LANG LC_*
SetEnv PATH={path}
Subsystem sftp internal-sftp
PidFile /run/sshd.pid
"""
# The hypervisors reach each other, as live migration needs.
_CLIENT = """IdentityFile /etc/ssh/lab_access_key
UserKnownHostsFile /dev/null
StrictHostKeyChecking no
LogLevel ERROR
"""

Key = tuple[bytes, bytes]


def access_key(laboratory: Path) -> Path:
    """Return the private key that gives access to every hypervisor of the laboratory."""
    return laboratory / "key"


def host_key(hypervisor: Hypervisor) -> Path:
    """Return the private host key of the hypervisor's sshd."""
    return hypervisor.directory / "host_key"


def known_hosts(laboratory: Path) -> Path:
    """Return the known_hosts file of the laboratory's hypervisors, and of nothing else."""
    return laboratory / "known_hosts"


def read_key(private: Path) -> Key:
    """Return the private and the public half of a key."""
    return private.read_bytes(), private.with_name(f"{private.name}.pub").read_bytes()


def create_access_key(laboratory: Path) -> None:
    """Create the laboratory's key unless it has one."""
    if not access_key(laboratory).exists():
        _generate(access_key(laboratory), "zstack-kvm-lab")


def create_host_key(hypervisor: Hypervisor) -> None:
    """Create the hypervisor's host key and add it to the laboratory's known hosts."""
    _generate(host_key(hypervisor), hypervisor.name)
    write_known_hosts(hypervisor.laboratory)


def _generate(path: Path, comment: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path], check=True)


def write_known_hosts(laboratory: Path) -> None:
    """Write the host keys of all hypervisors the laboratory has now."""
    lines = []
    for hypervisor in load_all(laboratory):
        key = host_key(hypervisor).with_name("host_key.pub")
        if key.exists():
            lines.append(f"{hypervisor.address} {' '.join(key.read_text(encoding='utf-8').split()[:2])}\n")
    known_hosts(laboratory).write_text("".join(lines), encoding="utf-8")


def options(laboratory: Path) -> list[str]:
    """Return options of ssh that trust the laboratory's own known_hosts file and touch no other."""
    return [
        "-o",
        f"UserKnownHostsFile={known_hosts(laboratory)}",
        "-o",
        "GlobalKnownHostsFile=/dev/null",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
    ]


def command(hypervisor: Hypervisor) -> list[str]:
    """Return the ssh command for the hypervisor, to which the remote command is appended."""
    return [
        "ssh",
        "-F",
        "/dev/null",
        "-i",
        str(access_key(hypervisor.laboratory)),
        *options(hypervisor.laboratory),
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=5",
        f"root@{hypervisor.address}",
    ]


def write_server_configuration(host: Key, access: Key, path: str) -> None:
    """Write the configuration of sshd and ssh. Runs inside the hypervisor; `path` is the PATH of commands."""
    directory = Path("/etc/ssh")
    for name, (private, public) in (("lab_host_key", host), ("lab_access_key", access)):
        (directory / f"{name}.pub").write_bytes(public)
        with open(os.open(directory / name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(private)
    (directory / "sshd_config").write_text(_SERVER.format(path=path), encoding="utf-8")
    (directory / "ssh_config").write_text(_CLIENT, encoding="utf-8")
