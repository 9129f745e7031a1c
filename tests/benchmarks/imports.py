# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time for importing the code of the module with the hypervisor's Python, from the archive that Ansible sends."""

from __future__ import annotations

import statistics

from . import archive
from .hypervisors import TARGET_PYTHON, Hypervisors, run

ROUNDS = 5
# Each time includes what the modules import themselves.
IMPORTED = {
    "Ansible's part of every module": "ansible.module_utils.basic",
    "libvirt-python and lxml": "libvirt, lxml.etree",
    "all of zstack_vm_start": "ansible_collections.zstack.kvm.plugins.modules.zstack_vm_start",
}
PROGRAM = "import time; begun = time.perf_counter(); import {}; print(time.perf_counter() - begun)"


def seconds_to_import(hypervisors: Hypervisors) -> dict[str, float]:
    """Return the medians over several processes. What is in the archive is compiled each time."""
    path = archive.path_of(hypervisors.directory.parent, archive.OURS)
    environment = hypervisors.checkout.environment(PYTHONPATH=str(path), PYTHONPYCACHEPREFIX="")

    def measure(modules: str) -> float:
        command = hypervisors.scripts(TARGET_PYTHON, "-c", PROGRAM.format(modules))
        return statistics.median(float(output) for _round in range(ROUNDS) for output in run(command, environment))

    return {what: measure(modules) for what, modules in IMPORTED.items()}
