# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The UEFI firmware of a hypervisor, by the descriptors that its packages install (QEMU's firmware.json)."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass
from typing import Any, Optional

from .files import Files

# A descriptor in a later directory replaces one of the same name; an empty one removes it.
_DIRECTORIES = ("/usr/share/qemu/firmware", "/etc/qemu/firmware")


@dataclass(frozen=True)
class Firmware:
    """A flash image with the template of its NVRAM.

    C(targets): architectures, each with patterns of machine types. C(format): of the image.
    """

    loader: str
    nvram_template: str
    interfaces: frozenset[str]
    features: frozenset[str]
    targets: tuple[tuple[str, tuple[str, ...]], ...]
    format: str = "raw"

    @property
    def has_csm(self) -> bool:
        """Return whether it can also boot as a BIOS does."""
        return {"uefi", "bios"} <= self.interfaces

    def suits(self, arch: str, machine: str) -> bool:
        """Return whether it is for this architecture and machine type, which may be without a version."""
        full_name = {"q35": "pc-q35-", "pc": "pc-i440fx-", "virt": "virt-"}.get(machine, machine)
        return any(
            arch == each and any(fnmatch.fnmatchcase(full_name, pattern) for pattern in patterns)
            for each, patterns in self.targets
        )


def find_firmware(files: Files) -> tuple[Firmware, ...]:
    """Return the firmware of the hypervisor, in the order of preference that the descriptors' names give."""
    texts: dict[str, str] = {}
    for directory in _DIRECTORIES:
        for name in files.list_directory(directory):
            if name.endswith(".json"):
                texts[name] = files.read_text("%s/%s" % (directory, name)) or ""
    found = (_parsed(texts[name]) for name in sorted(texts))
    return tuple(firmware for firmware in found if firmware is not None)


def _parsed(text: str) -> Optional[Firmware]:
    """Return the firmware of a descriptor, None for one that isn't a flash image with NVRAM or that is broken."""
    try:
        descriptor: dict[str, Any] = json.loads(text)
        mapping = descriptor["mapping"]
        if mapping["device"] != "flash" or mapping.get("mode", "split") != "split":
            return None
        return Firmware(
            loader=str(mapping["executable"]["filename"]),
            nvram_template=str(mapping["nvram-template"]["filename"]),
            interfaces=frozenset(descriptor["interface-types"]),
            features=frozenset(descriptor["features"]),
            targets=tuple((each["architecture"], tuple(each["machines"])) for each in descriptor["targets"]),
            format=str(mapping["executable"].get("format", "raw")),
        )
    except (ValueError, KeyError, TypeError):
        return None
