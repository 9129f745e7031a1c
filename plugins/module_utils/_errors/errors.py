# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors, problems and failures, and their form in the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Optional

# libvirt's numbers, from its virterror.h: OPERATION_INVALID, AGENT_UNRESPONSIVE, AGENT_UNSYNCED, AGENT_COMMAND_TIMEOUT
_SILENT_AGENT = frozenset({55, 86, 97, 111})


class Problem(NamedTuple):
    """One thing that is wrong, found before anything was changed. C(option_path) is its path in the input."""

    option_path: str
    message: str
    code: str = "invalid_input"
    hint: str = ""

    def __str__(self) -> str:
        return "%s: %s" % (self.option_path, self.message)


class BootDiagnostics(NamedTuple):
    """Evidence from a VM that did not become ready: lines of text, and the path of a screenshot on the hypervisor."""

    serial_console: tuple[str, ...]
    qemu_log: tuple[str, ...]
    screenshot: Optional[str]

    def as_result(self) -> dict[str, Any]:
        """Return the C(boot_diagnostics) of the VM's error."""
        return {
            "serial_console": list(self.serial_console),
            "qemu_log": list(self.qemu_log),
            "screenshot": self.screenshot,
        }


class VmError(Exception):
    """An error of one VM, or of the whole task. Immutable.

    C(code) is a key of C(codes.ERROR_CODES), which has the usual hint.
    C(libvirt_code) and C(libvirt_source) are libvirt's numbers VIR_ERR_* and VIR_FROM_*.
    """

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        libvirt_code: Optional[int] = None,
        libvirt_message: str = "",
        libvirt_source: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.libvirt_code = libvirt_code
        self.libvirt_message = libvirt_message
        self.libvirt_source = libvirt_source

    def __setattr__(self, name: str, value: object) -> None:
        if name in vars(self):
            raise AttributeError("an error is immutable; replaced() returns another one")
        super().__setattr__(name, value)

    def replaced(self, **changes: str) -> VmError:
        """Return the same error with another C(code), C(message), C(hint) or C(libvirt_message)."""
        own = {"code": self.code, "message": self.message, "hint": self.hint, "libvirt_message": self.libvirt_message}
        return VmError(libvirt_code=self.libvirt_code, libvirt_source=self.libvirt_source, **{**own, **changes})

    @property
    def lost_libvirt(self) -> bool:
        """Return whether the connection to libvirt is lost."""
        return self.code in ("connection_lost", "libvirt_hangs")

    @property
    def may_take_effect(self) -> bool:
        """Return whether the call that failed may succeed nevertheless: there was no answer to it."""
        return self.lost_libvirt or self.code == "qemu_hangs"

    @property
    def agent_is_silent(self) -> bool:
        """Return whether no agent can answer: none is listening, or the guest is not running."""
        return self.libvirt_code in _SILENT_AGENT


class Failure(NamedTuple):
    """The failure of the work on one VM.

    C(phase): the phase that failed. C(rollback): not_needed, done or partial.
    """

    error: VmError
    phase: str
    rollback: str = "not_needed"
    diagnostics: Optional[BootDiagnostics] = None

    def as_result(self) -> dict[str, Any]:
        """Return the C(error) of the VM's result."""
        error, libvirt = self.error, None
        if error.libvirt_code is not None:
            libvirt = {"code": error.libvirt_code, "message": error.libvirt_message}
        result = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "phase": self.phase,
            "libvirt": libvirt,
            "rollback": self.rollback,
        }
        if self.diagnostics is not None:
            result["boot_diagnostics"] = self.diagnostics.as_result()
        return result


class VmFailed(Exception):
    """Raised to end the work on one VM with its failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error.message)
        self.failure = failure


class VmProblems(Exception):
    """All problems that prevent one VM from being built or started, found before anything was changed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@contextmanager
def internal_errors() -> Iterator[None]:
    """Raise an unexpected exception as C(internal_error), which fails only the VM being worked on."""
    try:
        yield
    except (VmError, VmFailed, VmProblems):
        raise
    except Exception as error:
        raise VmError("internal_error", "%s: %s" % (type(error).__name__, error)) from error
