# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The serial port and the log of what it says."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, parsed_vm
from lxml import etree


def devices(**options: Any) -> etree._Element:
    """Return the devices of a VM."""
    domain = build(parsed_vm(**options), recorded_host("debian-12"), StorageFacts({})).element
    assert schema_errors(domain) == []
    return domain.find("devices")


@pytest.mark.parametrize("tag", ["serial", "console"])
def test_the_log_is_where_virtlogd_rotates_it(tag: str) -> None:
    log = devices(console_log=True).find(tag + "/log")
    assert log.get("file") == "/var/log/libvirt/qemu/%s-console.log" % UUID.replace("-", "")
    assert devices().find(tag + "/log") is None
