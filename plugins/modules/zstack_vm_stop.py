#!/usr/bin/python
# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop VMs on a KVM hypervisor."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zstack_vm_stop
short_description: Stop VMs on a KVM hypervisor
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Ensures that VMs don't run. Their guests are requested to shut down; with O(force), VMs that don't do so in time are
    forced off.
  - With O(undefine), the VMs are also undefined. Disks are never deleted. What else libvirt keeps of a VM - UEFI
    variables, the state of a virtual TPM, saved memory, snapshots and checkpoints - is removed only if an option
    says so; what libvirt can't keep without the VM is an error before anything is done to the VM.
  - Resources that only a stopped VM used are released. Sockets of its channels that were left behind are removed unless
    somebody listens on them, and iSCSI sessions that zstack.kvm.zstack_vm_start opened are closed. libvirt's ceph and
    iSCSI secrets that its disks used are removed when no definition of the VM refers to them any more, because it is
    undefined, was transient or was redefined meanwhile; but only if they are ephemeral, as those created by
    zstack.kvm.zstack_vm_start are. What the definition of another VM uses is left alone.
  - The VMs of a task are stopped in parallel. An error affects only the VM concerned; the other VMs are still stopped,
    and the task fails at the end.
extends_documentation_fragment:
  - zstack.kvm.attributes
  - zstack.kvm.attributes.action_group
  - zstack.kvm.libvirt
options:
  vms:
    description:
      - The UUIDs of the VMs, 32 hexadecimal digits each, with or without dashes. A VM that doesn't exist counts as
        stopped.
    type: list
    elements: str
    required: true
  timeout:
    description:
      - How many seconds a guest has to shut down. The request is repeated every 5 seconds, because a guest that is just
        booting ignores it.
      - V(0) forces VMs off at once, and requires O(force).
    type: int
    default: 60
  force:
    description:
      - Whether to force off a VM that hasn't shut down within O(timeout), is paused or suspended, or whose guest has
        crashed. It is like pulling the plug. Without it, such a VM is an error, and so is one whose QEMU doesn't
        answer.
      - A VM that is being migrated, saved or backed up is an error in any case, also if that operation was started
        during the wait for its guest.
    type: bool
    default: false
  undefine:
    description:
      - Whether to remove the definition once the VM is off. The VM's metadata and autostart are removed with it.
      - O(tpm), O(saved_state), O(snapshots) and O(checkpoints) also apply to a transient VM, which libvirt removes
        with everything it keeps of it once the VM is off.
    type: bool
    default: false
  nvram:
    description:
      - Whether to remove the file with the UEFI variables of a VM that is undefined.
    type: str
    choices: [keep, remove]
    default: keep
  tpm:
    description:
      - Whether to remove the state of the virtual TPM of a VM that is undefined. If it was kept, a VM that is defined
        again with the same UUID has the same TPM again.
      - Only libvirt 8.9.0 and later can keep it. With an older libvirt and V(keep), a VM that has a virtual TPM is an
        error, unless its definition has C(persistent_state='yes'); then V(remove) removes nothing.
    type: str
    choices: [keep, remove]
    default: keep
  saved_state:
    description:
      - Whether to remove the saved memory of a VM that is suspended to disk (managed save) when the VM is undefined.
        With V(keep) such a VM is an error, also with O(force).
    type: str
    choices: [keep, remove]
    default: keep
  snapshots:
    description:
      - Whether to remove libvirt's metadata of the snapshots of a VM that is undefined. Their data in images stays.
        With V(keep) a VM that has snapshots is an error.
    type: str
    choices: [keep, remove]
    default: keep
  checkpoints:
    description:
      - Whether to remove libvirt's metadata of the checkpoints of a VM that is undefined, on which incremental backups
        are based. The bitmaps in images stay. With V(keep) a VM that has checkpoints is an error.
    type: str
    choices: [keep, remove]
    default: keep
  uri:
    description:
      - The URI of the libvirt daemon to connect to. With a remote URI, sockets and iSCSI sessions cannot be removed,
        which is a warning.
attributes:
  check_mode:
    support: full
    details:
      - Whether a guest will shut down in time can't be predicted; check mode assumes that it will.
  diff_mode:
    support: full
    details:
      - One entry for each VM, in the order given, with its state and its definition before and after; secrets are
        masked.
  idempotent:
    support: full
seealso:
  - module: zstack.kvm.zstack_vm_start
notes:
  - A VM whose domain has autostart set starts again with the hypervisor unless it is undefined.
"""

EXAMPLES = r"""
- name: Shut down a VM within five minutes
  zstack.kvm.zstack_vm_stop:
    vms:
      - 6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11
    timeout: 300

- name: Shut down VMs, and force them off after a minute
  zstack.kvm.zstack_vm_stop:
    vms: "{{ hypervisor_vms | map(attribute='uuid') }}"
    force: true

- name: Undefine a VM; its disks stay
  zstack.kvm.zstack_vm_stop:
    vms:
      - 6a9c3b1e2f644d0b9a557a0d3c1f2b11
    undefine: true
    nvram: remove
    tpm: remove
    snapshots: remove
"""

RETURN = r"""
vms:
  description:
    - The result of each VM, in the order given. Also returned when the task fails.
    - The entries have the same keys as those of M(zstack.kvm.zstack_vm_start), except for C(overlays).
  returned: always, unless an option is invalid
  type: list
  elements: dict
  contains:
    uuid:
      description: The VM's UUID, with dashes.
      type: str
      returned: always
      sample: 6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11
    name:
      description: The VM's name. Empty if there is no such VM.
      type: str
      returned: always
      sample: web 01
    state:
      description: The VM's state, by libvirt's name, or V(absent).
      type: str
      returned: always
      sample: shutoff
    changed:
      description: Whether anything was changed for this VM, or would be in check mode.
      type: bool
      returned: always
      sample: true
    actions:
      description: The names of the actions that were done, or would be done in check mode, in order.
      type: list
      elements: str
      returned: always
      sample: [shutdown, destroy, undefine]
    restart_required:
      description: Always V(false).
      type: bool
      returned: always
      sample: false
    console:
      description: Always V(null).
      type: dict
      returned: always
    differences:
      description: Always empty.
      type: list
      elements: dict
      returned: always
      sample: []
    warnings:
      description: Warnings about this VM. The task shows them as well.
      type: list
      elements: str
      returned: always
      sample: []
    error:
      description: The error.
      type: dict
      returned: when this VM failed
      contains:
        code:
          description: The error's code; the collection's documentation lists them.
          type: str
          sample: shutdown_timeout
        message:
          description: What failed, and why.
          type: str
          sample: "the guest has not shut down within 60 seconds: the VM is running (booted)"
        hint:
          description: What to do.
          type: str
          sample: "The guest may ignore the request; shut it down from within, or raise timeout."
        phase:
          description: The step that failed.
          type: str
          sample: shutdown
        libvirt:
          description: libvirt's own error, V(null) if libvirt did not report the error.
          type: dict
          contains:
            code:
              description: The number of libvirt's error code.
              type: int
              sample: 55
            message:
              description: libvirt's message.
              type: str
              sample: "Requested operation is not valid: domain is not running"
        rollback:
          description: Always V(not_needed). Completed actions are not undone.
          type: str
          sample: not_needed
"""

from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Failure, Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import system_of
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Removal
from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuids import parse_uuids
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import SecretMask, VmResult, failed
from ansible_collections.zstack.kvm.plugins.module_utils._stop.stop import StopRequest, stop_vms
from ansible_collections.zstack.kvm.plugins.module_utils.connect import CONNECTION_ARGUMENTS, connect
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import KvmModule
from ansible_collections.zstack.kvm.plugins.module_utils.vm_module import (
    cancelled_by_signals,
    fail_for_input,
    finish,
    require_libraries,
)

REMOVABLE = ("nvram", "tpm", "saved_state", "snapshots", "checkpoints")
ARGUMENT_SPEC = {
    "vms": {"type": "list", "elements": "str", "required": True},
    "timeout": {"type": "int", "default": 60},
    "force": {"type": "bool", "default": False},
    "undefine": {"type": "bool", "default": False},
    **{name: {"type": "str", "choices": ["keep", "remove"], "default": "keep"} for name in REMOVABLE},
    **CONNECTION_ARGUMENTS,
}


def main() -> None:
    """Run the module."""
    module = KvmModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    require_libraries(module)
    uuids, problems = parse_uuids(module.params["vms"], "vms")
    problems += _timeout_problems(module.params)
    if problems:
        fail_for_input(module, problems)
    request = StopRequest(
        timeout=module.params["timeout"],
        force=module.params["force"],
        undefine=module.params["undefine"],
        removal=Removal(**{name: module.params[name] == "remove" for name in REMOVABLE}),
        check_mode=module.check_mode,
        diff=module._diff,
        cancelled=cancelled_by_signals(),
    )
    uri = module.params["uri"]
    try:
        hypervisor = connect(module.params)
    except VmError as error:
        results = [failed(VmResult(uuid, ""), Failure(error, "look"), SecretMask(())) for uuid in uuids]
    else:
        results = stop_vms(hypervisor, system_of(uri), uuids, request)
        hypervisor.close()
    finish(module, results)


def _timeout_problems(params: dict[str, Any]) -> list[Problem]:
    if params["timeout"] < 0:
        return [Problem("timeout", "must be at least 0")]
    if params["timeout"] == 0 and not params["force"]:
        return [
            Problem("timeout", "0 leaves guests no time to shut down", hint="use force: true to force VMs off at once")
        ]
    return []


if __name__ == "__main__":
    main()
