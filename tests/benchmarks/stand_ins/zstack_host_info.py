# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the module: a hypervisor that runs all of its VMs. It costs what a module costs that does nothing."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Answers as zstack_host_info does, as far as the playbooks read it."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        done: dict[str, Any] = self._execute_module("ansible.builtin.ping", module_args={}, task_vars=task_vars)
        if "ping" not in done:
            return done
        host = self._task.delegate_to or task_vars["inventory_hostname"]
        vms = task_vars["hostvars"][host]["zstack_vms"]
        active = [{"uuid": vm["uuid"], "name": vm["name"], "state": "running", "active": True} for vm in vms]
        return {"changed": False, "uuid": host, "hostname": host, "vms": active}
