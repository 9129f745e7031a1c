# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query the hypervisors of a loop side by side."""

from __future__ import annotations

from typing import Any, Optional

from ansible.plugins.action import ActionBase
from ansible_collections.zstack.kvm.plugins.plugin_utils.answers import answer_of, not_answered
from ansible_collections.zstack.kvm.plugins.plugin_utils.side_by_side import SideBySide

ARGUMENT_SPEC = {
    "uri": {"type": "str", "default": "qemu:///system"},
    "authfile": {"type": "path"},
    "collect": {"type": "bool", "default": False},
}
NO_ANSWER = {"msg": "the process on the controller that queried it was ended"}

# Ansible runs all items of a loop in one process, which it creates for the task, each with an instance of its own.
queries = SideBySide()


class ActionModule(ActionBase):
    """One item of the loop."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Start a query of the host that the item is delegated to, or return the answers to all queries."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _validation, arguments = self.validate_argument_spec(ARGUMENT_SPEC)
        if arguments.pop("collect"):
            return _collected()
        host = self._task.delegate_to or variables["inventory_hostname"]
        queries.start(host, lambda: self._query(arguments, variables), variables["ansible_forks"])
        return {"changed": False}

    def _query(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        try:
            try:
                return self._execute_module("zstack.kvm.zstack_host_info", arguments, task_vars=variables)
            finally:
                self.cleanup()
                self._connection.close()
        # Whatever it is, it is the reason of the failure, and this process has nobody else to tell
        except Exception as error:
            return {"msg": str(error)}


def _collected() -> dict[str, Any]:
    answers = [answer_of(host, result or NO_ANSWER) for host, result in queries.results().items()]
    result = {"changed": False, "answers": answers}
    silent = [not_answered(answer) for answer in answers if "active" not in answer]
    return {**result, "failed": True, "msg": "\n".join(silent)} if silent else result
