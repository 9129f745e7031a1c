# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NIC outside of its bridge is a warning that names its actual bridge."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._host.bridge_ports import is_connected, stray_warnings
from lxml import etree

NIC = "<interface type='bridge'><source bridge='br0'/><target dev='%s'/></interface>"


def test_the_warning_says_where_the_device_is_instead() -> None:
    live = etree.fromstring("<domain><devices>%s</devices></domain>" % "".join(NIC % f"vnet{n}" for n in range(5)))
    assert stray_warnings(live, {"vnet0": "br0", "vnet1": "br1", "vnet2": "", "vnet3": None}) == [
        "the NIC vnet1 is not in its bridge br0, but in br1",
        "the NIC vnet2 is not in its bridge br0, but in none",
        "the NIC vnet3 is not in its bridge br0: the device is gone",
    ]


def test_a_nic_without_a_bridge_is_neither_connected_nor_not() -> None:
    assert is_connected(etree.fromstring("<interface type='user'/>"), {}) is None
