# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error code is raised somewhere."""

from __future__ import annotations

import ast
from pathlib import Path

from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES, RETRYABLE, with_hint
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError

PLUGINS = Path(__file__).resolve().parents[5] / "plugins"
# Composed from what was waited for.
WAITED_FOR = {"console_timeout", "guest_agent_timeout", "address_timeout", "cloud_init_timeout"}


def texts_in_the_code() -> set[str]:
    """Return every text of the plugins except the table of codes itself."""
    files = (path for path in PLUGINS.rglob("*.py") if path.name != "codes.py")
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_code_is_raised_somewhere() -> None:
    assert set(ERROR_CODES) - texts_in_the_code() - WAITED_FOR == set()


def test_every_retryable_code_exists() -> None:
    assert RETRYABLE <= set(ERROR_CODES)


def test_an_error_gets_the_hint_of_its_code() -> None:
    assert with_hint(VmError("vm_busy", "a job is running")).hint == ERROR_CODES["vm_busy"].hint


def test_an_error_keeps_the_hint_of_its_own() -> None:
    error = VmError("vm_busy", "a job is running", hint="wait")
    assert with_hint(error) is error
