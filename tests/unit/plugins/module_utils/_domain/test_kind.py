# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kind of a domain, which a host may lack: architecture, domain type, emulator, machine."""

from __future__ import annotations

from typing import Any, Union

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import Host
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import (
    built,
    domain,
    host_with,
    missing,
)


@pytest.mark.parametrize("options", [{}, {"machine": "pc"}, {"machine": "q35"}])
def test_a_host_lacks_nothing_of_a_kind_that_it_reports(options: dict[str, Any]) -> None:
    assert built("el-9", **options).missing == ()


@pytest.mark.parametrize(
    ("host", "options", "code", "text"),
    [
        (
            "el-9",
            {"arch": "aarch64"},
            "unsupported_arch",
            "vms[0].arch: the host has no emulator for aarch64 (it has: x86_64)",
        ),
        (
            "debian-12",
            {},
            "unsupported_domain_type",
            "vms[0].domain_type: the host cannot run x86_64 domains of type kvm (it has: qemu)",
        ),
        (
            "el-10",
            {"machine": "pc"},
            "unsupported_machine",
            "vms[0].machine: /usr/libexec/qemu-kvm has no machine type pc (it has: q35)",
        ),
        (
            "el-10",
            {"emulator": "/opt/qemu"},
            "emulator_missing",
            "vms[0].emulator: libvirt gets no capabilities from /opt/qemu for domain type kvm and machine q35",
        ),
        (
            "el-9",
            {"emulator": "/opt/qemu", "machine": "isapc"},
            "emulator_missing",
            "vms[0].emulator: libvirt gets no capabilities from /opt/qemu for domain type kvm and machine isapc",
        ),
        (
            host_with("el-9")._replace(domain_capabilities={}),
            {},
            "emulator_missing",
            "vms[0].emulator: libvirt gets no capabilities from /usr/libexec/qemu-kvm for domain type kvm "
            "and machine pc",
        ),
    ],
)
def test_the_first_part_that_the_host_lacks_is_named(
    host: Union[str, Host], options: dict[str, Any], code: str, text: str
) -> None:
    (problem,) = built(host, **options).missing

    assert (problem.code, str(problem), problem.hint) == (code, text, "")


@pytest.mark.parametrize(
    ("guests", "names"), [({}, "none"), ({"s390x": {}, "i686": {}, "ppc64": {}}, "i686, ppc64, s390x")]
)
def test_what_the_host_has_instead_is_listed(guests: dict[str, Any], names: str) -> None:
    host = host_with("el-9")
    host = host._replace(capabilities=host.capabilities._replace(guests=guests), domain_capabilities={})

    assert missing(host) == ["vms[0].arch: the host has no emulator for x86_64 (it has: %s)" % names]


@pytest.mark.parametrize(
    ("machine", "hint"),
    [
        (
            "pc-q35-9.9",
            "Set machine to pc-q35-rhel9.6.0, which is of the same board, or on_missing_machine to newest.",
        ),
        ("isapc", ""),
    ],
)
def test_a_version_of_a_machine_that_the_host_lacks_has_the_newest_as_its_way_out(machine: str, hint: str) -> None:
    (problem,) = built("el-9", machine=machine).missing

    assert problem.hint == hint


@pytest.mark.parametrize(("machine", "warns"), [(None, True), ("q35", False)])
def test_a_vm_that_gets_q35_because_there_is_no_pc_is_warned_of(machine: str, warns: bool) -> None:
    warning = "the host has no machine pc: the VM gets q35, with SATA instead of IDE"

    assert (warning in built("el-10", machine=machine).warnings) == warns


@pytest.mark.parametrize(
    ("host", "options", "emulator"),
    [
        pytest.param("el-9", {}, "/usr/libexec/qemu-kvm", id="the kind's"),
        pytest.param(host_with("el-9", emulator="/kind/qemu"), {}, "/kind/qemu", id="another for this kind"),
        pytest.param(host_with("el-9", emulator=""), {}, "/usr/libexec/qemu-kvm", id="the architecture's"),
        pytest.param("el-9", {"emulator": "/opt/qemu"}, "/opt/qemu", id="the VM's"),
        pytest.param("el-9", {"arch": "aarch64"}, None, id="none"),
    ],
)
def test_the_emulator_is_the_vms_or_the_hosts(host: Any, options: dict[str, Any], emulator: str) -> None:
    assert domain(host, **options).findtext("devices/emulator") == emulator
