# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real storage servers, started by tests on the loopback network and gone with the test.

Each is a context manager with a directory of its own, ports that were free, and processes that end with it, even
when the test is killed.
"""

from __future__ import annotations

from .ceph import CephCluster
from .iscsi import IscsiServer
from .nbd import NbdServer
from .process import ProgramMissingError, ServerError

__all__ = ["CephCluster", "IscsiServer", "NbdServer", "ProgramMissingError", "ServerError"]
