# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the hardware that the guest of a running VM sees, as JSON; runs on the VM's hypervisor."""

from __future__ import annotations

import json
import sys

from ansible_collections.zstack.kvm.tests.support import linux_guest

if __name__ == "__main__":
    linux_guest.wait_until_booted(sys.argv[1])
    print(json.dumps(linux_guest.inventory(sys.argv[1])))
