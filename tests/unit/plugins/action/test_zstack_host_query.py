# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the action are those that its module documents."""

from __future__ import annotations

import yaml
from ansible_collections.zstack.kvm.plugins.action.zstack_host_query import ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.doc_fragments.libvirt import ModuleDocFragment
from ansible_collections.zstack.kvm.plugins.modules.zstack_host_query import DOCUMENTATION


def test_its_options_are_those_of_the_documentation() -> None:
    documented = {}
    for text in (DOCUMENTATION, ModuleDocFragment.DOCUMENTATION):
        for name, option in yaml.safe_load(text)["options"].items():
            documented[name] = {key: option[key] for key in ("type", "default") if key in option}
    assert documented == ARGUMENT_SPEC
