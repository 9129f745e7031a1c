# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs zstack_vm_start as Ansible runs it on the hypervisor, but without ansible-playbook.

Module, arguments and result are the same, in a twentieth of the time: for the many cases of one behaviour. The tests
that run a playbook show that it makes no difference.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ansible
from ansible_collections.zstack.kvm.tests.support import predicted
from ansible_collections.zstack.kvm.tests.support.documented_result import deviations
from ansible_collections.zstack.kvm.tests.support.forked_task import run_module
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS, TARGET_PYTHON, TaskRun

MODULE = "ansible_collections.zstack.kvm.plugins.modules.zstack_vm_start"


def start(*vms: Any, check: bool = False, **options: Any) -> TaskRun:
    """Run the module with these VMs in diff mode, in a process of its own."""
    return run_module("zstack_vm_start", {"vms": list(vms), **options}, check)


@contextmanager
def begin(*vms: Any, check: bool = False, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start the module's program and yield its process, which is killed at the end of the block."""
    arguments = {"vms": list(vms), **options, "_ansible_check_mode": check, "_ansible_diff": True}
    with tempfile.TemporaryDirectory(prefix="zstack-kvm-module-") as directory:
        # The target's Python has its own lxml and libvirt: of our environment it may find nothing but Ansible.
        os.symlink(Path(ansible.__file__).parent, Path(directory) / "ansible")
        file = Path(directory) / "arguments.json"
        file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), encoding="utf-8")
        path = os.pathsep.join([directory, str(COLLECTIONS)])
        process = subprocess.Popen(
            [TARGET_PYTHON, "-m", MODULE, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def finished(process: object, output: str, module: str = "zstack_vm_start") -> TaskRun:
    """Return the result of a module whose process has ended by itself."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    assert lines, f"the module returned nothing: {output}"
    result = json.loads(lines[-1])
    assert deviations(module, result) == []
    return TaskRun(result, output, 1 if result.get("failed") else 0)


agreed = partial(predicted.agreed, start)
failed = partial(predicted.failed, start)
