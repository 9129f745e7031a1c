# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths of seeds, and the mark of their content."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._storage.seed import (
    MARK_BYTES,
    is_seed,
    mark_of,
    seed_number,
    seed_path,
    seeds_among,
)

NAME, OTHER = "0" * 32, "1" * 32


def test_a_path_contains_the_vm_and_the_number() -> None:
    path = seed_path(NAME, 7)
    assert (seed_number(NAME, path), seed_number(OTHER, path), is_seed(path)) == (7, None, True)
    assert (seed_number(NAME, None), is_seed("/var/lib/libvirt/images/seed.iso")) == (None, False)


def test_the_seeds_of_a_vm_are_found_among_those_of_others() -> None:
    names = [f"{NAME}.1.iso", f"{OTHER}.1.iso", f".{NAME}.1.iso.partial", f"{NAME}.12.iso"]
    assert seeds_among(NAME, names) == [seed_path(NAME, 1), seed_path(NAME, 12)]


def test_the_mark_is_a_sector_that_depends_on_every_name_and_text() -> None:
    marks = {mark_of(each) for each in ({"a": "bc"}, {"a": "b", "c": ""}, {"ab": "c"}, {})}
    assert len(marks) == 4
    assert {len(mark.encode("ascii")) for mark in marks} == {MARK_BYTES}
