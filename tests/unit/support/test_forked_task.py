# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.zstack.kvm.tests.support.forked_task import MODULE_FILES, forked

WRITE_LOADED = "import pathlib, sys; pathlib.Path(%r).write_text(' '.join(sys.modules))"


def test_a_task_has_loaded_every_module_when_it_begins(tmp_path: Path) -> None:
    file = tmp_path / "loaded"
    process = forked(exec, WRITE_LOADED % str(file))
    process.join(100)
    loaded = {name.rpartition(".")[2] for name in file.read_text(encoding="utf-8").split()}
    assert {path.stem for path in MODULE_FILES} <= loaded
