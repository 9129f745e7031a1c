# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are described by their names, an image and a key."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.filter.vms_to_create import FilterModule
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms

vms_to_create = FilterModule().filters()["vms_to_create"]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHV8 somebody@somewhere"
GIVEN = {
    "zstack_names": ["web-1", "web-2"],
    "zstack_image": "/images/debian",
    "zstack_ssh_keys": KEY,
    "zstack_network": "n",
}


def described(**more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = vms_to_create({**GIVEN, **more})
    return found


def test_every_run_describes_the_same_vms_whatever_others_there_are() -> None:
    first, second = described()
    assert [first, second] == described()
    assert described(zstack_names="web-2, web-3")[0] == second
    assert first["uuid"] != second["uuid"]
    assert uuid.UUID(first["uuid"]).version == 5


def test_the_module_takes_them_as_they_are() -> None:
    vms, _warnings = parse_vms(described(zstack_linked=True))
    assert [vm.name for vm in vms] == ["web-1", "web-2"]
    assert len({nic.mac for vm in vms for nic in vm.nics}) == 2


@pytest.mark.parametrize("names", [None, "", " ", []])
def test_a_host_without_names_has_no_vms(names: Any) -> None:
    assert vms_to_create({"zstack_names": names}) == []


def test_the_user_has_the_keys_and_user_data_takes_precedence() -> None:
    (vm, _other) = described(zstack_ssh_keys=f"# mine\n{KEY}\n\n{KEY}\n", zstack_user="ops")
    (user,) = vm["cloud_init"]["user_data"]["users"]
    assert (user["name"], user["ssh_authorized_keys"]) == ("ops", [KEY, KEY])
    (vm, _other) = described(zstack_user_data={"users": ["default"], "packages": ["nginx"]})
    assert vm["cloud_init"]["user_data"] == {"users": ["default"], "packages": ["nginx"]}


def test_a_bridge_replaces_the_network() -> None:
    assert described(zstack_network="", zstack_bridge="br_eth0")[0]["nics"] == [{"bridge_name": "br_eth0"}]


def test_all_problems_are_in_one_error() -> None:
    wrong = {"zstack_names": ["Web", "web", "web", 7], "zstack_user": "a b", "zstack_user_data": "text"}
    with pytest.raises(AnsibleFilterError) as error:
        vms_to_create(wrong)
    assert str(error.value).split("; ") == [
        "zstack_names[0]: must be a host name of lower-case letters, digits and hyphens",
        "zstack_names[2]: web is in the list twice",
        "zstack_names[3]: must be a host name of lower-case letters, digits and hyphens",
        "zstack_ssh_key: gives no key",
        "give the text or the file of a public SSH key",
        "zstack_image: is missing",
        "give the path of an image on the hypervisor, or what the role images takes",
        "zstack_network, zstack_bridge: give one of them",
        "zstack_user: must be a user name of lower-case letters, digits, hyphens and underscores",
        "zstack_user_data: must be a mapping, but is text",
    ]


def test_a_private_key_is_refused_and_not_repeated() -> None:
    private = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END OPENSSH PRIVATE KEY-----"
    with pytest.raises(AnsibleFilterError, match="line 1 is no public SSH key") as error:
        described(zstack_ssh_keys=private)
    assert "b3Blb" not in str(error.value)
