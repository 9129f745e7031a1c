# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(tpm): whether libvirt may lose the state of a virtual TPM."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass


def may_lose_tpm_state(domain: etree._Element) -> bool:
    """Return whether a domain has a virtual TPM whose state libvirt removes with the domain unless told to keep it."""
    backends = domain.iterfind('devices/tpm/backend[@type="emulator"]')
    return any(backend.get("persistent_state") != "yes" for backend in backends)
