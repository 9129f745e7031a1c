# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the restoring of a VM from a memory snapshot, a file with its saved memory."""

from __future__ import annotations

import copy
from typing import NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._actions.power import Restore
from .._domain.build import DesiredDomain
from .._drift.missing_machine import missing_machine
from .._drift.omitted import with_omitted
from .._drift.reconcile import reconcile
from .._errors.errors import Problem, VmError
from .._host.capabilities import Host
from .._host.system import System
from .._libvirt.hypervisor import Hypervisor
from .._spec.vm import Vm


class PlannedRestore(NamedTuple):
    """The action, None if the VM is not restored; and what prevents it.

    C(definition): what a VM without a definition is defined as, so that its hardware keeps its addresses at the next
    boot. C(leaves_drift): the restored VM has what was in the snapshot, and its options remove at its next boot.
    """

    action: Optional[Restore] = None
    problems: tuple[Problem, ...] = ()
    definition: str = ""
    leaves_drift: bool = False


def plan_restore(
    vm: Vm, built: DesiredDomain, hypervisor: Hypervisor, system: System, host: Host, starts: bool
) -> PlannedRestore:
    """Return how a VM that C(starts) is restored. C(built): its desired domain.

    libvirt compares what the guest sees with what it saw when its memory was saved: all that the options leave open, or
    remove because they are omitted, is as the definition in the snapshot has it.
    """
    path = vm.memory_snapshot
    if path is None or not starts:
        return PlannedRestore()
    try:
        _check_file(path, system)
        saved = etree.fromstring(hypervisor.saved_image_xml(path))
    except VmError as error:
        if error.lost_libvirt:
            raise
        message = error.message
        if error.code != "memory_snapshot_failed":
            message = "%s cannot be restored: %s" % (path, error.message)
        return _impossible(vm, message)
    desired = built.element
    missing = missing_machine(vm, desired, saved, host.capabilities)
    if missing is not None:
        message = "%s was saved on the machine type %s, which %s no longer has" % (path, missing.name, missing.emulator)
        return _impossible(vm, message)
    merged = reconcile(with_omitted(desired, vm._replace(omitted_settings="keep"), saved), saved).merged
    defined = reconcile(with_omitted(desired, vm, merged), merged, built.unpatched)
    definition = _text(defined.merged)
    _keep_host_model(merged, saved)
    action = Restore(path, _text(merged))
    return PlannedRestore(action, definition=definition, leaves_drift=bool(defined.differences))


def _text(domain: etree._Element) -> str:
    return etree.tostring(domain, encoding="unicode")


def _impossible(vm: Vm, message: str) -> PlannedRestore:
    return PlannedRestore(problems=(Problem("%s.memory_snapshot" % vm.option_path, message, "memory_snapshot_failed"),))


def _check_file(path: str, system: System) -> None:
    if system.is_remote:
        return
    kind = system.files.path_kind(path)
    if kind is None:
        raise VmError("memory_snapshot_failed", "the file %s does not exist" % path)
    if kind == "block":
        raise VmError("memory_snapshot_failed", "%s is a block device: mount it and name the file in it" % path)
    if kind != "file":
        raise VmError("memory_snapshot_failed", "%s is not a file" % path)


def _keep_host_model(merged: etree._Element, saved: etree._Element) -> None:
    """Keep the CPU that libvirt derived from the host's, which may be another by now."""
    cpu, saved_cpu = merged.find("cpu"), saved.find("cpu")
    if cpu is not None and saved_cpu is not None and cpu.get("mode") == "host-model":
        merged.replace(cpu, copy.deepcopy(saved_cpu))
