# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module in this process, with fakes for the hypervisor that it connects to."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Callable, Optional

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.tests.support.documented_result import deviations
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, FakeSystem, RemoteFakeSystem

UNAVAILABLE = VmError("libvirt_unavailable", "cannot connect to libvirt at qemu:///system")


def source_of(module: str) -> ModuleType:
    """Return the Python module of an Ansible module of this collection."""
    return import_module(f"ansible_collections.zstack.kvm.plugins.modules.{module}")


def result_of(module: str, arguments: Mapping[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run a module, and return its result, which must be JSON."""
    with patch_module_args(dict(arguments)), pytest.raises(SystemExit):
        source_of(module).main()
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    return dict(json.loads(printed.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")))


class Host:
    """The hypervisor of a module that runs in this process."""

    def __init__(
        self,
        module: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        libvirt: Optional[FakeHypervisor] = None,
        system: Optional[FakeSystem] = None,
    ) -> None:
        self.libvirt = libvirt or FakeHypervisor()
        self._module = module
        self._capsys = capsys
        found = system or RemoteFakeSystem()
        self._patches: dict[str, Callable[..., Any]] = {
            "connect": self._connect,
            "system_of": lambda uri: found,
            # The signals are those of the tests' own process.
            "cancelled_by_signals": threading.Event,
        }
        for name, patch in self._patches.items():
            monkeypatch.setattr(source_of(module), name, patch, raising=False)
        self.is_available = True

    def _connect(self, options: Mapping[str, Any]) -> FakeHypervisor:
        if not self.is_available:
            raise UNAVAILABLE
        return self.libvirt

    def run(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Run the module in diff mode, and return its result, which must match its documentation."""
        arguments = {"_ansible_check_mode": check, "_ansible_diff": True, **arguments}
        result = result_of(self._module, arguments, self._capsys)
        assert deviations(self._module, result) == []
        return result
