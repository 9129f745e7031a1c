#!/usr/bin/python
# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report the state of a hypervisor's VMs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zstack_vm_info
short_description: Gather information about the VMs of a hypervisor
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Gathers information about some or all VMs of a hypervisor. This is their state and its reason, the addresses of
    consoles and guests, disks and NICs, and whether a restart is due.
  - VMs that are given with the options of zstack.kvm.zstack_vm_start are compared with these options as well.
  - Changes nothing on the hypervisor, except for the screenshots in O(screenshot_directory).
extends_documentation_fragment:
  - zstack.kvm.attributes.action_group
  - zstack.kvm.attributes.info_module
  - zstack.kvm.libvirt
  - zstack.kvm.vm
options:
  uuids:
    description:
      - The UUIDs of VMs to report, 32 hexadecimal digits each, with or without dashes.
    type: list
    elements: str
    default: []
  others:
    description:
      - Whether to report all other VMs of the hypervisor too, including those that ZStack did not create. They are
        always reported if neither O(uuids) nor O(vms) names a VM.
    type: bool
    default: false
  vms:
    description:
      - VMs to report and to compare with their options, each a mapping of the options below. An option that is null or
        an empty string counts as omitted.
      - The filter P(zstack.kvm.from_start_vm_cmd#filter) converts a StartVmCmd, the document with which ZStack starts
        a VM, to an element of this list.
    required: false
    default: []
  screenshot_directory:
    description:
      - A directory for screenshots of running VMs, on the machine where the module runs. It is created if it doesn't
        exist. Each screenshot is a PNG file named after the VM's UUID, replaces the previous one, and can be read by
        its owner only. None are written in check mode.
    type: path
  thumbnail_width:
    description:
      - The maximum width in pixels of a small screenshot of each running VM, returned in RV(vms[].thumbnail). It is
        scaled by the hypervisor's Python, which takes a tenth of a second for a text screen and seconds for a large
        desktop. Without this option no thumbnails are returned.
    type: int
  uri:
    description:
      - The URI of the libvirt daemon to connect to. With a remote URI, RV(vms[].uptime) is unknown.
attributes:
  check_mode:
    details:
      - This module does not change the state of VMs or of the hypervisor. In check mode it writes no screenshots.
seealso:
  - module: zstack.kvm.zstack_host_info
  - module: zstack.kvm.zstack_vm_start
"""

EXAMPLES = r"""
- name: Gather information about all VMs of a hypervisor
  zstack.kvm.zstack_vm_info:
  register: hypervisor_vms_seen

- name: Take a screenshot of a VM
  zstack.kvm.zstack_vm_info:
    uuids:
      - 6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11
    screenshot_directory: /var/lib/zstack-kvm/screenshots
  register: hypervisor_vm_seen

- name: Compare VMs with their options
  zstack.kvm.zstack_vm_info:
    vms: "{{ hypervisor_vms }}"
  register: hypervisor_vms_compared

- name: Show which VMs are not in sync
  ansible.builtin.debug:
    msg: "{{ hypervisor_vms_compared.vms | rejectattr('in_sync') | map(attribute='uuid') }}"
"""

RETURN = r"""
vms:
  description:
    - The VMs, first those of O(uuids), then those of O(vms), then others.
    - For a VM that doesn't exist, or about which libvirt returns an error, only RV(vms[].uuid), RV(vms[].state),
      RV(vms[].reason), RV(vms[].warnings) and the results of the comparison are returned.
  returned: success
  type: list
  elements: dict
  contains:
    uuid:
      description: The VM's UUID, with dashes.
      type: str
      sample: 6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11
    name:
      description: The display name of the VM; the domain's description, or the domain's name if it has none.
      type: str
      sample: web 01
    domain_name:
      description: The name of the libvirt domain.
      type: str
      sample: 6a9c3b1e2f644d0b9a557a0d3c1f2b11
    state:
      description:
        - The VM's state, by libvirt's name, or V(absent); V(unknown) if it could not be read, for the reason in
          RV(vms[].warnings).
      type: str
      sample: running
    reason:
      description: The reason of that state, by libvirt's name.
      type: str
      sample: booted
    qemu_hangs:
      description:
        - Whether the VM's QEMU runs, but has not answered libvirt for ten seconds. Values that only QEMU can report,
          the sizes of disks and the screenshots, are V(null) then, and RV(vms[].warnings) says so.
      type: bool
      sample: false
    uptime:
      description:
        - Seconds since the VM's QEMU was started, from the hypervisor's F(/proc). A reboot from within the guest
          doesn't reset it, and time during which the VM was paused counts. V(null) for a VM that is off, and with a
          remote uri.
      type: int
      sample: 86400
    memory:
      description: The VM's memory, in bytes.
      type: int
      sample: 2147483648
    cpus:
      description: The number of the VM's CPUs.
      type: int
      sample: 2
    console:
      description:
        - The address of the VM's console, V(null) if it has none because it doesn't run. If it listens on every
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
        - The first of RV(vms[].addresses) that is reachable from elsewhere. Site-local IPv6 addresses come last;
          link-local ones do not count. V(null) if there is none.
      type: str
      sample: 10.0.0.17
    cloud_init:
      description:
        - How far cloud-init is in the guest, as the guest agent reads it. V(null) if the VM is off, has no seed
          (C(cloud_init)), or its guest agent does not tell.
      type: dict
      contains:
        state:
          description: V(running), V(done) or V(failed).
          type: str
          sample: done
        errors:
          description: The first five errors that cloud-init reports.
          type: list
          elements: str
    addresses:
      description:
        - The IP addresses of the guest, each once and at most 256, without loopback addresses. Empty for a VM that is
          off. A value reported by the guest that is not an address is left out, and RV(vms[].warnings) says so.
      type: list
      elements: dict
      contains:
        address:
          description: The address.
          type: str
          sample: 10.0.0.17
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
          description:
            - The source of the address, the first that has it of V(agent) (QEMU's agent in the guest), V(lease) (the
              DHCP server of a libvirt network) and V(arp) (the hypervisor's ARP table, in which an address can be out
              of date).
          type: str
          sample: agent
    disks:
      description: The disks and drives.
      type: list
      elements: dict
      contains:
        target:
          description: The target device name of the disk.
          type: str
          sample: vda
        device:
          description: V(disk), V(lun), V(cdrom) or V(floppy).
          type: str
          sample: disk
        source:
          description:
            - The path of its image or device; for network storage the protocol and the name there. V(null) for an
              empty drive.
          type: str
          sample: /var/lib/libvirt/images/web01.qcow2
        overlay_of:
          description:
            - The image that the VM's options name, if the source is an overlay of it, created by a snapshot.
            - V(null) if the two are the same, and for VMs that are not in O(vms).
          type: str
          sample: /var/lib/libvirt/images/web01.qcow2
        backing_chain:
          description:
            - The images below the source, from top to bottom, as far as libvirt reports them. For a running VM these
              are all.
          type: list
          elements: str
          sample: [/var/lib/libvirt/images/debian.qcow2]
        format:
          description: The format of its image.
          type: str
          sample: qcow2
        size:
          description: The capacity that the guest sees, in bytes. V(null) if libvirt can't report it.
          type: int
          sample: 10737418240
        allocated:
          description: The bytes allocated on its storage. V(null) if libvirt can't report them.
          type: int
          sample: 1998848
    nics:
      description: The NICs.
      type: list
      elements: dict
      contains:
        mac:
          description: The MAC address.
          type: str
          sample: fa:16:3e:00:00:01
        type:
          description: How it is connected, by libvirt's name.
          type: str
          sample: bridge
        bridge:
          description: The bridge, network or device of the hypervisor that it is connected to.
          type: str
          sample: br_eth0
        network:
          description: The libvirt network that it is connected to. V(null) for a NIC on a bridge.
          type: str
          sample: default
        model:
          description: The model that the guest sees.
          type: str
          sample: virtio
        device:
          description: The NIC's device on the hypervisor. V(null) if it has no name yet because the VM is off.
          type: str
          sample: vnet0
        connected:
          description:
            - Whether that device is in its bridge. It is not if the bridge was recreated while the VM was running.
            - V(null) if this is not known, for instance for a VM that is off or with a remote O(uri).
          type: bool
          sample: true
    metadata:
      description: ZStack's metadata in the domain.
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
      description: Whether the running VM differs from its definition, so that a restart is due.
      type: bool
      sample: false
    screenshot:
      description: The path of the screenshot. V(null) if none was requested, or none could be taken.
      type: str
      sample: /var/lib/zstack-kvm/screenshots/6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11.png
    thumbnail:
      description: The small screenshot, a PNG in Base64. V(null) if none was requested, or none could be taken.
      type: str
      sample: null
    in_sync:
      description:
        - Whether the VM, running or off, is in sync with its options. V(null) for a VM that was not given with
          options, or that can't be compared for the reason in RV(vms[].error).
      type: bool
      sample: true
    differences:
      description: How the VM differs from its options. Secrets are masked.
      type: list
      elements: dict
      contains:
        path:
          description: The path in the domain XML.
          type: str
          sample: cputune/shares
        before:
          description: The actual value, V(null) if there is none.
          type: str
          sample: "1024"
        after:
          description: The desired value, V(null) if there should be none.
          type: str
          sample: "2048"
    error:
      description:
        - The error with which zstack.kvm.zstack_vm_start would fail, with the same keys; V(null) if it would not.
      type: dict
    warnings:
      description: Warnings about this VM, such as what the hypervisor lacks for the VM to start.
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
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import (
    Pictures,
    add_comparison,
    compare,
    vm_information,
)
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
    chosen = list(dict.fromkeys([*uuids, *(vm.uuid for vm in vms)]))
    try:
        hypervisor, system = connect(module.params), system_of(uri)
        comparison = compare(hypervisor, system, vms, secrets)
        entries = vm_information(hypervisor, system, chosen, module.params["others"] or not chosen, pictures)
        add_comparison(entries, comparison)
        hypervisor.close()
    except VmError as error:
        fail_for_error(module, error)
    module.exit_json(changed=False, vms=entries)


if __name__ == "__main__":
    main()
