# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials file of a connection, and the errors of users who may not connect."""

from __future__ import annotations

import errno

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.authentication import is_denied, with_authfile


@pytest.mark.parametrize(
    ("uri", "path", "used"),
    [
        ("qemu+tcp://hv1/system", "/etc/auth.conf", "qemu+tcp://hv1/system?authfile=/etc/auth.conf"),
        ("qemu+tls://hv1/system?pkipath=/p", "/a b&c", "qemu+tls://hv1/system?pkipath=/p&authfile=/a%20b%26c"),
    ],
)
def test_the_file_is_part_of_the_uri(uri: str, path: str, used: str) -> None:
    assert with_authfile(uri, path) == used


@pytest.mark.parametrize(
    ("number", "source", "system_errno", "denied"),
    [
        (38, 7, errno.EACCES, True),  # the socket is another group's
        (38, 7, errno.EPERM, True),
        (38, 13, errno.EACCES, True),
        (38, 7, errno.ECONNREFUSED, False),
        (38, 7, errno.ENOENT, False),
        (1, 47, -1, True),  # no D-Bus for polkit
        (1, 0, 0, True),  # an auth.conf that can't be parsed
        (1, 7, -1, False),
    ],
)
def test_errors_that_deny_access(number: int, source: int, system_errno: int, denied: bool) -> None:
    assert is_denied(number, source, system_errno) is denied
