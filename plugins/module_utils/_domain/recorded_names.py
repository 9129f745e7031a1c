# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of disks as a recorded definition has them, for a VM that is restored from a memory snapshot."""

from __future__ import annotations

from collections.abc import Iterator

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._spec.vm import Vm
from .._storage.image_chain import source_image
from .disk_layout import DiskLayout, VolumeDisk


def with_recorded_names(layout: DiskLayout, vm: Vm, problems: list[Problem]) -> DiskLayout:
    """Return the layout with the volumes' names in C(memory_snapshot_xml), in that order.

    A disk is known by its serial number, or by its image.
    """
    if vm.memory_snapshot is None or vm.memory_snapshot_xml is None:
        return layout
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        recorded = etree.fromstring(vm.memory_snapshot_xml.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        problems.append(Problem("%s.memory_snapshot_xml" % vm.option_path, "is not well-formed XML: %s" % error.msg))
        return layout
    names = dict(_names(recorded))
    volumes = [_renamed(disk, names) for disk in layout.volumes]
    order = list(names.values())
    volumes.sort(key=lambda disk: order.index(disk.slot.target) if disk.slot.target in order else len(order))
    return layout._replace(volumes=tuple(volumes))


def _names(domain: etree._Element) -> Iterator[tuple[tuple[str, str], str]]:
    for disk in domain.iterfind("devices/disk"):
        target = disk.find("target")
        if disk.get("device", "disk") not in ("disk", "lun") or target is None:
            continue
        for kind, value in (("serial", disk.findtext("serial")), ("image", source_image(disk.find("source")))):
            if value:
                yield (kind, value), target.get("dev", "")


def _renamed(disk: VolumeDisk, names: dict[tuple[str, str], str]) -> VolumeDisk:
    known = [("serial", disk.volume.serial or ""), ("image", source_image(disk.source.source) or "")]
    name = next((names[key] for key in known if key in names), None)
    return disk if name is None else disk._replace(slot=disk.slot._replace(target=name))
