# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a running VM prints a text on its serial console. Arguments: domain, regular expression.

Runs on the VM's hypervisor, and prints all that the VM said meanwhile.
"""

from __future__ import annotations

import sys

from ansible_collections.zstack.kvm.tests.support.serial_console import MissingOutputError, wait_for_text

if __name__ == "__main__":
    try:
        print(wait_for_text(sys.argv[1], sys.argv[2], timeout=60))
    except MissingOutputError as error:
        sys.exit(str(error))
