# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt. Nothing else imports it; from here come plain data and L(VmError)s only."""

from __future__ import annotations

from .binding import LIBVIRT_IMPORT_ERROR
from .connection import SLOW_CALLS_AT_ONCE
from .domains import ListedDomain, Removal
from .host import HostCalls
from .running_domains import RunningDomainCalls
from .secrets import ListedSecret, SecretCalls
from .serial_console import ConsoleStream


class Hypervisor(HostCalls, RunningDomainCalls, SecretCalls):
    """A connection to libvirt. Its methods may be called from several threads at once."""


__all__ = [
    "LIBVIRT_IMPORT_ERROR",
    "SLOW_CALLS_AT_ONCE",
    "ConsoleStream",
    "Hypervisor",
    "ListedDomain",
    "ListedSecret",
    "Removal",
]
