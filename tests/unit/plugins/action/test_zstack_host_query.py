# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the action, and what it returns of a query that was ended."""

from __future__ import annotations

import os
import signal

import yaml
from ansible_collections.zstack.kvm.plugins.action.zstack_host_query import ARGUMENT_SPEC, collected, queries
from ansible_collections.zstack.kvm.plugins.doc_fragments.libvirt import ModuleDocFragment
from ansible_collections.zstack.kvm.plugins.modules.zstack_host_query import DOCUMENTATION


def test_its_options_are_those_of_the_documentation() -> None:
    documented = {}
    for text in (DOCUMENTATION, ModuleDocFragment.DOCUMENTATION):
        for name, option in yaml.safe_load(text)["options"].items():
            documented[name] = {key: option[key] for key in ("type", "default") if key in option}
    assert documented == ARGUMENT_SPEC


def test_a_query_whose_process_is_killed_is_named() -> None:
    queries.start("hv1", lambda: os.kill(os.getpid(), signal.SIGKILL), most=1)
    result = collected()
    assert result["answers"] == [{"item": "hv1", "msg": "the process on the controller that queried it was ended"}]
    assert result["failed"] and result["msg"].startswith("hv1 cannot be queried for its running VMs: the process")
