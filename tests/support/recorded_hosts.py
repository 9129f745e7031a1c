# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hypervisors as recorded in tests/fixtures/capabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import (
    DomainKind,
    Host,
    parse_capabilities,
    parse_domain_capabilities,
)

CAPABILITIES = Path(__file__).resolve().parent.parent / "fixtures" / "capabilities"


def recorded_host(
    name: str,
    cgroup_version: int = 2,
    addresses: Optional[frozenset[str]] = None,
    emulator: Optional[str] = None,
) -> Host:
    """Return a host of the fixtures. C(emulator): another one, with the capabilities of the host's own."""
    directory = CAPABILITIES / name
    known = {}
    for path in sorted(directory.glob("*.*.xml")):
        arch, machine, domain_type = path.stem.split(".")
        kind = DomainKind(None, arch, machine, domain_type)
        known[kind] = parse_domain_capabilities(path.read_text())
        if emulator:
            known[kind._replace(emulator=emulator)] = known[kind]._replace(emulator=emulator)
    capabilities = parse_capabilities((directory / "capabilities.xml").read_text())
    return Host(capabilities, known, cgroup_version, addresses)
