# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools that are compared: the commands of each for an operation on some VMs of each hypervisor."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .hypervisors import HERE, TARGET_PYTHON, Failed, Hypervisors, run
from .vms import Vm

START, UNCHANGED, CHECK, CLONE = "start", "unchanged", "check", "clone"
_ON_HYPERVISOR = {START: "start", UNCHANGED: "look", CHECK: "look", CLONE: "clone"}
Domains = Mapping[str, Sequence[Mapping[str, str]]]
VmsOfHosts = Mapping[str, Sequence[Vm]]


class Contender:
    """A tool that starts VMs, or checks whether they run and are in sync."""

    name: str
    operations: tuple[str, ...] = (START, UNCHANGED, CHECK)

    def prepare(self, hypervisors: Hypervisors, vms: VmsOfHosts, domains: Domains) -> None:
        """Write the files that it needs; this is not measured."""

    def do(self, operation: str, hypervisors: Hypervisors) -> None:
        """Run the operation; this is what is measured."""
        raise NotImplementedError


class Bare(Contender):
    """libvirt-python alone, with as many threads as zstack_vm_start uses by default; qemu-img creates clones."""

    name = "libvirt-python alone"
    operations = (START, UNCHANGED, CHECK, CLONE)
    threads = os.cpu_count() or 1

    def prepare(self, hypervisors: Hypervisors, vms: VmsOfHosts, domains: Domains) -> None:
        for host, own in domains.items():
            disks = [_clone(vm["root_volume"]) for vm in vms[host]]
            hypervisors.write(f"domains-{host}.json", [{**domain, **disk} for domain, disk in zip(own, disks)])

    def do(self, operation: str, hypervisors: Hypervisors) -> None:
        self.script(_ON_HYPERVISOR[operation], hypervisors)

    def script(self, operation: str, hypervisors: Hypervisors, profiler: Sequence[str] = ()) -> list[str]:
        """Run the script of libvirt-python on every host; `profiler` begins the command."""
        # Removing VMs means waiting for their QEMUs, and is not measured.
        threads = 8 if operation == "remove" else self.threads
        arguments = [f"{hypervisors.directory}/domains-HOST.json", str(threads)]
        words = [*profiler, TARGET_PYTHON, str(HERE / "bare_libvirt.py"), operation, *arguments]
        return run(hypervisors.scripts(*words), hypervisors.checkout.environment())


def _clone(volume: Mapping[str, Any]) -> dict[str, str]:
    """Return the image of a volume that is a linked clone, and the volume."""
    return {"image": volume["create"]["image"], "disk": volume["install_path"]} if "create" in volume else {}


class Virsh(Contender):
    """virsh in a loop, on the hypervisor."""

    name = "virsh in a loop"
    operations = (START, UNCHANGED)

    def prepare(self, hypervisors: Hypervisors, vms: VmsOfHosts, domains: Domains) -> None:
        for host, own in domains.items():
            lines = {START: ["set -e"], UNCHANGED: ["set -e"]}
            for domain in own:
                file = hypervisors.directory / f"{domain['name']}.xml"
                file.write_text(domain["xml"], encoding="utf-8")
                lines[START] += [f"virsh -q define {file}", f"virsh -q start {domain['name']}"]
                lines[UNCHANGED] += [f"virsh domstate {domain['name']}", f"virsh dumpxml --inactive {domain['name']}"]
            for operation, script in lines.items():
                (hypervisors.directory / f"virsh-{operation}-{host}").write_text("\n".join(script), encoding="utf-8")

    def do(self, operation: str, hypervisors: Hypervisors) -> None:
        run(
            hypervisors.scripts("sh", f"{hypervisors.directory}/virsh-{operation}-HOST"),
            hypervisors.checkout.environment(),
        )


class Playbook(Contender):
    """A playbook, run by the ansible-playbook of some virtual environment."""

    environment_name = "venv"

    def tasks(self) -> Sequence[Mapping[str, Any]]:
        """Return the tasks that the playbook runs on each host, whose VMs are in variables."""
        raise NotImplementedError

    def variables(self, vms: Sequence[Vm], domains: Sequence[Mapping[str, str]]) -> Mapping[str, Any]:
        """Return the variables of a host."""
        return {}

    def prepare(self, hypervisors: Hypervisors, vms: VmsOfHosts, domains: Domains) -> None:
        own = {host: self.variables(vms[host], domains[host]) for host in vms}
        hypervisors.write(self._file("inventory"), {"all": {"hosts": own}})
        play = {"hosts": "all", "gather_facts": False, "tasks": self.tasks()}
        hypervisors.write(self._file("playbook"), [play])

    def do(self, operation: str, hypervisors: Hypervisors) -> None:
        changed = self.play(hypervisors, ["--check"] if operation == CHECK else [])
        if operation == UNCHANGED and changed and self.reports_only_changes:
            raise Failed(f"{self.name} has changed something")

    # False if "changed" may be reported without a change.
    reports_only_changes = True

    def play(self, hypervisors: Hypervisors, arguments: Sequence[str] = (), profiler: Sequence[str] = ()) -> int:
        """Run the playbook, and return the number of tasks that reported a change; `profiler` begins the command."""
        environment_directory = hypervisors.checkout.cache / self.environment_name
        environment = hypervisors.checkout.environment(
            ANSIBLE_COLLECTIONS_PATH=self._collections(hypervisors), ANSIBLE_LIBRARY=str(HERE / "library")
        )
        command = [*profiler, str(environment_directory / "bin" / "ansible-playbook"), *hypervisors.ansible]
        command += ["-i", str(hypervisors.directory / self._file("inventory")), *arguments]
        (output,) = run([[*command, str(hypervisors.directory / self._file("playbook"))]], environment)
        # A profiler succeeds even if what it runs fails.
        if not re.search(r"unreachable=0 +failed=0", output):
            raise Failed(f"{self.name} failed:\n{output}")
        return sum(int(number) for number in re.findall(r"changed=(\d+)", output))

    def _collections(self, hypervisors: Hypervisors) -> str:
        return str(hypervisors.checkout.collections)

    def _file(self, what: str) -> str:
        return f"{type(self).__name__.lower()}-{what}.json"


class BareInTask(Playbook):
    """libvirt-python alone, run by an Ansible task: what Ansible itself takes, besides guests that boot meanwhile."""

    name = "libvirt-python in a task"
    operations = (START,)

    def tasks(self) -> Sequence[Mapping[str, Any]]:
        domains = "{{ playbook_dir }}/domains-{{ inventory_hostname }}.json"
        argv = [TARGET_PYTHON, str(HERE / "bare_libvirt.py"), _ON_HYPERVISOR[START], domains, str(Bare.threads)]
        return [{"name": "The VMs are started", "ansible.builtin.command": {"argv": argv}}]


class Nothing(Playbook):
    """An Ansible task that does nothing."""

    name = "a task that does nothing"
    operations = (UNCHANGED,)

    def tasks(self) -> Sequence[Mapping[str, Any]]:
        return [{"name": "Nothing", "ansible.builtin.ping": {}}]


class ReturnVms(Playbook):
    """A module that gets and returns as much as zstack_vm_start, and does nothing: Ansible's own time for the VMs."""

    name = "a module that returns its VMs"
    operations = (CHECK,)

    def tasks(self) -> Sequence[Mapping[str, Any]]:
        return [{"name": "The VMs are returned", "return_vms": {"vms": "{{ vms }}"}}]

    def variables(self, vms: Sequence[Vm], domains: Sequence[Mapping[str, str]]) -> Mapping[str, Any]:
        return {"vms": vms}


class ZstackKvm(Playbook):
    """One task of this collection for all VMs of a host."""

    name = "zstack.kvm"
    operations: tuple[str, ...] = (START, UNCHANGED, CHECK, CLONE)

    def tasks(self) -> Sequence[Mapping[str, Any]]:
        return [{"name": "The VMs run as described", "zstack.kvm.zstack_vm_start": {"vms": "{{ vms }}"}}]

    def variables(self, vms: Sequence[Vm], domains: Sequence[Mapping[str, str]]) -> Mapping[str, Any]:
        return {"vms": vms}


class WithoutVms(ZstackKvm):
    """The same task without a VM: what the module costs before it examines any."""

    name = "zstack.kvm without VMs"
    operations = (UNCHANGED,)

    def variables(self, vms: Sequence[Vm], domains: Sequence[Mapping[str, str]]) -> Mapping[str, Any]:
        return {"vms": []}


class CommunityLibvirt(Playbook):
    """community.libvirt, from the package ansible: it handles one VM per task, so tasks are looped."""

    name = "community.libvirt in a loop"
    environment_name = "ansible-package"
    # It reports a change whenever it defines a domain, even if the definition stays the same.
    reports_only_changes = False

    def tasks(self) -> Sequence[Mapping[str, Any]]:
        define = {"command": "define", "xml": "{{ item.xml }}"}
        started = {"name": "{{ item.name }}", "state": "running"}
        loop = {"loop": "{{ domains }}", "loop_control": {"label": "{{ item.name }}"}}
        return [
            {"name": "The VMs are defined", "community.libvirt.virt": define, **loop},
            {"name": "The VMs run", "community.libvirt.virt": started, **loop},
        ]

    def variables(self, vms: Sequence[Vm], domains: Sequence[Mapping[str, str]]) -> Mapping[str, Any]:
        return {"domains": domains}

    def _collections(self, hypervisors: Hypervisors) -> str:
        environment = hypervisors.checkout.cache / self.environment_name
        return str(next(environment.glob("lib/python3*/site-packages")))


BARE = Bare()
BARE_IN_TASK = BareInTask()
NOTHING = Nothing()
RETURN_VMS = ReturnVms()
WITHOUT_VMS = WithoutVms()
OURS = ZstackKvm()
COMMUNITY = CommunityLibvirt()
CONTENDERS: tuple[Contender, ...] = (
    BARE,
    BARE_IN_TASK,
    Virsh(),
    NOTHING,
    WITHOUT_VMS,
    OURS,
    COMMUNITY,
)
