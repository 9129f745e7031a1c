# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a task: one entry per VM in C(vms) and in C(diff), without secrets."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._drift.walk import Difference
from .._errors.codes import ERROR_CODES, with_hint
from .._errors.errors import BootDiagnostics, Failure, VmError, VmProblems
from .._spec.secret_patches import is_secret, secrets_of_patches
from .._spec.vm import Vm
from ..foreign_text import clean_line

MASK = "********"
# A shorter secret is too likely to be an ordinary word of a message.
_SHORT = 3


@dataclass
class VmResult:
    """The result for one VM. C(before) and C(after) are the texts of the diff."""

    uuid: str
    name: str
    state: str = "unknown"
    actions: Sequence[str] = ()
    restart_required: bool = False
    console: Optional[dict[str, Any]] = None
    addresses: Optional[list[dict[str, Any]]] = None
    differences: Sequence[Difference] = ()
    overlays: Optional[Sequence[Mapping[str, Any]]] = None
    warnings: list[str] = field(default_factory=list)
    backup_file: Optional[str] = None
    failure: Optional[Failure] = None
    before: str = ""
    after: str = ""

    @property
    def label(self) -> str:
        """Return the VM's name in messages."""
        return "VM %s (%s)" % (clean_line(self.name), self.uuid)

    @property
    def changed(self) -> bool:
        """Return whether anything was changed. A guest that was shut down and started again in a rollback is not."""
        undone = self.failure is not None and self.failure.rollback == "done"
        return bool(self.actions) and not (undone and "stop" not in self.actions)

    def as_entry(self) -> dict[str, Any]:
        """Return the VM's entry in C(vms)."""
        entry = {
            "uuid": self.uuid,
            "name": self.name,
            "state": self.state,
            "changed": self.changed,
            "actions": list(self.actions),
            "restart_required": self.restart_required,
            "console": self.console,
            "differences": [
                {"path": each.path, "before": each.before, "after": each.after} for each in self.differences
            ],
            "warnings": self.warnings,
        }
        if self.addresses is not None:
            entry["addresses"] = self.addresses
        if self.overlays is not None:
            entry["overlays"] = list(self.overlays)
        if self.backup_file is not None:
            entry["backup_file"] = self.backup_file
        if self.failure is not None:
            entry["error"] = self.failure.as_result()
        return entry

    def as_diff(self) -> dict[str, str]:
        """Return the VM's entry in C(diff)."""
        header = "%s (%s)" % (clean_line(self.name), self.uuid)
        return {"before_header": header, "after_header": header, "before": self.before, "after": self.after}


def of_vm(vm: Vm) -> VmResult:
    """Return the result of a VM about which nothing is known yet."""
    return VmResult(vm.uuid, vm.name, overlays=())


def as_failure(problems: VmProblems) -> Failure:
    """Return all problems of a VM as one failure, which has the code of the first."""
    found = problems.problems
    hints = dict.fromkeys(problem.hint or ERROR_CODES[problem.code].hint for problem in found)
    message = "; ".join(str(problem) for problem in found)
    return Failure(VmError(found[0].code, message, hint=" ".join(hints)), "preflight")


def domain_text(domain: Optional[etree._Element]) -> str:
    """Return a domain as indented text, secrets masked; empty for None."""
    if domain is None:
        return ""
    shown = copy.deepcopy(domain)
    for graphics in shown.iterfind("devices/graphics[@passwd]"):
        graphics.set("passwd", MASK)
    for element in shown.iter():
        if len(element) and not (element.text or "").strip():
            element.text = None
        if not (element.tail or "").strip():
            element.tail = None
    etree.indent(shown)
    return etree.tostring(shown, encoding="unicode") + "\n"


class SecretMask:
    """Removes the secrets of the input from texts by others: libvirt, QEMU, a program."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._longest_first = sorted((secret for secret in secrets if len(secret) > _SHORT), key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        alternatives = "|".join(re.escape(secret) for secret in self._longest_first if secret in text)
        return re.sub(r"(?<!\w)(?:%s)(?!\w)" % alternatives, MASK, text) if alternatives else text

    def failure(self, failure: Failure) -> Failure:
        """Return the failure without secrets."""
        error = failure.error
        masked = error.replaced(
            message=self.text(error.message),
            hint=self.text(error.hint),
            libvirt_message=self.text(error.libvirt_message),
        )
        return failure._replace(error=masked, diagnostics=self._diagnostics(failure.diagnostics))

    def _diagnostics(self, seen: Optional[BootDiagnostics]) -> Optional[BootDiagnostics]:
        if seen is None:
            return None
        console, log = (tuple(map(self.text, lines)) for lines in (seen.serial_console, seen.qemu_log))
        return BootDiagnostics(console, log, seen.screenshot)


def without_secrets_of_patches(result: VmResult, vm: Vm) -> None:
    """Mask what the diff and the differences show of secret patches."""
    mask = SecretMask(secrets_of_patches(vm.domain_patches))
    result.before, result.after = mask.text(result.before), mask.text(result.after)
    result.differences = [
        each._replace(
            path=mask.text(each.path),
            before=each.before and mask.text(each.before),
            after=each.after and mask.text(each.after),
        )
        for each in result.differences
    ]


def failed(result: VmResult, failure: Failure, mask: SecretMask) -> VmResult:
    """Return the result with its failure, whose error gets the hint of its code if it has none of its own."""
    result.failure = mask.failure(failure._replace(error=with_hint(failure.error)))
    return result


def masked_arguments(raw: Any, spec: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the values of options of C(spec), one dictionary or a list of them, with all secrets masked.

    A value of an unknown option may be a secret under a misspelled name, and is masked as well.
    """
    if isinstance(raw, list):
        return [masked_arguments(item, spec) for item in raw]
    if not isinstance(raw, Mapping):
        return MASK
    shown: dict[str, Any] = {}
    for name, value in raw.items():
        option = spec.get(name, {"no_log": True})
        if name == "value" and "no_log" in spec and is_secret(raw.get("no_log")):
            option = {"no_log": True}
        if value is None or isinstance(value, bool):
            shown[name] = value
        elif option.get("no_log"):
            shown[name] = MASK
        else:
            shown[name] = masked_arguments(value, option["options"]) if "options" in option else value
    return shown
