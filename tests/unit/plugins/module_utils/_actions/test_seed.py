# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud-init seed is readable by QEMU alone, and removed in a rollback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions import seed
from ansible_collections.zstack.kvm.plugins.module_utils._actions.context import ActionContext
from ansible_collections.zstack.kvm.plugins.module_utils._actions.seed import WriteSeed
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._storage.seed import SEED_DIRECTORY, mark_of, seed_path
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, context_of

DOCUMENTS = {"user-data": "#cloud-config"}
PATH, EARLIER = seed_path("web", 2), seed_path("web", 1)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ActionContext:
    """Return the context of a hypervisor that writes the text of the documents as their image."""

    def build(processes: Any, documents: dict[str, str], label: str) -> bytes:
        assert (documents, label) == (DOCUMENTS, "CIDATA")
        return b"image"

    monkeypatch.setattr(seed, "build_seed_image", build)
    return context_of(FakeHypervisor(), HostSystem(str(tmp_path)))


def on(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def test_it_is_the_image_and_its_mark_for_its_owner_alone(tmp_path: Path, context: ActionContext) -> None:
    WriteSeed(PATH, DOCUMENTS, None).do(context)
    file = on(tmp_path, PATH)
    assert file.read_bytes() == b"image" + mark_of(DOCUMENTS).encode()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o400, 0o711)


def test_earlier_ones_are_removed_once_it_is_written(tmp_path: Path, context: ActionContext) -> None:
    WriteSeed(EARLIER, DOCUMENTS, None).do(context)
    WriteSeed(PATH, DOCUMENTS, None, outdated=[EARLIER]).do(context)
    assert (on(tmp_path, PATH).exists(), on(tmp_path, EARLIER).exists()) == (True, False)
    assert context.warnings == []


def test_an_earlier_one_that_cannot_be_removed_is_a_warning(tmp_path: Path, context: ActionContext) -> None:
    on(tmp_path, EARLIER).mkdir(parents=True)
    WriteSeed(PATH, DOCUMENTS, None, outdated=[EARLIER]).do(context)
    (warning,) = context.warnings
    assert warning.startswith("an earlier cloud-init seed stays: cannot remove " + EARLIER)


def test_it_is_gone_after_a_rollback(tmp_path: Path, context: ActionContext) -> None:
    outcome = WriteSeed(PATH, DOCUMENTS, None).do(context)
    assert outcome.undo is not None
    outcome.undo()
    assert list(on(tmp_path, SEED_DIRECTORY).iterdir()) == []
