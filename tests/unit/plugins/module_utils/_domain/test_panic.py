# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices by which a guest's kernel reports that it has crashed."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, built, domain


@pytest.mark.parametrize("models", [[], ["isa"], ["hyperv"], ["isa", "hyperv"]])
def test_a_pc_has_those_of_its_options(models: list[str]) -> None:
    assert attributes(domain(panic_devices=models), "devices/panic") == [{"model": model} for model in models]


@pytest.mark.parametrize(("model", "addresses"), [("isa", [{"type": "isa", "iobase": "0x505"}]), ("hyperv", [])])
def test_the_isa_device_has_the_port_that_guests_know(model: str, addresses: list[dict[str, str]]) -> None:
    found = domain(panic_devices=["isa", "hyperv"])

    assert attributes(found, "devices/panic[@model='%s']/address" % model) == addresses


def test_aarch64_has_none_and_says_so() -> None:
    desired = built("el-7-aarch64", panic_devices=["isa"])

    assert desired.element.find("devices/panic") is None
    assert desired.warnings == ("panic_devices have no effect: an aarch64 guest has none",)


def test_aarch64_says_nothing_where_none_is_given() -> None:
    assert built("el-7-aarch64").warnings == ()
