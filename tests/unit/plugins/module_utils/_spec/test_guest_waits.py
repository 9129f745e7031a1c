# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM that already runs is waited for only if its guest has to do something."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VM_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.module_utils._spec.guest_waits import NEEDS_GUEST


def test_all_but_the_start_itself_and_its_console_is_up_to_the_guest() -> None:
    assert set(VM_ARGUMENT_SPEC["wait_for"]["choices"]) - set(NEEDS_GUEST) == {"running", "console"}
