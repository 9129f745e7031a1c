# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the resources of the hypervisor that a running domain uses: files, sockets, tap devices, ports. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._libvirt.domain_facts import label

_WILDCARDS = ("", "*", "0.0.0.0", "::")
_LOOPBACK = "127.0.0.1"
_QEMU_ARGUMENTS = "{%(qemu)s}commandline/{%(qemu)s}arg" % {"qemu": "http://libvirt.org/schemas/domain/qemu/1.0"}
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_ATTRIBUTES = ("port", "tlsPort", "websocket")


@dataclass(frozen=True)
class Endpoint:
    """A TCP port to listen on; C(address) is a wildcard for all addresses."""

    address: str
    port: int

    def clashes_with(self, other: Endpoint) -> bool:
        """Return whether only one of both can be listened on."""
        is_same = self.address == other.address or self.address in _WILDCARDS or other.address in _WILDCARDS
        return self.port == other.port and is_same


@dataclass(frozen=True)
class Claims:
    """C(sockets) are those that QEMU listens on, C(peers) those of others that it connects to.

    C(logs) are the files that devices of the VM write, C(streams) the pipes and character devices that QEMU opens.
    C(nvram) maps its files to their formats, C(images) are the files and devices of disks,
    C(written) those of them that the guest writes to, C(unshared) those that no other may write to then.
    C(label) names the VM.
    """

    label: str
    sockets: frozenset[str] = frozenset()
    peers: frozenset[str] = frozenset()
    logs: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()
    nvram: tuple[tuple[str, str], ...] = ()
    images: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    unshared: frozenset[str] = frozenset()
    taps: frozenset[str] = frozenset()
    macs: frozenset[str] = frozenset()
    endpoints: tuple[Endpoint, ...] = ()


_WRITTEN = tuple("devices/disk[not(readonly)]/source/@%s" % name for name in ("file", "dev"))
_UNSHARED = tuple(path.replace("[not(readonly)]", "[not(readonly)][not(shareable)]") for path in _WRITTEN)

NO_CLAIMS = Claims("")


def claims_of(domain: etree._Element, live: bool = False) -> Claims:
    """Return the claims of a definition, or of a running domain with the ports and taps that libvirt chose."""
    return Claims(
        label=label(domain),
        sockets=frozenset(_sockets(domain)),
        peers=frozenset(_peers(domain)),
        logs=frozenset(_logs(domain)),
        streams=frozenset(_streams(domain)),
        nvram=tuple((nvram.text, nvram.get("format", "raw")) for nvram in domain.iterfind("os/nvram") if nvram.text),
        written=frozenset(_texts(domain, *_WRITTEN)),
        unshared=frozenset(_texts(domain, *_UNSHARED)),
        images=frozenset(_images(domain)),
        taps=frozenset(_taps(domain)),
        macs=frozenset(mac.lower() for mac in _texts(domain, "devices/interface/mac/@address")),
        endpoints=tuple(_endpoints(domain, live)),
    )


@cache
def _compiled(xpath: str) -> etree.XPath:
    return etree.XPath(xpath)


def _texts(domain: etree._Element, *xpaths: str) -> list[str]:
    """Return the texts at all of the paths."""
    return [str(value) for value in _compiled(" | ".join(xpaths))(domain) if value]


def _sockets(domain: etree._Element) -> Iterator[str]:
    """Return the sockets of character devices, vhost-user NICs, graphics, and QMP beside libvirt's."""
    yield from _texts(
        domain,
        "devices//*[@type='unix']/source[@mode='bind']/@path",
        "devices/interface[@type='vhostuser']/source[@mode='server']/@path",
        "devices/graphics/@socket",
        "devices/graphics/listen[@type='socket']/@socket",
    )
    arguments = [str(argument.get("value")) for argument in domain.iterfind(_QEMU_ARGUMENTS)]
    for option, value in zip(arguments, arguments[1:]):
        if option == "-qmp" and value.startswith("unix:"):
            yield value[len("unix:") :].partition(",")[0]


def _peers(domain: etree._Element) -> Iterator[str]:
    """Return the sockets of other processes: of character devices, shared memory, vhost-user and virtiofs."""
    yield from _texts(
        domain,
        "devices//*[@type='unix']/source[@mode='connect']/@path",
        "devices/interface[@type='vhostuser']/source[@mode='client']/@path",
        "devices/disk[@type='vhostuser']/source/@path",
        "devices/shmem/server/@path",
        "devices/filesystem/source/@socket",
    )


def _logs(domain: etree._Element) -> Iterator[str]:
    """Return the logs of character devices and NICs, recorded sound, persistent stores, and states of TPMs."""
    yield from _texts(
        domain,
        "devices//*[@type='file'][not(self::disk)]/source/@path",
        "devices/*/log/@file",
        "devices/audio[@type='file']/@path",
        "devices/interface/backend/@logFile",
        "devices/pstore/path/text()",
        "devices/tpm/backend/source[@type='file']/@path",
    )


def _streams(domain: etree._Element) -> Iterator[str]:
    yield from _texts(domain, "devices//*[@type='dev']/source/@path")
    for path in _texts(domain, "devices//*[@type='pipe']/source/@path"):
        # QEMU takes the pair where it can open both.
        yield from (path, path + ".in", path + ".out")


def _images(domain: etree._Element) -> Iterator[str]:
    """Return the files and devices of disks and of non-volatile memory."""
    yield from _texts(
        domain, "devices/disk//source/@file", "devices/disk//source/@dev", "devices/memory/source/path/text()"
    )


def _taps(domain: etree._Element) -> Iterator[str]:
    for target in domain.iterfind("devices/interface/target[@dev]"):
        # managed='no' names a device that has to exist.
        if target.get("managed") != "no":
            yield str(target.get("dev"))


def _endpoints(domain: etree._Element, live: bool) -> Iterator[Endpoint]:
    for graphics in domain.iterfind("devices/graphics"):
        if not live and graphics.get("autoport") == "yes":
            continue
        address = _listen_address(graphics)
        if address is not None:
            ports = (_port(graphics.get(name)) for name in _PORT_ATTRIBUTES)
            yield from (Endpoint(address, port) for port in ports if port)
    for source in domain.iterfind("devices/*[@type='tcp']/source[@mode='bind']"):
        port = _port(source.get("service"))
        if port:
            yield Endpoint(source.get("host", ""), port)


def _listen_address(graphics: etree._Element) -> Optional[str]:
    """Return the address; loopback by default, None if the console listens on no address."""
    listen = graphics.find("listen")
    if listen is None:
        return str(graphics.get("listen") or _LOOPBACK) if graphics.get("socket") is None else None
    if listen.get("type") in ("none", "socket"):
        return None
    return str(listen.get("address") or _LOOPBACK)


def _port(text: Optional[str]) -> int:
    return int(text) if text is not None and _PORT.fullmatch(text) else 0
