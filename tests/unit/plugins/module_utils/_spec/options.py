# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs as the options of a playbook describe them."""

from __future__ import annotations

from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm

UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"
OTHER_UUID = "0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02"


def vm(**options: Any) -> dict[str, Any]:
    """Return a VM with what is required, and the given options."""
    required = {
        "uuid": UUID,
        "name": "web",
        "memory": "2GiB",
        "cpu_num": 2,
        "root_volume": {"install_path": "/images/web.qcow2"},
    }
    return {**required, **options}


def volume(**options: Any) -> dict[str, Any]:
    return {"install_path": "/images/data.qcow2", **options}


def nic(**options: Any) -> dict[str, Any]:
    return {"bridge_name": "br0", **options}


def parsed(**options: Any) -> Vm:
    """Return the VM that the options describe, which must be valid."""
    vms, problems = parse_vms([vm(**options)])
    assert not problems, "\n".join(map(str, problems))
    return vms[0]


def problems(*vms: Any) -> list[str]:
    """Return the problems of VMs."""
    found, listed = parse_vms(list(vms))
    assert bool(found) != bool(listed)
    return [str(problem) for problem in listed]
