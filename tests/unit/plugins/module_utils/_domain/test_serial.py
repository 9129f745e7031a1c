# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The serial port and the log of its output."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import domain


@pytest.mark.parametrize("tag", ["serial", "console"])
def test_the_log_is_where_virtlogd_rotates_it(tag: str) -> None:
    log = domain(console_log=True).find("devices/%s/log" % tag)
    assert log.get("file") == "/var/log/libvirt/qemu/%s-console.log" % UUID.replace("-", "")
    assert domain().find("devices/%s/log" % tag) is None
