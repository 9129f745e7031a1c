# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible in a virtual environment, and the collection's playbooks run by it on this machine."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import venv
from pathlib import Path

from .progress import Progress, StepError
from .vm import QuickstartVm

ANSIBLE = "ansible-core>=2.19,<2.22"
PIP_HINT = "pip needs a Python package index; to see which one it uses: pip config list"
# The Python for which Debian has libvirt and lxml
SYSTEM_PYTHON = "/usr/bin/python3"
SECONDS = 1800


class Controller:
    """Runs playbooks against an inventory that names this machine as the only hypervisor."""

    def __init__(self, checkout: Path, directory: Path, progress: Progress) -> None:
        self._checkout = checkout
        self._directory = directory
        self._progress = progress
        self._venv = directory / "venv"
        # pip's own script in bin finds no Python whose path has a quote in it
        self._playbook = [str(self._venv / "bin/python"), "-m", "ansible", "playbook"]
        self._inventory = directory / "inventory.json"
        self.vms = directory / "vms.json"
        self._configuration = directory / "ansible.cfg"
        self.shown_command = shlex.join(
            ["env", f"ANSIBLE_COLLECTIONS_PATH={directory / 'collections'}", *self._playbook,
             "-i", str(self._inventory), "-e", f"@{self.vms}", str(checkout / "playbooks/start_vms.yml")]
        )  # fmt: skip

    def install(self) -> None:
        """Create the virtual environment, unless a complete one of this Python exists; and the inventory."""
        stamp = self._venv / "stamp"
        state = f"{self._venv}\n{sys.version}\n{ANSIBLE}\n"
        if not stamp.exists() or stamp.read_text() != state:
            shutil.rmtree(self._venv, ignore_errors=True)
            venv.create(self._venv, with_pip=True)
            pip = [str(self._venv / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", ANSIBLE]
            self._progress.run(pip, hint=PIP_HINT, seconds=SECONDS)
            stamp.write_text(state)
        # Ansible finds a collection only by its path, and the checkout may have any
        namespace = self._directory / "collections/ansible_collections/zstack"
        namespace.mkdir(parents=True, exist_ok=True)
        link = namespace / "kvm"
        link.unlink(missing_ok=True)
        link.symlink_to(self._checkout)
        self._configuration.write_text("[defaults]\n", encoding="utf-8")
        host = {"ansible_connection": "local", "ansible_python_interpreter": SYSTEM_PYTHON}
        inventory = {"hypervisors": {"hosts": {"this_machine": host}}}
        self._inventory.write_text(json.dumps(inventory, indent=2) + "\n", encoding="utf-8")

    def prepare_hypervisor(self) -> None:
        self._play("prepare_hypervisors.yml", hint="The last task above says what failed.")

    def start_vm(self, vm: QuickstartVm, domain_type: str) -> str:
        """Start the VM with the playbook that users run, and return the line of the play's recap."""
        variables = {
            "zstack_vms": [vm.options()],
            "zstack_vm_defaults": {"domain_type": domain_type},
        }
        self.vms.write_text(json.dumps(variables, indent=2) + "\n", encoding="utf-8")
        hint = "The lines above say what failed. If another program changed the VM: ./quickstart --clean"
        output = self._play("start_vms.yml", "-e", f"@{self.vms}", hint=hint)
        for line in output.splitlines():
            if line.startswith("this_machine ") and "changed=" in line:
                return " ".join(line.split())
        raise StepError(f"The playbook printed no recap. All output is in {self._progress.log}")

    def _play(self, playbook: str, *arguments: str, hint: str) -> str:
        ours = {
            "ANSIBLE_COLLECTIONS_PATH": str(self._directory / "collections"),
            "ANSIBLE_CONFIG": str(self._configuration),
            "ANSIBLE_HOME": str(self._directory / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
            "LC_ALL": "C.UTF-8",
        }
        # Settings meant for other uses of Ansible must not reach this one
        others = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        command = [*self._playbook, "-i", str(self._inventory), *arguments]
        return self._progress.run(
            [*command, str(self._checkout / "playbooks" / playbook)], hint=hint, seconds=SECONDS, env={**others, **ours}
        )
