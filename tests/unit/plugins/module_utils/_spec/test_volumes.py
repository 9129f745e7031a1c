# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option volumes of a playbook: what it becomes, and every problem with its path."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VOLUME_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.module_utils._spec.volumes import parse_volumes
from ansible_collections.zstack.kvm.plugins.modules import zstack_volume

COMPARED = ("type", "elements", "choices", "default", "required")


def problems(*volumes: Any) -> list[str]:
    return [str(problem) for problem in parse_volumes(list(volumes))[1]]


def test_a_volume() -> None:
    (volume,), found = parse_volumes([{"install_path": "/images/data", "create": {"size": "1GiB"}}])
    assert not found
    assert (volume.install_path, volume.device_type, volume.format) == ("/images/data", "file", "qcow2")
    assert volume.create is not None
    assert volume.create.size == 1 << 30


def test_every_problem_has_its_path() -> None:
    found = problems({"install_path": "data"}, {"install_path": "/a", "create": {}}, {}, 1)
    assert [problem.partition(":")[0] for problem in sorted(found)] == [
        "volumes[0].install_path",
        "volumes[1].create",
        "volumes[2].install_path",
        "volumes[3]",
    ]


def test_a_volume_is_named_once() -> None:
    (problem,) = problems({"install_path": "/a"}, {"install_path": "/a"})
    assert problem == "volumes[1].install_path: is the same as volumes[0].install_path"


@pytest.mark.parametrize("raw", [None, "/a", {"install_path": "/a"}])
def test_anything_else_is_a_problem(raw: Any) -> None:
    assert [str(problem) for problem in parse_volumes(raw)[1]] == ["volumes: must be a list of volumes"]


def test_documentation_and_spec_agree() -> None:
    documented = yaml.safe_load(zstack_volume.DOCUMENTATION)["options"]["volumes"]["suboptions"]
    assert described(documented, "suboptions") == described(VOLUME_ARGUMENT_SPEC, "options")


def described(options: Any, inner: str) -> dict[str, Any]:
    """Return what documentation and spec state about each option."""
    return {
        name: ({key: option.get(key) for key in COMPARED}, described(option.get(inner, {}), inner))
        for name, option in options.items()
    }
