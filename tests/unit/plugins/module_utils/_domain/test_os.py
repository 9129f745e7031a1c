# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An aarch64 VM gets the host's plain flash image: not one for Secure Boot, with test keys, or in qcow2."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm


@pytest.mark.parametrize(
    ("loaders", "chosen"),
    [
        (("CODE.secboot.fd", "CODE.fd"), "CODE.fd"),
        (("CODE.ms.fd", "CODE.fd"), "CODE.fd"),
        (("CODE.snakeoil.fd", "CODE.fd"), "CODE.fd"),
        (("pflash.qcow2", "pflash.raw"), "pflash.raw"),
        (("first.fd", "second.fd"), "first.fd"),
        (("pflash.qcow2", "CODE.secboot.fd"), None),
        ((), None),
    ],
)
def test_the_first_plain_one_is_chosen(loaders: tuple[str, ...], chosen: Optional[str]) -> None:
    host = recorded_host("el-7-aarch64")
    host = replace(
        host,
        domain_capabilities={kind: replace(known, loaders=loaders) for kind, known in host.domain_capabilities.items()},
    )

    assert build(parsed_vm(), host, StorageFacts()).element.findtext("os/loader") == chosen
