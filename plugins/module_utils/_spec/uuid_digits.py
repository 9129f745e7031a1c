# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""UUIDs in any notation, for comparing them."""

from __future__ import annotations

from typing import Any


def digits_of(uuid: Any) -> str:
    """Return a UUID's digits in lower case."""
    return str(uuid).replace("-", "").lower()
