# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections of the agent API: how many at once, how many from one network, how long without a request."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Optional

ACCEPT_PAUSE = 0.1  # seconds after an error of the system, such as no more file descriptors

logger = logging.getLogger("zstack.kvm.start_vm_cmd")


class Limits(NamedTuple):
    """Connections at once, in all and from one network; seconds until the head of a request has arrived."""

    connections: int
    per_network: int
    seconds: float


class ClientConnection:
    """One connection. While C(complete), a whole request has arrived and isn't answered yet."""

    def __init__(self, network: str) -> None:
        self.network = network
        self.complete = False
        self.close: Callable[[], object] = lambda: None
        self.timer: Optional[asyncio.TimerHandle] = None


class Admission:
    """Decide who may connect. For a new connection the one that has been incomplete for longest makes room."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._connections: dict[ClientConnection, None] = {}
        self._networks: Counter[str] = Counter()

    def admit(self, new: ClientConnection) -> bool:
        """Add a connection; return whether there is room for it."""
        if self._networks[new.network] >= self._limits.per_network:
            admitted = self._make_room(new.network)
        else:
            admitted = len(self._connections) < self._limits.connections or self._make_room()
        if admitted:
            self._connections[new] = None
            self._networks[new.network] += 1
        return admitted

    def _make_room(self, network: Optional[str] = None) -> bool:
        for connection in self._connections:
            if not connection.complete and network in (None, connection.network):
                self.remove(connection)
                connection.close()
                return True
        return False

    def renew(self, connection: ClientConnection) -> None:
        """Count a connection as the newest: it has just been answered."""
        if connection in self._connections:
            del self._connections[connection]
            self._connections[connection] = None

    def remove(self, connection: ClientConnection) -> None:
        """Remove a closed connection."""
        if connection in self._connections:
            del self._connections[connection]
            self._networks[connection.network] -= 1
            self._networks += Counter()  # without those that are 0


class Connections:
    """Accept connections for the protocol that C(factory) returns."""

    def __init__(
        self, factory: Callable[[], asyncio.Protocol], limits: Limits, tls: Optional[ssl.SSLContext] = None
    ) -> None:
        self._factory = factory
        self._limits = limits
        self._tls = tls
        self._admission = Admission(limits)
        self._by_transport: dict[asyncio.BaseTransport, ClientConnection] = {}
        self._opening: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Accept until cancelled. Errors of the system are waited out."""
        loop, failing = asyncio.get_running_loop(), False
        while True:
            try:
                client, address = await loop.sock_accept(listener)
            except OSError as error:
                if not failing:
                    logger.warning("cannot accept connections, trying again: %s", error.strerror)
                failing = True
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            failing = False
            connection = ClientConnection(network_of(address[0]))
            if self._admission.admit(connection):
                self._start(client, connection)
            else:
                client.close()

    def _start(self, client: socket.socket, connection: ClientConnection) -> None:
        watched = _Watched(self._factory(), lambda transport: self._opened(transport, connection), self._closed)
        opening = asyncio.create_task(self._open(client, watched))
        connection.close = opening.cancel

        def opened(_opening: asyncio.Task[None]) -> None:
            self._opening.discard(opening)
            if not watched.connected:
                self._admission.remove(connection)
                client.close()

        self._opening.add(opening)
        opening.add_done_callback(opened)

    async def _open(self, client: socket.socket, watched: _Watched) -> None:
        seconds = self._limits.seconds if self._tls else None
        with suppress(OSError):  # of a handshake that fails or takes too long
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: watched, client, ssl=self._tls, ssl_handshake_timeout=seconds
            )

    def _opened(self, transport: asyncio.Transport, connection: ClientConnection) -> None:
        self._by_transport[transport] = connection
        connection.close = transport.abort
        self._wait(connection)

    def _closed(self, transport: asyncio.Transport) -> None:
        connection = self._by_transport.pop(transport)
        self._stop_waiting(connection)
        self._admission.remove(connection)

    def _wait(self, connection: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        connection.timer = loop.call_later(self._limits.seconds, connection.close)

    def _stop_waiting(self, connection: ClientConnection) -> None:
        if connection.timer is not None:
            connection.timer.cancel()
            connection.timer = None

    @contextmanager
    def answering(self, transport: Optional[asyncio.BaseTransport]) -> Iterator[ClientConnection]:
        """Yield the connection on which a request's head has arrived; afterwards it has to send another in time."""
        connection = self._by_transport.get(transport) if transport is not None else None
        if connection is None:  # closed meanwhile
            yield ClientConnection("")
            return
        self._stop_waiting(connection)
        try:
            yield connection
        finally:
            connection.complete = False
            if transport in self._by_transport:
                self._admission.renew(connection)
                self._wait(connection)


class _Watched(asyncio.Protocol):
    """A protocol that reports when its connection is made, and when it is lost."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        opened: Callable[[asyncio.Transport], None],
        closed: Callable[[asyncio.Transport], None],
    ) -> None:
        self._inner = inner
        self._opened = opened
        self._closed = closed
        self._transport: Optional[asyncio.Transport] = None
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    @property
    def connected(self) -> bool:
        """Return whether the connection was ever there."""
        return self._transport is not None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._opened(transport)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        if self._transport is not None:
            self._closed(self._transport)
        self._inner.connection_lost(exc)


def network_of(address: str) -> str:
    """Return what counts as one sender: an IPv4 address, or an IPv6 network of 64 bits, which one machine can fill."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


async def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen at every address of C(host). Raises C(OSError)."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, address) for family, _type, _proto, _name, address in found):
            listener = socket.create_server(address[:2], family=family, backlog=512)
            listener.setblocking(False)
            listeners.append(listener)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners
