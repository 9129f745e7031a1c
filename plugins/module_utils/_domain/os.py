# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(os): machine, firmware, and the kinds of devices to boot from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import offers
from .context import BuildContext
from .elements import add

if TYPE_CHECKING:
    from .._host.firmware import Firmware


def add_os(domain: etree._Element, context: BuildContext) -> None:
    """Add machine, firmware and boot order."""
    os_element = add(domain, "os")
    add(os_element, "type", "hvm", arch=context.kind.arch, machine=context.kind.machine)
    _add_firmware(os_element, context)
    for kind in context.boot.kinds:
        add(os_element, "boot", dev=kind)
    if context.vm.use_boot_menu:
        menu = add(os_element, "bootmenu", enable="yes")
        if context.vm.boot_menu_timeout:
            menu.set("timeout", str(context.vm.boot_menu_timeout))
    if context.vm.smbios is not None:
        add(os_element, "smbios", mode="sysinfo")
    _warn_of_empty_first_drive(context)


def _add_firmware(os_element: etree._Element, context: BuildContext) -> None:
    vm = context.vm
    if context.is_aarch64 and vm.firmware == "bios":
        _lacks(context, "aarch64 machines have no BIOS", "set firmware to uefi")
    if vm.firmware == "uefi_with_csm":
        _add_firmware_with_csm(os_element, context)
    elif vm.firmware == "uefi" or context.is_aarch64:
        _add_uefi(os_element, context)
    elif vm.loader_rom is not None:
        add(os_element, "loader", vm.loader_rom, readonly="yes", type="rom")
        return
    else:
        return
    if vm.nvram is not None:
        nvram = os_element.find("nvram")
        if nvram is None:
            nvram = add(os_element, "nvram")
        nvram.text = vm.nvram


def _add_uefi(os_element: etree._Element, context: BuildContext) -> None:
    """Add UEFI: with Secure Boot and enrolled keys, or without Secure Boot, which boots no unsigned software."""
    kind, secure = context.kind, context.vm.secure_boot
    if not offers(context.capabilities.firmwares, "efi"):
        _lacks(context, "the host has no UEFI firmware for %s machines of type %s" % (kind.arch, kind.machine))
    elif secure and not _has_secure_boot(context):
        message = "the host has no UEFI firmware with Secure Boot and enrolled keys for %s machines of type %s"
        _lacks(context, message % (kind.arch, kind.machine), option="secure_boot")
    loader = None if secure else _loader(context)
    if loader:
        add(os_element, "loader", loader, readonly="yes", type="pflash")
        return
    passed_over = _firmware_that_libvirt_passes_over(context)
    if passed_over is not None:
        _name_firmware(os_element, passed_over)
        return
    os_element.set("firmware", "efi")
    features = add(os_element, "firmware")
    if secure:
        add(features, "feature", enabled="yes", name="enrolled-keys")
    add(features, "feature", enabled="yes" if secure else "no", name="secure-boot")
    # Without it libvirt may choose firmware that keeps no variables, such as edk2's for AMD SEV, if that sorts first.
    add(os_element, "nvram")


def _firmware_that_libvirt_passes_over(context: BuildContext) -> Optional[Firmware]:
    """Return the firmware to name for a VM that may suspend itself, None if libvirt chooses one.

    libvirt chooses none that does not promise the state, which most descriptors don't for suspending to disk. But the
    guest can do it with any.
    """
    if context.is_aarch64 or not (context.vm.suspend_to_ram or context.vm.suspend_to_disk):
        return None
    states = {"acpi-s3": context.vm.suspend_to_ram, "acpi-s4": context.vm.suspend_to_disk}
    promised = frozenset(name for name, is_desired in states.items() if is_desired)
    suitable = [each for each in context.host.firmwares or () if _suits(context, each)]
    return None if any(promised <= each.features for each in suitable) else next(iter(suitable), None)


def _suits(context: BuildContext, firmware: Firmware) -> bool:
    """Return whether firmware is as libvirt chooses it: with Secure Boot and enrolled keys, or without Secure Boot."""
    if firmware.has_csm or firmware.format != "raw" or not firmware.suits(context.kind.arch, context.kind.machine):
        return False
    if context.vm.secure_boot:
        return frozenset({"secure-boot", "enrolled-keys"}) <= firmware.features
    return "secure-boot" not in firmware.features


def _name_firmware(os_element: etree._Element, firmware: Firmware) -> None:
    loader = add(os_element, "loader", firmware.loader, readonly="yes", type="pflash")
    if "requires-smm" in firmware.features:
        loader.set("secure", "yes")
    add(os_element, "nvram", template=firmware.nvram_template)


def _has_secure_boot(context: BuildContext) -> bool:
    known, kind = context.host.firmwares, context.kind
    if known is not None:
        needed = frozenset({"secure-boot", "enrolled-keys"})
        return any(each.suits(kind.arch, kind.machine) and needed <= each.features for each in known)
    # libvirt counts only the firmware that protects itself by SMM, which only PCs have.
    return context.is_aarch64 or offers(context.capabilities.secure_loaders, "yes")


def _add_firmware_with_csm(os_element: etree._Element, context: BuildContext) -> None:
    """Add UEFI that can also boot as a BIOS does; libvirt cannot be made to choose it."""
    kind = context.kind
    for each in context.host.firmwares or ():
        if each.has_csm and each.suits(kind.arch, kind.machine):
            _name_firmware(os_element, each)
            return
    message = "the host has no UEFI firmware with a CSM for %s machines of type %s"
    _lacks(context, message % (kind.arch, kind.machine), "set firmware to uefi, or to bios")


def _lacks(context: BuildContext, message: str, hint: str = "", option: str = "firmware") -> None:
    context.missing.append(Problem(context.option_path(option), message, "firmware_missing", hint))


def _loader(context: BuildContext) -> Optional[str]:
    """Return the flash image for aarch64, where ZStack names one; libvirt finds its NVRAM template.

    On x86 libvirt chooses the image: those without Secure Boot have no name that all distributions share.
    """
    if not context.is_aarch64:
        return None
    described = {each.loader: each for each in context.host.firmwares or ()}
    for loader in context.capabilities.loaders:
        firmware = described.get(loader)
        if _is_plain_by_name(loader) if firmware is None else _is_plain(firmware):
            return loader
    return None


def _is_plain(firmware: Firmware) -> bool:
    """Return whether firmware has no Secure Boot, and its image the format that needs no mention."""
    return "secure-boot" not in firmware.features and not firmware.has_csm and firmware.format == "raw"


def _is_plain_by_name(loader: str) -> bool:
    """Return whether a flash image that no descriptor names has no Secure Boot, by the names of distributions."""
    name = loader.replace("no-secboot", "")
    return name.endswith((".fd", ".raw")) and not any(part in name for part in ("secboot", ".ms.", "snakeoil"))


def _warn_of_empty_first_drive(context: BuildContext) -> None:
    first = context.disks.drives[0] if context.disks.drives else None
    if "cdrom" in context.boot.kinds and context.vm.cds and (first is None or first.source is None):
        context.warnings.append("boot_dev has cdrom, but the VM boots only from its first CD drive, which is empty")
