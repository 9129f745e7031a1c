# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of machine types, and which a host has."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.machine_types import (
    machine_family,
    newest_machine,
    on_newest_machine,
)
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm


@pytest.mark.parametrize(
    ("machine", "family"),
    [
        ("pc", "pc"),
        ("pc-i440fx-2.9", "pc"),
        ("pc-1.0", "pc"),
        ("pc-i440fx-rhel7.6.0", "pc"),
        ("rhel6.6.0", "pc"),
        ("q35", "q35"),
        ("pc-q35-rhel9.6.0", "q35"),
        ("virt", "virt"),
        ("virt-rhel10.0.0", "virt"),
        ("microvm", "microvm"),
    ],
)
def test_each_version_of_a_board_is_of_its_family(machine: str, family: str) -> None:
    assert machine_family(machine) == family


@pytest.mark.parametrize(
    ("host", "arch", "machine", "newest"),
    [
        ("debian-12", "x86_64", "pc-i440fx-1.0", "pc-i440fx-7.2"),
        ("debian-13", "x86_64", "pc-q35-2.3", "pc-q35-10.0"),
        ("debian-unstable", "x86_64", "pc-i440fx-5.1", "pc-i440fx-11.1"),
        ("debian-unstable", "aarch64", "virt-2.6", "virt-11.1"),
        ("el-9", "x86_64", "pc-q35-rhel7.6.0", "pc-q35-rhel9.6.0"),
        ("el-9-aarch64", "aarch64", "virt-rhel7.6.0", "virt-rhel9.6.0"),
        ("el-10", "x86_64", "pc-q35-rhel9.2.0", "pc-q35-rhel10.0.0"),
        ("el-10", "x86_64", "pc-i440fx-rhel7.6.0", None),
    ],
)
def test_the_newest_of_a_board_is_the_one_that_its_qemu_prefers(
    host: str, arch: str, machine: str, newest: Optional[str]
) -> None:
    guest = next(iter(recorded_host(host).capabilities.guests[arch].values()))

    assert machine not in guest.machines
    assert newest_machine(machine, guest) == newest
    assert newest is None or newest in guest.machines


@pytest.mark.parametrize(
    ("host", "options", "machine"),
    [
        ("debian-unstable", {"machine": "pc-i440fx-2.9"}, "pc"),
        ("debian-unstable", {"machine": "pc-q35-2.9"}, "q35"),
        ("debian-unstable", {"machine": "pc-q35-2.9", "emulator": "/usr/bin/qemu-system-x86_64"}, "q35"),
        ("debian-unstable", {"machine": "pc-q35-2.9", "emulator": "/opt/qemu"}, "pc-q35-2.9"),
        ("debian-unstable", {"machine": "pc-i440fx-9.0"}, "pc-i440fx-9.0"),
        ("debian-unstable", {"machine": "nonesuch"}, "nonesuch"),
        ("debian-unstable", {}, None),
        ("el-10", {"machine": "pc-i440fx-rhel7.6.0", "domain_type": "kvm"}, "pc-i440fx-rhel7.6.0"),
    ],
)
def test_a_version_that_the_host_lacks_becomes_its_board(
    host: str, options: dict[str, Any], machine: Optional[str]
) -> None:
    vm = parsed_vm(**{"domain_type": "qemu", **options})

    assert on_newest_machine(vm, recorded_host(host).capabilities).machine == machine
