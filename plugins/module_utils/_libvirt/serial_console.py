# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of a running guest's serial console."""

from __future__ import annotations

from typing import Any

from .binding import libvirt

# More than a guest writes between two reads.
_CONSOLE_BYTES = 1024**2


class ConsoleStream:
    """The serial console of a running domain, for reading only."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self) -> bytes:
        """Return unread output of the guest; also empty after the console is gone."""
        output = bytearray()
        while self._stream is not None and len(output) < _CONSOLE_BYTES:
            try:
                part = self._stream.recv(65536)
            except libvirt.libvirtError:
                part = b""
            # libvirt's code for: no data now.
            if part == -2:
                break
            if not part:
                self.close()
            output += part
        return bytes(output)

    def close(self) -> None:
        """Close the console."""
        if self._stream is not None:
            try:
                self._stream.abort()
            except libvirt.libvirtError:
                # The domain has stopped, or another client has taken over the console.
                pass
            self._stream = None
