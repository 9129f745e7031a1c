# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of ./quickstart when something fails, and the files it keeps between its runs."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.tools.quickstart import __main__ as quickstart
from ansible_collections.zstack.kvm.tools.quickstart import guest, machine
from ansible_collections.zstack.kvm.tools.quickstart.progress import Progress, StepError
from ansible_collections.zstack.kvm.tools.quickstart.vm import QuickstartVm


def raises(error: Exception) -> Callable[..., Any]:
    def raise_it(*_arguments: Any) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x/disk.partial"), ["/x/disk.partial", "Free space there"]),
        (OSError(errno.EIO, "Input/output error"), ["Input/output error", "run the command again"]),
        (
            subprocess.CalledProcessError(2, ["ip", "link", "delete", "br"], None, b"Operation not permitted"),
            ["ip link delete br\n", "exit code 2", "Operation not permitted", "run the command again"],
        ),
        (StepError("no network. Plug it in"), ["no network. Plug it in"]),
    ],
)
def test_a_failure_is_reported_with_a_hint(
    error: Exception, texts: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["quickstart"])
    monkeypatch.setattr(machine, "check", lambda _checkout: None)
    monkeypatch.setattr(quickstart, "run", raises(error))
    assert quickstart.main() == 1
    error_output = capsys.readouterr().err
    assert all(text in error_output for text in texts), error_output


def test_a_command_that_fails_is_shown_with_its_last_lines_its_hint_and_the_log(tmp_path: Path) -> None:
    progress = Progress(1, tmp_path / "log.txt")
    progress.begin_log()
    with pytest.raises(StepError) as raised:
        progress.run(["sh", "-c", "echo no index; exit 3"], hint="Is the machine offline?", seconds=20)
    for text in ("exit code 3", "    no index", "Is the machine offline?", str(progress.log)):
        assert text in str(raised.value)


def test_a_missing_command_is_reported_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="/none can't be run: No such file or directory. Install it"):
        Progress(1, tmp_path / "log.txt").run(["/none"], hint="Install it", seconds=20)


def test_what_was_found_out_about_kvm_is_kept_while_its_device_is_or_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "kvm"
    tried = []

    def trial(_guest: Path) -> guest.Accelerator:
        tried.append("KVM")
        return guest.Accelerator("kvm", "KVM", "yes")

    def found() -> str:
        return guest.accelerator(tmp_path, tmp_path, Progress(1, tmp_path / "log.txt")).domain_type

    monkeypatch.setattr(guest, "KVM_DEVICE", device)
    monkeypatch.setattr(guest, "_try_kvm", trial)
    assert found() == "qemu"
    device.touch()
    assert [found(), found()] == ["kvm", "kvm"] and tried == ["KVM"]
    device.unlink()
    assert found() == "qemu"


def test_kvm_is_tried_with_the_guest_where_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = guest.directory(tmp_path / "renamed clone")
    built.mkdir(parents=True)
    manifest = {
        "files": {"kernel": "vmlinuz", "initrd": "initrd.gz"}, "kernel_parameters": "quiet", "ready_marker": "ready"
    }  # fmt: skip
    (built / "guest.json").write_text(json.dumps(manifest), encoding="utf-8")
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\necho ready\n', encoding="utf-8")
    qemu.chmod(0o755)
    outputs: list[bytes] = []
    read_until = guest._read_until

    def listen(*arguments: Any) -> bytes:
        outputs.append(read_until(*arguments))
        return outputs[0]

    monkeypatch.setattr(guest, "_read_until", listen)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert guest._try_kvm(built).domain_type == "kvm"
    assert f"-kernel\n{built}/vmlinuz\n-initrd\n{built}/initrd.gz\n" in outputs[0].decode()


def test_no_two_checkouts_share_what_a_machine_can_have_once(tmp_path: Path) -> None:
    one, other = (QuickstartVm(tmp_path / name).options() for name in ("a", "b"))
    assert one["uuid"] != other["uuid"]
    assert one["root_volume"]["install_path"] != other["root_volume"]["install_path"]
    assert one["channels"][0]["socket_path"] != other["channels"][0]["socket_path"]


def test_the_module_takes_its_options(tmp_path: Path) -> None:
    (vm,), problems = parse_vms([{**QuickstartVm(tmp_path).options(), "domain_type": "qemu"}])
    assert (vm.name, problems) == ("quickstart", [])
