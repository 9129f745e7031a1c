# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/create_vms.yml: from a cloud image of Debian to a guest that Ansible logs in to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.filter.vms_to_create import vms_to_create
from ansible_collections.zstack.kvm.tests.run import cloud_image
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.playbook import TARGET_PYTHON, run_task
from ansible_collections.zstack.kvm.tests.support.virsh import remove_domain, try_virsh, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

# The longest of all, so that it is the first: under emulation, a guest with cloud-init takes a minute to boot.
pytestmark = pytest.mark.timeout(1500)

NAME = "test-from-image"
NETWORK = {"name": NAME, "address": "10.216.1.1/24", "dhcp_start": "10.216.1.10", "dhcp_end": "10.216.1.20"}
GIB = 1 << 30
# The name, the size of the root file system in bytes, that of the disk in sectors, who may become root
QUESTIONS = "hostname; findmnt -bno SIZE /; cat /sys/block/vda/size; sudo id -un 2>/dev/null"


class Controller:
    """The machine with the playbook, the key and the inventories."""

    def __init__(self, directory: Path, images: Path) -> None:
        self.key = directory / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.guests = directory / "guests.yml"
        self._hypervisors = directory / "hypervisors.json"
        host = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
        self._hypervisors.write_text(json.dumps({"hypervisors": {"hosts": {"hv": host}}}), encoding="utf-8")
        self._variables = {
            "zstack_names": [NAME],
            "zstack_image": str(cloud_image.path(CHECKOUT)),
            "zstack_linked": True,
            "zstack_ssh_key": f"{self.key}.pub",
            "zstack_network": NETWORK,
            "zstack_volumes_directory": str(images),
            "zstack_memory": "384MiB",
            "zstack_inventory": str(self.guests),
            "zstack_vm_defaults": {"domain_type": "qemu", "cpu_speed": 1024, "use_boot_menu": False},
        }

    def create_vms(self, **variables: Any) -> int:
        """Run the playbook, and return the number of tasks that have changed something."""
        run = self.try_to_create_vms(**variables)
        recap = re.search(r"^hv +: ok=\d+ +changed=(\d+) ", run.stdout, re.MULTILINE)
        assert run.returncode == 0 and recap, run.stdout + run.stderr
        return int(recap[1])

    def try_to_create_vms(self, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run the playbook, and return the outcome."""
        extra_vars = json.dumps({**self._variables, **variables})
        return self._run("ansible-playbook", "-i", str(self._hypervisors), "-e", extra_vars, "playbooks/create_vms.yml")

    def ask_guest(self) -> list[str]:
        """Log in to the guest with the inventory that the playbook has written, and return its answers."""
        login = ["-i", str(self.guests), "--private-key", str(self.key)]
        run = self._run("ansible", NAME, *login, "-m", "ansible.builtin.shell", "-a", QUESTIONS)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout.splitlines()[1:]

    def vm_in_inventory_plugin(self) -> dict[str, Any]:
        """Return the variables that the inventory plugin gives to the VM."""
        configuration = self.guests.with_name("test.zstack_vms.yml")
        hypervisors = {"hv": "qemu:///system"}
        content = {"plugin": "zstack.kvm.zstack_vms", "hypervisors": hypervisors, "inventory_hostname": "name"}
        configuration.write_text(json.dumps(content), encoding="utf-8")
        run = self._run("ansible-inventory", "-i", str(configuration), "--host", NAME)
        assert run.returncode == 0, run.stdout + run.stderr
        variables: dict[str, Any] = json.loads(run.stdout)
        return variables

    def report(self, **variables: Any) -> str:
        """Return the page of playbooks/report.yml about the VMs of the same variables."""
        page = self.guests.with_name("report.html")
        settings = {"zstack_report_file": str(page), "zstack_report_pictures": False}
        given = json.dumps({**self._variables, **settings, **variables})
        run = self._run("ansible-playbook", "-i", str(self._hypervisors), "-e", given, "playbooks/report.yml")
        assert run.returncode == 0, run.stdout + run.stderr
        return page.read_text(encoding="utf-8")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # A connection that is kept would outlive the test.
        environment = {**os.environ, "ANSIBLE_SSH_ARGS": "-o ControlMaster=no", "ANSIBLE_TIMEOUT": "120"}
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        return subprocess.run(
            command,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def uuid() -> Iterator[str]:
    """Yield the UUID of the VM, and remove the VM and its network afterwards."""
    (vm,) = vms_to_create(
        {"zstack_names": NAME, "zstack_image": "/i", "zstack_ssh_keys": "ssh-rsa AAAA", "zstack_network": NAME}
    )
    yield vm["uuid"]
    remove_domain(vm["uuid"])
    for path in Path("/var/lib/zstack-kvm/seeds").glob(vm["uuid"].replace("-", "") + ".*"):
        path.unlink()
    try_virsh("net-destroy", NAME)
    try_virsh("net-undefine", NAME)


def info(uuid: str) -> dict[str, Any]:
    return run_task("zstack.kvm.zstack_vm_info", {"uuids": [uuid]}).vm


def test_names_an_image_and_a_key_become_guests_that_one_logs_in_to(tmp_path: Path, images: Path, uuid: str) -> None:
    controller = Controller(tmp_path, images)
    assert controller.create_vms(zstack_disk_size="2GiB") > 0
    assert controller.create_vms(zstack_disk_size="2GiB") == 0

    assert controller.create_vms(zstack_disk_size="3GiB") == 1
    name, root, sectors, user = controller.ask_guest()
    assert (name, int(sectors) * 512, user) == (NAME, 3 * GIB, "root")
    assert 1.9 * GIB < int(root) < 2 * GIB

    wait_until(lambda: info(uuid)["cloud_init"] == {"state": "done", "errors": []}, "cloud-init has ended", 600)
    seen = info(uuid)
    assert seen["address"].startswith("10.216.1.")
    assert seen["address"] in controller.guests.read_text(encoding="utf-8")
    listed = controller.vm_in_inventory_plugin()
    assert (listed["zstack_vm_address"], listed["zstack_vm_cloud_init"]["state"]) == (seen["address"], "done")
    page = controller.report(zstack_disk_size="3GiB")
    assert f">{seen['address']}<" in page
    assert "cloud-init done" in page
    assert '<span class="">yes</span>' in page


def test_all_problems_are_one_error_before_anything_is_changed(tmp_path: Path, images: Path) -> None:
    controller = Controller(tmp_path, images)
    run = controller.try_to_create_vms(zstack_names=["No Name"], zstack_ssh_key=str(controller.key))
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert "zstack_names[0]: must be a host name" in output
    assert "zstack_ssh_key: line 1 is no public SSH key" in output
    assert controller.key.read_text(encoding="utf-8").splitlines()[1] not in output
    assert NAME not in virsh("net-list", "--all", "--name").split()
    run = controller.try_to_create_vms(zstack_names="")
    assert "zstack_names: no host names a VM" in run.stdout + run.stderr
