# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs modules, mostly zstack_vm_start, in processes forked from one that has loaded everything.

This allows many tasks in little time: each has the module's arguments and result. A task can record its libvirt calls,
and a fault can be injected at one of them. Consecutive calls of one name count as one: how often a state is polled
depends on the machine.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Optional
from unittest import mock

from ansible.module_utils.testing import patch_module_args
from ansible_collections.zstack.kvm.plugins.module_utils._actions import live
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import connection
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.tests.support import daemon
from ansible_collections.zstack.kvm.tests.support.documented_result import deviations
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.virsh import state
from ansible_collections.zstack.kvm.tests.support.waiting import END_SECONDS, wait_until

_NOTICE_SECONDS = 120
_IMPATIENT_SECONDS = 2

_MODULES = "ansible_collections.zstack.kvm.plugins.modules"
_MODULE_UTILS = "ansible_collections.zstack.kvm.plugins.module_utils"
MODULE_FILES = sorted(Path(__file__).parents[2].glob("plugins/modules/*.py"))

_processes = multiprocessing.get_context("forkserver")
# What zstack_vm_start imports only for VMs that change.
_IMPORTED_LATE = (
    "_drift.live_changes",
    "_host_storage.seeds",
    "_host_storage.volume_stores",
    "_start.created_volumes",
    "_start.execution",
    "_start.memory_snapshot",
    "_start.prerequisites",
)
_processes.set_forkserver_preload(
    [
        __name__,
        *(f"{_MODULES}.{path.stem}" for path in MODULE_FILES),
        *(f"{_MODULE_UTILS}.{name}" for name in _IMPORTED_LATE),
    ]
)


@dataclass(frozen=True)
class Fault:
    """A fault C(before), C(within) or C(after) the libvirt call of that number, counted from 1.

    C(within): libvirtd has completed the call, and dies before it replies.

    C(task): the process of the task is killed. C(libvirtd): libvirtd is killed, and started again as its service
    manager would. C(libvirtd for good): it is not started again, and the task waits for it less long than usual.
    C(qemu): the QEMU of the task's VM is killed, if there is one, and libvirt notices.
    """

    what: str
    when: str
    call: int


@dataclass(frozen=True)
class Shortage:
    """A shortage: the task can open only so many more file descriptors, or start no threads."""

    descriptors: Optional[int] = None
    threads: bool = False

    def take_effect(self) -> None:
        """Impose the shortage on this process."""
        if self.descriptors is not None:
            highest = max(int(name) for name in os.listdir("/proc/self/fd")[:-1])
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + self.descriptors, limit))
        if self.threads:
            # The kernel limits the threads of every user but root.
            threading.Thread.start = _refuse  # type: ignore[assignment, method-assign]


def _refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


class ForkedTask:
    """A running task."""

    def __init__(
        self,
        arguments: dict[str, Any],
        fault: Optional[Fault] = None,
        calls: Optional[Path] = None,
        module: str = "zstack_vm_start",
        shortage: Optional[Shortage] = None,
    ) -> None:
        self._output = tempfile.NamedTemporaryFile(mode="r", prefix="zstack-kvm-task-", encoding="utf-8")
        work = (module, arguments, fault, calls, self._output.name, shortage)
        self._process = forked(_work, *work)

    def send_signal(self, number: int) -> None:
        """Send a signal to the process of the task."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def finished(self) -> TaskRun:
        """Wait until it has ended, and return its result, which is empty if it was killed."""
        self._process.join(END_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            raise AssertionError(f"the task has not ended within {END_SECONDS} s")
        with self._output as file:
            output = file.read()
        if self._process.exitcode == -signal.SIGKILL:
            return TaskRun({}, output, -signal.SIGKILL)
        lines = [line for line in output.splitlines() if line.startswith("{")]
        assert lines, f"the task returned nothing: {output}"
        result = json.loads(lines[-1])
        return TaskRun(result, output, 1 if result.get("failed") else 0)


def forked(function: Callable[..., None], *arguments: Any) -> multiprocessing.process.BaseProcess:
    """Start a process that calls the function and has the modules loaded already."""
    # Python passes the server no path to find them, and ignores those that are not found.
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
        forkserver.ensure_running()
    process = _processes.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def begin(
    *vms: Any,
    check: bool = False,
    fault: Optional[Fault] = None,
    calls: Optional[Path] = None,
    shortage: Optional[Shortage] = None,
    **options: Any,
) -> ForkedTask:
    """Start the module with these VMs. C(calls): a file to which each libvirt call appends a line."""
    return ForkedTask({"vms": list(vms), "_ansible_check_mode": check, **options}, fault, calls, shortage=shortage)


def start(*vms: Any, **options: Any) -> TaskRun:
    """Run the module with these VMs; the options are those of C(begin)."""
    return begin(*vms, **options).finished()


def run_module(name: str, arguments: Mapping[str, Any], check: bool = False) -> TaskRun:
    """Run a module with these arguments in diff mode, and check its result against its documentation."""
    modes = {"_ansible_check_mode": check, "_ansible_diff": True}
    run = ForkedTask({**arguments, **modes}, module=name).finished()
    assert deviations(name, run.result) == []
    return run


def _work(
    module: str,
    arguments: dict[str, Any],
    fault: Optional[Fault],
    calls: Optional[Path],
    output: str,
    shortage: Optional[Shortage],
) -> None:
    # Only the server needed it.
    os.environ.pop("PYTHONPATH", None)
    with open(output, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    if fault or calls:
        _Calls(fault, calls, arguments["vms"][0]["uuid"]).watch()
    main = import_module(f"{_MODULES}.{module}").main
    if shortage:
        shortage.take_effect()
    with patch_module_args(arguments):
        main()


class _Calls:
    """Counts the libvirt calls, and injects the fault at one of them."""

    def __init__(self, fault: Optional[Fault], file: Optional[Path], uuid: str) -> None:
        self._fault = fault
        self._file = file
        self._uuid = uuid
        self._lock = threading.Lock()
        self._number = 0
        self._last = ""

    def watch(self) -> None:
        """Watch the calls in this process from now on."""
        original = Hypervisor._call

        def call(hypervisor: Hypervisor, what: str, function: Any, *arguments: Any) -> Any:
            number = self._count(what)
            self._inject(number, "before")
            result = original(hypervisor, what, function, *arguments)
            if self._inject(number, "within"):
                # As the connection is lost, nothing is done a second time.
                return original(hypervisor, what, function, *arguments)
            self._inject(number, "after")
            return result

        Hypervisor._call = call  # type: ignore[assignment, method-assign]

    def _count(self, what: str) -> int:
        with self._lock:
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(what + "\n")
            self._number += what != self._last
            self._last = what
            return self._number

    def _inject(self, number: int, when: str) -> bool:
        """Inject the fault if it is due, and return whether it was."""
        fault = self._fault
        if fault is None or (fault.call, fault.when) != (number, when):
            return False
        self._fault = None
        {
            "task": _kill_task,
            "libvirtd": _restart_libvirtd,
            "libvirtd for good": _kill_libvirtd_for_good,
            "qemu": self._kill_qemu,
        }[fault.what]()
        return True

    def _kill_qemu(self) -> None:
        pid = Path("/run/libvirt/qemu/%s.pid" % self._uuid.replace("-", ""))
        os.kill(int(pid.read_text(encoding="ascii")), signal.SIGKILL)
        wait_until(lambda: state(self._uuid) != "running", "libvirt notices that QEMU has ended", _NOTICE_SECONDS)


def _kill_task() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _restart_libvirtd() -> None:
    daemon.kill()
    daemon.start()
    # No guest of these tests releases a device.
    live._UNPLUG_SECONDS = _IMPATIENT_SECONDS


def _kill_libvirtd_for_good() -> None:
    daemon.kill()
    connection.RECONNECT_SECONDS = _IMPATIENT_SECONDS
