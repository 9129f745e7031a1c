# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query the hypervisors of a loop side by side."""

from __future__ import annotations

import signal
from typing import Any, NoReturn, Optional

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.zstack.kvm.plugins.plugin_utils.answers import answer_of, not_answered
from ansible_collections.zstack.kvm.plugins.plugin_utils.delegation import wrong_variables
from ansible_collections.zstack.kvm.plugins.plugin_utils.side_by_side import SideBySide

ARGUMENT_SPEC = {
    "uri": {"type": "str", "default": "qemu:///system"},
    "authfile": {"type": "path"},
    "collect": {"type": "bool", "default": False},
}
ENDED = "the process on the controller that queried it was ended"
WRONG_HOST = (
    "Ansible evaluates %s for another host in a delegated task. Choose hosts with zstack_hosts instead of --limit, so "
    "that each hypervisor is queried by a task of its own"
)

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
            return collected()
        host = self._task.delegate_to or variables["inventory_hostname"]
        queries.start(host, lambda: self._answer(host, arguments, variables), variables["ansible_forks"])
        return {"changed": False}

    def _answer(self, host: str, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        # The clock of the parent, which Ansible has set, does not interrupt this process
        _limit_time(self._task.timeout)
        try:
            self._refuse_wrong_host(host, variables)
            try:
                result = self._execute_module("zstack.kvm.zstack_host_info", arguments, task_vars=variables)
            finally:
                self.cleanup()
                self._connection.close()
            return answer_of(host, result)
        # Whatever it is, it is the reason of the failure, and this process has nobody else to tell
        except Exception as error:
            return {"item": host, "msg": str(error)}

    def _refuse_wrong_host(self, host: str, variables: dict[str, Any]) -> None:
        delegated = variables.get("ansible_delegated_vars", {}).get(host)
        if delegated is None:
            return
        templar = self._templar.copy_with_new_env(available_variables=delegated)
        wrong = wrong_variables(variables["hostvars"][host], delegated, templar.template)
        if wrong:
            raise AnsibleError(WRONG_HOST % ", ".join(wrong))


def _limit_time(seconds: int) -> None:
    def give_up(_number: int, _frame: Any) -> NoReturn:
        raise TimeoutError("no answer within the %d seconds of the task's timeout" % seconds)

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)


def collected() -> dict[str, Any]:
    """Return the answers to all queries; the result of a failure if one is missing."""
    answers = [answer or {"item": host, "msg": ENDED} for host, answer in queries.results().items()]
    result = {"changed": False, "answers": answers}
    silent = [not_answered(answer) for answer in answers if "active" not in answer]
    return {**result, "failed": True, "msg": "\n".join(silent)} if silent else result
