# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module the way a user does: by a task in a playbook, through ansible-playbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Optional

from ansible_collections.zstack.kvm.tests.support import predicted
from ansible_collections.zstack.kvm.tests.support.documented_result import deviations
from ansible_collections.zstack.kvm.tests.support.waiting import output_of

PLUGINS = Path(__file__).resolve().parent / "callback_plugins"
# The Python that has the distribution's libvirt and lxml, unless another one is to be tested.
TARGET_PYTHON = os.environ.get("ZSTACK_KVM_TARGET_PYTHON", "/usr/bin/python3")
# The directory of collections in which Python finds this one.
COLLECTIONS = Path(*Path(__file__).parts[: Path(__file__).parts.index("ansible_collections")])


@dataclass(frozen=True)
class TaskRun:
    """The result of a task, and its output."""

    result: dict[str, Any]
    output: str
    returncode: int

    @property
    def vms(self) -> list[dict[str, Any]]:
        """Return the entries of the VMs."""
        return self.result["vms"]

    @property
    def vm(self) -> dict[str, Any]:
        """Return the entry of the only VM."""
        (entry,) = self.vms
        return entry

    @property
    def actions(self) -> list[str]:
        """Return the actions on the only VM."""
        return self.vm["actions"]

    @property
    def error(self) -> dict[str, Any]:
        """Return the error of the only VM."""
        return self.vm["error"]

    @property
    def failed(self) -> bool:
        """Return whether the task failed."""
        return self.returncode != 0


def start(*vms: Any, check: bool = False, verbosity: int = 0, **options: Any) -> TaskRun:
    """Run zstack_vm_start with these VMs, always with --diff."""
    return run_task("zstack.kvm.zstack_vm_start", {"vms": list(vms), **options}, check=check, verbosity=verbosity)


def run_task(
    module: str,
    arguments: Mapping[str, Any],
    check: bool = False,
    verbosity: int = 0,
    environment: Optional[Mapping[str, str]] = None,
) -> TaskRun:
    """Run one module on this machine."""
    with tempfile.TemporaryDirectory(prefix="zstack-kvm-play-") as directory:
        process = begin_task(module, arguments, Path(directory), check, verbosity, environment)
        output = output_of(process)
        run = finished(process, output, Path(directory))
    if module.startswith("zstack.kvm."):
        assert deviations(module, {**run.result, "failed": run.failed}) == []
    return run


def begin_task(
    module: str,
    arguments: Mapping[str, Any],
    directory: Path,
    check: bool = False,
    verbosity: int = 0,
    environment: Optional[Mapping[str, str]] = None,
) -> subprocess.Popen[str]:
    """Start the playbook and return while it runs; C(finished) reads what it writes to the directory."""
    return _begin([{"name": "Test", module: dict(arguments)}], directory, check, verbosity, environment)


def run_tasks(
    tasks: Sequence[Mapping[str, Any]],
    check: bool = False,
    environment: Optional[Mapping[str, str]] = None,
    prefix: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Run the tasks of one playbook, even after one that fails, and return their results.

    C(prefix): a command before ansible-playbook, such as C(nsenter).
    """
    with tempfile.TemporaryDirectory(prefix="zstack-kvm-play-") as directory:
        named = [{"name": "Test", "ignore_errors": True, **task} for task in tasks]
        process = _begin(named, Path(directory), check, environment=environment, prefix=prefix)
        output = output_of(process)
        results = Path(directory, "results")
        assert results.exists(), f"the tasks returned nothing: {output}"
        return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def _begin(
    tasks: Sequence[Mapping[str, Any]],
    directory: Path,
    check: bool = False,
    verbosity: int = 0,
    environment: Optional[Mapping[str, str]] = None,
    prefix: Sequence[str] = (),
) -> subprocess.Popen[str]:
    playbook = directory / "play.json"
    play = {"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "--diff"]
    command += ["-e", f"ansible_python_interpreter={TARGET_PYTHON}"]
    command += ["--check"] if check else []
    command += ["-" + "v" * verbosity] if verbosity else []
    settings = {
        "ANSIBLE_CALLBACK_PLUGINS": str(PLUGINS),
        "ANSIBLE_CALLBACKS_ENABLED": "result_file",
        "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(COLLECTIONS)),
        # Without it, results have no invocation since ansible-core 2.21, and there would be no secrets to look for.
        "ANSIBLE_INJECT_INVOCATION": "true",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "RESULT_FILE": str(directory / "results"),
    }
    return subprocess.Popen(
        [*prefix, *command, str(playbook)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **settings, **(environment or {})},
    )


def finished(process: subprocess.Popen[str], output: str, directory: Path) -> TaskRun:
    """Return the result of the task of an ended playbook; raise AssertionError with the output if it has none."""
    results = directory / "results"
    assert results.exists(), f"the task returned nothing: {output}"
    return TaskRun(json.loads(results.read_text(encoding="utf-8").splitlines()[-1]), output, process.returncode)


agreed = partial(predicted.agreed, start)
failed = partial(predicted.failed, start)
