# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every storage backend offers, and what they share. Nothing here touches the hypervisor."""

from __future__ import annotations

import ipaddress
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._spec.vm import Cdrom, Vm, Volume

if TYPE_CHECKING:
    from .._host.network import ServerGreeting
    from .._host.system import System

StorageItem = Union[Volume, Cdrom]

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
# The secret object among qemu-img's options that holds the secret of an inquiry.
SECRET_OBJECT = "key"

_DNS_NAME = re.compile(r"[A-Za-z0-9.-]+")


@dataclass(frozen=True)
class StorageFacts:
    """What has to be asked of the hypervisor before disks can be described.

    C(formats): install path to raw or qcow2. C(block_devices): the paths of volumes and CDs that are no files but block
    devices. C(chap_secrets): the UUID of the libvirt secret that already
    stands for an iSCSI target name. C(problems): images that are not what they should be.
    """

    formats: Mapping[str, str] = field(default_factory=dict)
    chap_secrets: Mapping[str, str] = field(default_factory=dict)
    block_devices: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class DiskSource:
    """The part of a C(disk) element that depends on where the data lies.

    C(disk_type) and C(device) are attributes of C(disk) (C(device) is C(lun) for a passed-through LUN, else
    C(disk); a CD drive stays a C(cdrom)), C(driver_type) is raw or qcow2. C(shareable): shared whatever the
    document says. C(bus): the only bus that this source can be on.
    """

    disk_type: str
    source: etree._Element
    driver_type: str = "raw"
    device: str = "disk"
    snapshot: Optional[str] = None
    shareable: bool = False
    bus: Optional[str] = None


class Address(NamedTuple):
    """Where a storage server listens: a host and port, or the path of a unix socket without port.

    C(greeting): how many bytes the server sends to whoever connects.
    """

    host: str
    port: Optional[int] = None
    greeting: int = 0

    def __str__(self) -> str:
        return self.host if self.port is None else "%s:%s" % (bracketed(self.host), self.port)


class Asking(NamedTuple):
    """What a backend needs to know to ask for an item of a VM.

    C(ceph_key) gives the key that a libvirt secret will have: None for a private one, C(secret_missing) for none.
    C(greetings) has the TCP servers that answered, and what they said.
    """

    vm: Vm
    system: System
    ceph_key: Callable[[str], Optional[str]]
    greetings: Mapping[Address, ServerGreeting]


class Inquiry(NamedTuple):
    """What to ask qemu-img: whether it can open the image with these options, with C(stdin) as its input.

    C(is_secret): the input is the value of the secret object C(SECRET_OBJECT).
    """

    image: str
    stdin: Optional[str] = None
    is_secret: bool = False


class Backend(ABC):
    """One kind of storage. C(scheme) is what its URLs begin with, empty where a path is meant."""

    scheme = ""

    @abstractmethod
    def check(self, item: StorageItem) -> list[Problem]:
        """What is wrong with the item as it is written."""

    @abstractmethod
    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        """Where the data lies, in libvirt's words. The item has passed C(check)."""

    def addresses(self, item: StorageItem) -> tuple[Address, ...]:
        """The servers of which one must answer."""
        return ()

    @abstractmethod
    def inquiry(self, item: StorageItem, asking: Asking) -> Optional[Inquiry]:
        """What to ask qemu-img, None if nothing can or need be asked. Raises C(VmError) if all is clear already."""

    def explain(self, item: StorageItem, reason: str) -> Optional[tuple[str, str]]:
        """The error code for what qemu-img says, and what to say of it; None where nothing is to be said."""
        unknown = re.search(r"Unknown (?:driver|protocol) '(\w+)'", reason)
        if unknown:
            return "unsupported_device", "the hypervisor's QEMU has no driver for %s" % unknown.group(1)
        return "image_unreadable", "qemu-img cannot open %s: %s" % (path_of(item), reason)


def image_options(**options: Any) -> str:
    """An image as qemu-img takes it, whatever characters are in its options."""
    return "json:" + json.dumps(options)


def path_of(item: StorageItem) -> str:
    """The install path of a volume, the path of a CD."""
    return item.path if isinstance(item, Cdrom) else item.install_path


def option_path_of(item: StorageItem) -> str:
    """Where the path stands in the input."""
    return "%s.%s" % (item.option_path, "path" if isinstance(item, Cdrom) else "install_path")


def check_url(item: StorageItem, scheme: str, form: str) -> list[Problem]:
    """A URL is there, and nothing in it that would be lost on the way. C(form) is how it should look."""
    path = path_of(item)
    if not path.startswith(scheme):
        return [Problem(option_path_of(item), "%r is not of the form %s" % (path, form))]
    if CONTROL_CHARACTERS.search(path):
        return [Problem(option_path_of(item), "%r has control characters" % path)]
    return []


def host_name(text: str) -> Optional[str]:
    """A host as libvirt's schema takes it (IPv6 without brackets, in its shortest form), None if it is no host."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return text if _DNS_NAME.fullmatch(text) else None
    if address.version == 4 and bare != text:
        return None
    return address.compressed if "%" not in bare else None


def bracketed(host: str) -> str:
    """The host as it stands before a colon and a port."""
    return "[%s]" % host if ":" in host else host


def network_source(protocol: str, name: str, hosts: Iterable[tuple[str, int]]) -> etree._Element:
    """The C(source) of a network disk that is reached over TCP."""
    source = etree.Element("source", protocol=protocol, name=name)
    for host, port in hosts:
        etree.SubElement(source, "host", name=host, port=str(port))
    return source


def add_auth(source: etree._Element, username: str, secret_type: str, secret_uuid: str) -> None:
    """Authentication inside C(source): libvirt's schema takes it beside C(source) too, but never both."""
    auth = etree.SubElement(source, "auth", username=username)
    etree.SubElement(auth, "secret", type=secret_type, uuid=secret_uuid)
