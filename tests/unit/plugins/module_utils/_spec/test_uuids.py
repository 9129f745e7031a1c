# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs are identified by their UUIDs, and all problems of those are found at once."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuids import parse_uuids
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID


def test_uuids_may_be_written_without_dashes() -> None:
    assert parse_uuids([UUID.replace("-", "").upper()], "vms") == ([UUID], [])


def test_all_wrong_uuids_are_reported_with_their_paths() -> None:
    _uuids, problems = parse_uuids(["web", UUID, UUID.upper()], "vms")
    assert [problem.option_path for problem in problems] == ["vms[0]", "vms[2]"]


def test_a_duplicate_uuid_is_a_problem_whatever_its_form() -> None:
    _uuids, (problem,) = parse_uuids([UUID, UUID.upper()], "vms")
    assert (problem.option_path, problem.message) == ("vms[1]", f"{UUID.upper()} is given twice")
