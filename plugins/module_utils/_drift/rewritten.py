# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what libvirt spells differently from domain patches.

A difference that is left right after a definition is libvirt's spelling of what was defined. Such differences are
recorded in the metadata of the definition, by their fingerprints. Those of a section don't count as long as all of
them stay the same, on both sides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain.metadata import REWRITTEN_NAMESPACE
from .text import MASK
from .walk import Found

_TAG = "rewritten"
_PATH = "metadata/{%s}%s" % (REWRITTEN_NAMESPACE, _TAG)
_DIGITS = 32


def recorded(definition: etree._Element) -> frozenset[str]:
    """Return the fingerprints in the metadata of a definition."""
    return frozenset((definition.findtext(_PATH) or "").split())


def forget_record(definition: etree._Element) -> None:
    """Remove the record from a definition."""
    for record in definition.findall(_PATH):
        record.getparent().remove(record)


def as_record(found: Iterable[Found]) -> Optional[str]:
    """Return the record of these differences as XML for the definition's metadata, or None if there are none."""
    fingerprints = sorted(set(filter(None, map(fingerprint, found))))
    return "<%s>%s</%s>" % (_TAG, " ".join(fingerprints), _TAG) if fingerprints else None


def fingerprint(found: Found) -> Optional[str]:
    """Return the fingerprint of a difference, or None for one with a secret, which could be guessed from it."""
    difference = found.as_difference()
    values = [difference.path, difference.before, difference.after]
    if any(value and MASK in value for value in values):
        return None
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:_DIGITS]


def section_of(found: Found) -> tuple[str, ...]:
    """Return the kind of device or the section of the domain that a difference belongs to."""
    names = tuple(step.node.name for step in found.steps[:2])
    return names if names[:1] == ("devices",) else names[:1]
