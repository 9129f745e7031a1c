# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions that are tested are those that the collection supports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.zstack.kvm.tests.run import supported, systems
from ansible_collections.zstack.kvm.tools.docs.tested_systems import PAGE as TESTED_SYSTEMS
from ansible_collections.zstack.kvm.tools.docs.tested_systems import THIS_MACHINE

CHECKOUT = Path(__file__).resolve().parents[3]


def lowest(versions: Iterable[str]) -> str:
    return min(versions, key=_numbers)


def highest(versions: Iterable[str]) -> str:
    return max(versions, key=_numbers)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def promised(path: str) -> Any:
    return yaml.safe_load((CHECKOUT / path).read_text(encoding="utf-8"))


def test_the_oldest_ansible_core_and_python_are_those_that_are_promised() -> None:
    assert promised("meta/runtime.yml")["requires_ansible"] == f">={min(supported.CORES)}.0"
    targets = {target for each in supported.CORES.values() for target in each.targets}
    assert promised("tests/config.yml")["modules"]["python_requires"] == f">={lowest(targets)}"


def test_the_readme_names_what_is_supported() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    controllers = [python for each in supported.CORES.values() for python in each.controllers]

    assert f"| ansible-core | {', '.join(supported.CORES)} |" in readme
    assert f"| Python of the controller | {lowest(controllers)} to {highest(controllers)} |" in readme
    assert f"| Python of hypervisors | {lowest(supported.TARGETS)} to {highest(supported.TARGETS)} |" in readme


@pytest.mark.parametrize(("row", "column"), [("libvirt", 1), ("QEMU", 2)])
def test_the_readme_and_the_table_of_systems_name_the_same_versions(row: str, column: int) -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    page = TESTED_SYSTEMS.read_text(encoding="utf-8")
    table = re.findall(r"^\| (debian-\S+) \| (\S+) \| (\S+) \|", page, re.MULTILINE)
    assert {cells[0] for cells in table} == {THIS_MACHINE, *systems.SYSTEMS}
    tried = {cells[column] for cells in table}
    usual = {cells[column] for cells in table if cells[0] in (THIS_MACHINE, *systems.USUAL)}
    known = (sorted(versions, key=_numbers) for versions in (usual, tried - usual))
    often, at_times = (", ".join(versions) or "–" for versions in known)
    assert f"| {row} | {lowest(tried)} to {highest(tried)} | {often} | {at_times} |" in readme


def test_the_tests_that_are_run_on_versions_exist() -> None:
    chosen = (
        *supported.TESTS_OF_CORES,
        *supported.TESTS_OF_TARGETS,
        *supported.TESTS_OF_AIOHTTP,
        *supported.TESTS_OF_RULEBOOK,
        *supported.TESTS_OF_SYSTEMS,
        supported.IN_A_BROWSER,
        *supported.FURTHER_TESTS_OF_SYSTEMS,
        *supported.TESTS_OF_MODULAR_DAEMONS,
    )
    for name, *tests in (name.split("::") for name in chosen):
        text = (CHECKOUT / name).read_text(encoding="utf-8")
        assert [test for test in tests if not re.search(rf"^\s*(class|def) {test}\b", text, re.MULTILINE)] == []


@pytest.mark.parametrize(
    "area", "start,drift,live changes,storage,secrets,faults,errors,stop,information,inventory,role".split(",")
)
def test_other_systems_have_tests_of_everything_that_depends_on_libvirt_and_qemu(area: str) -> None:
    assert supported.CHOSEN[area]


def test_only_tests_in_a_browser_need_selenium() -> None:
    files = (CHECKOUT / "tests/integration").glob("test_*.py")
    importing = [file.name for file in files if "support.browser" in file.read_text(encoding="utf-8")]
    assert importing == [Path(supported.IN_A_BROWSER).name]


def test_tests_that_need_what_other_systems_lack_are_marked() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (CHECKOUT / "tests/integration").glob("test_*.py")]
    needing = [text for text in texts if re.search(r"CephCluster\(|Rulebook\(|support\.event_source", text)]
    assert needing
    assert [text.splitlines()[3] for text in needing if "pytest.mark.own_system" not in text] == []


def test_the_lowest_aiohttp_is_the_one_that_is_promised() -> None:
    requirements = (CHECKOUT / "extensions/eda/requirements.txt").read_text(encoding="utf-8").splitlines()
    assert f"aiohttp>={supported.LOWEST_AIOHTTP},<4" in requirements


def test_each_core_gets_the_oldest_python_that_the_machine_has_for_it() -> None:
    assert supported.controllers(["3.9", "3.12"]) == {"2.19": "3.12", "2.20": "3.12", "2.21": "3.12"}
    assert supported.controllers(["3.11"]) == {"2.19": "3.11"}


def test_the_unit_tests_run_on_each_python_with_the_newest_core_that_the_machine_can_run() -> None:
    assert supported.pythons_of_unit_tests("2.20", ["3.9", "3.12", "3.13"]) == ["3.12"]
    assert supported.pythons_of_unit_tests("2.21", ["3.9", "3.12", "3.13"]) == ["3.9", "3.12", "3.13"]
    assert supported.pythons_of_unit_tests("2.19", ["3.10", "3.11"]) == ["3.10", "3.11"]


def test_the_rulebook_gets_the_newest_python_that_the_machine_has() -> None:
    assert supported.newest_controller(["3.9", "3.11", "3.13", "3.15"]) == "3.13"


def test_what_the_machine_cannot_try_is_named() -> None:
    assert supported.left_out(["3.9", "3.10", "3.11", "3.13"]) == ["Python 3.12", "Python 3.14"]
    assert supported.left_out(["3.9", "3.10", "3.11", "3.12", "3.14"]) == ["Python 3.13"]
    assert "ansible-core 2.21, which needs Python 3.12 or 3.13 or 3.14" in supported.left_out(["3.11"])
