# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firmware is found by its descriptors, in their order; those of the administrator take precedence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._host.files import Files
from ansible_collections.zstack.kvm.plugins.module_utils._host.firmware import Firmware, find_firmware
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm

PLAIN = Firmware("/CODE.fd", "/VARS.fd", frozenset({"uefi"}), frozenset(), (("x86_64", ("pc-q35-*",)),))
CSM = replace(PLAIN, loader="/CODE-csm.fd", nvram_template="/VARS-csm.fd", interfaces=frozenset({"uefi", "bios"}))


def descriptor(loader: str, **changes: Any) -> str:
    return json.dumps(
        {
            "interface-types": ["uefi"],
            "mapping": {
                "device": "flash",
                "executable": {"filename": loader},
                "nvram-template": {"filename": "/VARS.fd"},
            },
            "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
            "features": [],
            **changes,
        }
    )


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_descriptors_are_read_in_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "usr/share/qemu/firmware/60-b.json", descriptor("/B.fd"))
    write(tmp_path, "usr/share/qemu/firmware/50-a.json", descriptor("/A.fd"))

    assert [each.loader for each in find_firmware(Files(str(tmp_path)))] == ["/A.fd", "/B.fd"]


def test_the_administrators_descriptor_replaces_or_removes_the_packages(tmp_path: Path) -> None:
    for name in ("50-a", "60-b"):
        write(tmp_path, "usr/share/qemu/firmware/%s.json" % name, descriptor("/package.fd"))
    write(tmp_path, "etc/qemu/firmware/50-a.json", descriptor("/own.fd"))
    write(tmp_path, "etc/qemu/firmware/60-b.json", "")

    assert [each.loader for each in find_firmware(Files(str(tmp_path)))] == ["/own.fd"]


def test_what_is_no_flash_image_with_nvram_or_broken_is_left_out(tmp_path: Path) -> None:
    for number, text in enumerate(
        [
            "{",
            "[]",
            descriptor("/x", mapping={"device": "memory", "filename": "/bios.bin"}),
            descriptor("/x", mapping={"device": "flash", "mode": "stateless", "executable": {"filename": "/x"}}),
            descriptor("/x", features=None),
        ]
    ):
        write(tmp_path, "usr/share/qemu/firmware/%d.json" % number, text)

    assert find_firmware(Files(str(tmp_path))) == ()


def test_a_machine_type_is_matched_with_and_without_its_version() -> None:
    assert PLAIN.suits("x86_64", "q35")
    assert PLAIN.suits("x86_64", "pc-q35-7.2")
    assert not PLAIN.suits("x86_64", "pc")
    assert not PLAIN.suits("aarch64", "q35")


def test_a_csm_is_chosen_by_what_its_descriptor_says() -> None:
    host = recorded_host("debian-12")._replace(firmwares=(PLAIN, CSM))
    vm = parsed_vm(domain_type="qemu", machine="q35", firmware="uefi_with_csm", nvram="/n.fd")

    built = build(vm, host, StorageFacts())

    assert built.missing == ()
    assert built.element.findtext("os/loader") == "/CODE-csm.fd"
    assert built.element.find("os/nvram").get("template") == "/VARS-csm.fd"
    assert built.element.findtext("os/nvram") == "/n.fd"


def test_a_host_without_enrolled_keys_lacks_secure_boot() -> None:
    host = recorded_host("debian-12")._replace(firmwares=(PLAIN,))
    vm = parsed_vm(domain_type="qemu", machine="q35", firmware="uefi", secure_boot=True)

    assert [(each.option_path, each.code) for each in build(vm, host, StorageFacts()).missing] == [
        ("vms[0].secure_boot", "firmware_missing")
    ]
