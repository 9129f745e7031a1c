# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory balloon."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree


def devices(**options: Any) -> etree._Element:
    """Return the devices of a VM."""
    domain = build(parsed_vm(**options), recorded_host("debian-12"), StorageFacts({})).element
    assert schema_errors(domain) == []
    return domain.find("devices")


def test_it_reports_every_ten_seconds() -> None:
    balloon = devices().find("memballoon")
    assert (balloon.get("model"), balloon.find("stats").get("period")) == ("virtio", "10")
    assert balloon.find("address") is None


def test_it_may_have_an_address() -> None:
    address = devices(memory_balloon={"address": {"type": "pci", "bus": 0, "slot": 9}}).find("memballoon/address")
    assert (address.get("type"), address.get("slot")) == ("pci", "0x09")


@pytest.mark.parametrize(("enabled", "model"), [(True, "virtio"), (False, "none")])
def test_without_one_libvirt_is_told_so(enabled: bool, model: str) -> None:
    assert devices(memory_balloon={"enabled": enabled}).find("memballoon").get("model") == model
