# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs of the hypervisor on which the inventory plugin itself runs, with its own libvirt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.module_run import start
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS
from ansible_collections.zstack.kvm.tests.support.virsh import virsh


def test_running_vms_and_those_that_are_off_are_hosts_with_their_consoles(new_vm: NewVm, tmp_path: Path) -> None:
    running, off = new_vm(console_mode="vnc"), new_vm()
    assert not start(running, off).failed
    virsh("destroy", off["uuid"])
    configuration = tmp_path / "here.zstack_vms.yml"
    content = {"plugin": "zstack.kvm.zstack_vms", "hypervisors": {"here": "qemu:///system"}}
    configuration.write_text(json.dumps(content), encoding="utf-8")

    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-inventory")), "--list", "-i", str(configuration)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), **os.environ},
    )

    assert done.returncode == 0, done.stderr
    inventory = json.loads(done.stdout)
    assert running["uuid"] in inventory["zstack_state_running"]["hosts"]
    assert off["uuid"] in inventory["zstack_state_shutoff"]["hosts"]
    assert {running["uuid"], off["uuid"]} <= set(inventory["zstack_hypervisor_here"]["hosts"])
    console = inventory["_meta"]["hostvars"][running["uuid"]]["zstack_vm_console"]
    display = virsh("vncdisplay", running["uuid"]).strip().rpartition(":")[2]
    assert console["port"] == 5900 + int(display)
