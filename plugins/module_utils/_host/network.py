# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of the hypervisor: devices, addresses, and who listens."""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
from typing import NamedTuple

from .._errors.errors import VmError
from ..deadline import call_with_deadline
from . import paths as host_paths
from .files import Files

# The state of a socket in /proc/net/tcp, see include/net/tcp_states.h of the kernel.
_LISTENING = "0A"


class ServerGreeting(NamedTuple):
    """The IP address of a server that answered, and what it said first."""

    ip_address: str
    text: bytes


def _address_of(digits: str) -> str:
    """Return the address that the kernel writes as one or four numbers in the machine's byte order."""
    words = [int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _unreachable(error: Exception, timeout: float) -> VmError:
    # Python 3.9's socket.timeout is not yet TimeoutError. The system's own timeout has a number (errno).
    if isinstance(error, (TimeoutError, socket.timeout)) and not error.errno:
        return VmError("storage_unreachable", "no answer within %g seconds" % timeout)
    return VmError("storage_unreachable", getattr(error, "strerror", None) or str(error))


class Network:
    """The network devices, addresses and servers of the hypervisor, and the servers that it can reach."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def bridge_exists(self, name: str) -> bool:
        """Return whether a network device of that name exists and is a bridge of the kernel."""
        return self._files.path_kind("/sys/class/net/%s/bridge" % name) == "directory"

    def bridges(self) -> list[str]:
        """Return the names of the bridges of the kernel."""
        return [name for name in self._files.list_directory("/sys/class/net") if self.bridge_exists(name)]

    def network_device_exists(self, name: str) -> bool:
        """Return whether there is a network device of that name, of whatever kind."""
        return self._files.path_kind("/sys/class/net/%s" % name) is not None

    def listening_endpoints(self) -> list[tuple[str, int]]:
        """Return the addresses and TCP ports that processes listen on."""
        found = []
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in (self._files.read_text(table) or "").splitlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                if state == _LISTENING:
                    address, _colon, port = local.partition(":")
                    found.append((_address_of(address), int(port, 16)))
        return found

    def arp_table(self) -> dict[str, list[str]]:
        """Return the IPv4 addresses of each MAC address in the kernel's ARP table."""
        table: dict[str, list[str]] = {}
        for line in (self._files.read_text("/proc/net/arp") or "").splitlines()[1:]:
            address, _kind, flags, mac = line.split()[:4]
            # 0: the kernel has sent a request, but got no reply.
            if int(flags, 16):
                table.setdefault(mac.lower(), []).append(address)
        return table

    def connect(self, host: str, port: int, timeout: float, greeting: int = 0) -> ServerGreeting:
        """Connect to a TCP server, and return the first C(greeting) bytes that it sends unprompted."""

        def greet() -> ServerGreeting:
            with socket.create_connection((host, port), timeout) as client:
                received = client.recv(greeting, socket.MSG_WAITALL) if greeting else b""
                return ServerGreeting(str(client.getpeername()[0]), received)

        try:
            return call_with_deadline(greet, timeout)
        except (OSError, UnicodeError) as error:
            raise _unreachable(error, timeout) from error

    def connect_to_socket(self, path: str, timeout: float) -> None:
        """Connect to a server on a unix socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout)
            try:
                client.connect(self._files.path(path))
            except OSError as error:
                raise _unreachable(error, timeout) from error

    def has_listener(self, path: str) -> bool:
        """Return whether somebody listens on a unix socket, or may do so: only a refusal says that nobody does."""
        try:
            return host_paths.socket_has_listener(path, self._files.root)
        except OSError:
            return True

    def ip_addresses(self) -> frozenset[str]:
        """Return the IP addresses that the hypervisor has, loopback included."""
        table = self._files.read_text("/proc/net/fib_trie") or ""
        found = set(re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", table))
        for line in (self._files.read_text("/proc/net/if_inet6") or "").splitlines():
            found.add(ipaddress.IPv6Address(int(line.split()[0], 16)).compressed)
        return frozenset(found)

    def answers(self, address: str, port: int) -> bool:
        """Return whether something listens on a TCP port of this machine."""
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            return False
