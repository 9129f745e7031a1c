# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the diagnostics of a VM that does not come up: the tail of its serial console, QEMU's log, a screenshot."""

from __future__ import annotations

import contextlib
from typing import Optional

from .._errors.errors import BootDiagnostics, VmError
from .._host.system import System
from .._libvirt.hypervisor import ConsoleStream, Hypervisor
from .._spec.vm import Vm
from ..foreign_text import clean
from .qemu_log import lines_since_start
from .screenshot import write_picture

SCREENSHOT_DIRECTORY = "/var/lib/zstack-kvm/screenshots"
_KEPT_BYTES = 16384
_SHOWN_LINES = 30


class BootWatch:
    """Records a guest's serial console while its boot is awaited.

    The console is opened at the first L(listen), unless somebody else has it open, and closed at the end.
    """

    def __init__(self, hypervisor: Hypervisor, system: System, vm: Vm) -> None:
        self._hypervisor = hypervisor
        self._system = system
        self._vm = vm
        self._console: Optional[ConsoleStream] = None
        self._tried = False
        self._output = b""
        self._cut = False

    def __enter__(self) -> BootWatch:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._console is not None:
            self._console.close()

    def listen(self) -> None:
        """Read what the guest has written since. Without a console, do nothing."""
        with contextlib.suppress(VmError):
            if not self._tried:
                self._tried = True
                self._console = self._hypervisor.open_console(self._vm.uuid)
            if self._console is not None:
                output = self._output + self._console.read()
                self._cut = self._cut or len(output) > _KEPT_BYTES
                self._output = output[-_KEPT_BYTES:]

    @property
    def output(self) -> bytes:
        """Return the last of what the guest has written."""
        return self._output

    def diagnostics(self) -> BootDiagnostics:
        """Return the tail of the guest's console and of QEMU's log, and a screenshot taken now."""
        self.listen()
        log = [] if self._system.is_remote else lines_since_start(self._system, self._vm.domain_name)
        return BootDiagnostics(tuple(last_lines(self._output, self._cut)), tuple(log), self._picture())

    def _picture(self) -> Optional[str]:
        with contextlib.suppress(VmError):
            return write_picture(self._hypervisor, self._vm.uuid, SCREENSHOT_DIRECTORY)
        return None


def last_lines(output: bytes, cut: bool) -> list[str]:
    """Return the last lines that are not empty, as plain text.

    C(cut): the beginning is missing; the rest of the first line is left out, as it may be part of a secret.
    """
    lines = output.decode("utf-8", "replace").split("\n")
    shown = [_as_a_terminal_shows(line) for line in (lines[1:] if cut else lines)]
    return [line for line in shown if line][-_SHOWN_LINES:]


def _as_a_terminal_shows(line: str) -> str:
    """Return a line as a terminal shows it: a carriage return starts the line over, as progress bars do."""
    parts = [clean(part, "").rstrip() for part in line.split("\r")]
    return next((part for part in reversed(parts) if part), "")
