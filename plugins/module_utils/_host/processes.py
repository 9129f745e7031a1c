# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run on the hypervisor."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Optional, Union

from .._errors.errors import VmError
from ..foreign_text import shorten
from .files import Files

_QEMU_IMG_SECONDS = 30
_POLL_SECONDS = 0.2
_MOST_OUTPUT = 1 << 20
_OOM_SCORE = "/proc/%d/oom_score_adj"


class CommandResult(NamedTuple):
    """The result of a command: its exit status and output."""

    returncode: int
    stdout: str
    stderr: str


class Processes:
    """The programs and processes of the hypervisor."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def find_program(self, name: str) -> Optional[str]:
        """Return the full path of a program, None if the hypervisor doesn't have it."""
        path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
        return shutil.which(name, path=path)

    def run(self, argv: Sequence[str], timeout: float, stdin: Union[str, None] = None) -> CommandResult:
        """Run a program in the C locale, C(timeout) seconds at most. Secrets go into C(stdin), not C(argv)."""
        program = self.find_program(argv[0])
        if program is None:
            raise VmError("command_missing", "the program %s is not installed" % argv[0])
        try:
            # A file in memory: some programs need to know the size of their input.
            with os.fdopen(os.memfd_create("stdin"), "w+b") as stdin_file:
                stdin_file.write((stdin or "").encode("utf-8"))
                stdin_file.seek(0)
                # run_command, which the linter suggests, has no timeout.
                done = subprocess.run(  # pylint: disable=ansible-bad-function
                    [program, *argv[1:]],
                    stdin=stdin_file,
                    capture_output=True,
                    timeout=timeout,
                    check=False,
                    encoding="utf-8",
                    errors="replace",
                    env=dict(os.environ, LC_ALL="C"),
                )
        except subprocess.TimeoutExpired as error:
            raise VmError("command_timeout", "%s did not end within %g seconds" % (argv[0], timeout)) from error
        except OSError as error:
            raise VmError("command_failed", "cannot run %s: %s" % (argv[0], error)) from error
        return CommandResult(done.returncode, done.stdout, shorten(done.stderr))

    def run_long(
        self,
        argv: Sequence[str],
        cancelled: threading.Event,
        descriptors: Sequence[int] = (),
        stdin: str = "",
        progress_file: Optional[str] = None,
    ) -> CommandResult:
        """Run a program without a time limit. Raise C(interrupted) when C(cancelled) is set.

        C(descriptors) are passed on. C(progress_file): where its output goes, to be read meanwhile.
        """
        program = self.find_program(argv[0])
        if program is None:
            raise VmError("command_missing", "the program %s is not installed" % argv[0])
        with _memory_file(stdin) as given, _memory_file() as errors, _output_file(progress_file) as output:
            try:
                # run_command, which the linter suggests, can neither be cancelled nor pass descriptors on.
                process = subprocess.Popen(  # pylint: disable=consider-using-with,ansible-bad-function
                    [program, *argv[1:]],
                    stdin=given,
                    stdout=output,
                    stderr=errors,
                    pass_fds=descriptors,
                    env=dict(os.environ, LC_ALL="C"),
                )
            except OSError as error:
                raise VmError("command_failed", "cannot run %s: %s" % (argv[0], error)) from error
            _wait_for(process, cancelled)
            return CommandResult(process.returncode, _text_of(output), shorten(_text_of(errors)))

    def process_age(self, pid: int, argument: str) -> Optional[float]:
        """Return the seconds since a process started, None if it is gone or its command line lacks C(argument)."""
        command = (self._files.read_text("/proc/%d/cmdline" % pid) or "").split("\0")
        status = self._files.read_text("/proc/%d/stat" % pid)
        up = self._files.read_text("/proc/uptime")
        if argument not in command or not status or up is None:
            return None
        # The name of the program, in parentheses, may have spaces; the start is the 20th field after it (proc(5)).
        started = int(status.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return float(up.split()[0]) - started

    def running(self, pid_file: str, argument: str) -> Optional[int]:
        """Return the process in a PID file if its command line still has C(argument)."""
        pid = (self._files.read_text(pid_file) or "").strip()
        if pid.isdigit() and argument in (self._files.read_text("/proc/%s/cmdline" % pid) or ""):
            return int(pid)
        return None

    def kill_process(self, pid_file: str, argument: str) -> None:
        """Kill the process in a PID file if its command line still has C(argument)."""
        pid = self.running(pid_file, argument)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def oom_score(self, pid: int) -> Optional[int]:
        """Return how readily the kernel kills a process (C(oom_score_adj)), None if it is gone."""
        text = self._files.read_text(_OOM_SCORE % pid)
        return int(text) if text else None

    def set_oom_score(self, pid: int, score: int) -> None:
        """Set how readily the kernel kills a process, -1000 to 1000."""
        try:
            with open(self._files.path(_OOM_SCORE % pid), "w", encoding="ascii") as file:
                file.write(str(score))
        except OSError as error:
            message = "the OOM score of process %d cannot be set to %d: %s" % (pid, score, error.strerror or error)
            raise VmError("command_failed", message) from error

    def image_info(self, target: str) -> dict[str, Any]:
        """Return qemu-img's information about an image, even while a VM has it open.

        C(target) is a path, or another name that qemu-img accepts (C(nbd+unix:///...)).
        """
        done = self.run(["qemu-img", "info", "--output=json", "--force-share", "--", target], _QEMU_IMG_SECONDS)
        if done.returncode != 0:
            reason = done.stderr.strip().partition("\n")[0].replace("qemu-img: ", "", 1)
            raise VmError("image_unreadable", "qemu-img cannot read %s: %s" % (target, reason))
        info: dict[str, Any] = json.loads(done.stdout)
        return info


def _wait_for(process: subprocess.Popen[bytes], cancelled: threading.Event) -> None:
    while True:
        try:
            process.wait(_POLL_SECONDS)
            return
        except subprocess.TimeoutExpired:
            if cancelled.is_set():
                process.kill()
                process.wait()
                raise VmError("interrupted", "the task was interrupted") from None


@contextmanager
def _memory_file(content: str = "") -> Iterator[int]:
    descriptor = os.memfd_create("stdio")
    try:
        os.write(descriptor, content.encode("utf-8"))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _output_file(path: Optional[str]) -> Iterator[int]:
    """Open a file for the output of a program, which is removed when the program has ended."""
    if path is None:
        with _memory_file() as descriptor:
            yield descriptor
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(path)


def _text_of(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, min(size, _MOST_OUTPUT), 0).decode("utf-8", "replace")
