# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits in the addons are those of the volume or NIC with the UUID."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import read_document
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.documents import converted, document, problems


class TestLimits:
    def test_find_their_volume_however_the_uuid_is_written(self) -> None:
        plain = "001F00D0000000000000000000000002"
        dashed = "001f00d0-0000-0000-0000-000000000002"
        vm = converted(
            dataVolumes=[{"installPath": "/b", "volumeUuid": plain}],
            addons={"VolumeQos": {dashed: {"totalIops": 5}}},
        )
        assert vm["data_volumes"][0]["qos"] == {"total_iops": 5}

    @pytest.mark.parametrize("none", [0, -1, "0"])
    def test_of_nothing_are_none(self, none: Any) -> None:
        addons = {
            "VolumeQos": {"f0": {"totalBandwidth": none, "totalIops": 5}, "f1": {"totalIops": none}},
            "NicQos": {"n0": {"inboundBandwidth": none, "outboundBandwidth": 8192}},
        }
        vm = converted(
            rootVolume={"installPath": "/a", "volumeUuid": "f0"},
            dataVolumes=[{"installPath": "/b", "volumeUuid": "f1"}],
            nics=[{"bridgeName": "b", "uuid": "n0"}],
            addons=addons,
        )
        assert vm["root_volume"]["qos"] == {"total_iops": 5}
        assert "qos" not in vm["data_volumes"][0]
        assert vm["nics"][0]["qos"] == {"outbound_bandwidth": 8192}

    @pytest.mark.parametrize("key", ["VolumeQos", "NicQos"])
    def test_for_something_else_are_left_out_with_a_warning(self, key: str) -> None:
        vm, warnings = read_document(document(addons={key: {"f00d": {}}}))[:2]
        assert vm == converted()
        assert warnings == ["addons.%s.f00d is for a device that this VM does not have: ignored" % key]

    def test_are_a_mapping(self) -> None:
        root = {"installPath": "/a", "volumeUuid": "f0"}
        assert problems(document(rootVolume=root, addons={"VolumeQos": {"f0": 5}})) == [
            "addons.VolumeQos.f0 must be a mapping, not a number"
        ]
