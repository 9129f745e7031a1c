# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(os): machine, firmware, and the kinds of devices to boot from."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import offers
from .context import BuildContext
from .elements import add


def add_os(domain: etree._Element, context: BuildContext) -> None:
    """Add machine, firmware and boot order."""
    os_element = add(domain, "os")
    add(os_element, "type", "hvm", arch=context.kind.arch, machine=context.kind.machine)
    _add_firmware(os_element, context)
    for kind in context.boot.kinds:
        add(os_element, "boot", dev=kind)
    if context.vm.use_boot_menu:
        add(os_element, "bootmenu", enable="yes")
    _warn_of_empty_first_drive(context)


def _add_firmware(os_element: etree._Element, context: BuildContext) -> None:
    """Add UEFI without Secure Boot, which would not boot unsigned software."""
    firmware = context.vm.firmware
    if context.is_aarch64 and firmware == "bios":
        context.missing.append(
            Problem(
                context.option_path("firmware"),
                "aarch64 machines have no BIOS",
                "firmware_missing",
                "set firmware to uefi",
            )
        )
    if firmware != "uefi" and not context.is_aarch64:
        return
    if not offers(context.capabilities.firmwares, "efi"):
        context.missing.append(
            Problem(
                context.option_path("firmware"),
                "the host has no UEFI firmware for %s machines of type %s" % (context.kind.arch, context.kind.machine),
                "firmware_missing",
            )
        )
    loader = _loader(context)
    if loader:
        add(os_element, "loader", loader, readonly="yes", type="pflash")
        return
    os_element.set("firmware", "efi")
    add(add(os_element, "firmware"), "feature", enabled="no", name="secure-boot")
    # Without it libvirt may choose firmware that keeps no variables, such as edk2's for AMD SEV, if that sorts first.
    add(os_element, "nvram")


def _loader(context: BuildContext) -> Optional[str]:
    """Return the flash image for aarch64, where ZStack names one; libvirt finds its NVRAM template.

    On x86 libvirt chooses the image: those without Secure Boot have no name that all distributions share.
    """
    if not context.is_aarch64:
        return None
    plain = [loader for loader in context.capabilities.loaders if _is_plain(loader)]
    return plain[0] if plain else None


def _is_plain(loader: str) -> bool:
    """Return whether a flash image has no Secure Boot, by the names that distributions give them."""
    name = loader.replace("no-secboot", "")
    return name.endswith((".fd", ".raw")) and not any(part in name for part in ("secboot", ".ms.", "snakeoil"))


def _warn_of_empty_first_drive(context: BuildContext) -> None:
    first = context.disks.drives[0] if context.disks.drives else None
    if "cdrom" in context.boot.kinds and context.vm.cds and (first is None or first.source is None):
        context.warnings.append("boot_dev has cdrom, but the VM boots only from its first CD drive, which is empty")
