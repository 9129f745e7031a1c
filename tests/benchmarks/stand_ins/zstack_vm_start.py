# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the module: all VMs run as described. It costs what a module costs that does nothing."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

_CONSOLE = {"type": "vnc", "host": "192.0.2.1", "port": 5900}


class ActionModule(ActionBase):
    """Answers as zstack_vm_start does in check mode when nothing has to change; the playbook then does no more."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        done: dict[str, Any] = self._execute_module("ansible.builtin.ping", module_args={}, task_vars=task_vars)
        if "ping" not in done:
            return done
        vms, host = self._task.args["vms"], task_vars["inventory_hostname"]
        seen = {"uuid": host, "hostname": host, "active": [vm["uuid"] for vm in vms]}
        return {"changed": False, "vms": [_in_sync(vm) for vm in vms], "hypervisor": seen}


def _in_sync(vm: Any) -> dict[str, Any]:
    return {
        "uuid": vm["uuid"],
        "name": vm["name"],
        "state": "running",
        "changed": False,
        "actions": [],
        "restart_required": False,
        "console": _CONSOLE,
        "differences": [],
        "warnings": [],
    }
