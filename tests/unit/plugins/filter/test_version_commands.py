# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that print the versions of a VM's emulator and firmware."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.filter.version_commands import FilterModule

version_commands = FilterModule().filters()["version_commands"]

DOMAIN = """<domain type='kvm'>
  <os><type arch='x86_64'>hvm</type>%s</os>
  <devices>
    <emulator>/usr/libexec/qemu-kvm</emulator>
  </devices>
</domain>"""


def test_the_emulator_and_the_package_of_the_firmware() -> None:
    loader = "<loader readonly='yes' type='pflash'>/usr/share/edk2/ovmf/OVMF_CODE.fd</loader>"
    assert version_commands(DOMAIN % loader) == [
        ["/usr/libexec/qemu-kvm", "--version"],
        ["rpm", "-qf", "/usr/share/edk2/ovmf/OVMF_CODE.fd"],
    ]


def test_a_bios_is_of_no_package() -> None:
    assert version_commands(DOMAIN % "") == [["/usr/libexec/qemu-kvm", "--version"], ["rpm", "-qf"]]


def test_without_an_emulator_the_command_fails() -> None:
    assert version_commands("<domain/>") == [["false", "--version"], ["rpm", "-qf"]]
