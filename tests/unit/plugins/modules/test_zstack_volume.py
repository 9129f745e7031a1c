# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zstack_volume returns one result for each volume, and an error of its own if it can examine none."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._storage.found_volume import FoundVolume
from ansible_collections.zstack.kvm.plugins.module_utils._volumes import work
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import KvmModule
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeSystem, FakeVolumes, RemoteFakeSystem
from ansible_collections.zstack.kvm.tests.unit.plugins.modules.in_process import Host

GIB = 1 << 30
VOLUME = {"install_path": "/images/a.qcow2", "create": {"size": "1GiB"}}


@pytest.fixture
def volumes(monkeypatch: pytest.MonkeyPatch) -> FakeVolumes:
    """Return the volumes of the hypervisor, none at first."""
    found = FakeVolumes()
    monkeypatch.setattr(work, "VolumeStores", lambda system, hypervisor, owner: found)
    return found


@pytest.fixture
def host(volumes: FakeVolumes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Host:
    return Host("zstack_volume", monkeypatch, capsys, system=FakeSystem())


def test_it_creates_a_volume(host: Host, volumes: FakeVolumes) -> None:
    result = host.run(volumes=[VOLUME])
    (entry,) = result["volumes"]
    assert (result["changed"], entry["exists"], entry["actions"]) == (True, True, ["create_volume"])
    assert "failed" not in result
    assert list(volumes.volumes) == ["/images/a.qcow2"]
    assert host.libvirt.calls[-1] == ("close",)


def test_warnings_of_a_volume_are_shown_by_the_task(
    host: Host, volumes: FakeVolumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(KvmModule, "warn", lambda module, warning: shown.append(warning))
    volumes.volumes["/images/a.qcow2"] = FoundVolume("qcow2", 2 * GIB)
    (entry,) = host.run(volumes=[VOLUME])["volumes"]
    assert "never shrunk" in shown[0]
    assert shown == entry["warnings"]


def test_check_mode_reports_the_same_and_changes_nothing(host: Host, volumes: FakeVolumes) -> None:
    result = host.run(check=True, volumes=[VOLUME])
    assert (result["changed"], result["volumes"][0]["actions"]) == (True, ["create_volume"])
    assert volumes.changes == []


def test_a_volume_as_desired_is_not_changed(host: Host, volumes: FakeVolumes) -> None:
    volumes.volumes["/images/a.qcow2"] = FoundVolume("qcow2", GIB)
    result = host.run(volumes=[VOLUME])
    assert (result["changed"], result["diff"][0]["before"]) == (False, result["diff"][0]["after"])


def test_the_error_of_one_volume_is_its_own(host: Host, volumes: FakeVolumes) -> None:
    volumes.volumes["/images/b.qcow2"] = FoundVolume("qcow2", 5)
    volumes.errors["grow"] = VmError("disk_full", "no space is left in /images")
    result = host.run(volumes=[VOLUME, {**VOLUME, "install_path": "/images/b.qcow2"}])
    assert result["failed"] and "1 of 2 volumes failed" in result["msg"]
    created, failed = result["volumes"]
    assert (created["changed"], failed["changed"], failed["error"]["code"]) == (True, False, "disk_full")
    assert failed["error"]["hint"] and failed["error"]["hint"] in result["msg"]


def test_all_problems_of_the_input_are_reported_at_once(host: Host, volumes: FakeVolumes) -> None:
    result = host.run(volumes=[{**VOLUME, "create": {"size": "much"}}, {"install_path": "relative"}])
    assert result["failed"] and "2 problems in the input" in result["msg"]
    assert volumes.changes == []


def test_it_fails_with_a_remote_uri(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], volumes: FakeVolumes
) -> None:
    host = Host("zstack_volume", monkeypatch, capsys, system=RemoteFakeSystem())
    result = host.run(volumes=[VOLUME])
    assert (result["failed"], result["error"]["code"]) == (True, "needs_hypervisor")


def test_it_fails_with_the_code_and_hint_of_the_error_if_libvirt_is_unavailable(host: Host) -> None:
    host.is_available = False
    result = host.run(volumes=[VOLUME])
    assert result["error"]["code"] == "libvirt_unavailable"
    assert result["error"]["hint"] and result["error"]["hint"] in result["msg"]
