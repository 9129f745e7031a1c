# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode says what a real run then does: the same actions, differences and diff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def agreed(start: Callable[..., Any], *vms: Any, **options: Any) -> Any:
    """A real run of zstack_vm_start, however C(start) runs it, after check mode has said that it would do just that."""
    foretold = start(*vms, check=True, **options)
    real = start(*vms, **options)
    assert _said(foretold) == _said(real)
    return real


def _said(run: Any) -> Any:
    entries = [(vm["actions"], vm["differences"], vm["restart_required"]) for vm in run.vms]
    return run.failed, entries, run.result["diff"]
