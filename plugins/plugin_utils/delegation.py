# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find connection variables that Ansible does not evaluate for the host that a task is delegated to.

Ansible evaluates the variables of that host with the C(inventory_hostname) of the host that delegates. So with
C(ansible_host={{ inventory_hostname }}.lan) it connects to the wrong host (C(get_delegated_vars_and_hostname) in
C(ansible/vars/manager.py)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError

_FAILED = object()


def wrong_variables(own: Mapping[str, Any], delegated: Mapping[str, Any], template: Callable[[Any], Any]) -> list[str]:
    """Return the names of connection variables that have another value in a delegated task.

    C(own): the variables of the host, as in C(hostvars). C(delegated): those of the delegated task, which are
    templates that C(template) evaluates.
    """
    templates = [name for name, value in delegated.items() if name.startswith("ansible_") and _may_be_template(value)]
    return [name for name in templates if _evaluated(own.__getitem__, name) != _evaluated(template, delegated[name])]


def _may_be_template(value: Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _evaluated(evaluate: Callable[[Any], Any], value: Any) -> Any:
    try:
        return evaluate(value)
    except (AnsibleError, KeyError):
        return _FAILED
