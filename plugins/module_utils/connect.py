# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that say which libvirt to connect to, and the connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._errors.errors import VmError
from ._host.system import HostSystem
from ._libvirt.authentication import with_authfile
from ._libvirt.hypervisor import Hypervisor

CONNECTION_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "uri": {"type": "str", "default": "qemu:///system"},
    "authfile": {"type": "path"},
}


def connect(options: Mapping[str, Any]) -> Hypervisor:
    """Open the connection that a module's options describe; raises VmError."""
    uri, authfile = options["uri"], options["authfile"]
    if authfile is None:
        return Hypervisor.connect(uri)
    if HostSystem().files.read_head(authfile, 1) is None:
        raise VmError("path_unreadable", "authfile: there is no file %s" % authfile)
    return Hypervisor.connect(with_authfile(uri, authfile))
