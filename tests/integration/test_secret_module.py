# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of libvirt are managed by a task of a playbook."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.tests.support.forked_task import run_module
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun, run_task
from ansible_collections.zstack.kvm.tests.support.virsh import definition_of_secret, try_virsh, virsh

KEY = base64.b64encode(b"\x00\x01a cephx key\xff").decode("ascii")
OTHER_KEY = base64.b64encode(b"another key").decode("ascii")


@pytest.fixture
def identity() -> Iterator[str]:
    """Yield the UUID of a secret, which is removed after the test."""
    value = str(uuid.uuid4())
    yield value
    try_virsh("secret-undefine", value)


MODULE = "zstack_libvirt_secret"


def secret(identity: str, check: bool = False, **options: Any) -> TaskRun:
    return run_module(MODULE, {"uuid": identity, **options}, check)


def secret_of_playbook(identity: str, **options: Any) -> TaskRun:
    """Return the same from a task of a playbook with the highest verbosity."""
    return run_task(f"zstack.kvm.{MODULE}", {"uuid": identity, **options}, verbosity=4)


def secrets(*steps: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results of the module, run with these options one after another."""
    results = [run_module(MODULE, options).result for options in steps]
    assert all("actions" in result for result in results), results
    return results


def value_of(identity: str) -> str:
    return virsh("secret-get-value", identity)


def outcome(run: TaskRun) -> tuple[bool, list[str]]:
    assert not run.failed, run.output
    return run.result["changed"], run.result["actions"]


def test_a_secret_is_created_with_its_definition_and_value(identity: str) -> None:
    assert outcome(secret_of_playbook(identity.replace("-", "").upper(), value=KEY)) == (True, ["define", "set_value"])
    element = definition_of_secret(identity)
    assert dict(element.attrib) == {"ephemeral": "no", "private": "no"}
    assert (element.find("usage").get("type"), element.findtext("usage/name")) == ("ceph", identity)
    assert value_of(identity) == KEY
    assert outcome(secret(identity, value=KEY)) == (False, [])


def test_a_wrong_value_is_repaired(identity: str) -> None:
    steps = secrets(
        {"uuid": identity},
        {"uuid": identity, "value": OTHER_KEY},
        {"uuid": identity, "value": KEY},
        {"uuid": identity, "value": KEY},
    )
    assert [step["actions"] for step in steps] == [["define"], ["set_value"], ["set_value"], []]
    assert value_of(identity) == KEY


def test_a_wrong_definition_is_replaced_and_the_value_kept(identity: str) -> None:
    steps = secrets(
        {"uuid": identity, "value": KEY, "usage": "one name"},
        {"uuid": identity, "usage": "another"},
        {"uuid": identity, "usage": "another", "ephemeral": True},
        {"uuid": identity, "usage": "another", "ephemeral": True},
    )
    recreated = ["undefine", "define", "set_value"]
    assert [step["actions"] for step in steps[1:]] == [recreated, recreated, []]
    # Otherwise it would come back when libvirt is restarted.
    assert not list(Path("/etc/libvirt/secrets").glob(f"{identity}*"))
    element = definition_of_secret(identity)
    assert (element.findtext("usage/name"), element.get("ephemeral")) == ("another", "yes")
    assert value_of(identity) == KEY


def test_an_iscsi_secret_has_a_target_and_a_plain_password(identity: str) -> None:
    target = "iqn.2015-01.com.example:%s" % identity
    run = secret(identity, type="iscsi", usage=target, value="a pässword", ephemeral=True)
    assert outcome(run) == (True, ["define", "set_value"])
    assert definition_of_secret(identity).findtext("usage/target") == target
    assert base64.b64decode(value_of(identity)).decode("utf-8") == "a pässword"


def test_a_private_secret_shows_its_value_to_nobody_and_is_set_again_by_default(identity: str) -> None:
    options = {"uuid": identity, "value": KEY, "private": True}
    steps = secrets(options, options, {**options, "update_value": "on_create"})
    assert [step["changed"] for step in steps] == [True, True, False]
    assert "private" in try_virsh("secret-get-value", identity).stderr


def test_a_secret_with_state_absent_is_removed(identity: str) -> None:
    unwanted = {"uuid": identity, "state": "absent"}
    steps = secrets({"uuid": identity, "value": KEY}, unwanted, unwanted)
    assert [step["actions"] for step in steps[1:]] == [["undefine"], []]
    assert try_virsh("secret-dumpxml", identity).returncode != 0


@pytest.mark.parametrize("before", [None, {"usage": "other", "value": KEY}, {"value": OTHER_KEY}, {"value": KEY}])
def test_check_mode_predicts_a_real_run_and_changes_nothing(identity: str, before: Optional[dict[str, str]]) -> None:
    if before is not None:
        assert not secret(identity, **before).failed
    predicted, again, real = (secret(identity, check, value=KEY).result for check in (True, True, False))
    outcomes = [(each["changed"], each["actions"], each["diff"]) for each in (predicted, again, real)]
    assert outcomes == [outcomes[0]] * 3
    assert value_of(identity) == KEY


def test_the_diff_shows_the_definition_and_that_there_is_a_value(identity: str) -> None:
    diff = secret(identity, value=KEY).result["diff"]
    assert diff["before"] == ""
    assert "<name>%s</name>" % identity in diff["after"]
    assert diff["after"].endswith("value: set\n")


def test_nothing_that_is_printed_has_the_value(identity: str) -> None:
    output = "".join(secret_of_playbook(identity, value=key).output for key in (KEY, OTHER_KEY))
    decoded = base64.b64decode(KEY)
    assert all(text not in output for text in (KEY, OTHER_KEY, "another key", repr(decoded)[2:-1]))


WRONG = [
    ({"value": "no base64!"}, "value: is not a cephx key"),
    ({"value": ""}, "value: is not a cephx key"),
    ({"type": "iscsi", "value": "x"}, "usage: is required"),
    ({"type": "iscsi", "usage": "iqn.x:y", "value": ""}, "value: is empty"),
    ({"usage": "two\nlines", "value": KEY}, "usage: "),
    ({"identity": "no uuid", "type": "iscsi", "value": ""}, "uuid: 'no uuid' is not a UUID"),
]


def test_wrong_input_is_an_error_before_anything_changes(identity: str) -> None:
    results = [secret(**{"identity": identity, **options}).result for options, message in WRONG]
    assert all(message in result["msg"] for result, (options, message) in zip(results, WRONG))
    assert try_virsh("secret-dumpxml", identity).returncode != 0


def test_all_problems_are_reported_at_once() -> None:
    message = secret("no uuid", type="iscsi", value="").result["msg"]
    assert all(option in message for option in ("uuid: ", "usage: ", "value: "))


def test_a_usage_that_another_secret_has_is_a_listed_error(identity: str) -> None:
    secret(identity, value=KEY, usage="shared %s" % identity)
    run = secret(str(uuid.uuid4()), value=KEY, usage="shared %s" % identity)
    assert run.failed
    assert run.result["error"]["code"] == "secret_conflict"
    assert identity in run.result["msg"]


def test_a_private_secret_is_not_recreated_without_its_value(identity: str) -> None:
    secret(identity, value=KEY, private=True)
    run = secret(identity)
    assert run.failed
    assert "give its value" in run.result["msg"]
    assert definition_of_secret(identity).get("private") == "yes"


def test_an_unavailable_daemon_is_a_listed_error(identity: str) -> None:
    run = secret(identity, value=KEY, uri="qemu+unix:///system?socket=/nowhere")
    assert run.failed
    assert run.result["error"]["code"] == "libvirt_unavailable"
