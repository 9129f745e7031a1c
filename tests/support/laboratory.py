# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory's command, as tests use it from the machine that the hypervisors run on."""

from __future__ import annotations

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
LAB = CHECKOUT / "tools" / "lab" / "lab"
# For `lab up --path-first`: a tc for kernels that lack what libvirt needs.
STAND_INS = CHECKOUT / "tests" / "support" / "path"


class Laboratory:
    """A laboratory in a directory of its own; taken down at the end of the `with` block."""

    def __init__(self, directory: Path, first: int, network: str = "10.99.0.0/24") -> None:
        self.directory = directory
        self.first = first
        self.network = network

    def __enter__(self) -> Laboratory:
        return self

    def __exit__(self, *_error: object) -> None:
        self.lab("down")

    @property
    def inventory(self) -> Path:
        """Return the Ansible inventory that `up` writes."""
        return self.directory / "inventory.yml"

    def lab(self, command: str, *arguments: str) -> str:
        """Run one of the laboratory's commands; raise AssertionError with its output if it fails."""
        done = self.try_lab(command, *arguments)
        assert done.returncode == 0, f"lab {command} {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def try_lab(self, command: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run one of the laboratory's commands; `options` are those of subprocess.run."""
        argv = [str(LAB), command, f"--dir={self.directory}", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]

    def up(self, hosts: int, *arguments: str) -> str:
        """Start hypervisors."""
        return self.lab("up", f"--first={self.first}", f"--hosts={hosts}", f"--network={self.network}", *arguments)

    def execute(self, hypervisor: str, *command: str) -> str:
        """Run a command inside a hypervisor and return its output."""
        return self.lab("exec", hypervisor, "--", *command)
