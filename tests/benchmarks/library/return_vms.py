# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Return what zstack_vm_start returns for VMs to be started, without examining any: only Ansible's time is left."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    vms = {"type": "list", "elements": "raw", "required": True}
    module = AnsibleModule(argument_spec={"vms": vms}, supports_check_mode=True)
    module.exit_json(changed=True, vms=[_to_be_started(vm) for vm in module.params["vms"]])


def _to_be_started(vm: Any) -> dict[str, Any]:
    return {
        "uuid": vm["uuid"],
        "name": vm["name"],
        "state": "shutoff",
        "changed": True,
        "actions": ["start"],
        "restart_required": False,
        "console": None,
        "differences": [],
        "warnings": [],
    }


if __name__ == "__main__":
    main()
