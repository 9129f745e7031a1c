# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of work on volumes: one entry for each, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from .._errors.codes import with_hint
from .._errors.errors import Failure, Problem
from .._spec.vm import Volume
from .._storage.found_volume import FoundVolume, VolumeDifference


@dataclass
class VolumeResult:
    """The result for one volume. C(before) and C(existed): as it was; C(found) and C(exists): as it is or will be."""

    volume: Volume
    found: Optional[FoundVolume] = None
    before: Optional[FoundVolume] = None
    existed: bool = False
    exists: bool = False
    actions: list[str] = field(default_factory=list)
    differences: Sequence[VolumeDifference] = ()
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    progress: Optional[float] = None
    failure: Optional[Failure] = None

    def as_entry(self) -> dict[str, Any]:
        """Return the volume's entry in C(volumes)."""
        found = self.found
        entry = {
            "install_path": self.volume.install_path,
            "exists": self.exists,
            "size": None if found is None else found.size,
            "format": None if found is None else found.format,
            "image": None if found is None else found.backing,
            "features": None if found is None or found.features is None else list(found.features),
            "changed": bool(self.actions),
            "actions": self.actions,
            "differences": [
                {"path": each.part, "before": each.before, "after": each.after} for each in self.differences
            ],
            "warnings": self.warnings,
        }
        if self.progress is not None:
            entry["progress"] = self.progress
        if self.failure is not None:
            entry["error"] = self.failure.as_result()
        return entry

    def as_diff(self) -> dict[str, str]:
        """Return the volume's entry in C(diff)."""
        path = self.volume.install_path
        return {
            "before_header": path,
            "after_header": path,
            "before": _text(self.before),
            "after": _text(self.found if self.exists else None),
        }

    def plan(self, action: str, exists: bool, found: Optional[FoundVolume]) -> None:
        """Note what is to be done, and the volume after that."""
        self.actions, self.exists, self.found = [action], exists, found

    def drop_plan(self) -> None:
        """Note that nothing is done."""
        self.actions, self.exists, self.found = [], self.existed, self.before

    def fail(self, failure: Failure) -> None:
        """Note the failure, with the hint of its code unless it has one of its own."""
        self.failure = failure._replace(error=with_hint(failure.error))


def _text(found: Optional[FoundVolume]) -> str:
    if found is None:
        return ""
    lines = ["format: %s" % found.format, "size: %d" % found.size]
    if found.backing is not None:
        lines.append("image: %s" % found.backing)
    if found.features is not None:
        lines.append("features: %s" % ", ".join(found.features))
    return "\n".join([*lines, ""])
