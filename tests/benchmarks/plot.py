# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time against number of VMs, as SVG.

Both axes are logarithmic: what grows in step with the number is a straight line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from .contenders import CONTENDERS
from .workloads import DEFINED, RUNNING, STARTED

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 300, 30, 50
COLOURS = ("#6b7280", "#d97706", "#c4b5fd", "#2563eb", "#dc2626")
# How the lines of a workload are dashed, and what it is called.
STYLES = {
    STARTED: ("", "start"),
    RUNNING: ("7 4", "run that changes nothing"),
    DEFINED: ("2 4", "check mode, VMs that are off"),
}

Point = tuple[float, float]


class _Axis:
    """Decades along a number of pixels."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self._begin = begin
        self._end = end

    def at(self, value: float) -> float:
        """Where a value is."""
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self._begin + part * (self._end - self._begin)

    def decades(self) -> list[float]:
        """The values that get a line and a number."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def plot(results: Mapping[str, Any]) -> str:
    """The plot of what was measured."""
    points = [each for each in results["measured"] if each["workload"] in STYLES]
    across = _Axis([each["vms"] for each in points], LEFT, WIDTH - RIGHT)
    up = _Axis([each["median"] for each in points], HEIGHT - BOTTOM, TOP)
    font = 'font-family="sans-serif" font-size="13"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {font}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_grid(across, up),
        *_curves(points, across, up),
        *_legend(),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for value in across.decades():
        x = across.at(value)
        yield f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#e5e7eb"/>'
        yield _text(x, bottom + 18, f"{value:g}", "middle")
    for value in up.decades():
        y = up.at(value)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#e5e7eb"/>'
        yield _text(LEFT - 8, y + 4, f"{value:g} s", "end")
    yield _text((LEFT + right) / 2, HEIGHT - 10, "VMs", "middle")


def _curves(points: Sequence[Mapping[str, Any]], across: _Axis, up: _Axis) -> Iterator[str]:
    for workload, (dashes, _title) in STYLES.items():
        for contender, colour in zip(CONTENDERS, COLOURS):
            curve = [
                (across.at(each["vms"]), up.at(each["median"]))
                for each in points
                if (each["workload"], each["contender"]) == (workload, contender.name)
            ]
            if curve:
                yield _line(curve, colour, dashes)
                yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in curve)


def _legend() -> Iterator[str]:
    left, y = WIDTH - RIGHT + 25, TOP + 15
    for contender, colour in zip(CONTENDERS, COLOURS):
        yield f'<circle cx="{left + 15}" cy="{y - 4}" r="5" fill="{colour}"/>'
        yield _text(left + 40, y, contender.name)
        y += 22
    y += 12
    for dashes, title in STYLES.values():
        yield _line([(left, y - 4), (left + 30, y - 4)], "#111827", dashes)
        yield _text(left + 40, y, title)
        y += 22


def _line(points: Sequence[Point], colour: str, dashes: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"{style}/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#111827">{escape(text)}</text>'
