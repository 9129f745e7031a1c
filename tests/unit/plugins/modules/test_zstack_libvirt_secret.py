# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zstack_libvirt_secret creates, changes, restores and removes a secret, and shows no value."""

from __future__ import annotations

import base64
import json
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeHypervisor, FakeSecret
from ansible_collections.zstack.kvm.tests.unit.plugins.modules.in_process import Host

OTHER = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
KEY = b"\x01\x00\x11\x22\x33\x44\x55\x66\x10\x00" + b"Sekr3tSekr3tSekr"
VALUE = base64.b64encode(KEY).decode()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Host:
    return Host("zstack_libvirt_secret", monkeypatch, capsys)


def existing(host: Host, **options: Any) -> FakeSecret:
    """Add a secret of the same UUID to libvirt."""
    secret = FakeSecret(UUID, **{"usage": UUID, "ephemeral": False, "value": KEY, **options})
    host.libvirt.secrets[UUID] = secret
    return secret


def secret_of(libvirt: FakeHypervisor) -> Optional[tuple[str, bool, Optional[bytes]]]:
    """Return usage, privacy and value of the secret, None if there is none."""
    secret = libvirt.secrets.get(UUID)
    return None if secret is None else (secret.usage, secret.private, secret.value)


def test_it_creates_a_secret_with_its_value(host: Host) -> None:
    result = host.run(uuid=UUID, value=VALUE)
    assert (result["changed"], result["actions"]) == (True, ["define", "set_value"])
    assert secret_of(host.libvirt) == (UUID, False, KEY)
    assert host.libvirt.calls[-1] == ("close",)


def test_the_password_of_an_iscsi_target_is_plain_text(host: Host) -> None:
    result = host.run(uuid=UUID, type="iscsi", usage="iqn.2015-01.com.example:disk", value="pässword")
    assert result["actions"] == ["define", "set_value"]
    assert secret_of(host.libvirt) == ("iqn.2015-01.com.example:disk", False, "pässword".encode())


def test_check_mode_reports_the_same_and_changes_nothing(host: Host) -> None:
    result = host.run(check=True, uuid=UUID, value=VALUE)
    assert (result["changed"], result["actions"]) == (True, ["define", "set_value"])
    assert secret_of(host.libvirt) is None


def test_a_secret_in_sync_is_not_changed(host: Host) -> None:
    existing(host)
    result = host.run(uuid=UUID, value=VALUE)
    assert (result["changed"], result["actions"]) == (False, [])
    assert result["diff"]["before"] == result["diff"]["after"]


def test_another_value_is_replaced_and_shown_nowhere(host: Host) -> None:
    existing(host, value=b"OldSekr3t")
    result = host.run(uuid=UUID, value=VALUE)
    assert result["actions"] == ["set_value"]
    assert secret_of(host.libvirt) == (UUID, False, KEY)
    assert "value: replaced" in result["diff"]["after"]
    assert not [secret for secret in (VALUE, "Sekr3t") if secret in json.dumps(result)]


def test_on_create_leaves_another_value(host: Host) -> None:
    existing(host, value=b"OldSekr3t")
    assert host.run(uuid=UUID, value=VALUE, update_value="on_create")["actions"] == []


def test_it_removes_a_secret(host: Host) -> None:
    existing(host)
    result = host.run(uuid=UUID, state="absent")
    assert (result["actions"], result["diff"]["after"]) == (["undefine"], "")
    assert secret_of(host.libvirt) is None


def test_a_secret_that_is_absent_needs_no_removal(host: Host) -> None:
    assert host.run(uuid=UUID, state="absent")["changed"] is False


def test_a_usage_can_have_one_secret_only(host: Host) -> None:
    host.libvirt.secrets[OTHER] = FakeSecret(OTHER, usage="pool")
    result = host.run(uuid=UUID, usage="pool", value=VALUE)
    assert (result["failed"], result["error"]["code"]) == (True, "secret_conflict")
    assert OTHER in result["msg"]
    assert secret_of(host.libvirt) is None


def test_a_new_secret_whose_value_is_refused_is_removed(host: Host) -> None:
    host.libvirt.errors["set_secret_value"] = VmError("libvirt_error", "no")
    assert host.run(uuid=UUID, value=VALUE)["failed"]
    assert secret_of(host.libvirt) is None


def test_a_recreated_secret_whose_value_is_refused_is_restored(host: Host) -> None:
    existing(host, usage="old", value=b"OldSekr3t")
    host.libvirt.errors["set_secret_value"] = VmError("libvirt_error", "no")
    assert host.run(uuid=UUID, usage="new", value=VALUE)["failed"]
    assert secret_of(host.libvirt) == ("old", False, b"OldSekr3t")


def test_a_private_secret_that_has_to_be_recreated_needs_its_value(host: Host) -> None:
    existing(host, usage="old", private=True)
    result = host.run(uuid=UUID, usage="new")
    assert result["failed"] and "give its value" in result["msg"]
    assert secret_of(host.libvirt) == ("old", True, KEY)


def test_all_problems_of_the_input_are_reported_at_once(host: Host) -> None:
    result = host.run(uuid="7", type="iscsi", value="")
    assert result["failed"]
    assert [option for option in ("uuid: ", "usage: ", "value: ") if option not in result["msg"]] == []


def test_a_usage_is_one_line(host: Host) -> None:
    result = host.run(uuid=UUID, usage="two\nlines", value=VALUE)
    assert result["failed"] and "usage: contains the control character" in result["msg"]


@pytest.mark.parametrize("value", [83, ["Sekr3t"], {"key": "Sekr3t"}])
def test_a_value_that_yaml_has_not_read_as_text_is_refused(host: Host, value: Any) -> None:
    result = host.run(uuid=UUID, value=value)
    assert result["failed"] and "must be text" in result["msg"]


def test_it_fails_with_the_code_and_hint_of_the_error_if_libvirt_is_unavailable(host: Host) -> None:
    host.is_available = False
    result = host.run(uuid=UUID, state="absent")
    assert result["error"]["code"] == "libvirt_unavailable"
    assert result["error"]["hint"] and result["error"]["hint"] in result["msg"]
