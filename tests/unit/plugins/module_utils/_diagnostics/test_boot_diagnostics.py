# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot diagnostics of a VM that doesn't come up, as text for people."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.boot_diagnostics import last_lines
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.qemu_log import LOG_DIRECTORY, lines_since_start
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import BootDiagnostics, Failure, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import SecretMask


class TestLinesOfTheConsole:
    def test_are_the_last_ones(self) -> None:
        output = b"".join(b"line %d\r\n" % number for number in range(50))
        assert last_lines(output, cut=False) == ["line %d" % number for number in range(20, 50)]

    def test_without_empty_ones(self) -> None:
        assert last_lines(b"\r\nBooting\r\n\r\n  \r\n", cut=False) == ["Booting"]

    @pytest.mark.parametrize(
        "output",
        [
            b"\x1b[2J\x1b[1;1H\x1b[0;31mpanic\x1b[0m",
            b"\x1b]0;title\x07panic",
            b"\x1bc\x1b(Bpanic\x00\x08",
            b"pa\xc2\x9bnic\x1b",
        ],
    )
    def test_hold_no_control_sequences_of_a_terminal(self, output: bytes) -> None:
        assert last_lines(output, cut=False) == ["panic"]

    def test_end_as_a_terminal_would_show_them(self) -> None:
        assert last_lines(b"10 %\r50 %\r100 %\r\r\ndone", cut=False) == ["100 %", "done"]

    def test_begin_with_a_whole_one(self) -> None:
        assert last_lines(b"ssword\nlogin:", cut=True) == ["login:"]

    def test_may_be_no_text(self) -> None:
        assert last_lines(b"\xff\xfe", cut=False) == ["\ufffd\ufffd"]

    def test_of_a_silent_guest_are_none(self) -> None:
        assert last_lines(b"", cut=False) == []


class TestLinesOfQemu:
    def test_are_those_since_the_last_start(self, tmp_path: Path) -> None:
        log = tmp_path / LOG_DIRECTORY.lstrip("/") / "web.log"
        log.parent.mkdir(parents=True)
        old = "2026-11-22 16:00:00.0+0000: starting up libvirt version: 9.0.0\nqemu-system-x86_64: old\n"
        new = "2026-11-22 17:00:00.0+0000: starting up libvirt version: 9.0.0\n-name web \\\nqemu-system-x86_64: new\n"
        log.write_text(old + new, encoding="utf-8")
        assert lines_since_start(HostSystem(root=str(tmp_path)), "web") == ["qemu-system-x86_64: new"]


class TestWhatIsReturned:
    def test_has_it_where_it_is_known(self) -> None:
        error, seen = VmError("guest_agent_timeout", "no"), BootDiagnostics(("said",), ("logged",), "/picture.png")
        assert "boot_diagnostics" not in Failure(error, "look").as_result()
        assert Failure(error, "look", diagnostics=seen).as_result()["boot_diagnostics"] == {
            "serial_console": ["said"],
            "qemu_log": ["logged"],
            "screenshot": "/picture.png",
        }

    def test_has_no_secrets(self) -> None:
        seen = BootDiagnostics(("password: sekret", "sekrets"), ("can't open sekret",), None)
        failure = Failure(VmError("guest_agent_timeout", "no"), "look", diagnostics=seen)
        shown = SecretMask(["sekret"]).failure(failure).diagnostics
        assert shown == BootDiagnostics(("password: ********", "sekrets"), ("can't open ********",), None)
