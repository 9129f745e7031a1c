# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A screenshot is received up to a maximum size; libvirt is simulated."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import running_domains
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor

UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"


class Libvirt:
    """A connection, its only domain and the stream of a picture, all in one."""

    def __init__(self, picture: bytes) -> None:
        self._rest = picture
        self.ended = ""

    def newStream(self, _flags: int) -> Libvirt:
        return self

    def lookupByUUIDString(self, _uuid: str) -> Libvirt:
        return self

    def screenshot(self, _stream: Libvirt, _screen: int, _flags: int) -> None:
        pass

    def recv(self, size: int) -> bytes:
        part, self._rest = self._rest[:size], self._rest[size:]
        return part

    def finish(self) -> None:
        self.ended = "finished"

    def abort(self) -> None:
        self.ended = "aborted"


def picture_of(libvirt: Libvirt) -> bytes:
    connected = Hypervisor("test:///default")
    connected._connection = libvirt
    return connected.screenshot(UUID)


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_domains, "PICTURE_BYTES", 200000)


def test_a_screenshot_is_received_completely() -> None:
    libvirt = Libvirt(bytes(range(250)) * 800)
    assert picture_of(libvirt) == bytes(range(250)) * 800
    assert libvirt.ended == "finished"


def test_a_screenshot_that_is_too_large_is_aborted() -> None:
    libvirt = Libvirt(bytes(10**6))
    with pytest.raises(VmError, match="the screenshot has more than 200000 bytes"):
        picture_of(libvirt)
    assert libvirt.ended == "aborted"
