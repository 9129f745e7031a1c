# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and CDs that are RBD images of a ceph cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem, VmError
from .._spec.vm import Cdrom
from .base import (
    CEPH_SCHEME,
    Address,
    Backend,
    DiskSource,
    Greeting,
    Inquiry,
    InquiryContext,
    StorageFacts,
    StorageItem,
    add_auth,
    check_url,
    host_name,
    image_options,
    network_source,
    option_path_of,
    path_of,
)

# The cephx user of ZStack's clusters; its documents cannot name another.
CEPH_USER = "zstack"

# The snapshot names that libvirt's schema accepts.
_SNAPSHOT_NAME = re.compile(r"[A-Za-z0-9_+-]+")


# A monitor's greeting starts with "ceph v027" or, in the newer protocol, with "ceph v2".
_GREETING_SIZE = 8

_CEPH_SECONDS = 6
_CEPH_TIMEOUTS = ("client mount timeout", "rados mon op timeout", "rados osd op timeout")


class RbdImage(NamedTuple):
    """An image, or a snapshot of it. Names are literal, not URL-encoded."""

    pool: str
    image: str
    snapshot: Optional[str]


def parse_image(item: StorageItem) -> RbdImage:
    """Return the image of C(ceph://POOL/IMAGE), or of C(ceph://POOL/IMAGE@SNAP) for a CD. Parts may be empty."""
    pool, dummy, image = path_of(item)[len(CEPH_SCHEME) :].partition("/")
    if isinstance(item, Cdrom) and "@" in image:
        image, dummy, snapshot = image.rpartition("@")
        return RbdImage(pool, image, snapshot)
    return RbdImage(pool, image, None)


def _monitors(item: StorageItem) -> list[tuple[str, int]]:
    return [(host_name(monitor.hostname) or "", monitor.port) for monitor in item.mon_info]


def configuration(monitors: Iterable[Address], greetings: Mapping[Address, Greeting], key: Optional[str]) -> str:
    """Return a ceph.conf with the answering monitors, short timeouts, and the key, to keep it out of the arguments.

    It names each monitor's protocol: otherwise ceph may try both, and report a wrong key as no answer.
    """
    hosts = []
    for monitor in monitors:
        greeting = greetings.get(monitor)
        if greeting is not None and greeting.text.startswith(b"ceph v"):
            protocol = "v2" if greeting.text.startswith(b"ceph v2") else "v1"
            hosts.append("[%s:%s]" % (protocol, monitor._replace(host=greeting.ip_address)))
    if not hosts:
        raise VmError("storage_unreachable", "none of the monitors speaks ceph's protocol")
    lines = ["[global]", "mon host = %s" % ",".join(hosts)]
    lines += ["%s = %d" % (name, _CEPH_SECONDS) for name in _CEPH_TIMEOUTS]
    lines.append("key = %s" % key if key is not None else "auth client required = none")
    return "\n".join([*lines, ""])


class CephBackend(Backend):
    """C(install_path) is C(ceph://POOL/IMAGE)."""

    def check(self, item: StorageItem) -> list[Problem]:
        form = "ceph://POOL/IMAGE@SNAPSHOT" if isinstance(item, Cdrom) else "ceph://POOL/IMAGE"
        problems = check_url(item, CEPH_SCHEME, form)
        if not problems:
            image = parse_image(item)
            if not image.pool or not image.image:
                problems.append(Problem(option_path_of(item), "%r does not have the form %s" % (path_of(item), form)))
            if image.snapshot is not None and not _SNAPSHOT_NAME.fullmatch(image.snapshot):
                problems.append(
                    Problem(
                        option_path_of(item),
                        'the snapshot name %r may have only letters, digits, "_", "+" and "-": '
                        "libvirt accepts no others" % image.snapshot,
                    )
                )
        if not item.mon_info:
            problems.append(Problem("%s.mon_info" % item.option_path, "an image in ceph needs at least one monitor"))
        for index, monitor in enumerate(item.mon_info):
            if host_name(monitor.hostname) is None:
                problems.append(
                    Problem(
                        "%s.mon_info[%d].hostname" % (item.option_path, index),
                        "%r is neither a host name nor an IP address" % monitor.hostname,
                    )
                )
        return problems

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        image = parse_image(item)
        source = network_source("rbd", "%s/%s" % (image.pool, image.image), _monitors(item))
        if image.snapshot is not None:
            # As part of the name, QEMU would read it as the name of an image.
            etree.SubElement(source, "snapshot", name=image.snapshot)
        if item.secret_uuid:
            add_auth(source, CEPH_USER, "ceph", item.secret_uuid)
        return DiskSource("network", source)

    def addresses(self, item: StorageItem) -> tuple[Address, ...]:
        return tuple(Address(host, port, _GREETING_SIZE) for host, port in _monitors(item))

    def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
        key = context.ceph_key(item.secret_uuid) if item.secret_uuid else None
        is_private = bool(item.secret_uuid) and key is None
        if is_private or context.files is None:
            return None
        image = parse_image(item)
        options = {"driver": "rbd", "pool": image.pool, "image": image.image, "user": CEPH_USER, "conf": "/dev/stdin"}
        if image.snapshot is not None:
            options["snapshot"] = image.snapshot
        return Inquiry(image_options(**options), configuration(self.addresses(item), context.greetings, key))

    def explain(self, item: StorageItem, reason: str) -> Optional[tuple[str, str]]:
        image = parse_image(item)
        refused = "Permission denied" in reason or "Operation not permitted" in reason
        if "error connecting" in reason:
            if "Operation not supported" in reason:
                return "storage_denied", "ceph requires a key: set secret_uuid"
            if refused or "Invalid argument" in reason:
                return "storage_denied", "ceph rejects the user %s with the key in the secret %s" % (
                    CEPH_USER,
                    item.secret_uuid,
                )
            return "storage_unreachable", "ceph does not answer: %s" % reason
        if refused:
            return "storage_denied", "the user %s is not permitted to open %s" % (CEPH_USER, path_of(item))
        if "error opening pool" in reason:
            return "storage_missing", "ceph has no pool %s" % image.pool
        if "No such file or directory" in reason:
            what = "image %s" % image.image
            if image.snapshot is not None:
                what += " with a snapshot %s" % image.snapshot
            return "storage_missing", "the pool %s has no %s" % (image.pool, what)
        return super().explain(item, reason)
