# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that checks, across all hypervisors, whether VMs may be started on the desired hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Optional

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuid_digits import digits_of
from ansible_collections.zstack.kvm.plugins.plugin_utils.answers import answers_of_loop, not_answered, own_answer

DOCUMENTATION = r"""
name: placement_problems
short_description: Find VMs that must not be started on their hypervisors
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Two QEMU processes that write to one disk corrupt it. This filter compares the VMs to start with those that the
    hypervisors report as active (M(zstack.kvm.zstack_vm_start) in check mode, M(zstack.kvm.zstack_host_info), or
    M(zstack.kvm.zstack_host_query)).
    C(playbooks/start_vms.yml) stops if it finds problems.
  - It finds VMs that are active on another hypervisor, VMs that are to start on two hypervisors, and hypervisors that
    didn't answer, on which any VM may run.
  - Two inventory hosts that are the same hypervisor count as one.
positional: _input, placement
options:
  _input:
    description:
      - The variables of the hosts of the play.
    type: list
    elements: dict
    required: true
    suboptions:
      inventory_hostname:
        description: The name of the host.
        type: str
      zstack_vm_batches:
        description: The VMs to start on the host, as returned by P(zstack.kvm.vm_batches#filter).
        type: list
        elements: dict
      zstack_vms_checked:
        description:
          - The result of M(zstack.kvm.zstack_vm_start) in check mode.
        type: dict
      zstack_hypervisor_asked:
        description: The result of M(zstack.kvm.zstack_host_info), for a host whose VMs were not checked.
        type: dict
  placement:
    description:
      - The hypervisors that must have answered, as returned by P(zstack.kvm.hypervisors_to_ask#filter).
    type: dict
    required: true
  others_asked:
    description:
      - The result of M(zstack.kvm.zstack_host_query), registered in a loop over C(others) of O(placement).
    type: dict
  ignore_unreachable:
    description:
      - Hosts that need not have answered, as a list or as comma-separated text; or V(true) for any host.
    type: raw
    default: false
  starting:
    description:
      - The names of the hosts on which VMs are to start, which must have answered. The VMs that the variables of other
        hosts name are not considered.
      - By default all hosts, which need not have answered then.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Check that no VM runs elsewhere
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems }}"
  vars:
    problems: >-
      {{ ansible_play_hosts_all | map('extract', hostvars)
         | zstack.kvm.placement_problems(zstack_placement, ignore_unreachable=['hv4']) }}
"""

RETURN = r"""
_value:
  description:
    - The problems, one string each; empty if every VM may be started.
  type: list
  elements: str
  sample: ["VM web (36c27e8f-f05c-4780-bf6d-2fa65700f22e) is to run on hv1, but it is active on hv2"]
"""


def placement_problems(
    hosts: Sequence[Mapping[str, Any]],
    placement: Mapping[str, Any],
    others_asked: Optional[Mapping[str, Any]] = None,
    ignore_unreachable: Any = False,
    starting: Optional[Sequence[str]] = None,
) -> list[str]:
    """Return all that keeps the VMs from being started on their hosts."""
    desired: dict[str, Mapping[str, str]] = {}
    others = set(placement["others"])
    answers = [answer for answer in answers_of_loop(others_asked) if answer["item"] in others]
    asking = set(placement["hypervisors"]) - others
    for host in hosts:
        name = host["inventory_hostname"]
        if starting is None or name in starting:
            batches = host.get("zstack_vm_batches") or ()
            desired[name] = {uuid: vm for batch in batches for uuid, vm in batch["names"].items()}
        # What others have answered for themselves is of an earlier import of the playbook
        own = own_answer(name, host) if name in asking else None
        answers += [] if own is None else [own]
    unmatched = [
        "zstack_hypervisors names %s, which no host of the inventory matches" % each for each in placement["unmatched"]
    ]
    hypervisors = list(dict.fromkeys([*placement["hypervisors"], *(starting or ())]))
    return unmatched + problems_of(desired, answers, hypervisors, ignore_unreachable)


def problems_of(
    desired: Mapping[str, Mapping[str, str]],
    answers: Sequence[Mapping[str, Any]],
    hypervisors: Sequence[str],
    ignore_unreachable: Any = False,
) -> list[str]:
    """Return the problems of the desired VMs, given what each hypervisor answered."""
    answered = {answer["item"]: answer for answer in answers if "active" in answer}
    unanswered = {answer["item"]: answer for answer in answers if "active" not in answer}
    ignores = _reader_of_ignored(ignore_unreachable)
    silent = [host for host in hypervisors if host not in answered and not ignores(host)]
    return [
        *_on_two_hosts(desired, answered),
        *_active_elsewhere(desired, answered),
        *(not_answered(unanswered.get(host, {"item": host})) for host in silent),
    ]


def _reader_of_ignored(ignored: Any) -> Callable[[str], bool]:
    """Return a predicate for hosts that need not answer, from any form that surveys, variables or inventories give."""
    try:
        everything = boolean(ignored)
    except TypeError:
        names = ignored.replace(",", " ").split() if isinstance(ignored, str) else ignored
        if not isinstance(names, Sequence):
            message = "placement_problems: ignore_unreachable must be a list of hosts or a boolean, not %r"
            raise AnsibleFilterError(message % (ignored,)) from None
        return set(names).__contains__
    return lambda host: everything


def _on_two_hosts(desired: Mapping[str, Mapping[str, str]], answered: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    hosts_of: dict[str, list[tuple[str, str]]] = {}
    for host, vms in desired.items():
        for uuid, name in vms.items():
            if uuid:
                hosts_of.setdefault(digits_of(uuid), []).append((host, "VM %s (%s)" % (name, uuid)))
    for found in hosts_of.values():
        others = [(first[0], second[0]) for first, second in combinations(found, 2)]
        if any(not _same(*pair, answered) for pair in others):
            yield "%s is to run on %s at once" % (found[0][1], " and ".join(host for host, _label in found))


def _active_elsewhere(
    desired: Mapping[str, Mapping[str, str]], answered: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    active: dict[str, list[str]] = {}
    for host, answer in answered.items():
        for uuid in answer["active"]:
            active.setdefault(digits_of(uuid), []).append(host)
    for host, vms in desired.items():
        for uuid, name in vms.items():
            for other in active.get(digits_of(uuid), []):
                if not _same(host, other, answered):
                    yield "VM %s (%s) is to run on %s, but it is active on %s" % (name, uuid, host, other)


def _same(host: str, other: str, answered: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether two names lead to one hypervisor. The UUID alone is not enough: cloned machines share it."""
    if host == other:
        return True
    identities = [(answered[name]["uuid"], answered[name]["hostname"]) for name in (host, other) if name in answered]
    return len(identities) == 2 and identities[0] == identities[1]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"placement_problems": placement_problems}
