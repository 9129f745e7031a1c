# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""More of today's StartVmCmd documents than are recorded: recorded ones with fields from others."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.todays_cases import ALL_OF_TODAY, TodaysCase

_MOST_FIELDS = 12  # from one other document


def variants(number: int, seed: int) -> Iterator[tuple[TodaysCase, dict[str, Any]]]:
    """Yield documents, each with the case that it was derived from; the same seed gives the same ones."""
    chance = random.Random(seed)
    for _index in range(number):
        case = chance.choice(ALL_OF_TODAY)
        document = deepcopy(dict(case.document))
        others = [other for other in ALL_OF_TODAY if other.arch == case.arch]
        for _donor in range(chance.randint(1, 3)):
            _take_fields(document, chance.choice(others).document, chance)
        yield case, document


def facts_of(document: dict[str, Any]) -> StorageFacts:
    """Return the formats of a document's volumes, and which of its CDs are devices."""
    volumes = [document["rootVolume"], *(document.get("dataVolumes") or ())]
    cds = [str(drive.get("path") or "") for drive in document.get("cdRoms") or ()]
    return StorageFacts(
        {volume["installPath"]: volume["format"] for volume in volumes if "format" in volume},
        block_devices=frozenset(path for path in cds if path.startswith("/dev/")),
    )


def _take_fields(document: dict[str, Any], donor: Any, chance: random.Random) -> None:
    names = sorted({*document, *donor} - {"vmInstanceUuid", "addons"})
    for name in chance.sample(names, chance.randint(1, _MOST_FIELDS)):
        if name in donor:
            document[name] = deepcopy(donor[name])
        elif chance.random() < 0.3:
            del document[name]
    for name, value in donor["addons"].items():
        if chance.random() < 0.4:
            document["addons"][name] = deepcopy(value)
