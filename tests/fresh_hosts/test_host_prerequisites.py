# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_prerequisites turns a minimal installation into a hypervisor on which a VM starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run import fresh_systems
from ansible_collections.zstack.kvm.tests.support.applied_role import (
    PREPARE,
    assert_daemon_restarts_with_other_settings,
    changed,
    host_with_disk,
    start_vm,
    vm_boots,
)
from ansible_collections.zstack.kvm.tests.support.fresh_host import FreshHost

# Packages are downloaded and installed, on a machine that may be busy.
pytestmark = pytest.mark.timeout(1800)

LIBVIRT = {"debian-12": r"9\.0", "debian-13": r"11\.3", "debian-unstable": r"\d+\.\d+"}


@dataclass
class Applied:
    """A host, and what each run of the role printed: in check mode, for real, again, and again in check mode."""

    host: FreshHost
    system: str
    systemd: bool
    disk: Path
    predicted: str
    installed_by_check_mode: str
    first: str
    second: str
    predicted_again: str


@pytest.fixture(scope="module", params=[True, False], ids=["systemd", "without-systemd"])
def systemd(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module", params=fresh_systems.SUITES)
def applied(
    request: pytest.FixtureRequest, systemd: bool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Applied]:
    directory = tmp_path_factory.mktemp("host")
    files = fresh_systems.directory(request.param)
    with host_with_disk(files, directory, systemd) as (host, disk):
        yield Applied(
            host,
            request.param,
            systemd,
            disk,
            predicted=host.play(PREPARE, "--check"),
            installed_by_check_mode=host.try_run("dpkg-query", "--show", "libvirt-daemon-system").stdout,
            first=host.play(PREPARE),
            second=host.play(PREPARE),
            predicted_again=host.play(PREPARE, "--check"),
        )


def test_check_mode_names_the_packages_and_installs_none(applied: Applied) -> None:
    assert changed(applied.predicted) > 0
    assert re.search(r"To be installed: .*\blibvirt-daemon-system\b", applied.predicted)
    assert applied.installed_by_check_mode == ""


def test_the_first_run_reports_a_hypervisor(applied: Applied) -> None:
    assert changed(applied.first) > 0
    libvirt = LIBVIRT[applied.system]
    assert re.search(rf"libvirt +{libvirt}\.\d+, monolithic daemons, QEMU \d+\.\d+", applied.first)


def test_the_second_run_changes_nothing_and_check_mode_says_so(applied: Applied) -> None:
    assert (changed(applied.second), changed(applied.predicted_again)) == (0, 0)


def test_where_systemd_runs_it_has_the_daemons_and_starts_them_at_boot(applied: Applied) -> None:
    def answers(query: str) -> list[str]:
        return applied.host.try_run("systemctl", query, "libvirtd.socket", "virtlogd.socket").stdout.split()

    if applied.systemd:
        assert (answers("is-active"), answers("is-enabled")) == (["active"] * 2, ["enabled"] * 2)
    else:
        assert answers("is-active") == []


def test_a_vm_starts_and_boots(applied: Applied) -> None:
    start_vm(applied.host, applied.disk)
    assert vm_boots(applied.host)


def test_with_other_settings_the_daemon_restarts_and_the_vm_runs_on(applied: Applied) -> None:
    start_vm(applied.host, applied.disk)
    assert_daemon_restarts_with_other_settings(applied.host, "libvirtd")
