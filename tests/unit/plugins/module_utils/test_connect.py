# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection that a module's options describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.plugins.module_utils.connect import connect


@pytest.fixture(autouse=True)
def libvirt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a connection be the URI that it would be opened with."""
    monkeypatch.setattr(Hypervisor, "connect", lambda uri: uri)


def opened(uri: str, authfile: Optional[str]) -> Any:
    return connect({"uri": uri, "authfile": authfile})


def test_it_is_the_uris() -> None:
    assert opened("qemu:///system", None) == "qemu:///system"


def test_it_has_the_credentials_file(tmp_path: Path) -> None:
    (tmp_path / "auth.conf").write_text("[credentials-a]")
    path = str(tmp_path / "auth.conf")
    assert opened("qemu+tcp://hv1/system", path) == "qemu+tcp://hv1/system?authfile=" + path


def test_a_credentials_file_that_is_missing_is_an_error_before_libvirt_ignores_it(tmp_path: Path) -> None:
    with pytest.raises(VmError) as caught:
        opened("qemu+tcp://hv1/system", str(tmp_path / "auth.conf"))
    assert (caught.value.code, caught.value.message) == (
        "path_unreadable",
        "authfile: there is no file %s/auth.conf" % tmp_path,
    )
