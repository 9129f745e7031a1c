# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared parts of all modules: their action group, documentation fragments, and complete RETURN documentation."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import BootDiagnostics, Failure, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import VmResult
from ansible_collections.zstack.kvm.tests.support.documented_result import deviations

ROOT = Path(__file__).resolve().parents[4]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))


def documentation(module: str) -> dict[str, Any]:
    """Return the DOCUMENTATION of a module, without its fragments."""
    source = importlib.import_module(f"ansible_collections.zstack.kvm.plugins.modules.{module}")
    return yaml.safe_load(source.DOCUMENTATION)


def test_every_module_is_in_the_action_group() -> None:
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"] == {"all": MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_documents_the_action_group_and_what_it_shares(module: str) -> None:
    fragments = documentation(module)["extends_documentation_fragment"]
    assert {"zstack.kvm.attributes.action_group", "zstack.kvm.libvirt"} <= set(fragments)


def full_result() -> VmResult:
    """Return a result with everything that a VM's entry can have."""
    error = VmError("bridge_missing", "there is no bridge br1", libvirt_code=38, libvirt_message="No such device")
    seen = BootDiagnostics(("login:",), ("warning",), "/var/lib/zstack-kvm/screenshots/1.png")
    return VmResult(
        uuid="6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11",
        name="web 01",
        state="running",
        actions=["define"],
        restart_required=True,
        console={"type": "vnc", "host": "127.0.0.1", "port": 5900},
        differences=[Difference("cputune/shares", "1024", "2048")],
        warnings=["no KVM"],
        overlays=[],
        backup_file="/var/lib/zstack-kvm/backups/1.xml",
        failure=Failure(error, "start", diagnostics=seen),
    )


def test_return_of_zstack_vm_start_is_all_that_an_entry_can_have() -> None:
    result = {"failed": True, "msg": "", "changed": True, "vms": [full_result().as_entry()]}
    assert deviations("zstack_vm_start", result) == []


def test_return_of_zstack_vm_stop_is_all_that_an_entry_has() -> None:
    failure = Failure(VmError("shutdown_timeout", "still on"), "shutdown")
    stopped = VmResult("6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11", "web 01", failure=failure)
    assert deviations("zstack_vm_stop", {"failed": True, "changed": False, "vms": [stopped.as_entry()]}) == []


class TestDeviations:
    def test_a_value_that_is_not_documented(self) -> None:
        entry = {**full_result().as_entry(), "colour": "blue"}
        assert deviations("zstack_vm_start", {"vms": [entry]}) == ["vms.colour is not documented"]

    def test_a_value_that_is_always_returned_and_is_missing(self) -> None:
        entry = full_result().as_entry()
        del entry["console"]["port"], entry["state"]
        assert deviations("zstack_vm_start", {"vms": [entry]}) == ["vms.state is missing"]

    def test_a_value_of_another_type(self) -> None:
        entry = {**full_result().as_entry(), "warnings": ["fine", 1], "name": 7}
        assert deviations("zstack_vm_start", {"vms": [entry]}) == [
            "vms.name is not of type str: 7",
            "vms.warnings has an element that is not of type str: 1",
        ]
