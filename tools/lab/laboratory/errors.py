# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only error of the laboratory: its message says what failed and what to do."""

from __future__ import annotations


class LabError(Exception):
    """Ends the command; the message is for the person at the terminal."""
