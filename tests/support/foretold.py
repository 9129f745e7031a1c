# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode says what a real run then does: the same actions, differences and diff.

What fails only when it is done can't be predicted; what is found before is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def agreed(start: Callable[..., Any], *vms: Any, **options: Any) -> Any:
    """Return a run of zstack_vm_start, however C(start) runs it, after check mode has predicted exactly that."""
    foretold = start(*vms, check=True, **options)
    real = start(*vms, **options)
    told, said = _said(foretold), _said(real)
    assert told == said, f"the real run: {said[:3]}; check mode: {told}"
    return real


def failed(start: Callable[..., Any], *vms: Any, **options: Any) -> Any:
    """Return a run that fails, after check mode has shown the domain, and warned of all that it can see."""
    foretold = start(*vms, check=True, **options)
    real = start(*vms, **options)
    assert real.failed, real.output
    assert _shown(foretold) == _shown(real)
    for told, vm in zip(foretold.vms, real.vms):
        assert _warned_of(told, vm["error"]) if "error" in vm else "error" not in told, (told, vm)
    return real


def _said(run: Any) -> Any:
    entries = [(vm["actions"], vm["restart_required"], vm.get("error")) for vm in run.result.get("vms", [])]
    return run.failed, run.result.get("msg"), entries, _shown(run)


def _shown(run: Any) -> Any:
    return [vm["differences"] for vm in run.result.get("vms", [])], run.result.get("diff")


def _warned_of(told: dict[str, Any], error: dict[str, Any]) -> bool:
    if error["phase"] == "preflight" and "error" not in told:
        return "; ".join(warning for warning in told["warnings"] if warning in error["message"]) == error["message"]
    return told.get("error", error) == error
