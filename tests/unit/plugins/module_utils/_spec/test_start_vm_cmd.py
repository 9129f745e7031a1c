# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ZStack's StartVmCmd becomes a VM as a playbook describes it, without loss."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import read_document
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.documents import converted, document, problems


def test_the_shortest_document() -> None:
    assert converted() == {
        "uuid": "001f00d0000000000000000000000001",
        "name": "vm-1",
        "memory": 1073741824,
        "cpu_num": 2,
        "root_volume": {"install_path": "/a"},
    }


class TestUnknownFields:
    DOCUMENT = document(
        gpu="x",
        rootVolume={"installPath": "/a", "size": 1},
        nics=[{"bridgeName": "b", "speed": 1}],
        addons={
            "vdiProxy": {},
            "channel": {"socketPath": "/s", "targetName": "t", "x": 1},
            "NicQos": {"f0": {"burst": 1}},
        },
    )
    PATHS = {
        "gpu",
        "rootVolume.size",
        "nics[0].speed",
        "addons.vdiProxy",
        "addons.channel[0].x",
        "addons.NicQos.f0.burst",
    }

    def test_are_one_error_that_names_them_all(self) -> None:
        (problem,) = problems(self.DOCUMENT)
        assert problem.startswith("unknown fields: ")
        assert problem.endswith(" (unknown='warn' ignores them)")
        assert set(problem.partition(": ")[2].partition(" (")[0].split(", ")) == self.PATHS

    def test_are_kept_out_with_a_warning(self) -> None:
        vm, warnings = read_document(self.DOCUMENT, unknown="warn")[:2]
        assert len(warnings) == 2
        assert set(warnings[1].partition(": ")[2].split(", ")) == self.PATHS
        assert parse_vms([vm])[1] == []

    def test_are_kept_out_silently(self) -> None:
        vm, warnings = read_document(document(gpu="x"), unknown="ignore")[:2]
        assert (vm, warnings) == (converted(), [])

    def test_may_have_any_name(self) -> None:
        assert problems({**document(), 5: 1, "a\nb": 1}) == ["unknown fields: 5, 'a\\nb' (unknown='warn' ignores them)"]


class TestWrongDocuments:
    def test_list_everything_that_is_wrong(self) -> None:
        wrong = document(memory="1G", cpuNum=True, useNuma="yes", vmName=5, nics=[3], dataVolumes={}, bootDev=["hd", 1])
        del wrong["vmInstanceUuid"]
        assert problems(wrong) == [
            "vmName must be text, not a number",
            "memory must be a whole number, not text",
            "cpuNum must be a whole number, not true or false",
            "useNuma must be true or false, not text",
            "nics[0] must be a mapping, not a number",
            "dataVolumes must be a list, not a mapping",
            "bootDev[1] must be text, not a number",
            "vmInstanceUuid is required",
        ]

    def test_never_repeat_a_secret(self) -> None:
        wrong = document(
            consolePassword=["hunter2"],
            rootVolume={"installPath": "/a", "chapPassword": {"a": "hunter2"}},
            addons={"ceph_secret_key": ["hunter2"]},
        )
        assert len(problems(wrong)) == 4
        assert "hunter2" not in str(problems(wrong))

    @pytest.mark.parametrize(
        ("raw", "problem"),
        [
            (None, "the document must be a mapping of fields, not nothing"),
            ([], "the document must be a mapping of fields, not a list"),
            ("[]", "the document must be a mapping of fields, not a list"),
            ("", "the text is not JSON: Expecting value in line 1, column 1"),
            ('{"vmName": "a"', "the text is not JSON: Expecting ',' delimiter in line 1, column 15"),
            ("[" * 100000, "the text is nested more than 32 levels deep"),
            ('{"vmName": "\\ud800"}', "the document contains an unpaired surrogate, which is not a character"),
            ('{"memory": Infinity}', "the document has a number that is not finite"),
            ({"memory": float("nan")}, "the document has a number that is not finite"),
            ('{"nics": [' + "{}," * 20_000 + "{}]}", "the text has more than 20000 values"),
        ],
    )
    def test_that_are_none(self, raw: Any, problem: str) -> None:
        assert problems(raw) == [problem]

    def test_are_not_changed(self) -> None:
        given = document(addons={"NicQos": {"n": {"inboundBandwidth": 1}}}, nics=[{"uuid": "n", "bridgeName": "b"}])
        before = copy.deepcopy(given)
        read_document(given)
        assert given == before


def test_whole_numbers_may_be_the_text_that_a_template_made_of_them() -> None:
    assert converted(memory="1073741824")["memory"] == "1073741824"
