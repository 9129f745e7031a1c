# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entities in the XML that libvirt returns. Pure."""

from __future__ import annotations

import re

_UNDECLARED = re.compile(r"&(?!(?:lt|gt|amp|quot|apos|#[0-9]+|#x[0-9A-Fa-f]+);)[^;<>&'\"\s]*;?")


def without_entities(xml: str) -> str:
    """Return XML without references to entities that it doesn't declare.

    libvirt keeps references in the metadata of a domain, but not the document type that declared them: the definition
    that it returns is not XML.
    """
    return _UNDECLARED.sub("", xml)
