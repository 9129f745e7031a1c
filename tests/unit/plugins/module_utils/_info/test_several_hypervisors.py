# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor of a VM that several hypervisors report."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._info.several_hypervisors import active_hypervisors

OFF, RUNS, PAUSED = ("shutoff", "migrated"), ("running", "booted"), ("paused", "user")
INCOMING, UNKNOWN = ("paused", "migration"), ("unknown", "unknown")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (OFF, RUNS, ["hv2"]),
        (RUNS, OFF, ["hv1"]),
        (OFF, OFF, ["hv1"]),
        (RUNS, INCOMING, ["hv1"]),
        (UNKNOWN, RUNS, ["hv2"]),
        (OFF, UNKNOWN, ["hv2"]),
        (RUNS, RUNS, ["hv1", "hv2"]),
        (RUNS, PAUSED, ["hv1", "hv2"]),
    ],
)
def test_the_hypervisor_where_a_vm_is_active(
    first: tuple[str, str], second: tuple[str, str], expected: list[str]
) -> None:
    reported = {
        hypervisor: [{"uuid": "vm", "state": state, "reason": reason}]
        for hypervisor, (state, reason) in (("hv1", first), ("hv2", second))
    }
    assert active_hypervisors(reported) == {"vm": expected}


def test_each_vm_has_its_own_hypervisor() -> None:
    one, other = {"uuid": "one", "state": "running"}, {"uuid": "other", "state": "running"}
    assert active_hypervisors({"hv1": [one], "hv2": [other], "hv3": []}) == {"one": ["hv1"], "other": ["hv2"]}
