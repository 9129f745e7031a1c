# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error code of the collection, with its meaning and hint. docs/errors.md shows both; results have the hint."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .errors import VmError


class ErrorCode(NamedTuple):
    """The meaning of a code, and what the reader can do about it."""

    meaning: str
    hint: str


ERROR_CODES: dict[str, ErrorCode] = {
    # The input
    "invalid_input": ErrorCode(
        "An option of the task is not valid.",
        "Correct the option that the message names.",
    ),
    "impossible_layout": ErrorCode(
        "Two devices need the same slot, or there are more devices than slots.",
        "Change the device_id or the bus of one of the devices that the message names, or remove one.",
    ),
    "patch_failed": ErrorCode(
        "An entry of domain_patches cannot be applied.",
        "Compare the XPath with the domain that check mode with --diff shows.",
    ),
    # What the hypervisor has
    "unsupported_arch": ErrorCode(
        "The hypervisor has no emulator for the architecture.",
        "Install the QEMU of that architecture on the hypervisor, or omit arch to use the hypervisor's own.",
    ),
    "unsupported_domain_type": ErrorCode(
        "The hypervisor cannot run domains of this type.",
        "zstack_host_info lists the supported types. For kvm, check that /dev/kvm exists and that virtualization is "
        "enabled in the firmware (role host_prerequisites); domain_type qemu works without KVM, but is slow.",
    ),
    "emulator_missing": ErrorCode(
        "The emulator does not exist on the hypervisor.",
        "Omit emulator to use libvirt's default, or install it.",
    ),
    "firmware_missing": ErrorCode(
        "The hypervisor has no firmware of this kind for the machine.",
        "Install the package ovmf (x86_64), edk2-ovmf or qemu-efi-aarch64 on the hypervisor.",
    ),
    "unsupported_machine": ErrorCode(
        "The emulator does not have the machine type.",
        "Omit machine, or use one of those that zstack_host_info lists; on_missing_machine: newest moves a VM to the "
        "newest of the same board.",
    ),
    "unsupported_device": ErrorCode(
        "The hypervisor's QEMU or libvirt does not support a device of the VM.",
        "Use one that the message or zstack_host_info (consoles, video cards) lists, or install the missing "
        "QEMU module on the hypervisor.",
    ),
    "kvm_unavailable": ErrorCode(
        "QEMU cannot use /dev/kvm.",
        "Load the module kvm_intel or kvm_amd, give the group kvm access to /dev/kvm (role host_prerequisites), or "
        "use domain_type qemu.",
    ),
    "needs_hypervisor": ErrorCode(
        "The task needs something that can only be done on the hypervisor itself, but uri is remote.",
        "Run the task on the hypervisor (make it the inventory host) with a local uri.",
    ),
    "needs_root": ErrorCode(
        "The task needs something on the hypervisor that this user is not permitted to do or read.",
        "Run the task as root (become: true), or omit the option that the message names.",
    ),
    # Files and storage
    "path_unreadable": ErrorCode(
        "A file or directory of the hypervisor cannot be read.",
        "Check that the task runs as root (become: true) and that the path is not on a network file system that hangs.",
    ),
    "path_unwritable": ErrorCode(
        "A file or directory of the hypervisor cannot be written.",
        "Check that the task runs as root (become: true), and that the file system is neither full nor read-only.",
    ),
    "path_unsafe": ErrorCode(
        "A path contains a symbolic link that a user other than root could replace, or is a directory of such a user.",
        "Use the path that the link points to, or make the directory of the link writable by root only.",
    ),
    "path_taken": ErrorCode(
        "A path at which QEMU or this collection would create, overwrite or remove a file or socket already exists.",
        "Inspect it; move it away, or choose another path. Nothing was changed.",
    ),
    "socket_unreachable": ErrorCode(
        "Nobody listens on a socket to which a device of the VM connects, or it is not a socket.",
        "Start the process that serves it (shared memory, vhost-user, a character device), or correct the path.",
    ),
    "channel_dir_missing": ErrorCode(
        "The directory of a channel does not exist, and cannot be created through a remote uri.",
        "Run the task on the hypervisor (make it the inventory host) with a local uri, or create the directory there.",
    ),
    "image_missing": ErrorCode(
        "The image of a volume or CD, or an image below it in its backing chain, does not exist.",
        "Correct the path, or create the image before the VM is started. If a backing file has moved, set its new path "
        'in the image that refers to it with "qemu-img rebase -u".',
    ),
    "image_unreadable": ErrorCode(
        "qemu-img cannot determine the format of an image.",
        'Inspect the image with "qemu-img info"; set the format of the volume if it is known.',
    ),
    "image_format": ErrorCode(
        "An image does not have the expected format.",
        "A raw disk that now claims to be qcow2 may have been written by its guest: inspect it before you trust it. "
        "Set the correct format, or convert the image.",
    ),
    "backing_file_outside": ErrorCode(
        "A volume whose format nobody stated looks like a qcow2 image that refers to a file outside its storage.",
        'The header may be the work of a guest with a raw disk: look at the image with "qemu-img info" before you '
        "trust it. State the format of the volume: raw for a raw disk, qcow2 where the backing file is meant.",
    ),
    "image_locked": ErrorCode(
        "Another process has the image open for writing.",
        "Find the VM that uses it, perhaps on another hypervisor; use shareable: true only for images made for it.",
    ),
    "image_permission": ErrorCode(
        "QEMU's user is not allowed to open the image.",
        "Give the user that QEMU runs as (user and group in /etc/libvirt/qemu.conf) access to the image and to all "
        "directories above it. AppArmor or SELinux, if active, may be denying access: see journalctl -k.",
    ),
    "volume_in_use": ErrorCode(
        "A volume is kept because a domain, a guest or another image uses it.",
        "Undefine the domains and remove the linked clones that the message names, if the volume is to be removed.",
    ),
    "disk_full": ErrorCode(
        "A file system or pool of the hypervisor is full.",
        "Free space on the file system or pool that the message names, then run the task again.",
    ),
    "storage_unreachable": ErrorCode(
        "A storage server does not answer.",
        "Check that the server runs and that the hypervisor can reach its address and port.",
    ),
    "storage_denied": ErrorCode(
        "A storage server refuses the login.",
        "Correct the key or the password; a cephx user also needs capabilities for the pool.",
    ),
    "storage_missing": ErrorCode(
        "The pool, image, target or LUN does not exist on the storage server.",
        "Correct install_path or path, or create it on the server.",
    ),
    "secret_missing": ErrorCode(
        "libvirt does not have the secret, or it has no value.",
        "Define it with the role ceph_secrets or the module zstack_libvirt_secret, or give ceph_secret in the VM.",
    ),
    "secret_conflict": ErrorCode(
        "Two secrets conflict: libvirt can have only one of them.",
        "Use one UUID and one value for each ceph user or iSCSI target on a hypervisor.",
    ),
    "command_missing": ErrorCode(
        "A program is not installed on the hypervisor.",
        "Run the role host_prerequisites, or install the package that provides it (qemu-utils, open-iscsi).",
    ),
    "command_failed": ErrorCode(
        "A program on the hypervisor failed.",
        "See the program's output in the message.",
    ),
    "command_timeout": ErrorCode(
        "A program on the hypervisor did not finish in time.",
        "Check whether the storage that it accesses hangs.",
    ),
    # Network
    "bridge_missing": ErrorCode(
        "A bridge does not exist on the hypervisor.",
        "Create the bridge, or set bridge_name to one of those that zstack_host_info lists.",
    ),
    "cloud_init_failed": ErrorCode(
        "cloud-init has ended in the guest, with errors.",
        'Correct what the message names, and see /var/log/cloud-init.log in the guest ("cloud-init status --long").',
    ),
    "cloud_init_timeout": ErrorCode(
        "cloud-init has not ended in the guest in time.",
        "Raise timeout, or see the serial console in the message. The guest needs qemu-guest-agent and its channel, or "
        "cloud-init's last message on the serial console.",
    ),
    "network_missing": ErrorCode(
        "A libvirt network does not exist on the hypervisor.",
        'Create it with the role zstack.kvm.networks, or set network_name to one that "virsh net-list --all" lists.',
    ),
    "network_inactive": ErrorCode(
        "A libvirt network is defined, but not active.",
        'Start it with "virsh net-start" and let it start with the hypervisor ("virsh net-autostart"), or use the role '
        "zstack.kvm.networks, which does both.",
    ),
    "nic_name_taken": ErrorCode(
        "A network device of the hypervisor already has the name of a NIC's device.",
        "Choose another nic_internal_name, or omit it: libvirt then chooses one. A device that no VM uses can be "
        'removed with "ip link delete".',
    ),
    "openvswitch_failed": ErrorCode(
        "Open vSwitch does not answer, or refuses a setting of a NIC.",
        'Check that ovsdb-server and ovs-vswitchd run (service openvswitch-switch), and see "ovs-vsctl show".',
    ),
    "filter_failed": ErrorCode(
        "The packet filter of a NIC cannot be set up.",
        'Check that the network filter clean-traffic is defined ("virsh nwfilter-list") and that iptables and '
        "ebtables are installed.",
    ),
    "address_missing": ErrorCode(
        "The address to listen on does not belong to the hypervisor.",
        "Correct host_management_ip, or set console_listen to an address of the hypervisor.",
    ),
    "address_in_use": ErrorCode(
        "The port or socket to listen on is in use.",
        "Stop the process that listens on it, or raise remote_display_port_max in /etc/libvirt/qemu.conf.",
    ),
    "qos_limit": ErrorCode(
        "A limit of a NIC is outside the range that the kernel accepts.",
        "Lower or raise inbound_bandwidth and outbound_bandwidth in the qos of the NIC.",
    ),
    "qos_unsupported": ErrorCode(
        "The hypervisor's kernel cannot limit NICs.",
        "NIC limits need sch_htb, sch_sfq, cls_fw and act_police in the kernel, and the program tc. Without them, omit "
        "the qos of the NICs.",
    ),
    # Devices of the hypervisor
    "device_missing": ErrorCode(
        "A device to pass through does not exist on the hypervisor.",
        'Compare the address with "lspci -D" or "lsusb" on the hypervisor.',
    ),
    "device_in_use": ErrorCode(
        "A device to pass through is used by another VM, or by a driver that does not release it.",
        "Stop the VM that uses it, or detach it from that VM.",
    ),
    "iommu_missing": ErrorCode(
        "The device cannot be passed through because the hypervisor has no IOMMU for it.",
        "Enable VT-d or AMD-Vi in the firmware and the IOMMU on the kernel command line (role host_prerequisites "
        "reports both).",
    ),
    "vfio_irq_conflict": ErrorCode(
        "A device to pass through shares its interrupt line with a device that needs it.",
        "Free the line as the message says, move the card to another slot, or do not pass the device through.",
    ),
    # Memory and limits
    "not_enough_memory": ErrorCode(
        "The hypervisor does not have enough memory for the VM.",
        "Stop other VMs, lower memory, or start the VM on another hypervisor.",
    ),
    # The state of the VM
    "name_taken": ErrorCode(
        "Another domain has this VM's domain name.",
        'Inspect it with "virsh dominfo"; rename or undefine it if it is not needed. It is never replaced.',
    ),
    "uuid_taken": ErrorCode(
        "A domain with the UUID exists under another name.",
        'Shut it down and rename it with "virsh domrename", or undefine it if it is not needed.',
    ),
    "domain_gone": ErrorCode(
        "The domain was undefined by somebody else while the task worked on it.",
        "Run the task again.",
    ),
    "vm_busy": ErrorCode(
        "Another operation on the VM must finish first: a migration, a save, a snapshot, a backup.",
        'Wait until it has finished ("virsh domjobinfo"), then run the task again.',
    ),
    "cgroup_busy": ErrorCode(
        "The kernel was interrupted while libvirt set up the cgroup of the VM, at each of several attempts.",
        "Run the task again.",
    ),
    "vm_locked": ErrorCode(
        "Another task of this collection is working on the same VM.",
        "Run the task again when the other has finished.",
    ),
    "shared_locked": ErrorCode(
        "Another task of this collection is working on something that VMs share: a secret, an iSCSI session "
        "or a volume.",
        "Run the task again when the other has finished.",
    ),
    "paused_again": ErrorCode(
        "The VM was resumed, but QEMU paused it again at once.",
        "After an ioerror, check the storage of its volumes: it may be full or unreachable.",
    ),
    "vm_crashed": ErrorCode(
        "The guest has crashed, and its memory is preserved for analysis.",
        'Take a dump if you need one ("virsh dump"), then force the VM off or run the task with on_drift: restart.',
    ),
    "vm_not_running": ErrorCode(
        "The VM is paused or suspended, so its guest cannot shut down.",
        'Resume it first ("virsh resume", or the module zstack_vm_start), or use force: true.',
    ),
    "overlay_in_use": ErrorCode(
        "A volume is to return to the image that it names (overlays: discard), but an overlay of the image holds data "
        "of a snapshot, or the VM is running on it.",
        'Omit overlays to keep the overlay. To merge it into its image use "virsh blockcommit DOMAIN TARGET --active '
        '--pivot"; to discard its data shut down the VM and remove the snapshot ("virsh snapshot-delete --metadata").',
    ),
    "saved_state_failed": ErrorCode(
        "The saved memory of a VM that is suspended to disk (managed save) cannot be restored.",
        "Fix what the message names; the saved memory is kept. Or discard it and boot the VM: "
        'saved_state: discard, or "virsh managedsave-remove".',
    ),
    "memory_snapshot_failed": ErrorCode(
        "A memory snapshot does not exist, holds no saved memory of a VM, or the VM cannot be restored from it.",
        "Correct memory_snapshot, or leave it out to boot the VM. The VM must have the devices that it had when its "
        "memory was saved.",
    ),
    "vm_has_snapshots": ErrorCode(
        "The VM is to be undefined or is transient, and libvirt would delete the metadata of its snapshots or "
        "checkpoints with it.",
        "Omit undefine (define a transient VM first), or use snapshots: remove, checkpoints: remove.",
    ),
    "vm_has_saved_state": ErrorCode(
        "The VM to be undefined is suspended to disk (managed save), and its memory would be lost.",
        "Start and stop it first, or use saved_state: remove.",
    ),
    "vm_has_tpm_state": ErrorCode(
        "libvirt would remove the state of the VM's virtual TPM. libvirt before 8.9.0 does so when it undefines a VM, "
        "every version when a transient VM ends.",
        "Omit undefine (define a transient VM first), set persistent_state='yes' in the TPM's backend, or use "
        "tpm: remove.",
    ),
    "drift": ErrorCode(
        "The VM runs and is not in sync with its options, and on_drift is fail.",
        "See differences in the result; set another on_drift to have the VM changed.",
    ),
    "start_timeout": ErrorCode(
        "The VM did not start within its timeout.",
        "See the last lines of QEMU's log in the message; raise timeout if its storage is slow.",
    ),
    "shutdown_timeout": ErrorCode(
        "The VM did not shut down in time.",
        "The guest may ignore the request; shut it down from within, or raise timeout.",
    ),
    "vm_ended": ErrorCode(
        "The VM started, but stopped running before it was ready.",
        "See the last output of its guest and of QEMU in boot_diagnostics; its disk may not be bootable.",
    ),
    "console_timeout": ErrorCode(
        "The VM runs, but nothing listens on the port of its console.",
        "Check that the address it listens on is reachable from the hypervisor itself, or use wait_for: running.",
    ),
    "guest_agent_timeout": ErrorCode(
        "The VM runs, but its guest agent doesn't answer.",
        "See in boot_diagnostics how far the guest has booted, and check that qemu-guest-agent runs in it; raise "
        "timeout if it is slow.",
    ),
    "address_timeout": ErrorCode(
        "The VM runs, but no NIC of its guest has an address that is reachable from elsewhere.",
        "See in the message which addresses were found, and in boot_diagnostics how far the guest has booted. Without "
        "a guest agent only libvirt's DHCP leases and the hypervisor's ARP table are known. Raise timeout if it is "
        "slow.",
    ),
    "earlier_vm_failed": ErrorCode(
        "The VM was not touched, because a VM with a lower start_order failed.",
        "Fix the VM that failed, then run the task again.",
    ),
    "no_threads": ErrorCode(
        "The task cannot start as many threads as it needs.",
        "Raise the limit of processes on the hypervisor (ulimit -u, TasksMax of the service, pids.max of the cgroup), "
        "or end processes that count towards it.",
    ),
    "interrupted": ErrorCode(
        "The task was interrupted by a signal.",
        "Run it again.",
    ),
    # libvirt and QEMU
    "qemu_hangs": ErrorCode(
        "The VM's QEMU runs, but doesn't answer.",
        "Find out what it waits for: storage that hangs, a stopped process (ps, dmesg). zstack_vm_stop with "
        "force: true forces the VM off in any case.",
    ),
    "qemu_failed": ErrorCode(
        "QEMU exited while the VM was starting.",
        "See the last lines of QEMU's log in the message.",
    ),
    "security_denied": ErrorCode(
        "AppArmor or SELinux denies QEMU or libvirt an operation.",
        "See the kernel log (journalctl -k), and add a label or rule for the path that allows it.",
    ),
    "invalid_domain": ErrorCode(
        "libvirt rejects the domain XML.",
        "See the message; if domain_patches are in use, omit them to see whether they are the cause.",
    ),
    "libvirt_unavailable": ErrorCode(
        "No libvirt daemon answers at the uri.",
        "Start libvirtd (or virtqemud and its socket) on the hypervisor, or correct uri.",
    ),
    "daemon_unavailable": ErrorCode(
        "libvirt runs, but another daemon that it needs does not answer.",
        "Start the daemon that the message names on the hypervisor: virtlogd (virtlogd.socket), virtlockd, or one of "
        "the modular daemons such as virtnetworkd, virtsecretd, virtstoraged or virtnwfilterd.",
    ),
    "libvirt_denied": ErrorCode(
        "libvirt refuses the connection or the operation to this user.",
        "Run the task as root (become: true), or give the user access to libvirt (group libvirt). If libvirt requires "
        "a user name and password, check that authfile has the right ones for its host.",
    ),
    "libvirt_hangs": ErrorCode(
        "libvirt accepts connections but does not answer.",
        "Check the daemon on the hypervisor, and whether storage that it accesses hangs; run the task again when it "
        "answers.",
    ),
    "connection_lost": ErrorCode(
        "The connection to libvirt was lost during the task.",
        "Run the task again: it continues from the current state. Check whether the daemon was restarted.",
    ),
    "libvirt_error": ErrorCode(
        "libvirt reports an error that has no code of its own here.",
        "See libvirt's message.",
    ),
    "internal_error": ErrorCode(
        "A bug in the collection.",
        "Report it with the message and the task that caused it.",
    ),
}

# May succeed when retried without any change by the user.
RETRYABLE = frozenset(
    {
        "cgroup_busy",
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


def with_hint(error: VmError) -> VmError:
    """Return the error with the hint of its code, unless it has one of its own."""
    return error if error.hint else error.replaced(hint=ERROR_CODES[error.code].hint)
