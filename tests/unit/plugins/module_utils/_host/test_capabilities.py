# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities of a hypervisor as libvirt reports them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import (
    DomainCapabilities,
    DomainKind,
    GuestType,
    domain_kind,
    is_q35,
    offers,
    parse_capabilities,
    parse_domain_capabilities,
)
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm


def kind_of(host: str, **options: Any) -> DomainKind:
    return domain_kind(parsed_vm(**options), recorded_host(host).capabilities)


@pytest.mark.parametrize(
    ("host", "options", "machine"),
    [
        ("debian-12", {}, "pc"),
        ("el-9", {}, "pc"),
        ("el-9-aarch64", {}, "virt"),
        ("el-10", {}, "q35"),
        ("el-10", {"machine": "pc"}, "pc"),
        ("el-10", {"arch": "aarch64"}, "virt"),
        ("el-10-aarch64", {}, "virt"),
        ("el-10-aarch64", {"arch": "x86_64"}, "pc"),
    ],
)
def test_the_machine_is_zstacks_where_the_host_has_it(host: str, options: dict, machine: str) -> None:
    assert kind_of(host, **options).machine == machine


def test_a_host_that_lacks_the_domain_type_is_queried_for_the_machine_that_it_has() -> None:
    assert kind_of("debian-12", domain_type="kvm") == DomainKind(None, "x86_64", "pc", "kvm")


def test_the_document_says_emulator_architecture_and_domain_type() -> None:
    kind = kind_of("el-9", emulator="/opt/qemu", arch="aarch64", domain_type="qemu")

    assert kind == DomainKind("/opt/qemu", "aarch64", "virt", "qemu")


def test_capabilities_have_each_architecture_and_domain_type() -> None:
    capabilities = recorded_host("debian-12").capabilities

    assert capabilities.host_arch == "x86_64"
    assert set(capabilities.guests) == {"x86_64", "aarch64"}
    assert capabilities.guests["aarch64"]["qemu"] == GuestType(
        "/usr/bin/qemu-system-aarch64", frozenset({"virt", "virt-7.2"}), {"virt": "virt-7.2"}
    )


def test_capabilities_have_the_uuid_of_the_host_and_the_user_of_qemu() -> None:
    capabilities = recorded_host("debian-12").capabilities

    assert capabilities.host_uuid == "f7a72e8d-9fd3-4274-8577-1a6ab78ecdaf"
    assert capabilities.qemu_owner == (64055, 64055)
    assert recorded_host("el-9").capabilities.qemu_owner is None


def test_capabilities_have_the_cpus_and_numa_nodes_of_the_host() -> None:
    capabilities = parse_capabilities("""
        <capabilities><host><topology><cells num='2'>
        <cell id='0'><cpus num='2'><cpu id='0'/><cpu id='1'/></cpus></cell>
        <cell id='2'><cpus><cpu id='8'/></cpus></cell>
        </cells></topology></host></capabilities>
    """)

    assert capabilities.cpus == {0, 1, 8}
    assert capabilities.numa_nodes == {0, 2}


def test_a_domain_type_can_have_its_own_emulator_and_machines() -> None:
    capabilities = parse_capabilities("""
        <capabilities><host><cpu><arch>x86_64</arch></cpu></host>
        <guest><os_type>xen</os_type><arch name='ppc64'><domain type='kvm'/></arch></guest>
        <guest><os_type>hvm</os_type><arch name='x86_64'><emulator>/bin/qemu</emulator><machine>pc</machine>
        <domain type='qemu'/><domain type='kvm'><emulator>/bin/kvm</emulator><machine>q35</machine></domain>
        </arch></guest></capabilities>
    """)

    assert capabilities.guests == {
        "x86_64": {
            "qemu": GuestType("/bin/qemu", frozenset({"pc"})),
            "kvm": GuestType("/bin/kvm", frozenset({"q35"})),
        }
    }


def test_domain_capabilities_of_todays_host() -> None:
    kind = DomainKind(None, "x86_64", "q35", "kvm")

    assert recorded_host("el-10").domain_capabilities[kind] == DomainCapabilities(
        emulator="/usr/libexec/qemu-kvm",
        max_cpus=4096,
        firmwares=("efi",),
        loaders=("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_CODE.fd"),
        cpu_modes=("host-passthrough", "maximum", "host-model", "custom"),
        cpu_models=("qemu64", "Skylake-Server-IBRS", "EPYC"),
        disk_buses=("scsi", "virtio", "usb", "sata"),
        graphics=("vnc", "egl-headless", "dbus"),
        videos=("vga", "virtio", "none", "bochs", "ramfb"),
        redirdev_buses=(),
        secure_loaders=("yes", "no"),
        hyperv_features=("spinlocks", "vendor_id"),
        tpm_models=("tpm-tis", "tpm-crb"),
        tpm_backends=("passthrough",),
    )


def test_what_libvirt_does_not_say_is_not_known() -> None:
    assert parse_domain_capabilities("<domainCapabilities><path>/bin/qemu</path></domainCapabilities>") == (
        DomainCapabilities(emulator="/bin/qemu")
    )


def test_a_host_that_does_not_report_its_values_may_have_any() -> None:
    assert offers(None, "spice")
    assert offers(("vnc", "spice"), "spice")
    assert not offers(("vnc",), "spice")


@pytest.mark.parametrize(("machine", "answer"), [("q35", True), ("pc-q35-7.2", True), ("pc", False), ("virt", False)])
def test_which_machines_have_no_ide(machine: str, answer: bool) -> None:
    assert is_q35(machine) is answer
