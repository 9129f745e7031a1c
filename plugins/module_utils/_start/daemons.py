# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons that libvirt asks when it starts a VM: found to be down before a VM is stopped for a restart."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from .._errors.errors import Problem, VmError
from .._host.system import System
from .._spec.vm import Vm

CODE = "daemon_unavailable"
_CONFIGURATION = "/etc/libvirt/qemu.conf"
# Each with the setting of qemu.conf that decides about it, its default, and the value with which it is needed.
_DAEMONS = (
    ("virtlogd", "stdio_handler", "logd", "logd"),
    ("virtlockd", "lock_manager", "nop", "lockd"),
)


def daemon_problems(vm: Vm, system: System, uri: str) -> list[Problem]:
    """Return a problem for each daemon that a start of the VM needs and that isn't there.

    What can only be seen on the hypervisor is left to libvirt elsewhere.
    """
    parts = urlsplit(uri)
    if system.is_remote or not parts.scheme.startswith("qemu") or parts.path != "/system":
        return []
    settings = _settings(system)
    return [
        Problem(
            vm.option_path, "%s does not listen on %s, and libvirt starts no VM without it" % (daemon, socket), CODE
        )
        for daemon, setting, default, needed in _DAEMONS
        for socket in ["/run/libvirt/%s-sock" % daemon]
        if settings.get(setting, default) == needed
        if system.files.path_kind(socket) is None or not system.network.has_listener(socket)
    ]


def daemon_problem(option_path: str, error: VmError) -> list[Problem]:
    """Return the problem that an error is if libvirt met it when it asked another daemon."""
    return [] if error.code != CODE else [Problem(option_path, error.message, CODE)]


def _settings(system: System) -> dict[str, str]:
    try:
        text = system.files.read_text(_CONFIGURATION) or ""
    except VmError:
        # It is for root only; libvirt's own default is likely then.
        return {}
    return dict(re.findall(r'^[ \t]*(\w+)[ \t]*=[ \t]*"([^"\n]*)"', text, re.MULTILINE))
