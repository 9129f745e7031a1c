# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a connection to libvirt is authenticated: by what libvirt's own file of credentials has, never by asking."""

from __future__ import annotations

import errno
from typing import Any
from urllib.parse import quote

from .binding import libvirt

# libvirt's numbers: VIR_ERR_INTERNAL_ERROR, VIR_ERR_SYSTEM_ERROR; VIR_FROM_NONE, _RPC, _REMOTE, _DBUS, _POLKIT.
_INTERNAL_ERROR, _SYSTEM_ERROR = 1, 38
_FROM_NOBODY = 0
_CLIENT_SOURCES = frozenset({7, 13})
_POLICY_SOURCES = frozenset({47, 60})


def with_authfile(uri: str, path: str) -> str:
    """Return the URI by which libvirt takes credentials from the file at C(path)."""
    return "%s%sauthfile=%s" % (uri, "&" if "?" in uri else "?", quote(path))


def open_authenticated(uri: str) -> Any:
    """Open a connection; credentials come from the URI's authfile or from the auth.conf that libvirt finds itself.

    libvirt looks into the file only for what it could also ask somebody for, who has no answer here.
    """
    kinds = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE]
    return libvirt.openAuth(uri, [kinds, lambda credentials, data: -1, None], 0)


def is_denied(number: int, source: int, system_errno: int) -> bool:
    """Return whether an error of opening a connection says that this user may not, or has no valid credentials."""
    if number == _SYSTEM_ERROR and source in _CLIENT_SOURCES:
        return system_errno in (errno.EACCES, errno.EPERM)
    # Access is polkit's to give, and it can't be asked; or the file of credentials can't be parsed.
    return number == _INTERNAL_ERROR and source in (*_POLICY_SOURCES, _FROM_NOBODY)
