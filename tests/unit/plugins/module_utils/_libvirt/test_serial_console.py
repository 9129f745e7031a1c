# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of a serial console, from a simulated stream of libvirt."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.serial_console import ConsoleStream
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._libvirt.node import libvirt_error

NO_DATA_NOW, END = -2, b""


class Stream:
    """A stream that returns the given data, and raises an error for None."""

    def __init__(self, *parts: Any) -> None:
        self.parts = list(parts)
        self.aborted = 0

    def recv(self, size: int) -> Any:
        part = self.parts.pop(0)
        if part is None:
            raise libvirt_error(38)
        return part

    def abort(self) -> None:
        self.aborted += 1
        raise libvirt_error(55)


def test_all_output_is_read_until_there_is_none_for_now() -> None:
    stream = Stream(b"login", b": ", NO_DATA_NOW, b"more", NO_DATA_NOW)
    console = ConsoleStream(stream)
    assert [console.read(), console.read()] == [b"login: ", b"more"]
    assert stream.aborted == 0


@pytest.mark.parametrize("gone", [END, None])
def test_a_console_that_is_gone_keeps_its_last_output_and_says_nothing_more(gone: Any) -> None:
    stream = Stream(b"bye", gone)
    console = ConsoleStream(stream)
    assert [console.read(), console.read()] == [b"bye", b""]
    assert stream.aborted == 1


def test_a_guest_that_never_stops_writing_is_not_read_forever() -> None:
    console = ConsoleStream(Stream(*[bytes(65536)] * 20))
    assert [len(console.read()), len(console._stream.parts)] == [1 << 20, 4]


def test_closing_twice_aborts_once() -> None:
    stream = Stream()
    console = ConsoleStream(stream)
    console.close()
    console.close()
    assert (stream.aborted, console.read()) == (1, b"")
