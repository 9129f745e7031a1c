# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of callback URLs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Optional
from urllib.parse import SplitResult, unquote, urlsplit

_PORTS = {"http": 80, "https": 443}
_IPV6_SERVER = re.compile(r"([^][@]*@)?\[[0-9A-Fa-f:.]+\](:[0-9]*)?")


def problem_of(url: str, allowed: Optional[Sequence[str]] = None) -> str:
    """Return why results may not be sent to this URL, empty if they may.

    With a list of allowed URLs, scheme, host and port must be those of one of them, and the path must be its path
    or below it; an empty list allows none.
    """
    requested = _parts(url)
    if requested is None:
        return "it is not an http or https URL"
    if allowed is not None and not any(_covers(_parts(other), requested) for other in allowed):
        return "it is not an allowed one"
    return ""


def _parts(url: str) -> Optional[SplitResult]:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and parts.hostname and parts.port != 0 and _has_plain_brackets(parts)
    except ValueError:
        return None
    return parts if usable else None


def _has_plain_brackets(parts: SplitResult) -> bool:
    """Return whether brackets hold nothing but an IPv6 address; Pythons and HTTP clients read others differently.

    Raises ValueError if they hold something else.
    """
    if not {"[", "]"} & set(parts.netloc):
        return True
    IPv6Address(parts.hostname or "")
    return _IPV6_SERVER.fullmatch(parts.netloc) is not None


def _covers(allowed: Optional[SplitResult], requested: SplitResult) -> bool:
    if allowed is None or _server(allowed) != _server(requested):
        return False
    if "%2f" in requested.path.lower():  # a slash to some servers, part of a name to others
        return False
    above, path = allowed.path.rstrip("/"), unquote(requested.path)
    return _is_plain(path) and (path == above or path.startswith(above + "/"))


def _is_plain(path: str) -> bool:
    """Return whether every server reads a path alike: nothing in it leads upwards, also after one more decoding.

    Some take a backslash for a slash, and leave out of each segment what follows a semicolon.
    """
    segments = [segment.partition(";")[0] for segment in path.split("/")]
    return path.isprintable() and not set(path) & {"\\", "%"} and ".." not in segments


def _server(parts: SplitResult) -> tuple[str, Optional[str], int]:
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]
