# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The input that the builders of one domain share."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._errors.errors import Problem
from .._host.capabilities import DomainCapabilities, DomainKind, Host
from .._spec.vm import Vm
from .boot_order import BootOrder
from .disk_layout import DiskLayout
from .usb_layout import UsbLayout


@dataclass(frozen=True)
class BuildContext:
    """One VM on one host. Builders append to C(warnings), and to C(missing) what the host lacks."""

    vm: Vm
    host: Host
    kind: DomainKind
    capabilities: DomainCapabilities
    disks: DiskLayout
    boot: BootOrder
    usb: UsbLayout
    seed_path: str = ""
    warnings: list[str] = field(default_factory=list)
    missing: list[Problem] = field(default_factory=list)

    def option_path(self, option: str) -> str:
        """Return the path of one of the VM's options in the input."""
        return "%s.%s" % (self.vm.option_path, option)

    @property
    def is_aarch64(self) -> bool:
        """Return whether the machine is an aarch64 one, and so not a PC."""
        return self.kind.arch == "aarch64"

    @property
    def is_emulated(self) -> bool:
        """Return whether QEMU emulates the CPU, without KVM."""
        return self.kind.domain_type == "qemu"
