# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This Python has libvirt's bindings, or the reason for their absence is known."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import binding


def imported_again() -> Any:
    """Return the module as another import would find it."""
    spec = importlib.util.spec_from_file_location("binding_again", binding.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_with_the_bindings_there_is_no_error() -> None:
    again = imported_again()
    assert again.LIBVIRT_IMPORT_ERROR is None
    assert again.libvirt is sys.modules["libvirt"]


@pytest.mark.parametrize("missing", ["libvirt", "libvirt_qemu"])
def test_without_one_of_them_there_is_none_and_the_reason(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    again = imported_again()
    assert (again.libvirt, again.libvirt_qemu) == (None, None)
    assert "import of %s halted" % missing in again.LIBVIRT_IMPORT_ERROR
