# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory balloon."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import domain


def test_it_reports_every_ten_seconds() -> None:
    balloon = domain().find("devices/memballoon")
    assert (balloon.get("model"), balloon.find("stats").get("period")) == ("virtio", "10")
    assert balloon.find("address") is None


def test_it_may_have_an_address() -> None:
    address = domain(memory_balloon={"address": {"type": "pci", "bus": 0, "slot": 9}}).find(
        "devices/memballoon/address"
    )
    assert (address.get("type"), address.get("slot")) == ("pci", "0x09")


@pytest.mark.parametrize(("enabled", "model"), [(True, "virtio"), (False, "none")])
def test_without_one_libvirt_adds_none(enabled: bool, model: str) -> None:
    assert domain(memory_balloon={"enabled": enabled}).find("devices/memballoon").get("model") == model
