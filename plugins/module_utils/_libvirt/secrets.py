# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of libvirt: cephx keys and CHAP passwords."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Optional, TypeVar

from .._errors.errors import VmError
from .binding import libvirt
from .connection import Connection

Answer = TypeVar("Answer")

# libvirt's numbers of what secrets are for, in its own words.
_SECRET_KINDS = ("none", "volume", "ceph", "iscsi", "tls", "vtpm")


@dataclass(frozen=True)
class ListedSecret:
    """A secret as the list of all secrets shows it.

    C(kind): ceph, iscsi or what else libvirt has secrets for; C(usage): its name among those; C(private): libvirt
    shows its value to nobody. C(given): the value that this connection gave it.
    """

    uuid: str
    kind: str
    usage: str
    private: bool = False
    given: Optional[bytes] = field(default=None, repr=False)


class SecretCalls(Connection):
    """Definitions and values."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._secrets: dict[str, Any] = {}
        self._known_secrets: Optional[dict[str, ListedSecret]] = None
        self._listing_secrets = threading.Lock()

    def _forget(self) -> None:
        """Drop the cached secrets: ephemeral ones are lost when libvirtd restarts."""
        super()._forget()
        self._secrets.clear()
        self._known_secrets = None

    def known_secrets(self) -> dict[str, ListedSecret]:
        """Return all secrets by UUID. libvirt is asked once; afterwards this connection tracks its own changes."""
        with self._listing_secrets:
            known = self._known_secrets
            if known is None:
                hidden = self._list_secrets(libvirt.VIR_CONNECT_LIST_SECRETS_PRIVATE)
                private, listed = {secret.UUIDString() for secret in hidden}, self._list_secrets(0)
                known = self._known_secrets = {}
                for secret in listed:
                    self._remember(secret, secret.UUIDString() in private)
            return dict(known)

    def _list_secrets(self, flags: int) -> list[Any]:
        return list(self._call_libvirt("list the secrets", self._connection.listAllSecrets, flags))

    def _remember(self, secret: Any, private: bool) -> None:
        uuid, number = secret.UUIDString(), secret.usageType()
        self._secrets[uuid] = secret
        known = self._known_secrets
        if known is not None:
            kind = _SECRET_KINDS[number] if number < len(_SECRET_KINDS) else "unknown"
            known[uuid] = ListedSecret(uuid, kind, secret.usageID() or "", private)

    def _forget_secret(self, uuid: str) -> None:
        self._secrets.pop(uuid, None)
        known = self._known_secrets
        if known is not None:
            known.pop(uuid, None)

    def secret_xml(self, uuid: str) -> Optional[str]:
        """Return the definition of a secret, None if it does not exist."""
        return self._of_secret(uuid, lambda secret: str(self._call_libvirt("read the secret", secret.XMLDesc)))

    def secret_value(self, uuid: str) -> Optional[bytes]:
        """Return the value of a secret, None where it has none; a private one gives VmError with C(libvirt_denied)."""
        return self._of_secret(uuid, self._value)

    def _value(self, secret: Any) -> Optional[bytes]:
        try:
            return bytes(self._call_libvirt("read the value of the secret", secret.value))
        except VmError as error:
            # libvirt says so of a secret without a value, too.
            if error.libvirt_code == libvirt.VIR_ERR_NO_SECRET:
                return None
            if error.libvirt_code == libvirt.VIR_ERR_INVALID_SECRET:
                self._remember(secret, private=True)
                raise VmError("libvirt_denied", "the secret %s is private" % secret.UUIDString()) from error
            raise

    def define_secret(self, xml: str, private: bool) -> None:
        """Define or redefine a secret. C(private) must match C(xml)."""
        self._remember(self._call_libvirt("define the secret", self._connection.secretDefineXML, xml), private)

    def set_secret_value(self, uuid: str, value: bytes) -> None:
        """Set the value of a secret. Raise C(secret_missing) if there is no such secret."""

        def set_value(secret: Any) -> bool:
            self._call_libvirt("set the value of the secret", secret.setValue, value)
            return True

        if not self._of_secret(uuid, set_value):
            raise VmError("secret_missing", "libvirt has no secret %s" % uuid)
        known = self._known_secrets
        if known is not None and uuid in known:
            known[uuid] = replace(known[uuid], given=value)

    def undefine_secret(self, uuid: str) -> None:
        """Remove a secret; none is fine."""
        self._of_secret(uuid, lambda secret: self._call_libvirt("remove the secret", secret.undefine))
        self._forget_secret(uuid)

    def _of_secret(self, uuid: str, ask: Callable[[Any], Answer]) -> Optional[Answer]:
        """Return what C(ask) returns for the secret, None if it does not exist or has been removed."""
        secret = self._secrets.get(uuid)
        try:
            if secret is None:
                found = self._call_libvirt("look up the secret", self._connection.secretLookupByUUIDString, uuid)
                self._remember(found, private=False)
                return ask(found)
            return ask(secret)
        except VmError as error:
            if error.libvirt_code != libvirt.VIR_ERR_NO_SECRET:
                raise
            if secret is not None:
                self._forget_secret(uuid)
            return None
