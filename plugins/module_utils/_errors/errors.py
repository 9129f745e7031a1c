# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, as the result shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, found before anything was changed. C(place) is where it stands in the input."""

    place: str
    message: str
    code: str = "invalid_input"
    hint: str = ""

    def __str__(self) -> str:
        return "%s: %s" % (self.place, self.message)


@dataclass(frozen=True)
class LastSeen:
    """What a VM that didn't come up showed last: lines of text, and the path of a picture on the hypervisor."""

    serial_console: tuple[str, ...]
    qemu_log: tuple[str, ...]
    screenshot: Optional[str]

    def as_result(self) -> dict[str, Any]:
        """The C(last_seen) of the VM's error."""
        return {
            "serial_console": list(self.serial_console),
            "qemu_log": list(self.qemu_log),
            "screenshot": self.screenshot,
        }


class VmError(Exception):
    """A failure of one VM. C(code) is a key of C(error_codes.ERROR_CODES), which has the usual hint."""

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        phase: str = "",
        libvirt_code: Optional[int] = None,
        libvirt_message: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.phase = phase
        self.libvirt_code = libvirt_code
        self.libvirt_message = libvirt_message
        self.rollback = "not_needed"
        self.last_seen: Optional[LastSeen] = None
        # Takes back what may have been done all the same.
        self.undo: Optional[Callable[[], None]] = None

    @property
    def lost_libvirt(self) -> bool:
        """Whether libvirt can be asked nothing more through this connection."""
        return self.code in ("connection_lost", "libvirt_hangs")

    def as_result(self) -> dict[str, Any]:
        """The C(error) of the VM's result."""
        libvirt = None
        if self.libvirt_code is not None:
            libvirt = {"code": self.libvirt_code, "message": self.libvirt_message}
        result = {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "phase": self.phase,
            "libvirt": libvirt,
            "rollback": self.rollback,
        }
        if self.last_seen is not None:
            result["last_seen"] = self.last_seen.as_result()
        return result


class VmProblems(Exception):
    """All that keeps one VM from being built or started, found before anything was changed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@contextmanager
def mistakes_as_errors(*expected: type[Exception]) -> Iterator[None]:
    """A mistake in the code ends one VM's work like any failure: what was done is undone, and the others go on.

    What is C(expected), as errors of VMs are in any case, is no mistake.
    """
    try:
        yield
    except expected:
        raise
    except (VmError, VmProblems):
        raise
    except Exception as error:
        raise VmError("internal_error", "%s: %s" % (type(error).__name__, error)) from error
