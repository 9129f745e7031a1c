#!/usr/bin/python
# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report the state of a hypervisor's VMs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zstack_vm_info
short_description: Tell how the VMs of a hypervisor are
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Tells of some or all VMs of a hypervisor in which state they are and why, where their consoles and their guests
    are, what disks and network cards they have, and whether they have to be restarted.
  - VMs that are described as for zstack.kvm.zstack_vm_start are compared with their descriptions as well.
  - Changes nothing on the hypervisor, save for the pictures in O(screenshot_directory).
extends_documentation_fragment:
  - zstack.kvm.attributes.action_group
  - zstack.kvm.attributes.info_module
  - zstack.kvm.libvirt
  - zstack.kvm.vm
options:
  uuids:
    description:
      - The UUIDs of the VMs to tell of, 32 hexadecimal digits each, with or without dashes.
    type: list
    elements: str
    default: []
  others:
    description:
      - Whether to tell of all other VMs of the hypervisor too, those of others than ZStack as well. Done in any case
        where neither O(uuids) nor O(vms) names a VM.
    type: bool
    default: false
  vms:
    description:
      - Descriptions of VMs, to tell of these as well and to compare them, each a mapping of the options below.
        An option that is null or an empty text counts as left out.
      - ZStack's document for starting a VM, a StartVmCmd, becomes an element of this list by the filter
        P(zstack.kvm.from_start_vm_cmd#filter).
    required: false
    default: []
  screenshot_directory:
    description:
      - A directory for pictures of the screens of running VMs, on the machine where the module runs. It is made if
        it doesn't exist. Each picture is a PNG file named by the VM's UUID, replaces the one before, and can be read
        by its owner only. None are written in check mode.
    type: path
  thumbnail_width:
    description:
      - Asks for small pictures of the screens of running VMs in RV(vms[].thumbnail), so many pixels wide at most. They
        are made by the hypervisor's Python, which takes a tenth of a second for a text screen and seconds for a large
        desktop.
    type: int
  uri:
    description:
      - The URI of the libvirt daemon to connect to. Through a remote one, RV(vms[].uptime) is unknown.
attributes:
  check_mode:
    details:
      - This module does not change the state of VMs or of the hypervisor. In check mode it writes no screenshots.
seealso:
  - module: zstack.kvm.zstack_host_info
  - module: zstack.kvm.zstack_vm_start
"""

EXAMPLES = r"""
- name: Look at all VMs of a hypervisor
  zstack.kvm.zstack_vm_info:
  register: hypervisor_vms_seen

- name: See what a VM shows on its screen
  zstack.kvm.zstack_vm_info:
    uuids:
      - 6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11
    screenshot_directory: /var/lib/zstack-kvm/screenshots
  register: hypervisor_vm_seen

- name: See which VMs are not as they should be
  zstack.kvm.zstack_vm_info:
    vms: "{{ hypervisor_vms }}"
  register: hypervisor_vms_compared

- name: Name them
  ansible.builtin.debug:
    msg: "{{ hypervisor_vms_compared.vms | rejectattr('in_sync') | map(attribute='uuid') }}"
"""

RETURN = r"""
vms:
  description:
    - The VMs, first those of O(uuids), then those of O(vms), then others.
    - For a VM that doesn't exist, or that libvirt fails to tell of, only RV(vms[].uuid), RV(vms[].state),
      RV(vms[].reason), RV(vms[].warnings) and what tells of the comparison are there.
  returned: success
  type: list
  elements: dict
  contains:
    uuid:
      description: The VM's UUID, with dashes.
      type: str
      sample: 6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11
    name:
      description: What people call the VM; the domain's description, or its name where it has none.
      type: str
      sample: web 01
    domain_name:
      description: What libvirt calls the VM.
      type: str
      sample: 6a9c3b1e2f644d0b9a557a0d3c1f2b11
    state:
      description:
        - The state in which the VM is, in libvirt's words, or V(absent); V(unknown) where RV(vms[].warnings) says why.
      type: str
      sample: running
    reason:
      description: Why it is in that state, in libvirt's words.
      type: str
      sample: booted
    qemu_hangs:
      description:
        - Whether the VM's QEMU runs, but has not answered libvirt for ten seconds. What only it can say, the sizes of
          disks and the pictures, is V(null) then, and RV(vms[].warnings) says so.
      type: bool
      sample: false
    uptime:
      description:
        - Seconds since the VM's QEMU was started, from the hypervisor's F(/proc). A reboot from within the guest
          doesn't begin it anew, and time that the VM was paused counts. V(null) for a VM that is off, and through a
          remote uri.
      type: int
      sample: 86400
    memory:
      description: Bytes of memory that the VM has.
      type: int
      sample: 2147483648
    cpus:
      description: How many processors the VM has.
      type: int
      sample: 2
    console:
      description:
        - Where the VM's console is, V(null) where it has none because it doesn't run. Where it listens on every
          address, RV(vms[].console.host) is the hypervisor's management address if the VM's metadata has it.
      type: dict
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
    address:
      description:
        - The first of RV(vms[].addresses) by which others can reach the guest. Addresses of IPv6 that are valid in one
          site only come last; link-local ones are none. V(null) where there is none.
      type: str
      sample: 10.0.0.17
    addresses:
      description:
        - The IP addresses of the guest, each once and at most 256, without those of loopback. Empty for a VM that is
          off. What the guest reports and is no address is left out, and RV(vms[].warnings) says so.
      type: list
      elements: dict
      contains:
        address:
          description: The address.
          type: str
          sample: 10.0.0.17
        prefix:
          description: The length of its network's prefix, V(null) where only ARP knows the address.
          type: int
          sample: 24
        mac:
          description: The MAC address of the network card that has it.
          type: str
          sample: fa:16:3e:00:00:01
        interface:
          description: The network card, by its name in the guest for the source V(agent), else in the hypervisor.
          type: str
          sample: eth0
        source:
          description:
            - Who says so, the first of V(agent) (QEMU's agent in the guest), V(lease) (the DHCP server of a libvirt
              network) and V(arp) (the hypervisor's ARP table, in which an address can be out of date).
          type: str
          sample: agent
    disks:
      description: The disks and drives.
      type: list
      elements: dict
      contains:
        target:
          description: The name of its place.
          type: str
          sample: vda
        device:
          description: V(disk), V(lun), V(cdrom) or V(floppy).
          type: str
          sample: disk
        source:
          description:
            - The path of its image or device; in network storage the protocol and the name there. V(null) for an empty
              drive.
          type: str
          sample: /var/lib/libvirt/images/web01.qcow2
        overlay_of:
          description:
            - The image that the VM's description names, where the source is an overlay of it that a snapshot has made.
            - V(null) where the two are the same, and for VMs that O(vms) does not describe.
          type: str
          sample: /var/lib/libvirt/images/web01.qcow2
        backing_chain:
          description:
            - The images below the source, from the upper to the lower, as far as libvirt names them. Of a VM that runs
              these are all.
          type: list
          elements: str
          sample: [/var/lib/libvirt/images/debian.qcow2]
        format:
          description: The format of its image.
          type: str
          sample: qcow2
        size:
          description: Bytes that the guest sees. V(null) where libvirt can't say.
          type: int
          sample: 10737418240
        allocated:
          description: Bytes that it takes where it lies. V(null) where libvirt can't say.
          type: int
          sample: 1998848
    nics:
      description: The network cards.
      type: list
      elements: dict
      contains:
        mac:
          description: The MAC address.
          type: str
          sample: fa:16:3e:00:00:01
        type:
          description: How it is connected, in libvirt's words.
          type: str
          sample: bridge
        bridge:
          description: The bridge, network or device of the hypervisor that it is connected to.
          type: str
          sample: br_eth0
        model:
          description: What the guest sees.
          type: str
          sample: virtio
        device:
          description: The hypervisor's end of it. V(null) where it has no name yet because the VM is off.
          type: str
          sample: vnet0
        connected:
          description:
            - Whether that device is in its bridge. It is not after the bridge was created again under the running VM.
            - V(null) where it is not known, as of a VM that is off or by a remote O(uri).
          type: bool
          sample: true
    metadata:
      description: What ZStack keeps in the domain.
      type: dict
      contains:
        internal_id:
          description: ZStack's number of the VM.
          type: int
          sample: 42
        host_management_ip:
          description: The management address of the hypervisor.
          type: str
          sample: 10.0.0.2
    restart_required:
      description: Whether what runs is not what libvirt will start next time.
      type: bool
      sample: false
    screenshot:
      description: The path of the picture. V(null) where none was asked for, or there is none.
      type: str
      sample: /var/lib/zstack-kvm/screenshots/6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11.png
    thumbnail:
      description: The small picture, a PNG in Base64. V(null) where none was asked for, or there is none.
      type: str
      sample: null
    in_sync:
      description:
        - Whether the VM, running or off, is as its description asks. V(null) for a VM that isn't described, or that
          can't be compared as RV(vms[].error) says.
      type: bool
      sample: true
    differences:
      description: Where the VM is not as asked. Secrets are masked.
      type: list
      elements: dict
      contains:
        path:
          description: The place in the domain.
          type: str
          sample: cputune/shares
        before:
          description: What is there, V(null) if nothing is.
          type: str
          sample: "1024"
        after:
          description: What is asked for, V(null) if nothing should be there.
          type: str
          sample: "2048"
    error:
      description:
        - What would keep zstack.kvm.zstack_vm_start from its work, as there; V(null) if nothing would.
      type: dict
    warnings:
      description: What else is to be known, such as what the hypervisor lacks for the VM to start.
      type: list
      elements: str
      sample: []
error:
  description: What failed, with C(code), C(message), C(hint), C(phase), C(libvirt) and C(rollback), as in
    RV(zstack.kvm.zstack_vm_start#module:vms[].error).
  type: dict
  returned: on failure, unless the input is invalid
"""

from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import system_of
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import Pictures, compare, vm_information
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuids import parse_uuids
from ansible_collections.zstack.kvm.plugins.module_utils.connect import CONNECTION_ARGUMENTS, connect
from ansible_collections.zstack.kvm.plugins.module_utils.vm_module import (
    DescribedVmsModule,
    fail_for_error,
    fail_for_input,
    require_libraries,
)

ARGUMENT_SPEC = {
    "uuids": {"type": "list", "elements": "str", "default": []},
    "vms": {"type": "list", "elements": "raw", "default": []},
    "others": {"type": "bool", "default": False},
    "screenshot_directory": {"type": "path"},
    "thumbnail_width": {"type": "int"},
    **CONNECTION_ARGUMENTS,
}


def main() -> None:
    """Run the module."""
    module = DescribedVmsModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    require_libraries(module)
    secrets = frozenset(secrets_of(module.params["vms"]))
    uuids, problems = parse_uuids(module.params["uuids"], "uuids")
    vms, vm_problems = parse_vms(module.params["vms"])
    problems += vm_problems
    width = module.params["thumbnail_width"]
    if width is not None and width < 1:
        problems.append(Problem("thumbnail_width", "must be at least 1"))
    if problems:
        fail_for_input(module, problems, secrets)
    uri = module.params["uri"]
    pictures = Pictures(None if module.check_mode else module.params["screenshot_directory"], width)
    wanted = list(dict.fromkeys([*uuids, *(vm.uuid for vm in vms)]))
    try:
        hypervisor, system = connect(module.params), system_of(uri)
        entries = vm_information(hypervisor, system, wanted, module.params["others"] or not wanted, pictures)
        compare(hypervisor, system, vms, secrets, entries)
        hypervisor.close()
    except VmError as error:
        fail_for_error(module, error)
    module.exit_json(changed=False, vms=entries)


if __name__ == "__main__":
    main()
