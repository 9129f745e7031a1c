# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the daemons that libvirt needs to start a VM, before the VM is stopped for a restart."""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def missing_daemons(system: System, uri: str) -> list[str]:
    """Return a message for each daemon that a start needs and that isn't available.

    Of a remote hypervisor, leave to libvirt what can only be checked on it.
    """
    parts = urlsplit(uri)
    if system.is_remote or not parts.scheme.startswith("qemu") or parts.path != "/system":
        return []
    settings = _settings(system)
    return [
        "%s does not listen on %s, and libvirt starts no VM without it" % (daemon, socket)
        for daemon, setting, default, needed in _DAEMONS
        for socket in ["/run/libvirt/%s-sock" % daemon]
        if settings.get(setting, default) == needed
        if system.files.path_kind(socket) is None or not system.network.has_listener(socket)
    ]


def daemon_problems(vm: Vm, missing: Iterable[str]) -> list[Problem]:
    """Return the messages of missing daemons as problems of a VM."""
    return [Problem(vm.option_path, message, CODE) for message in missing]


def daemon_problem(option_path: str, error: VmError) -> list[Problem]:
    """Return the problem for an error that libvirt met when it called another daemon, if it is one."""
    return [] if error.code != CODE else [Problem(option_path, error.message, CODE)]


def _settings(system: System) -> dict[str, str]:
    try:
        text = system.files.read_text(_CONFIGURATION) or ""
    except VmError:
        # The file is readable for root only; otherwise libvirt's default is likely.
        return {}
    return dict(re.findall(r'^[ \t]*(\w+)[ \t]*=[ \t]*"([^"\n]*)"', text, re.MULTILINE))
