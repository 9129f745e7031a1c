# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README lists every plugin and every role."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.unit.docs.pages import CHECKOUT

KINDS = (
    "plugins/modules",
    "plugins/inventory",
    "plugins/filter",
    "extensions/eda/plugins/event_source",
)
PLUGINS = [path.stem for kind in KINDS for path in sorted((CHECKOUT / kind).glob("*.py")) if path.stem != "__init__"]
ROLES = sorted(path.name for path in Path(CHECKOUT / "roles").iterdir())


@pytest.fixture(scope="module")
def contents() -> str:
    """Return the section that lists what the collection contains."""
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return readme.partition("## Contents")[2].partition("\n## ")[0]


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_is_listed(plugin: str, contents: str) -> None:
    assert f"`{plugin}`" in contents


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_listed(role: str, contents: str) -> None:
    assert f"[{role}](roles/{role}/README.md)" in contents
