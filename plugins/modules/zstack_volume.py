#!/usr/bin/python
# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates, grows, examines and removes volumes without a VM."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zstack_volume
short_description: Create, grow, examine and remove volumes
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Creates volumes in files and in ceph, empty, as full copies or as linked clones of an image.
  - Grows volumes that are smaller than their size, online if a VM is running with them. A volume is never shrunk,
    replaced or created a second time.
  - A volume without O(volumes[].create) is only examined. The result has the size, format and backing image of all
    volumes.
  - Everything is examined before anything is changed, and all problems are reported at once.
  - M(zstack.kvm.zstack_vm_start) creates the volumes of the VMs that it starts in the same way.
extends_documentation_fragment:
  - zstack.kvm.attributes
  - zstack.kvm.attributes.action_group
  - zstack.kvm.libvirt
options:
  volumes:
    description:
      - The volumes, each a mapping of the options below.
    type: list
    elements: raw
    required: true
    suboptions:
      install_path:
        description:
          - The location of the volume. The absolute path of a file, or C(ceph://POOL/IMAGE) for
            O(volumes[].device_type=ceph).
        type: str
        required: true
      device_type:
        description:
          - The type of storage.
        type: str
        choices: [file, ceph]
        default: file
      mon_info:
        description:
          - The monitors of the ceph cluster.
        type: list
        elements: dict
        default: []
        suboptions:
          hostname:
            description:
              - The monitor's host name or IP address.
            type: str
            required: true
          port:
            description:
              - The monitor's port.
            type: int
            default: 6789
      secret_uuid:
        description:
          - The UUID of the libvirt secret that holds the cephx key of the user C(zstack). Without it, authentication is
            not used.
        type: str
      format:
        description:
          - The format of a file. By default the one that its header states, or for a volume to be created V(qcow2).
        type: str
        choices: [raw, qcow2]
      create:
        description:
          - How the volume is created if it does not exist, and the size to which it is grown if it is smaller.
        type: dict
        suboptions:
          size:
            description:
              - The size of the disk in the guest, in bytes or as a size such as V(20GiB). By default that of the image.
                Required without an image.
            type: bytes
          image:
            description:
              - The image that the volume starts as. The absolute path of a raw or qcow2 file on the hypervisor, or
                C(POOL/IMAGE@SNAPSHOT) for a volume in ceph. Without it, the volume is empty.
            type: str
          image_format:
            description:
              - The format that the image must have. By default the one that its header states.
            type: str
            choices: [raw, qcow2]
          linked:
            description:
              - Whether the volume is a linked clone, which has only what differs from the image and needs the image as
                long as it exists. By default it is a full copy.
            type: bool
            default: false
          format:
            description:
              - The format of a file. By default the volume's format, or else V(qcow2).
            type: str
            choices: [raw, qcow2]
          preallocation:
            description:
              - How much of the storage of a file is allocated at once. V(off) allocates it when the guest writes,
                V(metadata) creates the tables of a qcow2 image, V(falloc) reserves the space, V(full) writes it.
            type: str
            choices: ["off", metadata, falloc, full]
            default: "off"
          features:
            description:
              - The features of an image in ceph. By default those that the cluster gives to new images
                (C(rbd default features)). V(object-map) and V(journaling) need V(exclusive-lock), V(fast-diff) needs
                V(object-map), and a linked clone needs V(layering). An image that exists with other features is left
                as it is, and reported.
            type: list
            elements: str
            choices: [layering, exclusive-lock, object-map, fast-diff, deep-flatten, journaling]
  state:
    description:
      - V(present) creates and grows volumes.
      - V(absent) removes the volumes that are named. It is an error if a domain of the hypervisor, running or defined,
        has one in the backing chain of a disk, or if a qcow2 image in its storage, or in one with a disk of the
        domains, has it as its backing file. The storage of a file is the highest directory above it that is not one of
        the system's own (such as C(/), C(/mnt), C(/srv), C(/var/lib/libvirt)), with all directories below it. Symbolic
        links to other directories are not followed, and other hypervisors are not asked.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Format, size and backing image of each volume before and after.
  idempotent:
    support: full
notes:
  - It runs on the hypervisor itself; a remote O(uri) is an error.
  - A volume that was created before another one failed is kept.
seealso:
  - module: zstack.kvm.zstack_vm_start
"""

EXAMPLES = r"""
- name: Create two data volumes, or grow them to this size
  zstack.kvm.zstack_volume:
    volumes:
      - install_path: /var/lib/libvirt/images/db-data.qcow2
        create:
          size: 100GiB
      - install_path: ceph://pool/db-log
        device_type: ceph
        mon_info: [{hostname: 10.0.9.1}]
        secret_uuid: 7f2e0b9c-3a51-4c7e-9d2e-0123456789ab
        create:
          size: 20GiB

- name: Create linked clones of an image
  zstack.kvm.zstack_volume:
    volumes:
      - install_path: /var/lib/libvirt/images/web1.qcow2
        create: &clone
          image: /var/lib/libvirt/images/debian-12.qcow2
          linked: true
          size: 20GiB
      - install_path: /var/lib/libvirt/images/web2.qcow2
        create: *clone

- name: Examine a volume, or see how far its copy is
  zstack.kvm.zstack_volume:
    volumes:
      - install_path: /var/lib/libvirt/images/db-data.qcow2

- name: Remove a volume that nothing uses any more
  zstack.kvm.zstack_volume:
    volumes:
      - install_path: /var/lib/libvirt/images/web2.qcow2
    state: absent
"""

RETURN = r"""
volumes:
  description: One entry for each volume, in the order of O(volumes).
  type: list
  elements: dict
  returned: always, unless an option is invalid
  contains:
    install_path:
      description: The location of the volume.
      type: str
      returned: always
      sample: /var/lib/libvirt/images/web1.qcow2
    exists:
      description: Whether the volume exists, in check mode whether it would.
      type: bool
      returned: always
    size:
      description:
        - The size of the disk in the guest, in bytes. V(null) if the volume does not exist or is a block device.
      type: int
      returned: always
      sample: 21474836480
    format:
      description: The format, V(raw) or V(qcow2). V(null) like the size.
      type: str
      returned: always
      sample: qcow2
    image:
      description: The image that the volume is a linked clone of, V(null) if it is not a linked clone.
      type: str
      returned: always
      sample: /var/lib/libvirt/images/debian-12.qcow2
    features:
      description: The features of an image in ceph that O(volumes[].create.features) can choose, V(null) for a file.
      type: list
      elements: str
      returned: always
      sample: [exclusive-lock, layering]
    changed:
      description: Whether the volume was changed.
      type: bool
      returned: always
    actions:
      description: What was done, or would be done in check mode. V(create_volume), V(grow_volume) or V(remove_volume).
      type: list
      elements: str
      returned: always
      sample: [create_volume]
    differences:
      description: How an existing volume differs from O(volumes[].create).
      type: list
      elements: dict
      returned: always
      contains:
        path:
          description: V(size), V(image) or V(features).
          type: str
          returned: always
          sample: size
        before:
          description: The actual size in bytes, backing image or features.
          type: str
          returned: always
          sample: "10737418240"
        after:
          description: The desired one.
          type: str
          returned: always
          sample: "21474836480"
    warnings:
      description: What is left as it is, and why.
      type: list
      elements: str
      returned: always
    progress:
      description: How many percent of the volume another task has copied.
      type: float
      returned: while another task copies the image of the volume
      sample: 42.5
    error:
      description: What failed, with C(code), C(message), C(hint), C(phase), C(libvirt) and C(rollback), as in
        RV(zstack.kvm.zstack_vm_start#module:vms[].error).
      type: dict
      returned: when this volume failed
error:
  description: What failed for all volumes, with the keys of RV(volumes[].error).
  type: dict
  returned: on failure, unless the input is invalid or the failure is that of a volume
"""

from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import parse_capabilities
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import system_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.volumes import parse_volumes
from ansible_collections.zstack.kvm.plugins.module_utils._volumes.result import VolumeResult
from ansible_collections.zstack.kvm.plugins.module_utils._volumes.work import VolumeRequest, VolumeTask
from ansible_collections.zstack.kvm.plugins.module_utils.connect import CONNECTION_ARGUMENTS, connect
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import KvmModule
from ansible_collections.zstack.kvm.plugins.module_utils.vm_module import (
    cancelled_by_signals,
    fail_for_error,
    fail_for_input,
    require_libraries,
)

ARGUMENT_SPEC = {
    "volumes": {"type": "list", "elements": "raw", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    **CONNECTION_ARGUMENTS,
}


def main() -> None:
    """Run the module."""
    module = KvmModule(ARGUMENT_SPEC, supports_check_mode=True)
    require_libraries(module)
    volumes, problems = parse_volumes(module.params["volumes"])
    if problems:
        fail_for_input(module, problems)
    request = VolumeRequest(module.params["state"] == "absent", module.check_mode, cancelled_by_signals())
    try:
        system = system_of(module.params["uri"])
        if system.is_remote:
            raise VmError("needs_hypervisor", "volumes are created, examined and removed on the hypervisor itself")
        hypervisor = connect(module.params)
        owner = parse_capabilities(hypervisor.capabilities()).qemu_owner
        results = VolumeTask(hypervisor, system, owner, request).run(volumes)
        hypervisor.close()
    except VmError as error:
        fail_for_error(module, error)
    else:
        _finish(module, results)


def _finish(module: KvmModule, results: list[VolumeResult]) -> None:
    returned: dict[str, Any] = {
        "changed": any(result.actions for result in results),
        "volumes": [result.as_entry() for result in results],
    }
    if module._diff:
        returned["diff"] = [result.as_diff() for result in results]
    for result in results:
        for warning in result.warnings:
            module.warn(warning)
    failures = [result.failure.error for result in results if result.failure is not None]
    if not failures:
        module.exit_json(**returned)
    lines = ["%s (%s)" % (error.message, error.hint) for error in failures]
    module.fail_json("%d of %d volumes failed:\n%s" % (len(failures), len(results), "\n".join(lines)), **returned)


if __name__ == "__main__":
    main()
