# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP addresses from guests, their agents and tables of the kernel. Pure.

Whatever a guest reports may end up as C(ansible_host), so only what is an address is passed on.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Optional, Union

from .foreign_text import clean_line

# More than any honest guest has; an agent can report some hundred thousand.
MAX_ADDRESSES = 256
_SHOWN_CHARACTERS = 60
_LONGEST_NAME = 256
# The kernel allows more in the name of an interface than a shell, a template or a URL tolerates.
_SCOPE = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,15}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5,19}")


def parse_address(text: Any) -> Optional[str]:
    """Return an address in its usual spelling, with the scope of an IPv6 address; None for anything else.

    The scope has to be the name or the number of an interface: 1 to 15 letters, digits and C(_.-).
    """
    if not isinstance(text, str):
        return None
    address, percent, scope = text.partition("%")
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if not percent:
        return str(parsed)
    return "%s%%%s" % (parsed, scope) if parsed.version == 6 and _SCOPE.fullmatch(scope) else None


def usable_address(addresses: Sequence[str]) -> Optional[str]:
    """Return the address by which others reach the guest best, of those that L(parse_address) has returned.

    The first that isn't a unique local IPv6 address (fc00::/7), else the first of those. None if there is neither:
    link-local addresses are of no use to others.
    """
    usable = [address for address in addresses if _is_usable(ipaddress.ip_address(address.partition("%")[0]))]
    unique_local = ipaddress.ip_network("fc00::/7")
    routed = [address for address in usable if ":" not in address or ipaddress.ip_address(address) not in unique_local]
    return next(iter([*routed, *usable]), None)


def _is_usable(address: Union[ipaddress.IPv4Address, ipaddress.IPv6Address]) -> bool:
    return not (address.is_link_local or address.is_loopback or address.is_multicast or address.is_unspecified)


def merge_addresses(answers: Mapping[str, Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the addresses of a guest, each once, and warnings about what was left out.

    C(answers) has libvirt's answer by source; the first source of an address is kept. Addresses of loopback are left
    out, and so is whatever is not an address.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    warnings = []
    reported = list(islice(_reported(answers), MAX_ADDRESSES + 1))
    for source, name, interface, each in reported[:MAX_ADDRESSES]:
        address = parse_address(each.get("addr"))
        if address is None:
            what = clean_line(repr(each.get("addr"))[: _SHOWN_CHARACTERS + 1])[:_SHOWN_CHARACTERS]
            warnings.append("%s reports an invalid address, which is ignored: %s" % (_SOURCES[source], what))
        elif not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            mac = _mac(interface.get("hwaddr"))
            entry = {
                "address": address,
                "prefix": _prefix(address, each.get("prefix")) if source != "arp" else None,
                "mac": mac,
                "interface": clean_line(name[:_LONGEST_NAME]),
                "source": source,
            }
            found.setdefault((address, str(mac).lower()), entry)
    if len(reported) > MAX_ADDRESSES:
        warnings.append("it reports more than %d addresses; the others are ignored" % MAX_ADDRESSES)
    return list(found.values()), list(dict.fromkeys(warnings))


_SOURCES = {"agent": "the guest agent", "lease": "libvirt's DHCP server", "arp": "the ARP table"}


def _reported(answers: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any], Any]]:
    for source, interfaces in answers.items():
        for name, interface in interfaces.items():
            for each in interface.get("addrs") or ():
                yield source, name, interface, each


def _mac(text: Any) -> Optional[str]:
    return text if isinstance(text, str) and _MAC.fullmatch(text) else None


def _prefix(address: str, prefix: Any) -> Optional[int]:
    most = 128 if ":" in address else 32
    return prefix if isinstance(prefix, int) and 0 <= prefix <= most else None
