# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say how a volume is created: defaults, and contradictions with their paths."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Volume, VolumeCreation

UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"
OTHER_UUID = "0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02"
CREATE = "vms[0].root_volume.create"
MONITORS = [{"hostname": "10.0.9.1"}]


def vm(uuid: str = UUID, **volume: Any) -> dict[str, Any]:
    root = {"install_path": "/images/web", **volume}
    return {"uuid": uuid, "name": "web", "memory": "2GiB", "cpu_num": 2, "root_volume": root}


def in_ceph(**create: Any) -> dict[str, Any]:
    return vm(install_path="ceph://pool/web", device_type="ceph", mon_info=MONITORS, create=create)


def parsed(**volume: Any) -> Volume:
    vms, problems = parse_vms([vm(**volume)])
    assert not problems, problems
    return vms[0].root_volume


def problems(*vms: Any) -> list[str]:
    return [str(problem) for problem in parse_vms(list(vms))[1]]


def test_all_options() -> None:
    create = {
        "size": "20GiB",
        "image": "/images/debian",
        "image_format": "raw",
        "linked": True,
        "format": "qcow2",
        "preallocation": "metadata",
    }
    expected = VolumeCreation(CREATE, 20 << 30, "/images/debian", "raw", True, "qcow2", "metadata")
    assert parsed(create=create).create == expected


def test_a_file_is_qcow2_unless_its_format_is_stated() -> None:
    volume = parsed(create={"size": "1GiB"})
    assert volume.create is not None
    assert (volume.format, volume.create.format) == ("qcow2", "qcow2")
    assert parsed(create={"size": "1GiB", "format": "raw"}).format == "raw"
    volume = parsed(create={"size": "1GiB"}, format="raw")
    assert volume.create is not None
    assert volume.create.format == "raw"


def test_a_volume_in_ceph_is_raw_whatever_the_format_says() -> None:
    given = in_ceph(size="1GiB")
    given["root_volume"]["format"] = "qcow2"
    vms, found = parse_vms([given])
    assert not found
    assert vms[0].root_volume.create is not None
    assert vms[0].root_volume.create.format == "raw"


@pytest.mark.parametrize(
    ("create", "message"),
    [
        ({}, ": needs size, image or both"),
        ({"size": 20}, ".size: 20 is less than 1 MiB"),
        ({"size": "2000001"}, ".size: 2000001 is not a multiple of 512"),
        ({"size": "2EiB"}, ".size: 2305843009213693952 is more than 1 EiB"),
        ({"image": "debian"}, ".image: 'debian' is not an absolute path"),
        ({"size": "1GiB", "linked": True}, ".linked: needs an image"),
        ({"size": "1GiB", "image_format": "raw"}, ".image_format: needs an image"),
        ({"image": "/i", "linked": True, "format": "raw"}, ".linked: cannot be used with format raw"),
        ({"image": "/i", "linked": True, "preallocation": "full"}, ".preallocation: full cannot be used with linked"),
        ({"size": "1GiB", "features": ["layering"]}, ".features: applies to volumes in ceph only"),
        ({"size": "1GiB", "format": "raw", "preallocation": "metadata"}, ".preallocation: metadata needs format qcow2"),
    ],
)
def test_contradictions(create: dict[str, Any], message: str) -> None:
    (problem,) = problems(vm(create=create))
    assert problem.startswith(CREATE + message)


@pytest.mark.parametrize(
    ("create", "message"),
    [
        ({"image": "pool/image"}, ".image: 'pool/image' does not have the form POOL/IMAGE@SNAPSHOT"),
        ({"size": "1GiB", "format": "qcow2"}, ".format: applies to files only"),
        ({"size": "1GiB", "preallocation": "full"}, ".preallocation: applies to files only"),
        ({"size": "1GiB", "features": []}, ".features: is empty"),
        ({"size": "1GiB", "features": ["layring"]}, ".features[0]: must be one of layering, exclusive-lock"),
        ({"size": "1GiB", "features": ["object-map"]}, ".features: object-map needs exclusive-lock"),
        ({"size": "1GiB", "features": ["journaling"]}, ".features: journaling needs exclusive-lock"),
        ({"size": "1GiB", "features": ["fast-diff"]}, ".features: fast-diff needs object-map"),
        (
            {"image": "p/i@s", "linked": True, "features": ["exclusive-lock"]},
            ".features: a linked clone needs layering",
        ),
    ],
)
def test_contradictions_in_ceph(create: dict[str, Any], message: str) -> None:
    (problem,) = problems(in_ceph(**create))
    assert problem.startswith(CREATE + message)


def test_features_are_a_set() -> None:
    vms, found = parse_vms([in_ceph(size="1GiB", features=["layering", "exclusive-lock", "layering"])])
    assert not found
    assert vms[0].root_volume.create is not None
    assert vms[0].root_volume.create.features == ("exclusive-lock", "layering")


def test_another_format_than_the_volumes() -> None:
    (problem,) = problems(vm(format="raw", create={"size": "1GiB", "format": "qcow2"}))
    assert problem == CREATE + ".format: is qcow2, but the volume's format is raw"


@pytest.mark.parametrize(
    "volume",
    [
        {"device_type": "fusionstor", "install_path": "fusionstor://pool/web"},
        {"device_type": "iscsi", "install_path": "iscsi://10.0.8.8/iqn.2015-01.io.example:t/1"},
        {"install_path": "/dev/vg/lv"},
    ],
)
def test_storage_in_which_nothing_is_created(volume: dict[str, Any]) -> None:
    (problem,) = problems(vm(**volume, create={"size": "1GiB"}))
    assert problem.startswith(CREATE + ": cannot be used with ")


def test_a_qcow2_volume_cannot_be_shared_although_its_format_is_a_default() -> None:
    (problem,) = problems(vm(shareable=True, create={"size": "1GiB"}))
    assert "shareable: cannot be used with format qcow2" in problem


def test_an_image_that_another_vm_of_the_task_writes_to() -> None:
    clone = vm(OTHER_UUID, install_path="/images/clone", create={"image": "/images/web"})
    (problem,) = problems(vm(), clone)
    assert (
        problem == "vms[1].root_volume.create.image: is the same as vms[0].root_volume.install_path: a VM writes to it"
    )
