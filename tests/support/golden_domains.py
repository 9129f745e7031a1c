# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs on recorded hosts, with the domains that they must become: tests/fixtures/domains.

Each C(NAME.json) has the C(host) and what else is known about it, the C(vm)'s options in addition to those that every
VM needs, and what is reported about it: C(warnings), what the host is C(missing), C(problems). C(NAME.xml) is the
domain, if there is one. C(python tests/support/golden_domains.py) rewrites the files according to what the code does
now: review the changes before you commit them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from lxml import etree

GOLDEN = Path(__file__).resolve().parent.parent / "fixtures" / "domains"
GOLDEN_NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))

_BASE = {
    "uuid": "0d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5",
    "name": "golden",
    "memory": 1 << 30,
    "cpu_num": 2,
    "root_volume": {"install_path": "/images/root.qcow2"},
}


@dataclass(frozen=True)
class Outcome:
    """The outcome for a VM."""

    messages: dict[str, list[str]]
    xml: Optional[str]


def description(name: str) -> dict[str, Any]:
    """Return the contents of NAME.json."""
    return json.loads((GOLDEN / (name + ".json")).read_text())


def recorded_outcome(name: str) -> Outcome:
    """Return the recorded outcome."""
    path = GOLDEN / (name + ".xml")
    messages = {key: list(description(name).get(key, [])) for key in ("warnings", "missing", "problems")}
    return Outcome(messages, path.read_text() if path.exists() else None)


def outcome(name: str) -> Outcome:
    """Return the actual outcome."""
    about = description(name)
    vms, problems = parse_vms([{**_BASE, **about["vm"]}])
    assert not problems, [str(problem) for problem in problems]
    addresses = about.get("addresses")
    host = recorded_host(
        about["host"], about.get("cgroup_version", 2), frozenset(addresses) if addresses is not None else None
    )
    try:
        desired = build(vms[0], host, StorageFacts(about.get("formats", {})))
    except VmProblems as error:
        return Outcome({"warnings": [], "missing": [], "problems": _texts(error.problems)}, None)
    messages = {"warnings": list(desired.warnings), "missing": _texts(desired.missing), "problems": []}
    return Outcome(messages, etree.tostring(desired.element, pretty_print=True, encoding="unicode"))


def _texts(problems: tuple[Problem, ...]) -> list[str]:
    return ["%s (%s)%s" % (problem, problem.code, "; " + problem.hint if problem.hint else "") for problem in problems]


def _write(name: str) -> None:
    new = outcome(name)
    about = {key: value for key, value in description(name).items() if key not in new.messages}
    about.update({key: value for key, value in new.messages.items() if value})
    (GOLDEN / (name + ".json")).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n")
    path = GOLDEN / (name + ".xml")
    if new.xml is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(new.xml)


if __name__ == "__main__":
    for golden_name in GOLDEN_NAMES:
        _write(golden_name)
