# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name, UUID, lifecycle, and the metadata that ZStack's agent reads."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.metadata import NAMESPACES
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import domain

UUID = "0d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"


def test_a_domain_is_named_by_the_digits_of_its_uuid_and_described_by_the_vms_name() -> None:
    found = domain(uuid=UUID, name="数据库 & <1>")

    assert [found.findtext(tag) for tag in ("name", "uuid", "description")] == [
        "0d1e2f304a5b6c7d8e9fa0b1c2d3e4f5",
        UUID,
        "数据库 & <1>",
    ]


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"internal_id": 7, "host_management_ip": "10.0.0.5"}, {"internalId": "7", "hostManagementIp": "10.0.0.5"}),
        ({"internal_id": 0}, {"internalId": "0"}),
        ({"host_management_ip": "10.0.0.5"}, {"hostManagementIp": "10.0.0.5"}),
    ],
)
def test_the_agent_reads_what_is_known(options: dict[str, Any], known: dict[str, str]) -> None:
    found = domain(**options).find("metadata/zs:zstack", NAMESPACES)

    assert {each.tag: each.text for each in found} == known


def test_the_metadata_is_in_zstacks_namespace() -> None:
    (element,) = domain(internal_id=7).find("metadata")

    assert element.tag == "{http://zstack.org}zstack"


def test_the_domain_declares_the_namespaces_that_patches_may_name() -> None:
    assert domain().nsmap == {"qemu": "http://libvirt.org/schemas/domain/qemu/1.0", "zs": "http://zstack.org"}


def test_a_vm_of_which_nothing_is_known_has_no_metadata() -> None:
    assert domain().find("metadata") is None


@pytest.mark.parametrize(("options", "on_crash"), [({}, "restart"), ({"on_crash": "preserve"}, "preserve")])
def test_a_guest_that_shuts_down_is_gone_one_that_reboots_goes_on(options: dict[str, str], on_crash: str) -> None:
    found = domain(**options)

    assert {each.tag: each.text for each in found if each.tag.startswith("on_")} == {
        "on_poweroff": "destroy",
        "on_reboot": "restart",
        "on_crash": on_crash,
    }
