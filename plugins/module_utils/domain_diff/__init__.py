# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a domain differs from what is asked for, and how to make it so without touching anything else."""

from __future__ import annotations

from .live_changes import LiveChanges, live_changes
from .reconcile import Reconciled, left_from_before_patches, reconcile, rewritten
from .walk import Difference

__all__ = [
    "Difference",
    "LiveChanges",
    "Reconciled",
    "left_from_before_patches",
    "live_changes",
    "reconcile",
    "rewritten",
]
