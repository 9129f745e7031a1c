# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zstack_vm_info reports all VMs or the named ones, and compares those that have options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.screenshot import write_png
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor
from ansible_collections.zstack.kvm.tests.unit.plugins.modules.in_process import Host

OTHER = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
VIDEO = "<video><model type='vga'/></video>"
OPTIONS = {
    "name": "web",
    "memory": "64MiB",
    "cpu_num": 1,
    "domain_type": "qemu",
    "machine": "pc",
    "root_volume": {"install_path": "/root.qcow2", "format": "qcow2"},
}


class Screens(FakeHypervisor):
    """A libvirt whose VMs have a screen."""

    def screenshot(self, uuid: str) -> bytes:
        return write_png(1, 1, [b"\0\0\0"])


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Host:
    libvirt = Screens(
        {
            UUID: FakeDomain(running=VIDEO, name="0"),
            OTHER: FakeDomain("shutoff", "shutdown", name=OTHER.replace("-", "")),
        }
    )
    return Host("zstack_vm_info", monkeypatch, capsys, libvirt)


def reported(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(entry["uuid"], entry["state"]) for entry in result["vms"]]


def test_it_reports_all_vms_by_domain_name_if_none_is_named(host: Host) -> None:
    result = host.run()
    assert (result["changed"], reported(result)) == (False, [(UUID, "running"), (OTHER, "shutoff")])
    assert host.libvirt.calls[-1] == ("close",)


def test_it_reports_the_named_vms_in_their_order(host: Host) -> None:
    absent = OTHER.replace("1", "2")
    assert reported(host.run(uuids=[absent, OTHER])) == [(absent, "absent"), (OTHER, "shutoff")]


def test_the_others_follow_the_named_ones(host: Host) -> None:
    assert reported(host.run(uuids=[OTHER], others=True)) == [(OTHER, "shutoff"), (UUID, "running")]


def test_a_vm_that_is_named_twice_is_reported_once_and_compared(host: Host) -> None:
    result = host.run(uuids=[OTHER], vms=[{"uuid": OTHER, **OPTIONS}])
    assert reported(result) == [(OTHER, "shutoff")]
    assert result["vms"][0]["in_sync"] is False
    assert result["vms"][0]["differences"]


def test_a_vm_without_options_is_not_compared(host: Host) -> None:
    (entry,) = host.run(uuids=[OTHER])["vms"]
    assert (entry["in_sync"], entry["differences"]) == (None, [])


def test_it_writes_screenshots_but_not_in_check_mode(host: Host, tmp_path: Path) -> None:
    directory = tmp_path / "screenshots"
    assert host.run(check=True, uuids=[UUID], screenshot_directory=str(directory))["vms"][0]["screenshot"] is None
    assert not directory.exists()
    (entry,) = host.run(uuids=[UUID], screenshot_directory=str(directory))["vms"]
    assert entry["warnings"] == []
    assert entry["screenshot"] == str(directory / f"{UUID}.png")
    assert Path(entry["screenshot"]).exists()


def test_all_problems_of_the_input_are_reported_at_once(host: Host) -> None:
    result = host.run(uuids=["7"], vms=[{"uuid": UUID, **OPTIONS, "cpu_num": 0}], thumbnail_width=0)
    assert result["failed"]
    assert [path for path in ("uuids[0]: ", "vms[0].cpu_num: ", "thumbnail_width: ") if path not in result["msg"]] == []
    assert host.libvirt.calls == []


def test_it_fails_with_the_code_and_hint_of_the_error_if_libvirt_is_unavailable(host: Host) -> None:
    host.is_available = False
    result = host.run()
    assert result["error"]["code"] == "libvirt_unavailable"
    assert result["error"]["hint"] and result["error"]["hint"] in result["msg"]
