# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(qemu:commandline): arguments of QEMU for which libvirt has no element."""

from __future__ import annotations

from collections.abc import Iterator

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._host.capabilities import is_q35
from .context import BuildContext
from .elements import add
from .metadata import NAMESPACES

_MIB = 1 << 20
# Firmware finds room for memory regions of 4 GiB by itself.
_LARGE_BAR = 4 << 30
_SMALLEST_WINDOW_MIB = 32768
_SMM_MIB = 288


def add_command_line(domain: etree._Element, context: BuildContext) -> None:
    """Add the arguments, if there are any."""
    arguments = [*_qmp_arguments(context), *_smm_arguments(context), *_window_arguments(context)]
    if arguments:
        command_line = add(domain, "{%s}commandline" % NAMESPACES["qemu"])
        for argument in arguments:
            add(command_line, "{%s}arg" % NAMESPACES["qemu"], value=argument)


def _qmp_arguments(context: BuildContext) -> Iterator[str]:
    """Yield the arguments for the additional QMP socket, on which QEMU listens."""
    socket = context.vm.qmp_socket
    if socket is not None:
        yield from ("-qmp", "unix:%s,server=on,wait=off" % socket)


def _smm_arguments(context: BuildContext) -> Iterator[str]:
    """Yield the arguments by which UEFI of q35 gets the memory for SMM that ZStack's agent gives it."""
    vm = context.vm
    if vm.qmp_socket is not None and vm.firmware == "uefi" and is_q35(context.kind.machine):
        yield from ("-global", "mch.extended-tseg-mbytes=%d" % _SMM_MIB)


def _window_arguments(context: BuildContext) -> Iterator[str]:
    """Yield the arguments by which UEFI makes room for the memory regions of the host's graphics cards."""
    largest = context.host.device_support.largest_gpu_bar
    if context.vm.pci_64bit_window and largest > _LARGE_BAR:
        mib = max(_SMALLEST_WINDOW_MIB, -(-largest // _MIB))
        yield from ("-fw_cfg", "opt/ovmf/X-PciMmio64Mb,string=%d" % mib)
