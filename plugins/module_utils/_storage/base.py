# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of storage backends, and what they share. Nothing here touches the hypervisor."""

from __future__ import annotations

import ipaddress
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Optional, Protocol, Union

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._spec.vm import Cdrom, Vm, Volume

StorageItem = Union[Volume, Cdrom]

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
# The id of the secret object in qemu-img's options that holds the secret of an inquiry.
SECRET_OBJECT = "key"

CEPH_SCHEME = "ceph://"
FUSIONSTOR_SCHEME = "fusionstor://"
ISCSI_SCHEME = "iscsi://"

_DNS_NAME = re.compile(r"[A-Za-z0-9.-]+")


class StorageFacts(NamedTuple):
    """Facts from the hypervisor that are needed to describe disks.

    C(formats): install path to raw or qcow2. C(block_devices): the paths of volumes and CDs that are block devices
    instead of files. C(chap_secrets): the UUID of the existing libvirt secret
    for an iSCSI target name. C(floppies): the floppy images that exist. C(problems): images that are not as expected.
    C(seed_path): the cloud-init seed, empty for the first one of a VM.
    """

    formats: Mapping[str, str] = MappingProxyType({})
    chap_secrets: Mapping[str, str] = MappingProxyType({})
    block_devices: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    floppies: frozenset[str] = frozenset()
    seed_path: str = ""


class DiskSource(NamedTuple):
    """The part of a C(disk) element that depends on the location of the data.

    C(disk_type) and C(device) are attributes of C(disk) (C(device) is C(lun) for a passed-through LUN, else C(disk); a
    CD drive stays a C(cdrom)), C(driver_type) is raw or qcow2. C(shareable): shared, whatever the options say. C(bus):
    the only bus that this source can be on.
    """

    disk_type: str
    source: etree._Element
    driver_type: str = "raw"
    device: str = "disk"
    snapshot: Optional[str] = None
    shareable: bool = False
    bus: Optional[str] = None


class Address(NamedTuple):
    """The address of a storage server: a host and port, or the path of a unix socket without port.

    C(greeting): the number of bytes that the server sends to a client that connects.
    """

    host: str
    port: Optional[int] = None
    greeting: int = 0

    def __str__(self) -> str:
        return self.host if self.port is None else "%s:%s" % (bracketed(self.host), self.port)


class HostFiles(Protocol):
    """The queries of backends about the files of the hypervisor."""

    def is_hidden(self, path: str) -> bool: ...

    def path_kind(self, path: str) -> Optional[str]: ...

    def read_text(self, path: str) -> Optional[str]: ...


class Greeting(Protocol):
    """The IP address of a server that answered, and the first bytes that it sent."""

    @property
    def ip_address(self) -> str: ...

    @property
    def text(self) -> bytes: ...


class InquiryContext(NamedTuple):
    """The context in which a backend builds the inquiry for an item of a VM.

    C(files) is None if the hypervisor is reached through libvirt only. C(ceph_key) returns the key that a libvirt
    secret will have, None for a private one, or raises C(secret_missing). C(greetings) has the TCP servers that
    answered, with their greetings.
    """

    vm: Vm
    files: Optional[HostFiles]
    ceph_key: Callable[[str], Optional[str]]
    greetings: Mapping[Address, Greeting]


class Inquiry(NamedTuple):
    """A test whether qemu-img can open the image with these options, given C(stdin) as its input.

    C(is_secret): the input is the value of the secret object C(SECRET_OBJECT).
    """

    image: str
    stdin: Optional[str] = None
    is_secret: bool = False


class Backend(ABC):
    """One kind of storage."""

    @abstractmethod
    def check(self, item: StorageItem) -> list[Problem]:
        """Return the problems in the description of an item."""

    @abstractmethod
    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        """Return the location of the data in libvirt's terms. The item has passed C(check)."""

    def addresses(self, item: StorageItem) -> tuple[Address, ...]:
        """Return the servers, at least one of which must answer."""
        return ()

    @abstractmethod
    def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
        """Return the test for qemu-img, None if none is possible or needed. Raises C(VmError) if it would fail."""

    def explain(self, item: StorageItem, reason: str) -> Optional[tuple[str, str]]:
        """Return the error code and message for qemu-img's output, None if it is no error of this item."""
        unknown = re.search(r"Unknown (?:driver|protocol) '(\w+)'", reason)
        if unknown:
            return "unsupported_device", "the hypervisor's QEMU has no driver for %s" % unknown.group(1)
        return "image_unreadable", "qemu-img cannot open %s: %s" % (path_of(item), reason)


def image_options(**options: Any) -> str:
    """Return an image in qemu-img's syntax; its options may have any characters."""
    return "json:" + json.dumps(options)


def path_of(item: StorageItem) -> str:
    """Return the install path of a volume, the path of a CD."""
    return item.path if isinstance(item, Cdrom) else item.install_path


def option_path_of(item: StorageItem) -> str:
    """Return the option path of the item's path in the input."""
    return "%s.%s" % (item.option_path, "path" if isinstance(item, Cdrom) else "install_path")


def check_url(item: StorageItem, scheme: str, form: str) -> list[Problem]:
    """Return problems unless the path is a plain URL with this scheme. C(form) describes the expected form."""
    path = path_of(item)
    if not path.startswith(scheme):
        return [Problem(option_path_of(item), "%r does not have the form %s" % (path, form))]
    if CONTROL_CHARACTERS.search(path):
        return [Problem(option_path_of(item), "%r contains control characters" % path)]
    return []


def host_name(text: str) -> Optional[str]:
    """Return a host as libvirt's schema accepts it (IPv6 without brackets, shortest form), None if it is invalid."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return text if _DNS_NAME.fullmatch(text) else None
    if address.version == 4 and bare != text:
        return None
    return address.compressed if "%" not in bare else None


def bracketed(host: str) -> str:
    """Return the host as written before a colon and a port: IPv6 in brackets."""
    return "[%s]" % host if ":" in host else host


def network_source(protocol: str, name: str, hosts: Iterable[tuple[str, int]]) -> etree._Element:
    """Return the C(source) of a network disk that is reached over TCP."""
    source = etree.Element("source", protocol=protocol, name=name)
    for host, port in hosts:
        etree.SubElement(source, "host", name=host, port=str(port))
    return source


def add_auth(source: etree._Element, username: str, secret_type: str, secret_uuid: str) -> None:
    """Add authentication to C(source). libvirt's schema also allows it beside C(source), but not both."""
    auth = etree.SubElement(source, "auth", username=username)
    etree.SubElement(auth, "secret", type=secret_type, uuid=secret_uuid)
