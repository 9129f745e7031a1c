# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU shares are omitted if libvirt can't set them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm


def built(has_cpu_shares: bool, **options: Any) -> DesiredDomain:
    return build(
        parsed_vm(**options), replace(recorded_host("debian-12"), has_cpu_shares=has_cpu_shares), StorageFacts()
    )


@pytest.mark.parametrize("options", [{}, {"cpu_speed": 1024}])
def test_a_users_own_libvirt_has_none(options: dict[str, Any]) -> None:
    assert built(False, **options).element.find("cputune") is None


def test_the_systems_libvirt_has_them() -> None:
    assert built(True, cpu_speed=1024).element.findtext("cputune/shares")
