# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisors on which benchmarks run: commands that run there, and arguments by which Ansible reaches them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..run.checkout import Checkout
from .vms import Vm, write_json

HERE = Path(__file__).resolve().parent
TARGET_PYTHON = "/usr/bin/python3"
ONE = "hv1"


class Failed(Exception):
    """A contender failed; the message has its output."""


@dataclass(frozen=True)
class Hypervisors:
    """A set of hypervisors.

    `inside` begins commands that run in each one. `ansible` are arguments of ansible-playbook that reach them.
    """

    checkout: Checkout
    directory: Path
    inside: Mapping[str, Sequence[str]]
    ansible: Sequence[str]

    def scripts(self, *words: str) -> list[list[str]]:
        """Return commands that run a script of this directory on every host; HOST in a word becomes its name."""
        return [[*begin, *(word.replace("HOST", host) for word in words)] for host, begin in self.inside.items()]

    def write(self, name: str, content: object) -> Path:
        """Write a file that contenders read."""
        return write_json(self.directory / name, content)


def target_environment(hypervisors: Hypervisors) -> dict[str, str]:
    """Return the environment of scripts that import the collection with the target's Python."""
    path = [hypervisors.directory.parent / "python", hypervisors.checkout.collections]
    return hypervisors.checkout.environment(PYTHONPATH=os.pathsep.join(map(str, path)))


def run(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> list[str]:
    """Run commands side by side, and return what each printed. All must succeed."""
    started = [_begin(command, environment) for command in commands]
    outputs = [process.communicate()[0] for process in started]
    for command, process, output in zip(commands, started, outputs):
        if process.returncode != 0:
            raise Failed(f"{' '.join(command)}\nended with {process.returncode}:\n{output}")
    return outputs


def _begin(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    nothing, pipe, same = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(command, env=environment, stdin=nothing, stdout=pipe, stderr=same, text=True)


def spread(vms: Sequence[Vm], hosts: Sequence[str]) -> dict[str, list[Vm]]:
    """Return the VMs of each host."""
    share = len(vms) // len(hosts)
    return {host: list(vms[number * share : (number + 1) * share]) for number, host in enumerate(hosts)}
