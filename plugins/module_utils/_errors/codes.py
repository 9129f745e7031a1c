# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error code of the collection: its meaning and hint, which docs/errors.md shows; results have the hint."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """When a code is used, and what the reader can do about it."""

    meaning: str
    hint: str


ERROR_CODES: dict[str, ErrorCode] = {
    # The input
    "invalid_input": ErrorCode(
        "Something in the task is not as the documentation of the module asks for.",
        "Correct the option that the message names.",
    ),
    "impossible_layout": ErrorCode(
        "Two devices need the same place, or there are more devices than places for them.",
        "Change the device_id or the bus of one of the devices that the message names, or leave one out.",
    ),
    "patch_failed": ErrorCode(
        "A change of domain_patches cannot be made.",
        "Compare the XPath with the domain that check mode with --diff shows.",
    ),
    # What the hypervisor has
    "unsupported_arch": ErrorCode(
        "The hypervisor has no emulator for the architecture.",
        "Install the QEMU of that architecture on the hypervisor, or leave arch out for its own.",
    ),
    "unsupported_domain_type": ErrorCode(
        "The hypervisor cannot run domains of this type.",
        "zstack_host_info lists those that it can. For kvm see that /dev/kvm exists and that virtualization is enabled "
        "in the firmware (role host_prerequisites); domain_type qemu emulates instead, slowly.",
    ),
    "emulator_missing": ErrorCode(
        "The emulator is not on the hypervisor.",
        "Leave emulator out to use the one that libvirt knows, or install it.",
    ),
    "firmware_missing": ErrorCode(
        "The hypervisor has no firmware of this kind for the machine.",
        "Install the package ovmf (x86_64), edk2-ovmf or qemu-efi-aarch64 on the hypervisor.",
    ),
    "unsupported_machine": ErrorCode(
        "The emulator does not have the machine type.",
        "Leave machine out, or take one of those that zstack_host_info lists.",
    ),
    "unsupported_device": ErrorCode(
        "The hypervisor's QEMU or libvirt does not have what a device of the VM needs.",
        "Choose what the message or zstack_host_info (consoles, video cards) offers instead, or install the missing "
        "QEMU module on the hypervisor.",
    ),
    "kvm_unavailable": ErrorCode(
        "QEMU cannot use /dev/kvm.",
        "Load the module kvm_intel or kvm_amd, give the group kvm access to /dev/kvm (role host_prerequisites), or "
        "use domain_type qemu.",
    ),
    "needs_hypervisor": ErrorCode(
        "Something that only the hypervisor itself can tell or do is needed, but uri leads to another machine.",
        "Run the task on the hypervisor (make it the inventory host) with a local uri.",
    ),
    "needs_root": ErrorCode(
        "Something on the hypervisor that this user may not do or see is needed.",
        "Run the task as root (become: true), or leave out what the message names.",
    ),
    # Files and storage
    "path_unreadable": ErrorCode(
        "A file or directory of the hypervisor cannot be read.",
        "See that the task runs as root (become: true) and that the path is not on a hanging network file system.",
    ),
    "path_unwritable": ErrorCode(
        "A file or directory of the hypervisor cannot be written.",
        "See that the task runs as root (become: true), and that the file system is neither full nor read-only.",
    ),
    "path_unsafe": ErrorCode(
        "A path leads through a symbolic link that a user other than root could exchange.",
        "Use the path that the link leads to, or make the directory that the link is in root's alone.",
    ),
    "path_taken": ErrorCode(
        "Something is at a path where QEMU or this collection would create, overwrite or remove a file or socket.",
        "Look at what is there: move it away, or choose another path. Nothing was touched.",
    ),
    "channel_dir_missing": ErrorCode(
        "The folder of a channel is not there, and cannot be made through a remote uri.",
        "Run the task on the hypervisor (make it the inventory host) with a local uri, or make the folder there.",
    ),
    "image_missing": ErrorCode(
        "The image of a volume or CD, or an image below it in its backing chain, does not exist.",
        "Correct the path, or create the image before the VM is started. Where a backing file has moved, "
        '"qemu-img rebase -u" tells its new path to the image that refers to it.',
    ),
    "image_unreadable": ErrorCode(
        "qemu-img cannot tell what an image is.",
        'Look at the image with "qemu-img info"; state the format of the volume if it is known.',
    ),
    "image_format": ErrorCode(
        "An image does not have the format that it should have.",
        "A raw disk that now claims to be qcow2 may be the work of its guest: look at it before you trust it. "
        "State the right format, or convert the image.",
    ),
    "backing_file_outside": ErrorCode(
        "A volume whose format nobody stated looks like a qcow2 image that leads out of its storage.",
        'The header may be the work of a guest with a raw disk: look at the image with "qemu-img info" before you '
        "trust it. State the format of the volume: raw for a raw disk, qcow2 where the backing file is meant.",
    ),
    "image_locked": ErrorCode(
        "Another process has the image open for writing.",
        "Find the VM that uses it, perhaps on another hypervisor; use shareable: true only for images made for it.",
    ),
    "image_permission": ErrorCode(
        "QEMU's user may not open the image.",
        "Give the user that QEMU runs as (user and group in /etc/libvirt/qemu.conf) access to the image and to all "
        "directories above it. Where AppArmor or SELinux is active, it may be what denies it: see journalctl -k.",
    ),
    "disk_full": ErrorCode(
        "A file system or pool of the hypervisor is full.",
        "Free space where the message says, then run the task again.",
    ),
    "storage_unreachable": ErrorCode(
        "A storage server does not answer.",
        "See that the server runs and that the hypervisor reaches its address and port.",
    ),
    "storage_denied": ErrorCode(
        "A storage server refuses the login.",
        "Correct the key or the password; a cephx user also needs capabilities for the pool.",
    ),
    "storage_missing": ErrorCode(
        "The pool, image, target or unit is not on the storage server.",
        "Correct install_path or path, or create it on the server.",
    ),
    "secret_missing": ErrorCode(
        "libvirt does not have the secret, or it has no value.",
        "Define it with the role ceph_secrets or the module zstack_libvirt_secret, or give ceph_secret in the VM.",
    ),
    "secret_conflict": ErrorCode(
        "Two secrets are wanted where there can be one.",
        "Use one UUID and one value for one ceph user or iSCSI target on a hypervisor.",
    ),
    "command_missing": ErrorCode(
        "A program is not installed on the hypervisor.",
        "Run the role host_prerequisites, or install the package that has it (qemu-utils, open-iscsi).",
    ),
    "command_failed": ErrorCode(
        "A program on the hypervisor failed.",
        "See what it says in the message.",
    ),
    "command_timeout": ErrorCode(
        "A program on the hypervisor did not end in time.",
        "See whether the storage that it works on hangs.",
    ),
    # Network
    "bridge_missing": ErrorCode(
        "A bridge does not exist on the hypervisor.",
        "Create the bridge, or correct bridge_name to one of those that zstack_host_info lists.",
    ),
    "nic_name_taken": ErrorCode(
        "A network device of the hypervisor has the name that a NIC's device is to get.",
        "Choose another nic_internal_name, or leave it out: libvirt then chooses one. A device that no VM uses can be "
        'removed with "ip link delete".',
    ),
    "openvswitch_failed": ErrorCode(
        "Open vSwitch does not answer, or refuses what a NIC needs of it.",
        'See that ovsdb-server and ovs-vswitchd run (service openvswitch-switch) and what "ovs-vsctl show" says.',
    ),
    "filter_failed": ErrorCode(
        "The packet filter of a NIC cannot be set up.",
        'See that the network filter clean-traffic is defined ("virsh nwfilter-list") and that iptables and '
        "ebtables are installed.",
    ),
    "address_missing": ErrorCode(
        "The address to listen on is not one of the hypervisor.",
        "Correct host_management_ip, or set console_listen to an address of the hypervisor.",
    ),
    "address_in_use": ErrorCode(
        "The port or socket to listen on is taken.",
        "Stop what listens there, or widen remote_display_port_max in /etc/libvirt/qemu.conf.",
    ),
    "qos_limit": ErrorCode(
        "A limit of a NIC is beyond what the kernel takes.",
        "Lower or raise inbound_bandwidth and outbound_bandwidth in the qos of the NIC.",
    ),
    "qos_unsupported": ErrorCode(
        "The hypervisor's kernel cannot limit NICs.",
        "The kernel needs sch_htb, sch_sfq, cls_fw and act_police, and the program tc; leave the qos of the NICs "
        "out without them.",
    ),
    # Devices of the hypervisor
    "device_missing": ErrorCode(
        "A device to pass through is not on the hypervisor.",
        'Compare the address with "lspci -D" or "lsusb" on the hypervisor.',
    ),
    "device_in_use": ErrorCode(
        "A device to pass through belongs to another VM or to a driver that does not let it go.",
        "Stop the VM that has it, or remove it there.",
    ),
    "iommu_missing": ErrorCode(
        "The device cannot be passed through because the hypervisor has no IOMMU for it.",
        "Enable VT-d or AMD-Vi in the firmware and the IOMMU on the kernel command line (role host_prerequisites "
        "reports both).",
    ),
    "vfio_irq_conflict": ErrorCode(
        "The interrupt line of a device is shared with a device that cannot do without it.",
        "Free the line as the message says, move the card to another slot, or leave the device out.",
    ),
    # Memory and limits
    "not_enough_memory": ErrorCode(
        "The hypervisor does not have the memory for the VM.",
        "Stop other VMs, lower memory, or start the VM on another hypervisor.",
    ),
    # The state of the VM
    "name_taken": ErrorCode(
        "Another domain has this VM's domain name.",
        'Look at it with "virsh dominfo"; rename or undefine it if it is not needed. It is never replaced.',
    ),
    "uuid_taken": ErrorCode(
        "A domain with the UUID exists under another name.",
        'Shut it down and rename it with "virsh domrename", or undefine it if it is not needed.',
    ),
    "domain_gone": ErrorCode(
        "Somebody undefined the domain while the task worked on it.",
        "Run the task again.",
    ),
    "vm_busy": ErrorCode(
        "Something is being done to the VM that must come to its end first: a migration, a save, a snapshot, a backup.",
        'Wait until it is done ("virsh domjobinfo"), then run the task again.',
    ),
    "vm_locked": ErrorCode(
        "Another task of this collection works on the same VM.",
        "Run the task again when the other has ended.",
    ),
    "shared_locked": ErrorCode(
        "Another task of this collection works on something that VMs share: a secret or an iSCSI session.",
        "Run the task again when the other has ended.",
    ),
    "paused_again": ErrorCode(
        "The VM was resumed, but QEMU paused it again at once.",
        "After an ioerror look at the storage of its volumes: it may be full or gone.",
    ),
    "vm_crashed": ErrorCode(
        "The guest has crashed, and its memory is kept for whoever wants to look at it.",
        'Take a dump if you need one ("virsh dump"), then destroy the VM or run the task with on_drift: restart.',
    ),
    "vm_not_running": ErrorCode(
        "The VM is paused or suspended, so that its guest can do nothing.",
        'Let it go on first ("virsh resume", or the module zstack_vm_start), or use force: true.',
    ),
    "overlay_in_use": ErrorCode(
        "A volume is to go back to the image that it names (overlays: discard), but an overlay of the image holds data "
        "of a snapshot, or the VM is running on it.",
        'Leave overlays out to keep it. To merge it into its image use "virsh blockcommit DOMAIN TARGET --active '
        '--pivot"; to give its data up shut the VM down and remove the snapshot ("virsh snapshot-delete --metadata").',
    ),
    "saved_state_failed": ErrorCode(
        "The memory that a VM was suspended to disk with (managed save) cannot be restored.",
        "Put right what the message names; the saved memory is kept. Or give the memory up and boot the VM: "
        'saved_state: discard, or "virsh managedsave-remove".',
    ),
    "vm_has_snapshots": ErrorCode(
        "The VM is to be undefined or is transient, and libvirt would forget its snapshots or checkpoints with it.",
        "Leave undefine out (define a transient VM first), or use snapshots: remove, checkpoints: remove.",
    ),
    "vm_has_saved_state": ErrorCode(
        "The VM to be undefined is suspended to disk (managed save), and its memory would be lost.",
        "Start and stop it first, or use saved_state: remove.",
    ),
    "vm_has_tpm_state": ErrorCode(
        "libvirt would remove the state of the VM's virtual TPM. libvirt before 8.9.0 does so when it undefines a VM, "
        "every libvirt when a transient VM ends.",
        "Leave undefine out (define a transient VM first), set persistent_state='yes' in the TPM's backend, or use "
        "tpm: remove.",
    ),
    "drift": ErrorCode(
        "The VM runs and is not as asked for, and on_drift is fail.",
        "See differences in the result; choose another on_drift to have it changed.",
    ),
    "start_timeout": ErrorCode(
        "The VM did not run within its timeout.",
        "See the last lines of QEMU's log in the message; raise timeout if its storage is slow.",
    ),
    "shutdown_timeout": ErrorCode(
        "The VM did not shut down in time.",
        "The guest may ignore the request; shut it down from within, or raise timeout.",
    ),
    "vm_ended": ErrorCode(
        "The VM ran, and ended before it could be used.",
        "See in boot_diagnostics what its guest and QEMU said at last; its disk may have nothing to boot.",
    ),
    "console_timeout": ErrorCode(
        "The VM runs, but nothing listens on the port of its console.",
        "See that the address it listens on is reachable from the hypervisor itself, or use wait_for: running.",
    ),
    "guest_agent_timeout": ErrorCode(
        "The VM runs, but its guest agent doesn't answer.",
        "See in boot_diagnostics how far the guest has booted, and that qemu-guest-agent runs in it; raise timeout if "
        "it is slow.",
    ),
    "address_timeout": ErrorCode(
        "The VM runs, but no NIC of its guest has an address that can be used from elsewhere.",
        "See in the message which addresses were seen last, and in last_seen how far the guest has booted. Without a "
        "guest agent only leases of libvirt and the hypervisor's ARP table are known. Raise timeout for a slow one.",
    ),
    "earlier_vm_failed": ErrorCode(
        "The VM was left as it is, because one with a lower start_order failed.",
        "See what is wrong with the VM that failed; when that is repaired, run the task again.",
    ),
    "no_threads": ErrorCode(
        "The task cannot start as many threads as it needs.",
        "Raise the limit of processes on the hypervisor (ulimit -u, TasksMax of the service, pids.max of the cgroup), "
        "or end what fills it.",
    ),
    "interrupted": ErrorCode(
        "The task was asked to stop.",
        "Run it again.",
    ),
    # libvirt and QEMU
    "qemu_hangs": ErrorCode(
        "The VM's QEMU runs, but doesn't answer.",
        "Look at what it waits for: storage that hangs, a process that was stopped (ps, dmesg). zstack_vm_stop with "
        "force: true ends it whatever it does.",
    ),
    "qemu_failed": ErrorCode(
        "QEMU ended while the VM was starting.",
        "See the last lines of QEMU's log in the message.",
    ),
    "security_denied": ErrorCode(
        "AppArmor or SELinux does not let QEMU or libvirt do something.",
        "See the log of the kernel (journalctl -k), and give the path a label or rule that allows it.",
    ),
    "invalid_domain": ErrorCode(
        "libvirt does not accept the domain.",
        "See the message; if domain_patches are in use, leave them out to see whether they are the cause.",
    ),
    "libvirt_unavailable": ErrorCode(
        "libvirt does not answer at its address.",
        "Start libvirtd (or virtqemud and its socket) on the hypervisor, or correct uri.",
    ),
    "daemon_unavailable": ErrorCode(
        "libvirt runs, but another daemon that it needs does not answer it.",
        "Start the daemon that the message names on the hypervisor: virtlogd (virtlogd.socket), virtlockd, or one of "
        "the modular daemons such as virtnetworkd, virtsecretd, virtstoraged or virtnwfilterd.",
    ),
    "libvirt_denied": ErrorCode(
        "libvirt refuses the connection or the operation to this user.",
        "Run the task as root (become: true), or give the user access to libvirt (group libvirt). Where libvirt asks "
        "for a name and a password, see that authfile has the right ones for its host.",
    ),
    "libvirt_hangs": ErrorCode(
        "libvirt accepts connections but does not answer.",
        "Look at the daemon on the hypervisor; run the task again when it answers.",
    ),
    "connection_lost": ErrorCode(
        "The connection to libvirt broke while the task was working.",
        "Run the task again: it finds out how far it got. See whether the daemon was restarted.",
    ),
    "libvirt_error": ErrorCode(
        "libvirt reports an error that is none of the others.",
        "See the message of libvirt.",
    ),
    "internal_error": ErrorCode(
        "The collection itself has a mistake.",
        "Report it with the message and the task that led to it.",
    ),
}

# Worth another try without any change by the user.
RETRYABLE = frozenset(
    {
        "connection_lost",
        "daemon_unavailable",
        "libvirt_hangs",
        "libvirt_unavailable",
        "qemu_hangs",
        "shared_locked",
        "vm_busy",
        "vm_locked",
    }
)
