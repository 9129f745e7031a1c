# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_prerequisites on a host with libvirt's modular daemons, which none of Debian's packages has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run import systems
from ansible_collections.zstack.kvm.tests.support.applied_role import (
    CHECKOUT,
    PREPARE,
    assert_daemon_restarts_with_other_settings,
    changed,
    host_with_disk,
    start_vm,
    vm_boots,
)
from ansible_collections.zstack.kvm.tests.support.fresh_host import FreshHost

pytestmark = pytest.mark.timeout(900)

MODULAR = {"host_prerequisites_daemons": "modular"}
DAEMONS = ["virtlogd", "virtnodedevd", "virtnwfilterd", "virtsecretd", "virtstoraged", "virtnetworkd", "virtqemud"]


# As on Enterprise Linux, except that an idle daemon ends sooner
UNITS = {
    "%s.socket": """[Socket]
ListenStream=/run/libvirt/%s-sock
SocketMode=0666
[Install]
WantedBy=sockets.target
""",
    "%s.service": """[Service]
Type=notify
ExecStart=/usr/sbin/%s --timeout 3
KillMode=process
[Install]
WantedBy=multi-user.target
""",
}


@pytest.fixture(params=[True, False], ids=["systemd", "without-systemd"])
def host_and_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[FreshHost, Path]]:
    files = systems.directory(CHECKOUT, "debian-13-modular")
    with host_with_disk(files, tmp_path, request.param) as (host, disk):
        if request.param:
            install_units(host, disk.parent)
        yield host, disk


def install_units(host: FreshHost, shared: Path) -> None:
    """Give the daemons units that start them on demand, instead of libvirtd's units, which Debian's packages left."""
    for daemon in set(DAEMONS) - {"virtlogd"}:
        for name, text in UNITS.items():
            (shared / (name % daemon)).write_text(text % daemon if "%s" in text else text, encoding="utf-8")
    host.run(f"cp {shared}/*.socket {shared}/*.service /etc/systemd/system/ && systemctl daemon-reload")
    host.run("systemctl mask --now libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service")


def test_the_daemons_run_after_the_role_and_virtqemud_restarts_with_other_settings(
    host_and_disk: tuple[FreshHost, Path],
) -> None:
    host, disk = host_and_disk
    assert changed(host.play(PREPARE, "--check", **MODULAR)) > 0
    assert host.try_run("virsh", "uri").returncode != 0

    assert ", modular daemons, " in host.play(PREPARE, **MODULAR)
    # "auto" keeps the daemons that run.
    again = host.play(PREPARE, host_prerequisites_daemons="auto")
    assert changed(again) == 0 and ", modular daemons, " in again

    start_vm(host, disk)
    assert vm_boots(host)
    assert_daemon_restarts_with_other_settings(host, "virtqemud")
