# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that turns the result of a start into what ZStack's agent would answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: agent_api_result
short_description: Convert a module's result to a response of the agent API
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Converts the result of M(zstack.kvm.zstack_vm_start) for one VM to the response of the agent API.
    C(playbooks/start_vm_cmd.yml) uses it.
positional: _input
options:
  _input:
    description:
      - The registered result of M(zstack.kvm.zstack_vm_start), or of an earlier task that failed.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the result
  ansible.builtin.debug:
    msg: "{{ vm_started | zstack.kvm.agent_api_result }}"
"""

RETURN = r"""
_value:
  description:
    - C(success), and if that is false C(error), a string.
  type: dict
  sample:
    success: false
    error: there is no bridge br_eth7 on this hypervisor
      (Create the bridge, or set bridge_name to one of those that zstack_host_info lists.)
"""

# ZStack's management node takes these texts for what they say.
KNOWN_TEXTS = {
    "not_enough_memory": "No enough physical memory for guest",
    "qos_limit": "QoS exceed max limit, please check and reset it in zstack",
}


def agent_api_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer."""
    if result.get("failed") or result.get("unreachable"):
        return {"success": False, "error": _text(result)}
    return {"success": True}


def _text(result: Mapping[str, Any]) -> str:
    error = (result.get("vms") or [{}])[0].get("error")
    if not error:
        return str(result.get("msg", ""))
    return KNOWN_TEXTS.get(error["code"]) or "%s (%s)" % (error["message"], error["hint"])


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"agent_api_result": agent_api_result}
