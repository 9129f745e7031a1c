# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read QEMU's log of a VM's start: often the only source for the reason of a failure."""

from __future__ import annotations

import re

from .._errors.errors import VmError
from .._host.system import HostSystem, System
from .._host.vfio_interrupts import explain_conflict
from .._libvirt.error_classification import classify_text

LOG_DIRECTORY = "/var/log/libvirt/qemu"
_TAIL_BYTES = 8192
_SHOWN_LINES = 3
_SHOWN_LINES_SINCE_START = 10
_STARTED = ": starting up libvirt"
# Lines that libvirt writes itself: QEMU's command line and environment, and when it started and ended.
_QEMU_LINE = re.compile(r"^(?!-)(?:\S+ )?(?:qemu-[\w.-]+:|\S*qemu-kvm:|KVM|error|vfio)[^\n]*$", re.MULTILINE)
# QEMU's line when libvirt ends it, which is not a reason.
_NO_REASON = "terminating on signal"
# Lines that say that QEMU failed, but not why.
_VAGUE = ("qemu_failed", "libvirt_error")


class QemuLog:
    """The log of one domain, from its current end."""

    def __init__(self, system: System, domain_name: str) -> None:
        self._system = system
        self._path = "%s/%s.log" % (LOG_DIRECTORY, domain_name)
        self._start = 0 if system.is_remote else system.files.file_size(self._path)

    def lines(self) -> list[str]:
        """Return QEMU's last lines since then."""
        if self._system.is_remote:
            return []
        new = self._system.files.file_size(self._path) - self._start
        text = self._system.files.read_tail(self._path, min(new, _TAIL_BYTES)) if new > 0 else ""
        found = [line for line in _QEMU_LINE.findall(text) if _NO_REASON not in line]
        return found[-_SHOWN_LINES:]

    def explain(self, message: str) -> str:
        """Return the message with QEMU's last lines, unless it has them already."""
        lines = [line for line in self.lines() if line not in message]
        return "%s; QEMU's log ends with: %s" % (message, " / ".join(lines)) if lines else message

    def explained(self, error: VmError) -> VmError:
        """Return the error with the reason from the log."""
        text = "\n".join([error.message, *self.lines()])
        code = classify_text(text) if error.code in _VAGUE else error.code
        code, message = code or error.code, self.explain(error.message)
        if code == "vfio_irq_conflict" and not self._system.is_remote:
            message, hint = explain_conflict(self._system, text, message)
            return error.replaced(code=code, message=message, hint=hint)
        return error.replaced(code=code, message=message)


def lines_since_start(system: HostSystem, domain_name: str) -> list[str]:
    """Return QEMU's last lines since the domain was last started."""
    text = system.files.read_tail("%s/%s.log" % (LOG_DIRECTORY, domain_name), _TAIL_BYTES)
    return _QEMU_LINE.findall(text.rpartition(_STARTED)[2])[-_SHOWN_LINES_SINCE_START:]
