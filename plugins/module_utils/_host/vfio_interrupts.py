# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the devices that share the interrupt line of a passed-through PCI device and block its interrupt."""

from __future__ import annotations

import re

from .system import HostSystem

_DEVICES = "/sys/bus/pci/devices"
_ADDRESS = re.compile(r"\b([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\b")


def explain_conflict(system: HostSystem, text: str, message: str) -> tuple[str, str]:
    """Return the message with the devices that share a line with those in C(text), and how to free it.

    A device that uses message signalled interrupts doesn't need the line: it is not in the way.
    """
    explanations, removals = [], []
    for address in sorted(set(_ADDRESS.findall(text))):
        line = _interrupt(system, address)
        others = [other for other in system.files.list_directory(_DEVICES) if _in_the_way(system, other, address, line)]
        if others:
            named = ", ".join(_describe(system, other) for other in others)
            explanations.append("the interrupt line %s of %s is shared with %s" % (line, address, named))
            removals += ["echo 1 > %s/%s/remove" % (_DEVICES, other) for other in others]
    if not removals:
        return message, ""
    hint = (
        "Remove the devices that share the line, if the hypervisor does not need them: %s. "
        "Only a reboot of the hypervisor brings them back. Or move the card to another slot."
    )
    return "; ".join([message, *explanations]), hint % "; ".join(dict.fromkeys(removals))


def _interrupt(system: HostSystem, address: str) -> str:
    return (system.files.read_text("%s/%s/irq" % (_DEVICES, address)) or "0").strip()


def _in_the_way(system: HostSystem, other: str, address: str, line: str) -> bool:
    if other == address or line == "0" or _interrupt(system, other) != line:
        return False
    return not system.files.list_directory("%s/%s/msi_irqs" % (_DEVICES, other))


def _describe(system: HostSystem, address: str) -> str:
    driver = system.files.link_name("%s/%s/driver" % (_DEVICES, address))
    return "%s (driver %s)" % (address, driver) if driver else address
