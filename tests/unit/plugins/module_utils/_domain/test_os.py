# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firmware that the definition names: the plain image of aarch64, and firmware that libvirt would not choose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._host.firmware import Firmware
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree


@pytest.mark.parametrize(
    ("loaders", "chosen"),
    [
        (("CODE.secboot.fd", "CODE.fd"), "CODE.fd"),
        (("CODE.ms.fd", "CODE.fd"), "CODE.fd"),
        (("CODE.snakeoil.fd", "CODE.fd"), "CODE.fd"),
        (("CODE.ms.fd", "CODE.secboot.fd", "CODE.no-secboot.fd"), "CODE.no-secboot.fd"),
        (("pflash.qcow2", "pflash.raw"), "pflash.raw"),
        (("first.fd", "second.fd"), "first.fd"),
        (("pflash.qcow2", "CODE.secboot.fd"), None),
        ((), None),
    ],
)
def test_the_first_plain_image_is_chosen_for_aarch64(loaders: tuple[str, ...], chosen: Optional[str]) -> None:
    host = recorded_host("el-7-aarch64")
    host = host._replace(
        domain_capabilities={kind: known._replace(loaders=loaders) for kind, known in host.domain_capabilities.items()},
    )

    assert build(parsed_vm(), host, StorageFacts()).element.findtext("os/loader") == chosen


# As Debian's descriptors have them
PLAIN = Firmware(
    "/CODE.fd",
    "/VARS.fd",
    frozenset({"uefi"}),
    frozenset({"acpi-s3"}),
    (("x86_64", ("pc-i440fx-*", "pc-q35-*")),),
)
SECURE = replace(
    PLAIN,
    loader="/CODE.ms.fd",
    nvram_template="/VARS.ms.fd",
    features=frozenset({"acpi-s3", "enrolled-keys", "requires-smm", "secure-boot"}),
    targets=(("x86_64", ("pc-q35-*",)),),
)
DEBIAN = (SECURE, PLAIN)


@pytest.mark.parametrize(
    ("first", "chosen"),
    [
        pytest.param({"features": frozenset({"secure-boot"})}, "AAVMF_CODE.fd", id="it has Secure Boot"),
        pytest.param({"format": "qcow2"}, "AAVMF_CODE.fd", id="it is not raw"),
        pytest.param({"interfaces": frozenset({"uefi", "bios"})}, "AAVMF_CODE.fd", id="it has a CSM"),
        pytest.param({}, "AAVMF_CODE.ms.fd", id="it is plain, whatever its name"),
    ],
)
def test_the_descriptor_of_an_image_says_whether_it_is_plain(first: dict[str, Any], chosen: str) -> None:
    plain = replace(PLAIN, loader="/usr/share/AAVMF/AAVMF_CODE.fd", targets=(("aarch64", ("virt-*",)),))
    described = replace(plain, loader="/usr/share/AAVMF/AAVMF_CODE.ms.fd", **first)
    host = recorded_host("debian-12")._replace(firmwares=(described, plain))

    vm = parsed_vm(arch="aarch64", domain_type="qemu")
    assert build(vm, host, StorageFacts()).element.findtext("os/loader") == f"/usr/share/AAVMF/{chosen}"


def os_of(*firmwares: Firmware, **options: Any) -> etree._Element:
    host = recorded_host("debian-13")._replace(firmwares=firmwares)
    options = {"domain_type": "qemu", "firmware": "uefi", **options}
    return build(parsed_vm(**options), host, StorageFacts()).element.find("os")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"suspend_to_ram": True},
        {"suspend_to_ram": False, "suspend_to_disk": False},
        {"machine": "q35", "secure_boot": True, "suspend_to_ram": True},
    ],
)
def test_libvirt_chooses_firmware_that_promises_what_the_vm_may_do(options: dict[str, Any]) -> None:
    os_element = os_of(*DEBIAN, **options)

    assert os_element.get("firmware") == "efi"
    assert os_element.find("loader") is None


@pytest.mark.parametrize(
    ("options", "loader", "secure", "template"),
    [
        ({}, "/CODE.fd", None, "/VARS.fd"),
        ({"suspend_to_ram": True}, "/CODE.fd", None, "/VARS.fd"),
        ({"machine": "q35"}, "/CODE.fd", None, "/VARS.fd"),
        ({"machine": "q35", "secure_boot": True}, "/CODE.ms.fd", "yes", "/VARS.ms.fd"),
    ],
)
def test_firmware_is_named_for_a_vm_that_suspends_to_disk_if_none_promises_that(
    options: dict[str, Any], loader: str, secure: Optional[str], template: str
) -> None:
    os_element = os_of(*DEBIAN, suspend_to_disk=True, **options)

    assert os_element.get("firmware") is None
    assert (os_element.findtext("loader"), os_element.find("loader").get("secure")) == (loader, secure)
    assert os_element.find("nvram").get("template") == template


def test_firmware_that_promises_it_is_left_to_libvirt_to_choose() -> None:
    promising = replace(PLAIN, features=PLAIN.features | {"acpi-s4"})

    assert os_of(PLAIN, promising, suspend_to_disk=True).get("firmware") == "efi"


@pytest.mark.parametrize(
    "firmware",
    [
        replace(PLAIN, format="qcow2"),
        replace(PLAIN, interfaces=frozenset({"uefi", "bios"})),
        replace(PLAIN, targets=(("aarch64", ("virt-*",)),)),
        SECURE,
    ],
)
def test_other_firmware_is_not_named(firmware: Firmware) -> None:
    assert os_of(firmware, suspend_to_disk=True).get("firmware") == "efi"


def test_the_file_of_the_variables_is_the_options() -> None:
    os_element = os_of(*DEBIAN, suspend_to_disk=True, nvram="/nvram/vm.fd")

    assert (os_element.findtext("nvram"), os_element.find("nvram").get("template")) == ("/nvram/vm.fd", "/VARS.fd")
