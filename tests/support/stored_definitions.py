# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's definitions of the domains of the reference documents, as releases of the collection defined them.

C(python -m ansible_collections.zstack.kvm.tests.support.stored_definitions) stores them for the release of galaxy.yml.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, Case
from lxml import etree

CHECKOUT = Path(__file__).resolve().parent.parent.parent
STORED = CHECKOUT / "tests" / "fixtures" / "definitions"
# The hand-written ones, which have everything that the generated ones have.
CASES = {case.name: case for case in ALL_CASES if case.name[0].isdigit()}


def desired_domain(case: Case) -> etree._Element:
    """Return the desired domain of a document, on an emulated recorded host."""
    vm = case.vm(domain_type="qemu", arch=case.arch, emulator=None)
    return build(vm, recorded_host("debian-12", cgroup_version=1), case.facts).element


def store() -> None:
    """Define the domains, and store the resulting definitions."""
    from ansible_collections.zstack.kvm.tests.support.drift_walk import define, undefine

    version = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    directory = STORED / version
    directory.mkdir(parents=True)
    for name, case in CASES.items():
        domain = desired_domain(case)
        (directory / f"{name}.xml").write_text(define(domain), encoding="utf-8")
        undefine(domain)


if __name__ == "__main__":
    store()
