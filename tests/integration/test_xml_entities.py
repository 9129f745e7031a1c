# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entities in patches, definitions and metadata, through libvirt: they show no file and exhaust nothing."""

from __future__ import annotations

import json
import resource
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import vm_information
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.in_process import hypervisor, start
from ansible_collections.zstack.kvm.tests.support.virsh import definition, remove_domain, state, try_virsh, virsh

# Each is ten times the one before: the last one expands to a billion.
LAUGHS = "".join(f"<!ENTITY l{number} '{f'&l{number - 1};' * 10}'>" for number in range(1, 10))
GROWTH = 64 << 10  # KiB


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("what nobody may see", encoding="utf-8")
    return file


def document_type(secret: Path, root: str) -> str:
    return f"<!DOCTYPE {root} [<!ENTITY file SYSTEM 'file://{secret}'><!ENTITY l0 'ha'>{LAUGHS}]>"


@pytest.mark.parametrize(
    "value",
    [
        "{type}<title>&file;</title>",
        "{type}<title>&l9;</title>",
        "<title>&file;</title>",
        "<title a='&l9;'/>",
        "<![CDATA[{type}]]>&file;<title/>",
        "</patch>{type}<patch><title>&l9;</title>",
        "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file://{secret}' parse='text'/>",
    ],
)
def test_of_patches_are_refused(new_vm: NewVm, secret: Path, value: str) -> None:
    text = value.replace("{type}", document_type(secret, "title")).replace("{secret}", str(secret))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    vm = new_vm(domain_patches=[{"action": "add", "xpath": "/domain/metadata", "value": text}])
    run = start(vm, check=True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH
    assert "what nobody may see" not in json.dumps(run.result)
    if "include" not in value:  # libvirt, too, treats it like any other element
        assert run.error["code"] == "patch_failed", run.error
    assert state(vm["uuid"]) == "absent"


@pytest.fixture
def other(secret: Path) -> Iterator[str]:
    """Yield another VM, whose definition libvirt returns with references to entities that it doesn't declare."""
    identity = str(uuid.uuid4())
    declared = f"<!DOCTYPE domain [<!ENTITY file SYSTEM 'file://{secret}'><!ENTITY a 'ha'>]>"
    virsh(
        "define",
        "/dev/stdin",
        stdin=f"""{declared}<domain type='qemu'><name>{identity}</name><uuid>{identity}</uuid><title>&a;&file;</title>
        <metadata><z:zstack xmlns:z="http://zstack.org"><internalId>&file;</internalId></z:zstack>
        <o:other xmlns:o="urn:other" by="&a;">&file;</o:other></metadata>
        <memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os>
        <devices><serial type='unix'><source mode='bind' path='/run/{identity}'/></serial></devices></domain>""",
    )
    yield identity
    remove_domain(identity)


class TestOfAnotherVm:
    def test_libvirt_returns_them(self, other: str) -> None:
        assert "&file;" in virsh("dumpxml", other)

    def test_libvirt_refuses_those_that_multiply(self, secret: Path) -> None:
        domain = f"{document_type(secret, 'domain')}<domain type='qemu'><name>&l9;</name></domain>"
        assert try_virsh("define", "/dev/stdin", stdin=domain).returncode != 0

    def test_it_is_reported(self, other: str) -> None:
        (entry,) = vm_information(hypervisor(), HostSystem(), [other])
        assert entry["state"] == "shutoff", entry["warnings"]
        assert "what nobody may see" not in json.dumps(entry)

    def test_others_start(self, other: str, new_vm: NewVm) -> None:
        """Their start reads the definitions of all other VMs, and respects their claims."""
        device = f"<serial type='unix'><source mode='bind' path='/run/{other}'/><target port='1'/></serial>"
        vm = new_vm(domain_patches=[{"action": "add", "xpath": "/domain/devices", "value": device}])
        run = start(vm)
        assert not run.failed, run.error
        assert any(other in warning for warning in run.vm["warnings"])


def test_of_metadata_are_kept_out(new_vm: NewVm, secret: Path) -> None:
    vm = new_vm()
    assert not start(vm).failed
    for text in (f"{document_type(secret, 'x')}<x>&file;</x>", "<x>&file;</x>"):
        try_virsh("metadata", vm["uuid"], "urn:other", "--key", "other", "--set", text)
    assert not start(vm).result["changed"]
    assert "what nobody may see" not in virsh("dumpxml", vm["uuid"])
    assert definition(vm["uuid"]).findtext("description") == vm["name"]
