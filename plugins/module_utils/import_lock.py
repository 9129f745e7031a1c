# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of imports in functions: threads import one after another.

In Ansible's archive, Python 3.9 lets other threads see a module that is still being imported (zipimport's load_module).
"""

from __future__ import annotations

import threading

import_lock = threading.RLock()
