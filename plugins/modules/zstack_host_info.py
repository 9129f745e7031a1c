#!/usr/bin/python
# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report the features of a hypervisor."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zstack_host_info
short_description: Gather information about a hypervisor
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Gathers information from libvirt and the kernel of a hypervisor about what VMs can use there, and which VMs exist.
  - Changes nothing.
extends_documentation_fragment:
  - zstack.kvm.attributes.action_group
  - zstack.kvm.attributes.info_module
  - zstack.kvm.libvirt
options:
  uri:
    description:
      - The URI of the libvirt daemon to connect to.
      - With a remote URI, what only the hypervisor's own kernel can report is returned as null.
seealso:
  - module: zstack.kvm.zstack_vm_start
"""

EXAMPLES = r"""
- name: Gather information about the hypervisor
  zstack.kvm.zstack_host_info:
  register: host

- name: Start a VM, emulated if the hypervisor has no KVM
  zstack.kvm.zstack_vm_start:
    vms:
      - uuid: 36c27e8f-f05c-4780-bf6d-2fa65700f22e
        name: web
        memory: 2GiB
        cpu_num: 2
        domain_type: "{{ 'kvm' if 'kvm' in host.domain_types else 'qemu' }}"
        root_volume:
          install_path: /var/lib/libvirt/images/web.qcow2

- name: Show which VMs run there
  ansible.builtin.debug:
    msg: "{{ host.vms | selectattr('active') | map(attribute='uuid') }}"
"""

RETURN = r"""
uuid:
  description: The UUID by which libvirt identifies this hypervisor.
  type: str
  returned: success
  sample: 4c4c4544-0042-3510-8052-b4c04f4a4d32
hostname:
  description: The hypervisor's own host name.
  type: str
  returned: success
  sample: hv1
arch:
  description: The architecture of the hypervisor.
  type: str
  returned: success
  sample: x86_64
libvirt_version:
  description: The version of the libvirt daemon.
  type: str
  returned: success
  sample: 9.0.0
qemu_version:
  description: The version of the QEMU for the hypervisor's own architecture; empty if it has none.
  type: str
  returned: success
  sample: 7.2.22
cpus:
  description: The number of CPUs of the hypervisor.
  type: int
  returned: success
  sample: 32
memory:
  description: The memory of the hypervisor.
  type: dict
  returned: success
  contains:
    total:
      description: The total, in bytes.
      type: int
      sample: 270132932608
    free:
      description: What is available to new processes without swapping, in bytes.
      type: int
      sample: 198041763840
domain_types:
  description:
    - The domain types that VMs of the hypervisor's own architecture can have.
    - V(kvm) means that QEMU can open C(/dev/kvm), not that a guest boots with it; V(qemu) is emulation.
  type: list
  elements: str
  returned: success
  sample: [kvm, qemu]
guests:
  description: What VMs can have, for each supported architecture and domain type.
  type: list
  elements: dict
  returned: success
  contains:
    arch:
      description: The architecture of the VMs.
      type: str
      sample: x86_64
    domain_type:
      description: The domain type of the VMs.
      type: str
      sample: kvm
    emulator:
      description: The QEMU that runs them.
      type: str
      sample: /usr/bin/qemu-system-x86_64
    default_machine:
      description: The machine type of a VM without the option machine.
      type: str
      sample: pc
    machines:
      description:
        - For each of V(pc), V(q35) and V(virt) that the hypervisor has, what such VMs can have, as values of the
          options of M(zstack.kvm.zstack_vm_start).
      type: dict
      sample:
        pc:
          firmware: [bios, uefi]
          console_modes: [vnc, spice]
          video_types: [cirrus, vga, qxl, virtio]
          max_cpus: 255
    machine_names:
      description: All machine types and versions that the option C(machine) of a VM accepts.
      type: list
      elements: str
      sample: [pc, pc-i440fx-7.2, pc-q35-7.2, q35]
vms:
  description: All VMs that libvirt has there, whoever created them.
  type: list
  elements: dict
  returned: success
  contains:
    uuid:
      description: The UUID, with dashes.
      type: str
      sample: 36c27e8f-f05c-4780-bf6d-2fa65700f22e
    name:
      description: The name of the domain. The name of ZStack's domains is their UUID without dashes.
      type: str
      sample: 36c27e8ff05c4780bf6d2fa65700f22e
    active:
      description: Whether a QEMU process has its disks open. Paused VMs are active too.
      type: bool
      sample: true
load_average:
  description:
    - The load average of the last 1, 5 and 15 minutes. Null if O(uri) is remote.
  type: list
  elements: float
  returned: success
  sample: [3.5, 2.25, 2.0]
bridges:
  description: The bridges of the hypervisor's kernel, to which NICs of VMs can be connected.
  type: list
  elements: str
  returned: success
  sample: [br_eth0, br_eth1]
cgroup_version:
  description: The version of the control groups (cgroups) that limit VMs, 1 or 2.
  type: int
  returned: success
  sample: 2
iommu_groups:
  description: The IOMMU groups, each of which can only be passed through as a whole; empty if the IOMMU is off.
  type: list
  elements: dict
  returned: success
  contains:
    number:
      description: The number of the group.
      type: int
      sample: 12
    devices:
      description: The addresses of the group's PCI devices.
      type: list
      elements: str
      sample: ["0000:3b:00.0", "0000:3b:00.1"]
error:
  description: What failed, with C(code), C(message), C(hint), C(phase), C(libvirt) and C(rollback), as in
    RV(zstack.kvm.zstack_vm_start#module:vms[].error).
  type: dict
  returned: on failure, unless the input is invalid
"""

from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import system_of
from ansible_collections.zstack.kvm.plugins.module_utils._info.host_info import host_info
from ansible_collections.zstack.kvm.plugins.module_utils.connect import CONNECTION_ARGUMENTS, connect
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import KvmModule
from ansible_collections.zstack.kvm.plugins.module_utils.vm_module import fail_for_error, require_libraries

ARGUMENT_SPEC = {**CONNECTION_ARGUMENTS}


def main() -> None:
    """Run the module."""
    module = KvmModule(ARGUMENT_SPEC, supports_check_mode=True)
    require_libraries(module)
    uri = module.params["uri"]
    try:
        hypervisor = connect(module.params)
        info = host_info(hypervisor, system_of(uri))
        hypervisor.close()
    except VmError as error:
        fail_for_error(module, error)
    module.exit_json(changed=False, **info)


if __name__ == "__main__":
    main()
