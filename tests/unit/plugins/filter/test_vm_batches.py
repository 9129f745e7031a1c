# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The batches of VMs, each of which one task starts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.filter.vm_batches import FilterModule

vm_batches = FilterModule().filters()["vm_batches"]


def vm(number: int, **options: Any) -> dict[str, Any]:
    return {
        "uuid": "00000000-0000-4000-8000-%012d" % number,
        "name": "vm%d" % number,
        "memory": "1GiB",
        "cpu_num": 1,
        "root_volume": {"install_path": "/images/%d" % number},
        **options,
    }


def checked(number: int, **more: Any) -> dict[str, Any]:
    """Return the entry of a VM in the result of check mode."""
    return {"uuid": vm(number)["uuid"].replace("-", ""), "changed": False, "warnings": [], **more}


def vms(count: int) -> list[dict[str, Any]]:
    return [vm(number) for number in range(count)]


def indexes(batches: list[dict[str, Any]]) -> list[list[int]]:
    return [batch["indexes"] for batch in batches]


@pytest.mark.parametrize("size", [None, ""])
def test_without_a_size_there_is_one_batch(size: Any) -> None:
    assert indexes(vm_batches(vms(3), size)) == [[0, 1, 2]]


@pytest.mark.parametrize("size", [2, "2"])
def test_batches_have_the_order_of_the_vms(size: Any) -> None:
    assert indexes(vm_batches(vms(5), size)) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("size", [None, 2])
def test_without_vms_there_is_no_batch(size: Any) -> None:
    assert vm_batches([], size) == []


def test_vms_with_a_start_order_are_one_batch_before_the_others() -> None:
    mixed = [vm(0), vm(1, start_order=2), vm(2), vm(3, start_order=1), vm(4, start_order=0), vm(5, start_order=None)]
    assert indexes(vm_batches(mixed, 2)) == [[1, 3, 4], [0, 2], [5]]


def test_labels_name_the_vms() -> None:
    assert [batch["label"] for batch in vm_batches(vms(3))] == ["vm0, vm1, vm2"]
    labels = [batch["label"] for batch in vm_batches(vms(8), 6)]
    assert labels == ["6 of 8 VMs: vm0 … vm5", "2 of 8 VMs: vm6, vm7"]


def test_a_batch_has_the_names_of_its_vms() -> None:
    assert [batch["names"] for batch in vm_batches(vms(2), 1)] == [{vm(n)["uuid"]: f"vm{n}"} for n in range(2)]


def test_with_an_invalid_vm_there_is_one_batch_which_the_module_refuses() -> None:
    wrong = [vm(0), {**vm(1), "memory": "much"}, vm(2), {**vm(3), "uuid": vm(0)["uuid"]}]
    assert indexes(vm_batches(wrong, 1)) == [[0, 1, 2, 3]]


def test_the_module_validates_a_single_batch() -> None:
    assert vm_batches(["no VM", {}]) == [{"indexes": [0, 1], "names": {"": ""}, "label": "?, ?", "in_sync": False}]


@pytest.mark.parametrize("size", [0, -1, "many", True, [2]])
def test_other_sizes_are_refused(size: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="whole number"):
        vm_batches(vms(2), size)


class TestInSync:
    def batches(self, *entries: dict[str, Any], described: Any = None, size: Any = None) -> list[bool]:
        return [batch["in_sync"] for batch in vm_batches(described or vms(2), size, {"vms": list(entries)})]

    def test_a_batch_is_in_sync_if_check_mode_changes_nothing(self) -> None:
        assert self.batches(checked(1), checked(0)) == [True]

    def test_one_vm_that_is_not_in_sync_is_enough(self) -> None:
        entries = [checked(0), checked(1, changed=True)]
        assert self.batches(*entries, size=1) == [True, False]
        assert self.batches(*entries) == [False]

    @pytest.mark.parametrize("noted", [{"warnings": ["there is no bridge"]}, {"error": {"code": "vm_busy"}}])
    def test_a_warning_or_an_error_of_check_mode_is_left_to_the_task(self, noted: dict[str, Any]) -> None:
        assert self.batches(checked(0), checked(1, **noted)) == [False]

    @pytest.mark.parametrize(("awaited", "in_sync"), [("console", True), (None, True), ("guest_agent", False)])
    def test_a_vm_whose_guest_is_waited_for_is_left_to_the_task(self, awaited: Any, in_sync: bool) -> None:
        assert self.batches(checked(0), described=[vm(0, wait_for=awaited)]) == [in_sync]

    def test_all_vms_must_have_been_checked(self) -> None:
        assert self.batches(checked(0)) == [False]

    @pytest.mark.parametrize("result", [None, {}, {"skipped": True}, {"unreachable": True}, {"msg": "undefined"}])
    def test_without_a_check_no_batch_is_in_sync(self, result: Any) -> None:
        assert [batch["in_sync"] for batch in vm_batches(vms(1), None, result)] == [False]
