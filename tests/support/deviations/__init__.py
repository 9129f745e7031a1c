# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only list of the intended differences between our VMs and those of ZStack's agent.

Each deviation has a row in docs/deviations.md, which gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Optional

from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.tests.support.deviations import adoption, domain
from ansible_collections.zstack.kvm.tests.support.domain_meaning import normal_form
from ansible_collections.zstack.kvm.tests.support.reference_cases import Case
from lxml import etree


@dataclass(frozen=True)
class Deviation:
    """One deliberate difference.

    C(apply) gives the agent's domain, in normal form, the meaning that ours should have on the same hypervisor.
    C(differs): the differences that are found when an emulated hypervisor adopts the agent's VM.
    """

    row: str
    apply: Optional[Callable[[etree._Element, Case], None]] = None
    differs: tuple[adoption.Differs, ...] = ()

    def predicted(self, case: Case) -> Iterator[Difference]:
        """Yield the differences that this deviation causes in the agent's VM of a document."""
        for each in self.differs:
            yield from each.predicted(case)


def expected_domain(case: Case) -> etree._Element:
    """Return the agent's domain with all deviations, in normal form."""
    expected = normal_form(case.reference, case.arch)
    for deviation in DEVIATIONS:
        if deviation.apply is not None:
            deviation.apply(expected, case)
    return expected


def predicted_differences(case: Case) -> list[Difference]:
    """Return all differences that are found when the agent's VM of a document is adopted."""
    return [difference for deviation in DEVIATIONS for difference in deviation.predicted(case)]


DEVIATIONS = (
    Deviation("SCSI letters", domain.disk_names, adoption.SCSI_LETTERS),
    Deviation("SCSI units", domain.scsi_units, adoption.SCSI_UNITS),
    Deviation("CHAP secrets", domain.chap_secret, adoption.CHAP_SECRETS),
    Deviation("Settings outside libvirt's schema", domain.outside_schema, adoption.OUTSIDE_SCHEMA),
    Deviation("NBD host", domain.nbd_host),
    Deviation("Ceph snapshots", domain.ceph_snapshot, adoption.CEPH_SNAPSHOTS),
    Deviation("Cache mode", domain.cache_mode, adoption.CACHE_MODE),
    Deviation("Console", domain.console, adoption.CONSOLE),
    Deviation("Network boot", domain.network_boot, adoption.NETWORK_BOOT),
    Deviation("CPU shares", domain.shares),
    Deviation("USB ports", domain.usb_ports),
    Deviation("Architecture", domain.architecture),
    Deviation("Firmware of aarch64", differs=adoption.FIRMWARE),
    Deviation("Emulated CPU", differs=adoption.EMULATED_CPU),
    Deviation("Emulated GIC", differs=adoption.EMULATED_GIC),
    Deviation("Maximum memory", differs=adoption.MAXIMUM_MEMORY),
)
