# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that finds the hypervisors of the inventory whose running VMs must be known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Optional

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager

DOCUMENTATION = r"""
name: hypervisors_to_ask
short_description: Find the hypervisors to query for running VMs
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns the hosts of the inventory on which VMs may run, and which of them cannot be queried by a task of the play.
    C(playbooks/start_vms.yml) uses it before it starts anything.
positional: _input, groups
options:
  _input:
    description:
      - A pattern, a list or text. If empty, the group C(hypervisors), or C(all) if there is no such group.
    type: raw
    required: true
  groups:
    description:
      - The groups of the inventory, as Ansible's variable C(groups).
    type: dict
    required: true
  play_hosts:
    description:
      - The hosts of the play. Without O(chosen), they are hypervisors whatever the pattern is.
    type: list
    elements: str
    default: []
  asking:
    description:
      - The hosts of the play that run its tasks. A host on which an earlier play failed does not.
      - By default all of O(play_hosts).
    type: list
    elements: str
  chosen:
    description:
      - The host pattern of the hosts on which VMs are to start. They are hypervisors whatever the pattern is, including
        those that C(--limit) excludes, and the first ones that are returned.
      - Other hosts of the play are only queried, if the pattern names them.
    type: raw
"""

EXAMPLES = r"""
- name: Find the hypervisors to query
  ansible.builtin.set_fact:
    placement: "{{ 'hypervisors' | zstack.kvm.hypervisors_to_ask(groups, play_hosts=ansible_play_hosts_all) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - What has to be known before VMs are started.
  type: dict
  contains:
    hypervisors:
      description: The hosts on which VMs may run.
      type: list
      elements: str
    starting:
      description: The hosts on which VMs are to start.
      type: list
      elements: str
    others:
      description: The hypervisors for which the play runs no task, so that queries have to be delegated to them.
      type: list
      elements: str
    unmatched:
      description: The parts of the pattern that match no host.
      type: list
      elements: str
"""


def hypervisors_to_ask(
    pattern: Any,
    groups: Mapping[str, Sequence[str]],
    play_hosts: Sequence[str] = (),
    chosen: Any = None,
    asking: Optional[Sequence[str]] = None,
) -> dict[str, Any]:
    """Return the hypervisors, those to start VMs on, those outside the play, and the parts that match no host."""
    parts = parts_of_pattern(pattern, groups)
    inventory = _inventory(groups)

    def matching(hosts: Any) -> list[str]:
        return [host.name for host in inventory.get_hosts(hosts)]

    def matches_a_host(part: str) -> bool:
        try:
            return bool(matching(part.lstrip("!&")))
        except AnsibleError:
            # With host_pattern_mismatch=error
            return False

    if all(part[0] in "!&" for part in parts):
        parts = ["all", *parts]
    # An intersection with nothing is empty; what excludes nothing changes nothing.
    effective = [part for part in parts if part[0] == "&" or matches_a_host(part)]
    named = matching(",".join(effective)) if effective else []
    # Not joined with the pattern: exclusions would apply to both
    starting = matching(chosen) if chosen else list(play_hosts)
    hypervisors = list(dict.fromkeys([*starting, *named] if chosen else [*named, *starting]))
    unmatched = [part for part in parts if part[0] not in "!&" and part not in effective]
    able = set(play_hosts if asking is None else asking)
    others = [host for host in hypervisors if host not in able]
    return {"hypervisors": hypervisors, "starting": starting, "others": others, "unmatched": unmatched}


def parts_of_pattern(pattern: Any, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the parts of a pattern; what is a host's name is one part, whatever is in it."""
    words = list(_words(pattern)) or ["hypervisors" if groups.get("hypervisors") else "all"]
    known = {*groups, *groups.get("all", ())}
    whole = [word for word in words if word in known]
    # Ansible splits at colons only where there is no comma, and ignores what then matches nothing.
    split = [re.findall(r"(?:[^\s:\[\]]|\[[^\]]*\])+", word) for word in words if word not in known]
    return whole + [part for parts in split for part in parts]


def _words(pattern: Any) -> Iterator[str]:
    if isinstance(pattern, str):
        yield from filter(None, (word.strip() for word in pattern.split(",")))
    else:
        for each in pattern or ():
            yield from _words(each)


def _inventory(groups: Mapping[str, Sequence[str]]) -> InventoryManager:
    """Return an inventory in which only names can be looked up."""
    inventory = InventoryManager(loader=None, parse=False)
    for group, hosts in groups.items():
        inventory.add_group(group)
        for host in hosts:
            inventory.add_host(host, group=group)
    return inventory


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"hypervisors_to_ask": hypervisors_to_ask}
