# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM whose machine type QEMU no longer has: found before the start, and moved to the newest of its board."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import daemon
from ansible_collections.zstack.kvm.tests.support.module_run import agreed, failed
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp, state, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until
from lxml import etree

# No QEMU that libvirt supports has it: at that time, the board was called pc-1.0.
GONE = "pc-i440fx-1.0"
DEFINITIONS = Path("/etc/libvirt/qemu")


def upgrade_host(vm: dict[str, Any]) -> None:
    """Give a VM that is off a definition from an older QEMU, which libvirt loads but would not define."""
    domain = definition(vm["uuid"])
    domain.find("os/type").set("machine", GONE)
    virsh("undefine", vm["uuid"])
    (DEFINITIONS / f"{domain.findtext('name')}.xml").write_text(etree.tostring(domain, encoding="unicode"))
    os.kill(daemon.pid(), signal.SIGHUP)
    wait_until(lambda: state(vm["uuid"]) == "shut off", "libvirtd reads the definition")


def machine_of(vm: dict[str, Any]) -> str:
    return str(definition(vm["uuid"]).find("os/type").get("machine"))


def test_a_machine_type_that_qemu_no_longer_has_is_found_before_the_start_and_moved_on_request(new_vm: NewVm) -> None:
    vm = new_vm()
    agreed(vm)
    newest = machine_of(vm)
    virsh("destroy", vm["uuid"])
    upgrade_host(vm)

    error = failed(vm).error

    assert (error["code"], error["phase"]) == ("unsupported_machine", "preflight")
    assert error["message"].startswith(f"vms[0].machine: the domain has the machine type {GONE}, which ")
    assert error["hint"] == f"Set on_missing_machine to newest: the guest gets the board in its version {newest}."
    assert machine_of(vm) == GONE

    moved = agreed(vm, on_missing_machine="newest")

    assert moved.actions == ["define", "start"]
    assert moved.vm["differences"] == [{"path": "os/type/@machine", "before": GONE, "after": newest}]
    wait_for_text(vm["uuid"], "I am " + vm["uuid"])
    assert qmp(vm["uuid"], "qom-get", path="/machine", property="type") == f"{newest}-machine"
    # Options that name the old version mean the same.
    assert agreed({**vm, "machine": GONE}, on_missing_machine="newest").actions == []


def test_a_machine_type_that_qemu_never_had_is_found_before_anything_is_defined(new_vm: NewVm) -> None:
    vm = new_vm(machine=GONE)

    assert failed(vm).error["code"] == "unsupported_machine"
    assert state(vm["uuid"]) == "absent"
