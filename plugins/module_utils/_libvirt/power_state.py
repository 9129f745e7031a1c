# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power state of a VM: from what libvirt reports to what a start or stop has to do about it. Pure."""

from __future__ import annotations

from .observed import ObservedVm

# What to do about the power state of a VM.
START = "start"
KEEP = "keep"
RESUME = "resume"
WAKE_UP = "wake_up"
START_WHEN_OFF = "start_when_off"
CRASHED = "crashed"
BUSY = "busy"

_PAUSED = {
    "migration": BUSY,
    "save": BUSY,
    "dump": BUSY,
    "snapshot": BUSY,
    "starting_up": BUSY,
    "postcopy": BUSY,
    "postcopy_failed": BUSY,
    "shutting_down": START_WHEN_OFF,
    "crashed": CRASHED,
}
_POWER = {
    "absent": START,
    "shutoff": START,
    "running": KEEP,
    "blocked": KEEP,
    "shutdown": START_WHEN_OFF,
    "pmsuspended": WAKE_UP,
    "crashed": CRASHED,
}


def power_of(observed: ObservedVm) -> str:
    """Return what a start has to do about the power state of a VM: one of the constants above."""
    if observed.state == "paused":
        return _PAUSED.get(observed.reason, RESUME)
    return _POWER.get(observed.state, BUSY)
