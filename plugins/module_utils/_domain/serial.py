# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(serial) and C(console): the serial port that C(virsh console) opens."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add

# virtlogd writes there, and rotates what it writes.
_LOG_DIRECTORY = "/var/log/libvirt/qemu"


def console_log(domain_name: str) -> str:
    """Return the file to which the serial port of a domain is logged."""
    return "%s/%s-console.log" % (_LOG_DIRECTORY, domain_name)


def add_serial(devices: etree._Element, context: BuildContext) -> None:
    """Add the serial port and its console."""
    serial = add(devices, "serial", type="pty")
    add(serial, "target", port="0")
    console = add(devices, "console", type="pty")
    add(console, "target", type="serial", port="0")
    if context.vm.console_log:
        for device in (serial, console):
            add(device, "log", file=console_log(context.vm.domain_name))
