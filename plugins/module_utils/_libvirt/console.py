# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running guest says on its serial console."""

from __future__ import annotations

from typing import Any

from .binding import libvirt

# More than a guest says between two looks.
_CONSOLE_BYTES = 1024**2


class ConsoleStream:
    """The serial console of a running domain, from which is read what its guest says; nothing is ever written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self) -> bytes:
        """What the guest has said and nobody has read yet; empty after the console has gone too."""
        said = bytearray()
        while self._stream is not None and len(said) < _CONSOLE_BYTES:
            try:
                part = self._stream.recv(65536)
            except libvirt.libvirtError:
                part = b""
            # libvirt's word for: nothing just now.
            if part == -2:
                break
            if not part:
                self.close()
            said += part
        return bytes(said)

    def close(self) -> None:
        """Gives the console back."""
        if self._stream is not None:
            try:
                self._stream.abort()
            except libvirt.libvirtError:
                # The domain has ended, or somebody else has taken the console.
                pass
            self._stream = None
