# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replies of the agent API have the fields that ZStack's management node reads."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.reply import failure


def test_a_failure_has_its_error_and_lists_no_devices() -> None:
    reply = failure("there is no bridge br1")
    assert (reply.pop("success"), reply.pop("error")) == (False, "there is no bridge br1")
    assert reply == {"nicInfos": [], "virtualDeviceInfoList": [], "memBalloonInfo": {}, "virtualizerInfo": {}}


def test_replies_share_no_lists() -> None:
    failure("a")["nicInfos"].append("nic")
    assert failure("b")["nicInfos"] == []
