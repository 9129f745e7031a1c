# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared start and end of the modules about VMs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional

try:
    from lxml import etree
except ImportError:
    etree = None

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ._errors.codes import with_hint
from ._errors.errors import Failure, Problem, VmError
from ._libvirt.hypervisor import LIBVIRT_IMPORT_ERROR
from ._spec.arguments import VM_ARGUMENT_SPEC
from ._start.result import SecretMask, VmResult, masked_arguments
from .kvm_module import KvmModule


class DescribedVmsModule(KvmModule):
    """A module whose option C(vms) describes VMs.

    The option is not C(no_log): all texts of such an option count as secrets, and would be cut out of everything that
    is returned. Its results contain no secrets; the invocation is masked here, and kept out of the system log.
    """

    def log(self, msg: str, log_args: Optional[Mapping[str, Any]] = None) -> None:
        """Write a message to the system log; of the invocation only that there was one."""
        super().log("Invoked" if log_args else msg)

    def _shown_arguments(self) -> dict[str, Any]:
        arguments = super()._shown_arguments()
        if arguments.get("vms") is not None:
            arguments["vms"] = masked_arguments(arguments["vms"], VM_ARGUMENT_SPEC)
        return arguments


def require_libraries(module: AnsibleModule) -> None:
    """Fail unless the target's Python has libvirt and lxml."""
    if LIBVIRT_IMPORT_ERROR is not None:
        module.fail_json(missing_required_lib("libvirt-python (package python3-libvirt)"))
    if etree is None:
        module.fail_json(missing_required_lib("lxml (package python3-lxml)"))


def fail_for_error(module: AnsibleModule, error: VmError) -> None:
    """Fail with an error that concerns the hypervisor or what the module manages there."""
    hinted = with_hint(error)
    module.fail_json("%s (%s)" % (hinted.message, hinted.hint), error=Failure(hinted, "look").as_result())


def fail_for_input(module: AnsibleModule, problems: Sequence[Problem], secrets: Iterable[str] = ()) -> None:
    """End the module with all that is wrong with its input, before anything was touched."""
    lines = ["%s (%s)" % (problem, problem.hint) if problem.hint else str(problem) for problem in problems]
    count = "a problem" if len(lines) == 1 else "%d problems" % len(lines)
    module.fail_json("%s in the input:\n%s" % (count, SecretMask(secrets).text("\n".join(lines))))


def cancelled_by_signals() -> threading.Event:
    """Return an event that SIGTERM, SIGINT and SIGHUP set: current VMs are finished, and no other is begun."""
    cancelled = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_received: cancelled.set())
    return cancelled


def finish(module: AnsibleModule, results: Sequence[VmResult], **more: Any) -> None:
    """End the module with the result of each VM and C(more), as a failure if a VM failed."""
    returned: dict[str, Any] = {
        **more,
        "changed": any(result.changed for result in results),
        "vms": [result.as_entry() for result in results],
    }
    if module._diff:
        returned["diff"] = [result.as_diff() for result in results]
    for result in results:
        for warning in result.warnings:
            module.warn("%s: %s" % (result.label, warning))
    failures = [(result.label, result.failure) for result in results if result.failure is not None]
    if not failures:
        module.exit_json(**returned)
    lines = ["\n".join(_failure(label, failure)) for label, failure in failures]
    module.fail_json("%d of %d VMs failed:\n%s" % (len(failures), len(results), "\n".join(lines)), **returned)


def _failure(label: str, failure: Failure) -> Iterator[str]:
    """Yield the lines that explain a VM's failure."""
    yield "%s: %s (%s)" % (label, failure.error.message, failure.error.hint)
    seen = failure.diagnostics
    if seen is None:
        return
    for what, lines in (("its serial console", seen.serial_console), ("QEMU's log", seen.qemu_log)):
        if lines:
            yield "  the last lines of %s:" % what
            yield from ("    " + line for line in lines)
    if seen.screenshot is not None:
        yield "  a screenshot: %s" % seen.screenshot
