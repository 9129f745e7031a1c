# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that the module needs on the hypervisor."""

from __future__ import annotations

from .contenders import Playbook
from .hypervisors import HERE, Hypervisors


def of_module(contender: Playbook, hypervisors: Hypervisors, *arguments: str) -> int:
    """Return the peak memory of the module's process, in KiB, with what was prepared last."""
    file, interpreter = hypervisors.directory / "memory", hypervisors.directory / "python"
    file.unlink(missing_ok=True)
    interpreter.write_text(f'#!/bin/sh\nMEMORY_FILE={file} exec {HERE / "measured_python"} "$@"\n', encoding="ascii")
    interpreter.chmod(0o755)
    contender.play(hypervisors, ["-e", f"ansible_python_interpreter={interpreter}", *arguments])
    return max(int(line) for line in file.read_text(encoding="ascii").split())
