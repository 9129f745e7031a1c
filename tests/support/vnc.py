# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log in to a VNC console: the beginning of the RFB protocol (RFC 6143, 7.1 and 7.2.2)."""

from __future__ import annotations

import socket

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

VERSION = b"RFB 003.008\n"
VNC_AUTHENTICATION = 2


def accepts(host: str, port: int, password: str) -> bool:
    """Return whether the console, which must require a password, accepts this one."""
    with socket.create_connection((host, port), timeout=10) as console, console.makefile("rwb", buffering=0) as stream:
        assert stream.read(len(VERSION)) == VERSION
        stream.write(VERSION)
        offered = stream.read(stream.read(1)[0])
        assert list(offered) == [VNC_AUTHENTICATION], f"the console requires no password: {list(offered)}"
        stream.write(bytes([VNC_AUTHENTICATION]))
        stream.write(_response(stream.read(16), password))
        return stream.read(4) == bytes(4)


def _response(challenge: bytes, password: str) -> bytes:
    """Encrypt the challenge with DES; the key is the password, each of its bytes with the lowest bit first."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode()[:8].ljust(8, b"\0"))
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(challenge) + encryptor.finalize()
