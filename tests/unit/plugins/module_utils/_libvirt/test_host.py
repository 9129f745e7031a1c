# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor itself, as libvirt's test driver reports it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.host import HostCalls
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._libvirt.node import CPUS, MEMORY_KIB, connected
from lxml import etree


@pytest.fixture
def hypervisor(tmp_path: Path) -> Iterator[Hypervisor]:
    with connected(tmp_path) as hypervisor:
        yield hypervisor


def test_memory_is_in_bytes(hypervisor: Hypervisor) -> None:
    assert hypervisor.memory_size() == MEMORY_KIB * 1024


def test_cpus_are_the_active_ones(hypervisor: Hypervisor) -> None:
    assert hypervisor.cpu_count() == CPUS


def test_the_capabilities_are_xml(hypervisor: Hypervisor) -> None:
    assert etree.fromstring(hypervisor.capabilities()).find("host/cpu/arch") is not None


def test_a_network_is_active_or_not(hypervisor: Hypervisor) -> None:
    assert hypervisor.networks() == {"lan": True}
    hypervisor._connection.networkLookupByName("lan").destroy()
    assert hypervisor.networks() == {"lan": False}


def test_a_file_in_a_storage_pool_is_a_volume_and_any_other_file_none(hypervisor: Hypervisor) -> None:
    xml = hypervisor.storage_volume_xml("/images/disk")
    assert xml is not None and etree.fromstring(xml).find("target/format").get("type") == "qcow2"
    assert hypervisor.storage_volume_xml("/images/other") is None


def test_a_call_that_the_driver_lacks_is_an_error(hypervisor: Hypervisor) -> None:
    with pytest.raises(VmError, match="cannot list the network filters: this function is not supported"):
        hypervisor.network_filters()


@pytest.mark.parametrize(("number", "version"), [(9_000_012, "9.0.12"), (10_010_000, "10.10.0"), (0, "")])
def test_a_version_is_three_numbers(number: int, version: str) -> None:
    host = HostCalls("test:///default")
    host._connection = SimpleNamespace(getLibVersion=lambda: number, getVersion=lambda: number)
    assert (host.libvirt_version(), host.qemu_version()) == (version, version)
