# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reference document is defined; then every attribute and every text of each domain is changed with libvirt.

A device that another domain of the same machine type has too is changed in only one of them.

What the document decides is found and repaired by the next run, everything else is left alone. Exceptions, with the
reasons, are in tests/fixtures/drift/left_out.yml. ZSTACK_KVM_DRIFT_SAMPLE=24 takes one document in 24, which is
enough for the first test only.
"""

from __future__ import annotations

import os
import re
import sys

import pytest
from ansible_collections.zstack.kvm.tests.support.drift_walk import Walked, left_out, walk, with_embedded_libvirt
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES

# It takes two minutes on an idle machine.
pytestmark = pytest.mark.timeout(1200)

PROCESSES = os.cpu_count() or 1
SHARES = PROCESSES * int(os.environ.get("ZSTACK_KVM_DRIFT_SAMPLE", "1"))


@pytest.fixture(scope="module")
def walked() -> Walked:
    """Walk over all cases, in as many processes as there are CPUs."""
    total = Walked()
    for part in with_embedded_libvirt(walk, range(PROCESSES), [SHARES] * PROCESSES):
        total.add(part)
    return total


def test_all_are_defined_and_then_in_sync_and_every_change_is_repaired(walked: Walked, capsys) -> None:
    with capsys.disabled():
        outcomes = (walked.repaired, walked.unnoticed, walked.refused, walked.trusted, walked.same)
        counts = [sum(each.values()) for each in outcomes]
        sys.stdout.write(
            "\n%d domains: %d changes found and repaired (of %d kinds); left out: %d left as they are, "
            "%d refused by libvirt, %d of the same kinds not tried again; %d in devices of other domains\n"
            % (walked.domains, counts[0], len(walked.repaired), *counts[1:])
        )
    assert walked.failures == []
    assert walked.domains == sum(len(ALL_CASES[share::SHARES]) for share in range(PROCESSES))


def test_nothing_goes_unnoticed_but_what_is_left_out(walked: Walked) -> None:
    patterns = [re.compile(path) for path in left_out("undecided")]
    assert [path for path in walked.unnoticed if not any(each.fullmatch(path) for each in patterns)] == []


def test_everything_is_changed_at_least_once_but_what_is_left_out(walked: Walked) -> None:
    patterns = [re.compile(path) for path in left_out("undecided") + left_out("refused")]
    never = set(walked.refused) - set(walked.repaired) - set(walked.unnoticed)
    assert sorted(path for path in never if not any(each.fullmatch(path) for each in patterns)) == []


@pytest.mark.parametrize("pattern", left_out("undecided"))
def test_what_is_left_out_as_undecided_goes_unnoticed(walked: Walked, pattern: str) -> None:
    assert any(re.fullmatch(pattern, path) for path in walked.unnoticed)


@pytest.mark.parametrize("pattern", left_out("refused"))
def test_what_is_left_out_as_refused_is_refused(walked: Walked, pattern: str) -> None:
    assert any(re.fullmatch(pattern, path) for path in walked.refused)
