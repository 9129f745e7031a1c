# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create a disk that prints a text on the serial console when it boots. Arguments: path, text."""

from __future__ import annotations

import sys
from pathlib import Path

from ansible_collections.zstack.kvm.tests.support import media

if __name__ == "__main__":
    media.write_qcow2(Path(sys.argv[1]), sys.argv[2])
