# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies of the agent API, as ZStack's management node expects them."""

from __future__ import annotations

from typing import Any


def failure(error: str) -> dict[str, Any]:
    """Return the reply for a VM that was not started. Like that of ZStack's agent it lists no devices."""
    return {
        "success": False,
        "error": error,
        "nicInfos": [],
        "virtualDeviceInfoList": [],
        "memBalloonInfo": {},
        "virtualizerInfo": {},
    }
