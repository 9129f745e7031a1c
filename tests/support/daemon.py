# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt daemon that runs the VMs: libvirtd, or virtqemud on a hypervisor with modular daemons."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

NAME = "libvirtd" if shutil.which("libvirtd") else "virtqemud"
# Starts the daemon that remote clients connect to; its settings say where it listens.
LISTEN = ["virtproxyd"] if NAME == "virtqemud" else [NAME, "--listen"]
PID_FILE = Path(f"/run/{NAME}.pid")
SETTINGS = Path(f"/etc/libvirt/{NAME}.conf")
_START_SECONDS = 120


def assert_own() -> None:
    """Assert that it belongs to the laboratory: no other one may be killed or stopped."""
    first_process = Path("/proc/1/cmdline").read_text(encoding="utf-8")
    assert first_process.startswith("zstack-kvm-lab:"), "run this inside a laboratory hypervisor (tools/lab/lab exec)"


def pid(name: str = NAME) -> int:
    """Return its process ID, or that of another libvirt daemon."""
    return int(Path(f"/run/{name}.pid").read_text(encoding="ascii"))


def kill(name: str = NAME) -> None:
    """Kill it, or another libvirt daemon."""
    os.kill(pid(name), signal.SIGKILL)


def start(*options: str, name: str = NAME) -> None:
    """Start it, or another libvirt daemon, after it was killed."""
    # A killed daemon holds the lock on its PID file until the kernel has removed its process.
    nowhere = subprocess.DEVNULL
    run = partial(subprocess.run, [name, "-d", *options], check=False, stdin=nowhere, stderr=nowhere)
    wait_until(lambda: run().returncode == 0, f"{name} can be started again", _START_SECONDS)
