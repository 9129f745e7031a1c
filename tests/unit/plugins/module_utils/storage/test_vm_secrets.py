# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secrets a VM still needs. Setting them is tested on real libvirt."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils.storage.base import StorageFacts
from ansible_collections.zstack.kvm.plugins.module_utils.storage.vm_secrets import plan_secrets
from ansible_collections.zstack.kvm.plugins.module_utils.vm import CephSecret

UUID = '7f2e0b9c-3a51-4c7e-9d2e-0123456789ab'
KEY = b'a key'
VM: Any = SimpleNamespace(volumes=(), ceph_secret=CephSecret(UUID, base64.b64encode(KEY).decode()))


class Libvirt:
    """A libvirt with one secret, or none."""

    def __init__(self, kind: Optional[str], value: Optional[bytes]) -> None:
        self._kind = kind
        self._value = value

    def secret_xml(self, uuid: str) -> Optional[str]:
        return self._kind and '<secret><uuid>%s</uuid><usage type="%s"><name>x</name></usage></secret>' % (
            uuid, self._kind
        )

    def secret_value(self, uuid: str) -> Optional[bytes]:
        return self._value


def planned(kind: Optional[str], value: Optional[bytes] = None) -> list[str]:
    return [action.name for action in plan_secrets(VM, StorageFacts(), Libvirt(kind, value))]  # type: ignore[arg-type]


def test_one_that_is_missing_is_defined() -> None:
    assert planned(None) == ['define_secret']


@pytest.mark.parametrize('value', [None, b'another key'])
def test_one_without_the_value_gets_it(value: Optional[bytes]) -> None:
    assert planned('ceph', value) == ['set_secret_value']


def test_one_that_has_it_is_left_alone() -> None:
    assert planned('ceph', KEY) == []


def test_one_that_is_for_something_else_is_not_overwritten() -> None:
    with pytest.raises(VmError) as caught:
        planned('volume', b'a passphrase')
    assert caught.value.code == 'secret_conflict'
    assert 'for volume instead of ceph' in caught.value.message
