# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's process on the hypervisor: its memory and its time."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from .contenders import Playbook
from .hypervisors import HERE, Hypervisors


@dataclass(frozen=True)
class ModuleProcess:
    """The peak memory of a process, in KiB, and its wall-clock seconds."""

    memory_kib: int
    seconds: float


def of_task(
    task: Playbook,
    hypervisors: Hypervisors,
    *arguments: str,
    profiler: Sequence[str] = (),
    of_controller: Sequence[str] = (),
) -> ModuleProcess:
    """Run the task, with what was prepared last, and return its module's process.

    `profiler` begins the command of the process, `of_controller` that of ansible-playbook.
    """
    file, interpreter = hypervisors.directory / "measured", hypervisors.directory / "python"
    file.unlink(missing_ok=True)
    command = shlex.join([str(HERE / "measured_python"), str(file), *profiler])
    interpreter.write_text(f'#!/bin/sh\nexec {command} /usr/bin/python3 "$@"\n', encoding="ascii")
    interpreter.chmod(0o755)
    task.play(hypervisors, ["-e", f"ansible_python_interpreter={interpreter}", *arguments], of_controller)
    memory_kib, seconds = file.read_text(encoding="ascii").split()
    return ModuleProcess(int(memory_kib), float(seconds))
