# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode predicts what a real run then does: the same actions, differences and diff, and the diff shows a change
exactly if there is one.

A failure that shows only when an action is executed can't be predicted; what is found before that is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def agreed(start: Callable[..., Any], *vms: Any, **options: Any) -> Any:
    """Return a run of zstack_vm_start, however C(start) runs it, after check mode has predicted exactly that."""
    predicted = start(*vms, check=True, **options)
    real = start(*vms, **options)
    expected, actual = _outcome(predicted), _outcome(real)
    assert expected == actual, f"the real run: {actual[:3]}; check mode: {expected}"
    for vm, shown in zip(real.result.get("vms", []), real.result.get("diff", [])):
        shows_a_change = shown["before"] != shown["after"]
        assert "error" in vm or shows_a_change == bool(vm["actions"]), f"{vm['actions']} have this diff: {shown}"
    return real


def failed(start: Callable[..., Any], *vms: Any, **options: Any) -> Any:
    """Return a run that fails, after check mode has shown the same domain and warned of everything that it can see."""
    predicted = start(*vms, check=True, **options)
    real = start(*vms, **options)
    assert real.failed, real.output
    assert _shown(predicted) == _shown(real)
    for expected, vm in zip(predicted.vms, real.vms):
        assert _warned_of(expected, vm["error"]) if "error" in vm else "error" not in expected, (expected, vm)
    return real


def _outcome(run: Any) -> Any:
    entries = [(vm["actions"], vm["restart_required"], vm.get("error")) for vm in run.result.get("vms", [])]
    return run.failed, run.result.get("msg"), entries, _shown(run)


def _shown(run: Any) -> Any:
    return [vm["differences"] for vm in run.result.get("vms", [])], run.result.get("diff")


def _warned_of(predicted: dict[str, Any], error: dict[str, Any]) -> bool:
    if error["phase"] == "preflight" and "error" not in predicted:
        warnings = [warning for warning in predicted["warnings"] if warning in error["message"]]
        return "; ".join(warnings) == error["message"]
    return predicted.get("error", error) == error
