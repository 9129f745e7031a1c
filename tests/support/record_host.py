# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records this hypervisor's capabilities for tests/fixtures/capabilities, trimmed.

C(python -m ansible_collections.zstack.kvm.tests.support.record_host NAME), in a hypervisor that runs the system NAME.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ansible_collections.zstack.kvm.plugins.module_utils._host.machine_types import machine_family
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import CAPABILITIES
from ansible_collections.zstack.kvm.tests.support.virsh import virsh
from lxml import etree

KINDS = (("x86_64", "pc"), ("x86_64", "q35"), ("aarch64", "virt"))
_ARCHITECTURES = {arch for arch, _machine in KINDS}
_FAMILIES = {"pc", "q35", "virt"}
_HOST_PARTS = ("uuid", "cpu", "iommu", "secmodel")
_CPU_PARTS = ("arch", "vendor", "topology", "maxphysaddr")
_CPU_MODELS = {"qemu64", "Skylake-Server-IBRS", "EPYC", "EPYC-v4", "cortex-a57", "max"}


def record(name: str) -> None:
    """Write the capabilities of this hypervisor, and those of each kind of emulated domain."""
    directory = CAPABILITIES / name
    directory.mkdir(exist_ok=True)
    _write(directory / "capabilities.xml", _trimmed(etree.fromstring(virsh("capabilities"))))
    for arch, machine in KINDS:
        answer = virsh("domcapabilities", "--arch", arch, "--machine", machine, "--virttype", "qemu")
        _write(directory / f"{arch}.{machine}.qemu.xml", _trimmed_kind(etree.fromstring(answer)))


def _trimmed(capabilities: etree._Element) -> etree._Element:
    host = capabilities.find("host")
    _keep(host, lambda each: each.tag in _HOST_PARTS)
    _keep(host.find("cpu"), lambda each: each.tag in _CPU_PARTS)
    _keep(capabilities, lambda each: each.tag == "host" or each.find("arch").get("name") in _ARCHITECTURES)
    for arch in capabilities.iterfind("guest/arch"):
        _keep(arch, lambda each: each.tag != "machine" or machine_family(each.text) in _FAMILIES)
    return capabilities


def _trimmed_kind(capabilities: etree._Element) -> etree._Element:
    for mode in capabilities.iterfind("cpu/mode"):
        _keep(mode, lambda each: each.tag == "model" and each.text in _CPU_MODELS)
    return capabilities


def _keep(parent: etree._Element, condition: Callable[[etree._Element], bool]) -> None:
    for child in list(parent):
        if not condition(child):
            parent.remove(child)


def _write(path: Path, root: etree._Element) -> None:
    etree.indent(root)
    path.write_text(etree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1])
