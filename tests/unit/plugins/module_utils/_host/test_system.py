# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt URI leads to the hypervisor's own system, or to what a remote libvirt leaves of it."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import RemoteSystem, system_of


class TestRemote:
    @pytest.mark.parametrize(
        "uri, remote",
        [
            ("qemu:///system", False),
            ("qemu+unix:///system?socket=/run/libvirt/virtqemud-sock", False),
            ("test:///default", False),
            ("qemu+ssh://root@hv1/system", True),
            ("qemu+tls://10.0.0.1/system", True),
        ],
    )
    def test_is_what_names_a_host(self, uri: str, remote: bool) -> None:
        assert system_of(uri).is_remote is remote

    def test_refuses_what_only_the_hypervisor_can_do(self) -> None:
        with pytest.raises(VmError) as caught:
            RemoteSystem("qemu+ssh://hv1/system").files.make_directory("/run/a", 0o750)
        assert caught.value.code == "needs_hypervisor"
        assert "needs the files" in caught.value.message
        assert "qemu+ssh://hv1/system" in caught.value.message
