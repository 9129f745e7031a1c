# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of a cloud-init seed, what is wrong with them, and which of their texts are secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.zstack.kvm.plugins.module_utils._spec.cloud_init import secret_texts
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, parsed_vm


def documents(name: str = "web-1", **cloud_init: Any) -> dict[str, str]:
    parsed = parsed_vm(name=name, cloud_init=cloud_init).cloud_init
    assert parsed is not None
    return dict(parsed.documents)


def problems(**cloud_init: Any) -> list[str]:
    root = {"install_path": "/root.qcow2"}
    vm = {"uuid": UUID, "name": "vm", "memory": "1GiB", "cpu_num": 1, "root_volume": root, "cloud_init": cloud_init}
    return [str(problem) for problem in parse_vms([vm])[1]]


class TestDocuments:
    def test_have_the_identity_of_the_vm(self) -> None:
        assert json.loads(documents()["meta-data"]) == {"instance-id": UUID, "local-hostname": "web-1"}

    def test_have_no_host_name_that_none_can_be(self) -> None:
        assert json.loads(documents(name="Web server, old")["meta-data"]) == {"instance-id": UUID}

    def test_take_the_meta_data_that_is_given(self) -> None:
        found = json.loads(documents(meta_data={"local-hostname": "db", "instance-id": "2"})["meta-data"])
        assert found == {"instance-id": "2", "local-hostname": "db"}

    def test_write_a_mapping_as_a_cloud_config(self) -> None:
        content = {"users": [{"name": "ümläut 🙂\x7f\x85\n"}], "packages": ["vim"]}
        text = documents(user_data=content)["user-data"]
        assert text.startswith("#cloud-config\n")
        assert yaml.safe_load(text) == content

    def test_are_the_same_whatever_the_order_of_the_options(self) -> None:
        assert documents(user_data={"a": 1, "b": 2}) == documents(user_data={"b": 2, "a": 1})

    def test_leave_text_as_it_is(self) -> None:
        text = "#!/bin/sh\necho hello\r\n"
        assert documents(user_data=text)["user-data"] == text

    def test_have_a_network_configuration_only_when_one_is_given(self) -> None:
        network = {"version": 2, "ethernets": {"all": {"match": {"name": "e*"}, "dhcp4": True}}}
        assert yaml.safe_load(documents(network_config=network)["network-config"]) == network
        assert sorted(documents()) == ["meta-data", "user-data"]


@pytest.mark.parametrize(
    ("cloud_init", "problem"),
    [
        ({"user_data": ["a"]}, "user_data: must be text or a mapping"),
        ({"user_data": "hostname: web"}, "user_data: begins with no header of user data"),
        ({"user_data": "#cloud-config\na: [unclosed"}, "user_data: is not YAML (line 3)"),
        ({"user_data": "#cloud-config\n- a\n"}, "user_data: is not a mapping, as a cloud-config must be"),
        ({"user_data": {"a": ["x" * (1 << 17)] * 8}}, "user_data: is larger than 1 MiB"),
        ({"user_data": "#!/bin/sh\n\udcff"}, "user_data: has characters that UTF-8 cannot represent"),
        ({"user_data": {1: "a", "b": "c"}}, "user_data: has values that YAML cannot represent"),
        ({"user_data": {"a": float("nan")}}, "user_data: has values that YAML cannot represent"),
        ({"meta_data": "a"}, "meta_data: must be a mapping"),
        ({"network_config": {"ethernets": {}}}, "network_config: has no version 2"),
        ({"network_config": {"version": 1, "config": []}}, "network_config: has no version 2"),
        ({"userdata": "#!"}, "userdata: is not a known option"),
    ],
)
def test_what_cloud_init_would_reject_is_a_problem(cloud_init: dict[str, Any], problem: str) -> None:
    (found,) = problems(**cloud_init)
    assert found.startswith("vms[0].cloud_init." + problem)


def test_no_problem_shows_the_content() -> None:
    for bad in ("#cloud-config\npassword: [s3cret-word", "s3cret-word", ["s3cret-word"], {"s3cret-word": float("inf")}):
        assert "s3cret-word" not in "".join(problems(user_data=bad))


@pytest.mark.parametrize(
    "content",
    [
        {"password": "s3cret-word"},
        {"users": [{"name": "x", "hashed_passwd": "s3cret-word"}]},
        {"chpasswd": {"list": "root:s3cret-word\nother:x"}},
        {"ssh_keys": {"rsa_private": "s3cret-word"}},
        "#cloud-config\npassword: s3cret-word\n",
        "#cloud-config\nusers:\n  - plain_text_passwd: 's3cret-word'\n",
    ],
)
def test_texts_that_look_like_secrets_are_masked_in_what_others_say(content: Any) -> None:
    assert "s3cret-word" in set(secret_texts(content))
    assert "s3cret-word" in secrets_of([{"cloud_init": {"user_data": content}}])


def test_names_of_users_and_hosts_are_no_secrets() -> None:
    content = {"hostname": "web", "users": [{"name": "debian", "shell": "/bin/bash"}]}
    assert set(secret_texts(content)) == set()
