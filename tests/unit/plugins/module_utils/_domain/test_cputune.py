# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU shares are left out where libvirt can't have them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host


def built(has_cpu_shares: bool, **options: Any) -> DesiredDomain:
    vm = {
        "uuid": "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11", "name": "a", "memory": "1GiB", "cpu_num": 2,
        "root_volume": {"install_path": "/a"}, **options,
    }  # fmt: skip
    (parsed,), problems = parse_vms([vm])
    assert not problems
    return build(parsed, replace(recorded_host("debian-12"), has_cpu_shares=has_cpu_shares), StorageFacts())


@pytest.mark.parametrize("options", [{}, {"cpu_speed": 1024}])
def test_a_users_own_libvirt_has_none(options: dict[str, Any]) -> None:
    assert built(False, **options).element.find("cputune") is None


def test_the_systems_libvirt_has_them() -> None:
    assert built(True, cpu_speed=1024).element.findtext("cputune/shares")
