# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's own schema of domains, as its packages install it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lxml import etree

DOMAIN_SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")


@cache
def _schema() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(str(DOMAIN_SCHEMA)))


def schema_errors(domain: etree._Element) -> list[str]:
    """Return the errors that the schema finds in a domain."""
    # Serialised and parsed again, as libvirt receives it.
    _schema().validate(etree.fromstring(etree.tostring(domain)))
    return [str(entry) for entry in _schema().error_log]
