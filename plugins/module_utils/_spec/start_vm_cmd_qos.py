# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a StartVmCmd's addons that are about devices, by their UUIDs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional

from .document_fields import DocumentReader, Fields, Sent, inner_path
from .uuid_digits import digits_of

# The agent treats 0 as no limit; ZStack stores -1 for "none".
_NO_LIMIT = (0, -1, "0", "-1")


def put_limits(
    addons: Sent, field: str, fields: Fields, devices: Iterable[Optional[Sent]], reader: DocumentReader
) -> None:
    """Add each limit to the volume or NIC with its UUID; like ZStack's agent, ignore limits of others."""
    for device, raw, path in by_device(addons, field, devices, reader):
        if raw is None or not reader.is_kind(raw, Mapping, "a mapping", path):
            continue
        limits = reader.read(raw, fields, path)
        qos = {option: limit for option, limit in limits.options.items() if limit not in _NO_LIMIT}
        if device is not None and qos:
            device.options["qos"] = qos


def by_device(
    addons: Sent, field: str, devices: Iterable[Optional[Sent]], reader: DocumentReader
) -> Iterator[tuple[Optional[Sent], Any, str]]:
    """Yield each device that an addon names by UUID, what it says about it, and the path of that.

    A device that the VM does not have is a warning.
    """
    known = {
        digits_of(device.get(name)): device
        for device in devices
        if device is not None
        for name in ("volumeUuid", "uuid")
        if device.get(name)
    }
    for uuid, value in addons.get(field, {}).items():
        path = inner_path(addons.inner(field), uuid)
        device = known.get(digits_of(uuid))
        if device is None and value is not None:
            reader.warnings.append("%s is for a device that this VM does not have: ignored" % path)
        yield device, value, path
