# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of a simulated libvirt: the test driver has none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.binding import libvirt
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import ListedSecret
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.secrets import SecretCalls
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._libvirt.node import libvirt_error

CEPH, ISCSI, OTHER = "ceph-uuid", "iscsi-uuid", "other-uuid"


@dataclass
class Secret:
    """A secret of libvirt, as its bindings show it."""

    libvirtd: Libvirtd
    uuid: str
    number: int = 2
    usage: Optional[str] = "client.zstack"
    private: bool = False
    content: Optional[bytes] = None

    def UUIDString(self) -> str:
        return self.uuid

    def usageType(self) -> int:
        return self.number

    def usageID(self) -> Optional[str]:
        return self.usage

    def XMLDesc(self) -> str:
        self._look()
        return "<secret/>"

    def value(self) -> bytes:
        self._look()
        if self.private:
            raise libvirt_error(libvirt.VIR_ERR_INVALID_SECRET)
        if self.content is None:
            raise libvirt_error(libvirt.VIR_ERR_NO_SECRET)
        return self.content

    def setValue(self, value: bytes) -> None:
        self._look()
        self.content = value

    def undefine(self) -> None:
        self._look()
        del self.libvirtd.secrets[self.uuid]

    def _look(self) -> None:
        if self.uuid not in self.libvirtd.secrets:
            raise libvirt_error(libvirt.VIR_ERR_NO_SECRET)


@dataclass
class Libvirtd:
    """A libvirtd with secrets, which records the flags of each listing."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    listed: list[int] = field(default_factory=list)

    def add(self, uuid: str, **options: Any) -> Secret:
        secret = self.secrets[uuid] = Secret(self, uuid, **options)
        return secret

    def listAllSecrets(self, flags: int) -> list[Secret]:
        self.listed.append(flags)
        return [secret for secret in self.secrets.values() if not flags or secret.private]

    def secretLookupByUUIDString(self, uuid: str) -> Secret:
        if uuid not in self.secrets:
            raise libvirt_error(libvirt.VIR_ERR_NO_SECRET)
        return self.secrets[uuid]

    def secretDefineXML(self, xml: str) -> Secret:
        (uuid,) = re.findall("<uuid>(.*)</uuid>", xml)
        return self.add(uuid)


@pytest.fixture
def libvirtd() -> Libvirtd:
    """Return a libvirtd with a readable secret for ceph, a private one for iSCSI and one of an unknown kind."""
    found = Libvirtd()
    found.add(CEPH, content=b"key")
    found.add(ISCSI, number=3, usage="iqn.x:y", private=True, content=b"password")
    found.add(OTHER, number=99, usage=None)
    return found


@pytest.fixture
def calls(libvirtd: Libvirtd) -> SecretCalls:
    connected = SecretCalls("test:///default")
    connected._connection = libvirtd
    return connected


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(VmError) as caught:
        call(*arguments)
    return caught.value.code


class TestKnownSecrets:
    def test_have_kind_use_and_privacy(self, calls: SecretCalls) -> None:
        assert calls.known_secrets() == {
            CEPH: ListedSecret(CEPH, "ceph", "client.zstack"),
            ISCSI: ListedSecret(ISCSI, "iscsi", "iqn.x:y", private=True),
            OTHER: ListedSecret(OTHER, "unknown", ""),
        }

    def test_are_listed_once(self, calls: SecretCalls, libvirtd: Libvirtd) -> None:
        calls.known_secrets()
        calls.known_secrets()
        assert libvirtd.listed == [libvirt.VIR_CONNECT_LIST_SECRETS_PRIVATE, 0]

    def test_follow_the_changes_of_this_connection(self, calls: SecretCalls) -> None:
        calls.known_secrets()
        calls.define_secret("<secret><uuid>new</uuid></secret>", True)
        calls.undefine_secret(CEPH)
        known = calls.known_secrets()
        assert (known.get("new"), CEPH in known) == (ListedSecret("new", "ceph", "client.zstack", True), False)

    def test_have_the_value_that_this_connection_gave_and_do_not_show_it(self, calls: SecretCalls) -> None:
        calls.known_secrets()
        calls.set_secret_value(ISCSI, b"s3cret")
        known = calls.known_secrets()[ISCSI]
        assert known.given == b"s3cret"
        assert "s3cret" not in repr(known)

    def test_lack_one_that_was_found_to_be_gone(self, calls: SecretCalls, libvirtd: Libvirtd) -> None:
        calls.known_secrets()
        del libvirtd.secrets[CEPH]
        assert calls.secret_xml(CEPH) is None
        assert CEPH not in calls.known_secrets()

    def test_are_listed_again_after_a_reconnect(self, calls: SecretCalls, libvirtd: Libvirtd) -> None:
        calls.known_secrets()
        libvirtd.secrets.clear()
        calls._forget()
        assert calls.known_secrets() == {}


class TestTheValue:
    def test_of_a_readable_secret_is_bytes(self, calls: SecretCalls) -> None:
        assert calls.secret_value(CEPH) == b"key"

    @pytest.mark.parametrize("uuid", [OTHER, "missing"])
    def test_of_a_secret_without_one_or_of_none_is_none(self, calls: SecretCalls, uuid: str) -> None:
        assert calls.secret_value(uuid) is None

    def test_of_a_private_secret_is_denied_and_remembered_as_private(
        self, calls: SecretCalls, libvirtd: Libvirtd
    ) -> None:
        libvirtd.secrets[ISCSI].private = False
        assert not calls.known_secrets()[ISCSI].private
        libvirtd.secrets[ISCSI].private = True
        assert code_of(calls.secret_value, ISCSI) == "libvirt_denied"
        assert calls.known_secrets()[ISCSI].private

    def test_can_be_set_of_a_private_secret_too(self, calls: SecretCalls, libvirtd: Libvirtd) -> None:
        calls.set_secret_value(ISCSI, b"new")
        assert libvirtd.secrets[ISCSI].content == b"new"

    def test_of_a_secret_that_is_missing_cannot_be_set(self, calls: SecretCalls) -> None:
        assert code_of(calls.set_secret_value, "missing", b"new") == "secret_missing"


def test_a_definition_is_none_where_there_is_no_secret(calls: SecretCalls) -> None:
    assert [calls.secret_xml(uuid) for uuid in (CEPH, "missing")] == ["<secret/>", None]


def test_removing_a_secret_that_is_gone_is_no_error(calls: SecretCalls, libvirtd: Libvirtd) -> None:
    calls.undefine_secret(CEPH)
    calls.undefine_secret(CEPH)
    assert CEPH not in libvirtd.secrets
