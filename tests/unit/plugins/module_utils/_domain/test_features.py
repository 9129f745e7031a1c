# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The features of the architecture, those of the VM, and the Hyper-V enlightenments that a host offers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import (
    attributes,
    built,
    domain,
    host_with,
)

EL9, AARCH64 = "el-9", "el-7-aarch64"
EMULATED_AARCH64 = {"arch": "aarch64", "domain_type": "qemu"}


def features(host: str = "debian-12", **options: Any) -> list[tuple[str, dict[str, str]]]:
    """Return tag and attributes of each feature."""
    return [(each.tag, dict(each.attrib)) for each in domain(host, **options).find("features")]


PC: list[tuple[str, dict[str, str]]] = [("acpi", {}), ("apic", {}), ("pae", {})]


@pytest.mark.parametrize(
    ("host", "options", "expected"),
    [
        pytest.param("debian-12", {}, PC, id="PC"),
        pytest.param("debian-12", {"acpi": False}, PC[1:], id="PC without ACPI"),
        pytest.param(AARCH64, {}, PC[:1], id="aarch64"),
        pytest.param("debian-12", {**EMULATED_AARCH64, "cpu_num": 8}, PC[:1], id="emulated aarch64 with 8 CPUs"),
        pytest.param(
            "debian-12",
            {**EMULATED_AARCH64, "cpu_num": 9},
            [*PC[:1], ("gic", {"version": "3"})],
            id="emulated aarch64 with 9 CPUs",
        ),
    ],
)
def test_an_architecture_has_its_features(
    host: str, options: dict[str, Any], expected: list[tuple[str, dict[str, str]]]
) -> None:
    assert features(host, **options) == expected


@pytest.mark.parametrize(
    ("options", "feature"),
    [
        ({"pmu": True}, ("pmu", {"state": "on"})),
        ({"pmu": False}, ("pmu", {"state": "off"})),
        ({"vm_port_off": True}, ("vmport", {"state": "off"})),
        ({"ioapic": "qemu"}, ("ioapic", {"driver": "qemu"})),
        ({"machine": "q35", "tpm": {}}, ("smm", {"state": "on"})),
        ({"machine": "q35", "firmware": "uefi", "secure_boot": True}, ("smm", {"state": "on"})),
    ],
)
def test_a_vm_adds_its_own(options: dict[str, Any], feature: tuple[str, dict[str, str]]) -> None:
    assert features(**options) == [*PC, feature]


@pytest.mark.parametrize(
    ("options", "driver"),
    [
        pytest.param({"ioapic": "kvm"}, ["kvm"], id="with KVM"),
        pytest.param({"ioapic": "kvm", "domain_type": "qemu"}, [], id="emulation has no IO-APIC of KVM"),
        pytest.param({"ioapic": "kvm", "machine": "q35", "cpu_num": 256}, ["qemu"], id="an IOMMU needs QEMU's"),
    ],
)
def test_the_io_apic_is_one_that_is_available(options: dict[str, Any], driver: list[str]) -> None:
    assert [found["driver"] for found in attributes(domain(**options), "features/ioapic")] == driver


def test_kvm_is_hidden_from_x86_guests() -> None:
    assert attributes(domain(kvm_hidden_state=True), "features/kvm/hidden") == [{"state": "on"}]


def test_kvm_cannot_be_hidden_from_aarch64_guests() -> None:
    desired = built(AARCH64, kvm_hidden_state=True)

    assert desired.element.find("features/kvm") is None
    assert desired.warnings == ("kvm_hidden_state has no effect: QEMU cannot hide KVM from an aarch64 guest",)


def test_aarch64_has_no_system_management_mode_for_its_tpm() -> None:
    assert domain(AARCH64, tpm={}).find("features/smm") is None


class TestHyperV:
    ALL = ("relaxed", "vapic", "spinlocks", "frequencies")
    CLOCKED = ("vpindex", "runtime", "synic", "stimer")

    def found(self, **options: Any) -> list[dict[str, str]]:
        host = host_with(EL9, hyperv_features=None)
        hyperv = domain(host, emulate_hyperv=True, **options).find("features/hyperv")
        return [{"name": each.tag, **each.attrib} for each in hyperv]

    @pytest.mark.parametrize(("clock", "names"), [(True, ALL + CLOCKED), (False, ALL)])
    def test_some_enlightenments_need_the_clock(self, clock: bool, names: tuple[str, ...]) -> None:
        assert [each["name"] for each in self.found(hyperv_clock=clock)] == list(names)

    def test_a_guest_spins_8191_times_before_it_notifies_the_hypervisor(self) -> None:
        assert {"name": "spinlocks", "state": "on", "retries": "8191"} in self.found()

    def test_its_timers_interrupt_the_guest_directly(self) -> None:
        found = domain(host_with(EL9, hyperv_features=None), emulate_hyperv=True)

        assert attributes(found, "features/hyperv/stimer/direct") == [{"state": "on"}]

    def test_the_vendor_id_is_the_given_one(self) -> None:
        assert {"name": "vendor_id", "state": "on", "value": "Microsoft Hv"} in self.found(
            hyperv_vendor_id="Microsoft Hv"
        )

    def test_a_vm_goes_without_those_that_the_host_lacks_and_says_so(self) -> None:
        desired = built(
            host_with(EL9, hyperv_features=("relaxed", "spinlocks")), emulate_hyperv=True, hyperv_clock=False
        )

        assert [each.tag for each in desired.element.find("features/hyperv")] == ["relaxed", "spinlocks"]
        assert desired.warnings == (
            "the host does not offer the Hyper-V enlightenments vapic, frequencies: the VM goes without them",
        )

    def test_nothing_is_said_where_the_host_offers_all(self) -> None:
        assert built(host_with(EL9, hyperv_features=None), emulate_hyperv=True).warnings == ()

    def test_aarch64_guests_have_none(self) -> None:
        assert domain(AARCH64, emulate_hyperv=True).find("features/hyperv") is None
