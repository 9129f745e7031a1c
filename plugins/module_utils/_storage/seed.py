# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud-init seed of a VM: its path, and the mark by which its content is recognised. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Optional

SEED_DIRECTORY = "/var/lib/zstack-kvm/seeds"
SEED_LABEL = "CIDATA"
# The disk has no letter that a volume can have.
SEED_TARGET = "vdaa"
MARK_BYTES = 2048

_SEED = re.compile(re.escape(SEED_DIRECTORY) + r"/([0-9a-f]{32})\.([0-9]{1,9})\.iso")


def seed_path(domain_name: str, number: int) -> str:
    """Return the path of a VM's seed. Each content of it has a number of its own."""
    return "%s/%s.%d.iso" % (SEED_DIRECTORY, domain_name, number)


def seed_number(domain_name: str, path: Optional[str]) -> Optional[int]:
    """Return the number of a VM's seed, None if the path is not one of its seeds."""
    found = _SEED.fullmatch(path or "")
    return int(found[2]) if found and found[1] == domain_name else None


def is_seed(path: Optional[str]) -> bool:
    """Return whether a path is that of the seed of any VM."""
    return bool(_SEED.fullmatch(path or ""))


def seeds_among(domain_name: str, names: Iterable[str]) -> list[str]:
    """Return the paths of a VM's seeds among the names in the directory of seeds."""
    paths = ["%s/%s" % (SEED_DIRECTORY, name) for name in names]
    return [path for path in paths if seed_number(domain_name, path) is not None]


def mark_of(documents: Mapping[str, str]) -> str:
    """Return the last bytes of the file of a seed, by which its content is compared without reading it.

    They are behind the image, so that the guest's file system does not have them.
    """
    digest = hashlib.sha256()
    for name, text in sorted(documents.items()):
        data = text.encode("utf-8")
        digest.update(b"%s %d\n" % (name.encode("ascii"), len(data)) + data)
    return ("zstack-kvm cloud-init seed 1 %s\n" % digest.hexdigest()).ljust(MARK_BYTES, "\0")
