#!/usr/bin/python
# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start VMs on a KVM hypervisor the way ZStack does."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zstack_vm_start
short_description: Start VMs on a KVM hypervisor the way ZStack does
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Ensures that VMs are defined in libvirt according to their options, and run.
  - A VM is looked up by its UUID and compared with its options, part by part. A VM that is in sync is left alone; one
    that is not is redefined, and keeps the hardware that its guest knows (machine version, addresses, NVRAM, MAC
    addresses). A VM that is shut off is started.
  - The VMs of a task are started in parallel. An invalid option of any of them stops the task before anything is
    touched. An error on the hypervisor affects only the VM concerned, whose changes are undone; the other VMs are
    still started, and the task fails at the end.
  - A volume is created only if it has O(vms[].root_volume.create), and is never deleted once a guest has used it. A
    running or paused VM is never stopped unless O(on_drift=restart).
extends_documentation_fragment:
  - zstack.kvm.attributes
  - zstack.kvm.attributes.action_group
  - zstack.kvm.libvirt
  - zstack.kvm.vm
options:
  uri:
    description:
      - The URI of the libvirt daemon to connect to.
      - With a remote URI, what only the hypervisor itself can report or do (bridges, directories of channels, its iSCSI
        initiator, image formats) is done through libvirt if possible, and is an error otherwise.
  on_drift:
    description:
      - What to do with a VM that runs but is not in sync.
      - V(next_boot) redefines it and reports in RV(vms[].restart_required) that a restart is due.
      - V(live) changes what libvirt can change in a running VM, and handles the rest like V(next_boot).
      - V(restart) redefines it, stops it and starts it.
      - V(fail) is an error. V(ignore) leaves the VM unchanged.
    type: str
    choices: [next_boot, live, restart, fail, ignore]
    default: next_boot
  backup:
    description:
      - Whether to back up the definition of a domain before it is replaced.
    type: bool
    default: false
  overlays:
    description:
      - What to do with overlays, the images that snapshots (C(virsh snapshot-create-as --disk-only)) have created on
        top of the images that volumes name.
      - V(keep) keeps them. The definition keeps the overlay as the source of the volume, at every start.
      - V(discard) returns the VM to the images that its volumes name, without the data that it has written since. This
        is an error while the VM runs on an overlay, or if libvirt has the snapshot that created it. The overlay files
        are not deleted.
    type: str
    choices: [keep, discard]
    default: keep
  saved_state:
    description:
      - What to do with the saved memory of a VM that is suspended to disk (managed save).
      - V(restore) restores the VM from it. V(discard) deletes it and boots the VM; that is the last action before the
        start, and cannot be undone. It has no effect on a VM that is not suspended to disk.
    type: str
    choices: [restore, discard]
    default: restore
  on_missing_machine:
    description:
      - What to do with a VM whose machine type (C(pc-i440fx-2.9), for instance) the hypervisor's QEMU does not have, or
        no longer has after an upgrade. A definition keeps the machine type of the time when the VM was first defined.
      - V(fail) is an error before anything is changed.
      - V(newest) gives it the newest machine type of the same board (C(pc), C(q35) or C(virt)). Devices keep their
        addresses. Saved memory (managed save, O(vms[].memory_snapshot)) cannot be restored on another machine type;
        that is an error.
    type: str
    choices: [fail, newest]
    default: fail
  parallel:
    description:
      - How many VMs to process at a time. By default as many as the hypervisor has CPUs.
    type: int
attributes:
  check_mode:
    support: full
    details:
      - Whatever is missing on the hypervisor (a file, a bridge, a device …) is a warning in check mode, because an
        earlier task may not have created it yet.
  diff_mode:
    support: full
    details:
      - One entry for each VM, in the order given. Before and after are its state, its definition, and changes that no
        definition shows, such as autostart. Secrets are masked.
      - The diff is what the task does if nothing fails or is refused. If a running VM differs from its definition and
        is left so, only RV(vms[].differences) says so.
  idempotent:
    support: full
seealso:
  - plugin: zstack.kvm.from_start_vm_cmd
    plugin_type: filter
notes:
  - The serial console output of a guest that is not ready in time is part of the task's error; only the passwords and
    keys of O(vms) are masked in it.
"""

EXAMPLES = r"""
- name: Start a VM with one disk and one NIC
  zstack.kvm.zstack_vm_start:
    vms:
      - uuid: 6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11
        name: web 01
        memory: 2GiB
        cpu_num: 2
        root_volume:
          install_path: /var/lib/libvirt/images/web01.qcow2
        nics:
          - bridge_name: br_eth0
            mac: "fa:16:3e:00:00:01"

- name: Start a VM with two disks, a CD to boot from, a console password and limits
  zstack.kvm.zstack_vm_start:
    vms:
      - uuid: 0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02
        name: installer
        memory: 4GiB
        cpu_num: 4
        boot_dev: [cdrom, hd]
        root_volume:
          install_path: /var/lib/libvirt/images/installer.qcow2
        data_volumes:
          - install_path: /var/lib/libvirt/images/installer-data.raw
            use_virtio_scsi: true
            qos:
              total_bandwidth: 100MB
              total_iops: 2000
        boot_iso:
          - path: /var/lib/libvirt/images/debian.iso
        console_password: "{{ vault_console_password }}"

- name: Start a VM with a disk in ceph and a guest agent channel
  zstack.kvm.zstack_vm_start:
    vms:
      - uuid: 3b7a9b52-5a3c-4d28-9d0e-65a9d6ab2c03
        name: db 01
        memory: 8GiB
        cpu_num: 4
        root_volume:
          device_type: ceph
          install_path: ceph://vms/db01
          secret_uuid: 7f2e0b9c-3a51-4c7e-9d2e-0123456789ab
          mon_info:
            - hostname: 10.0.9.1
            - hostname: 10.0.9.2
        ceph_secret:
          uuid: 7f2e0b9c-3a51-4c7e-9d2e-0123456789ab
          key: "{{ vault_cephx_key }}"
        channels:
          - socket_path: /var/lib/libvirt/qemu/3b7a9b525a3c4d289d0e65a9d6ab2c03
            target_name: org.qemu.guest_agent.0
        wait_for: guest_agent

- name: Start the VM of a StartVmCmd; change it while it runs if it is not in sync
  zstack.kvm.zstack_vm_start:
    vms:
      - "{{ lookup('ansible.builtin.file', 'start_vm_cmd.json') | zstack.kvm.from_start_vm_cmd }}"
    on_drift: live

- name: Show what a run would change on the VMs of this host
  zstack.kvm.zstack_vm_start:
    vms: "{{ hypervisor_vms }}"
  check_mode: true
  diff: true
"""

RETURN = r"""
vms:
  description:
    - The result of each VM, in the order given. Also returned when the task fails.
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
      description: The VM's name.
      type: str
      returned: always
      sample: web 01
    state:
      description: The VM's state, by libvirt's name.
      type: str
      returned: always
      sample: running
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
      sample: [define, start]
    restart_required:
      description: Whether the running VM differs from its definition, so that a restart is due.
      type: bool
      returned: always
      sample: false
    console:
      description: The address of the VM's console. V(null) if the VM doesn't run or has no console.
      type: dict
      returned: always
      contains:
        type:
          description: V(vnc) or V(spice).
          type: str
          sample: vnc
        host:
          description: The address that it listens on.
          type: str
          sample: 127.0.0.1
        port:
          description: The port.
          type: int
          sample: 5900
    differences:
      description: How the existing domain differed from the desired one. Secrets are masked.
      type: list
      elements: dict
      returned: always
      contains:
        path:
          description: The path in the domain XML.
          type: str
          sample: cputune/shares
        before:
          description: The actual value, V(null) if there was none.
          type: str
          sample: "1024"
        after:
          description: The desired value, V(null) if there should be none.
          type: str
          sample: "2048"
    overlays:
      description: The volumes for which the VM writes to an overlay of the image that they name.
      type: list
      elements: dict
      returned: always
      contains:
        target:
          description: The target device name of the disk.
          type: str
          sample: vda
        image:
          description: The image that the VM writes to.
          type: str
          sample: /var/lib/libvirt/images/web01.s1
        overlay_of:
          description: The image that the volume names.
          type: str
          sample: /var/lib/libvirt/images/web01.qcow2
    addresses:
      description:
        - The addresses of the VM's NICs, the best first. Those that are reachable from elsewhere come before link-local
          ones, then they are in the order of the NICs. Addresses on the guest's own devices are left out.
      type: list
      elements: dict
      returned: with O(vms[].wait_for=address), when the VM is ready
      contains:
        address:
          description: An IPv4 or IPv6 address.
          type: str
          sample: 192.168.122.57
        prefix:
          description: The prefix length of its network, V(null) if the address is known only from ARP.
          type: int
          sample: 24
        mac:
          description: The MAC address of the NIC that has it.
          type: str
          sample: fa:16:3e:00:00:01
        interface:
          description: The name of the NIC, in the guest for the source V(agent), otherwise on the hypervisor.
          type: str
          sample: eth0
        source:
          description: The source of the address, V(agent), V(lease) or V(arp).
          type: str
          sample: agent
    warnings:
      description: Warnings about this VM. The task shows them as well.
      type: list
      elements: str
      returned: always
      sample: []
    backup_file:
      description: The path of the backup of the previous definition, on the machine where the module ran.
      type: str
      returned: when O(backup=true) and a definition was replaced
      sample: /var/lib/zstack-kvm/backups/6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11.xml
    error:
      description: The error.
      type: dict
      returned: when this VM failed
      contains:
        code:
          description: The error's code; the collection's documentation lists them.
          type: str
          sample: bridge_missing
        message:
          description: What failed, and why.
          type: str
          sample: "vms[0].nics[0].bridge_name: there is no bridge br_eth7 on this hypervisor"
        hint:
          description: What to do.
          type: str
          sample: "Create the bridge, or set bridge_name to one of those that zstack_host_info lists."
        phase:
          description: The step that failed.
          type: str
          sample: start
        libvirt:
          description: libvirt's own error, V(null) if libvirt did not report the error.
          type: dict
          contains:
            code:
              description: The number of libvirt's error code.
              type: int
              sample: 38
            message:
              description: libvirt's message.
              type: str
              sample: "Cannot get interface MTU on 'br_eth7': No such device"
        rollback:
          description: Whether the changes were undone; V(done), V(partial) or V(not_needed).
          type: str
          sample: done
        boot_diagnostics:
          description:
            - The last output of the guest and of QEMU, and a screenshot.
          returned: when the VM was started or starting, and was not ready in time
          type: dict
          contains:
            serial_console:
              description:
                - The last 30 lines that the guest wrote to its serial console during the wait, as plain text.
                - Empty if it wrote nothing, or if somebody else had the console open.
              type: list
              elements: str
              sample: ["EXT4-fs (vda1): mounted filesystem", "Kernel panic - not syncing: No working init found."]
            qemu_log:
              description: The last 10 lines that QEMU has written to its log since it was started.
              type: list
              elements: str
              sample: ["qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.01H:ECX.vmx"]
            screenshot:
              description:
                - The path of a screenshot (PNG) of the VM, on the machine where the module ran, which only its owner
                  can read. The next one of the same VM replaces it.
                - V(null) if no screenshot could be taken.
              type: str
              sample: /var/lib/zstack-kvm/screenshots/6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11.png
hypervisor:
  description:
    - The hypervisor, and what is active there, from O(vms) or not. C(playbooks/start_vms.yml) checks with it that no
      VM is active on two hypervisors.
  returned: in check mode, if libvirt answers
  type: dict
  contains:
    uuid:
      description: The UUID of the hypervisor. Cloned machines may share it.
      type: str
      sample: 4c4c4544-0043-3510-8052-b4c04f4e3732
    hostname:
      description: Its hostname.
      type: str
      sample: hv1.example.com
    active:
      description: The UUIDs of all active domains.
      type: list
      elements: str
      sample: [6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11]
"""

from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Failure, Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import system_of
from ansible_collections.zstack.kvm.plugins.module_utils._info.active_vms import active_vms
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Policy
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import SecretMask, failed, of_vm
from ansible_collections.zstack.kvm.plugins.module_utils._start.run_context import StartRequest
from ansible_collections.zstack.kvm.plugins.module_utils._start.start import start_vms
from ansible_collections.zstack.kvm.plugins.module_utils.connect import CONNECTION_ARGUMENTS, connect
from ansible_collections.zstack.kvm.plugins.module_utils.vm_module import (
    DescribedVmsModule,
    cancelled_by_signals,
    fail_for_input,
    finish,
    require_libraries,
)

ARGUMENT_SPEC = {
    # vm_spec reads the VMs and finds all their problems at once, so even what is not a dictionary must get there.
    "vms": {"type": "list", "elements": "raw", "required": True},
    **CONNECTION_ARGUMENTS,
    "on_drift": {
        "type": "str",
        "choices": ["next_boot", "live", "restart", "fail", "ignore"],
        "default": "next_boot",
    },
    "backup": {"type": "bool", "default": False},
    "overlays": {"type": "str", "choices": ["keep", "discard"], "default": "keep"},
    "saved_state": {"type": "str", "choices": ["restore", "discard"], "default": "restore"},
    "on_missing_machine": {"type": "str", "choices": ["fail", "newest"], "default": "fail"},
    "parallel": {"type": "int"},
}
# The options that an agent API request may set too
POLICY_OPTIONS = ("on_drift", "backup", "overlays", "saved_state", "on_missing_machine")


def main() -> None:
    """Run the module."""
    module = DescribedVmsModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    require_libraries(module)
    vms, problems = parse_vms(module.params["vms"])
    if module.params["parallel"] is not None and module.params["parallel"] < 1:
        problems = [*problems, Problem("parallel", "must be at least 1")]
    secrets = frozenset(secrets_of(module.params["vms"]))
    if problems:
        fail_for_input(module, problems, secrets)
    request = StartRequest(
        policy=Policy(**{name: module.params[name] for name in POLICY_OPTIONS}),
        check_mode=module.check_mode,
        parallel=module.params["parallel"],
        secrets=secrets,
        cancelled=cancelled_by_signals(),
        diff=module._diff,
    )
    uri = module.params["uri"]
    seen: dict[str, Any] = {}
    try:
        hypervisor = connect(module.params)
    except VmError as error:
        results = [failed(of_vm(vm), Failure(error, "look"), SecretMask(secrets)) for vm in vms]
    else:
        results = start_vms(hypervisor, system_of(uri), vms, request)
        if module.check_mode:
            seen = _active_vms(hypervisor)
        hypervisor.close()
    finish(module, results, **seen)


def _active_vms(hypervisor: Hypervisor) -> dict[str, Any]:
    """Return what runs on the hypervisor; nothing if libvirt doesn't say."""
    try:
        return {"hypervisor": active_vms(hypervisor)}
    except VmError:
        return {}


if __name__ == "__main__":
    main()
