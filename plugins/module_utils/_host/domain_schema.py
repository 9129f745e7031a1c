# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's schema of domains on the hypervisor, for check mode: libvirt itself validates only what it defines."""

from __future__ import annotations

import threading
from functools import cache
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import VmError

_XML_INVALID_SCHEMA = 92  # libvirt's number
PATH = "/usr/share/libvirt/schemas/domain.rng"
# libxml2 initialises its types without a lock, and a schema keeps its errors.
_one_at_a_time = threading.Lock()


def check_schema(definition: str) -> None:
    """Raise libvirt's error if the definition violates the schema, as far as the hypervisor has that."""
    with _one_at_a_time:
        schema = _schema()
        if schema is None or schema.validate(etree.fromstring(definition)):
            return
        reasons = "".join(entry.message + "\n" for entry in schema.error_log)
    message = "XML document failed to validate against schema: Unable to validate doc against %s\n%s" % (PATH, reasons)
    raise VmError("invalid_domain", "cannot define the domain: " + message, "", _XML_INVALID_SCHEMA, message)


@cache
def _schema() -> Optional[etree.RelaxNG]:
    try:
        return etree.RelaxNG(etree.parse(PATH))
    except (OSError, etree.LxmlError):
        return None
