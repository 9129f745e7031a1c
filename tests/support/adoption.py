# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains as ZStack's agent defines them, fitted to this machine: what the collection finds when it adopts such VMs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import libvirt
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.tests.support.drift_walk import (
    define,
    desired_domain,
    undefine,
    with_embedded_libvirt,
)
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, Case
from lxml import etree

EMULATORS = {"x86_64": "/usr/bin/qemu-system-x86_64", "aarch64": "/usr/bin/qemu-system-aarch64"}


def agents_domain(case: Case) -> etree._Element:
    """Return the agent's domain without what this machine's libvirt refuses: KVM, its paths, some old syntax."""
    domain = case.reference
    domain.set("type", "qemu")
    domain.find("devices/emulator").text = EMULATORS[case.arch]
    for alias in domain.findall("devices/interface/alias"):
        # net0 is a name that libvirt itself assigns, so libvirt refuses it here.
        alias.getparent().remove(alias)
    for host in domain.findall("devices/disk/source/host[@name='unix']"):
        host.set("transport", "unix")
        host.set("socket", host.attrib.pop("port"))
        del host.attrib["name"]
    if case.arch == "aarch64":
        _emulate_aarch64(domain)
    elif domain.find("cpu[@mode='host-passthrough']") is not None:
        domain.find("cpu").set("mode", "maximum")
    return domain


def _emulate_aarch64(domain: etree._Element) -> None:
    domain.find("os/type").set("machine", "virt")
    for feature in domain.findall("features/pae") + domain.findall("features/apic"):
        feature.getparent().remove(feature)
    cpu = domain.find("cpu")
    cpu.set("mode", "custom")
    cpu.set("match", "exact")
    cpu.find("model").text = "cortex-a57"


def all_differences() -> dict[str, Optional[tuple[Difference, ...]]]:
    """Return, by document, the differences of the adopted VM; None if libvirt refuses the agent's domain.

    This runs in a separate process: one in which libvirt's driver was embedded can no longer reach libvirtd.
    """
    (differences,) = with_embedded_libvirt(_all_differences, [ALL_CASES])
    return differences


def _all_differences(cases: Sequence[Case]) -> dict[str, Optional[tuple[Difference, ...]]]:
    return {case.name: _differences(case) for case in cases}


def _differences(case: Case) -> Optional[tuple[Difference, ...]]:
    actual, desired = agents_domain(case), desired_domain(case)
    # The range of CPU shares depends on the host's cgroup version.
    actual.find("cputune/shares").text = desired.findtext("cputune/shares")
    try:
        defined = define(actual)
    except libvirt.libvirtError:
        return None
    undefine(actual)
    reconciled = reconcile(desired, etree.fromstring(defined))
    define(reconciled.merged)
    undefine(actual)
    return tuple(map(_with_recorded_firmware, reconciled.differences))


def _with_recorded_firmware(difference: Difference) -> Difference:
    """Return the difference with the name that Debian 12 has for the firmware of aarch64; newer ones have another."""
    if difference.path == "os/loader" and difference.after == "/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd":
        return difference._replace(after="/usr/share/AAVMF/AAVMF_CODE.fd")
    return difference
