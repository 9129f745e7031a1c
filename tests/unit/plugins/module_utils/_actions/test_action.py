# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that libvirt may not have answered, and what actions show of their fields."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.action import Action, unanswered
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError

MODULE_UTILS = Path(__file__).parents[5] / "plugins" / "module_utils"
PACKAGE = "ansible_collections.zstack.kvm.plugins.module_utils."


def undo() -> None:
    pass


def raising(code: str) -> None:
    raise VmError(code, "no")


def subclasses(base: type[Action]) -> list[type[Action]]:
    return [each for child in base.__subclasses__() for each in (child, *subclasses(child))]


def all_actions() -> list[type[Action]]:
    """Return the actions of the collection, without those of other tests."""
    for package in ("_actions", "_host_storage"):
        for path in (MODULE_UTILS / package).glob("*.py"):
            import_module(PACKAGE + package + "." + path.stem)
    return [each for each in subclasses(Action) if each.__module__.startswith(PACKAGE)]


def test_a_call_that_succeeds_is_undone_later() -> None:
    outcome = unanswered(lambda: None, undo)
    assert (outcome.undo, outcome.failure) == (undo, None)


@pytest.mark.parametrize(
    ("code", "message"),
    [("connection_lost", "no"), ("libvirt_hangs", "no"), ("qemu_hangs", "no; libvirt may still do it")],
)
def test_a_call_without_an_answer_may_have_to_be_undone(code: str, message: str) -> None:
    outcome = unanswered(lambda: raising(code), undo)
    assert outcome.undo is undo
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.failure.message) == (code, message)


def test_that_which_libvirt_refused_needs_no_undoing() -> None:
    with pytest.raises(VmError):
        unanswered(lambda: raising("disk_full"), undo)


def test_every_action_is_immutable_and_does_not_show_its_fields_which_may_hold_secrets() -> None:
    actions = all_actions()
    assert len(actions) > 30
    parameters = [vars(each).get("__dataclass_params__") for each in actions]
    assert [each for each, parameter in zip(actions, parameters) if parameter is None or not parameter.frozen] == []
    assert [each.__name__ for each in actions if each.__repr__ is not object.__repr__] == []
