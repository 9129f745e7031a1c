# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output for the person who runs the tests."""

from __future__ import annotations

import sys


class Screen:
    """The terminal. With a name, for parts that run side by side, it shows only whole lines, each after the name."""

    def __init__(self, name: str = "") -> None:
        self._prefix = f"{name:10} | ".encode() if name else b""
        self._begun = b""

    def line(self, text: str) -> None:
        """Show a line."""
        self.write(text.encode() + b"\n")

    def write(self, data: bytes) -> None:
        """Show what a command has printed; the beginning of a line may have to wait for the rest."""
        if self._prefix:
            *lines, self._begun = (self._begun + data).split(b"\n")
            data = b"".join(self._prefix + line + b"\n" for line in lines)
        sys.stdout.buffer.write(data)
        sys.stdout.flush()

    def beat(self) -> None:
        """Show that a command is running whose output is not shown."""
        if not self._prefix:
            print(".", end="", flush=True)

    def end(self) -> None:
        """Show the rest of an unfinished line."""
        if self._begun:
            self.line("")
