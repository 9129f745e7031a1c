# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options of a VM; module_utils/_spec/arguments.py has their argument spec."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  vms:
    description:
      - The VMs, each a mapping of the options below. An option that is null or an empty string counts as omitted.
      - The filter P(zstack.kvm.from_start_vm_cmd#filter) converts a StartVmCmd, the document with which ZStack starts
        a VM, to an element of this list.
      - All problems of the VMs are reported at once, each with the path of its option, for instance
        C(vms[0].nics[1].mac).
    type: list
    elements: raw
    required: true
    suboptions:
      uuid:
        description:
          - The UUID of the VM, 32 hexadecimal digits with or without dashes. The libvirt domain is looked up by it,
            and its 32 digits are the domain's name.
        type: str
        required: true
      name:
        description:
          - The display name of the VM. Any text that XML can represent; it becomes the domain's description.
        type: str
        required: true
      memory:
        description:
          - The memory, in bytes or as a size such as V(2GiB), V(2GB) or V(2G), all in powers of 1024.
          - At least 1 MiB, so that a number meant in another unit is detected.
        type: bytes
        required: true
      cpu_num:
        description:
          - The number of CPUs. More than 255 require O(vms[].machine=q35), and add an IOMMU.
        type: int
        required: true
      root_volume:
        description:
          - The disk that the VM boots from.
        type: dict
        required: true
        suboptions: &volume
          install_path:
            description:
              - The location of the volume. The absolute path of a file or block device for
                O(vms[].root_volume.device_type=file), C(ceph://POOL/IMAGE) for V(ceph),
                C(iscsi://HOST:PORT/IQN/LUN) for V(iscsi), C(fusionstor://POOL/IMAGE) for V(fusionstor), the path of a
                socket for V(vhost).
            type: str
            required: true
          device_id:
            description:
              - The volume's number, which determines its drive letter and, on the SCSI bus, its unit. The root volume
                has 0, a data volume 1 to 24.
              - The default of a data volume is its index in the list, counted from 1.
            type: int
          device_type:
            description:
              - The type of storage. V(file) is a file or a block device (C(/dev/VG/LV) of a SharedBlock primary
                storage, for instance), whichever the path is. V(block) is always a block device. V(fusionstor) is
                accessed as NBD over the Unix socket C(/tmp/nbd-socket).
              - With V(vhost), a process of the hypervisor serves the disk (vhost-user-blk) on a socket that must exist.
                Only virtio disks can be V(vhost). QEMU reconnects when the process is restarted. The server decides
                about cache, discard, limits, the serial number and block size.
            type: str
            choices: [file, block, ceph, iscsi, vhost, fusionstor]
            default: file
          volume_uuid:
            description:
              - ZStack's UUID of the volume. It has no effect on the VM.
            type: str
          use_virtio:
            description:
              - Whether the disk is a virtio disk. With V(false), and without use_virtio_scsi, it is an IDE disk (SATA
                if the machine has no IDE, SCSI on aarch64).
              - An iSCSI volume is always a SCSI disk; with V(true) QEMU itself is the initiator, with V(false) the
                hypervisor logs in to the target and the LUN is passed through.
            type: bool
            default: true
          use_virtio_scsi:
            description:
              - Whether the disk is attached to the virtio SCSI controller.
            type: bool
            default: false
          use_scsi:
            description:
              - Whether the disk is a SCSI disk. Unlike use_virtio_scsi, libvirt chooses the model of the controller by
                what QEMU has.
            type: bool
            default: false
          shareable:
            description:
              - Whether other VMs may use the volume at the same time. Only raw images can be shared.
            type: bool
            default: false
          cache_mode:
            description:
              - The cache mode of the disk on the hypervisor.
            type: str
            choices: [none, writethrough, writeback]
            default: none
          wwn:
            description:
              - The disk's World Wide Name, 16 hexadecimal digits with or without C(0x). Only disks with
                use_virtio_scsi expose it to the guest.
            type: str
          mon_info:
            description:
              - The monitors of the ceph cluster.
            type: list
            elements: dict
            default: []
            suboptions: &monitor
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
              - The UUID of the libvirt secret that holds the cephx key of the user C(zstack). Without it,
                authentication is not used.
            type: str
          chap_username:
            description:
              - The CHAP user name for the iSCSI target. Requires chap_password.
            type: str
          chap_password:
            description:
              - The CHAP password for the iSCSI target.
            type: str
          format:
            description:
              - The image's format. By default the format of a file is detected on the hypervisor when the VM is
                created; later runs use the format in its definition. The format of a FusionStor volume is detected
                likewise, and is V(raw) if it can't be. Ceph and iSCSI volumes are V(raw).
            type: str
            choices: [raw, qcow2]
          create:
            description:
              - How the volume is created if it does not exist, before the VM is defined. Only for volumes in files and
                in ceph. A volume that exists is grown if it is smaller than the size; it is never shrunk, replaced or
                created a second time.
              - If the start fails, a volume that the task created is removed again, unless a guest has used it.
            type: dict
            suboptions: &create
              size:
                description:
                  - The size of the disk in the guest, in bytes or as a size such as V(20GiB). By default that of the
                    image. Required without an image.
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
                  - Whether the volume is a linked clone, which has only what differs from the image and needs the image
                    as long as it exists. By default it is a full copy.
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
                    (C(rbd default features)). V(object-map) and V(journaling) need V(exclusive-lock), V(fast-diff)
                    needs V(object-map), and a linked clone needs V(layering). An image that exists with other features
                    is left as it is, and reported.
                type: list
                elements: str
                choices: [layering, exclusive-lock, object-map, fast-diff, deep-flatten, journaling]
          serial:
            description:
              - The disk's serial number, which the guest's C(/dev/disk/by-id) names contain. At most 36 letters,
                digits, blanks and C(_.+-); virtio and IDE disks show the first 20.
              - When it is omitted, the serial number in the definition stays.
            type: str
          boot_order:
            description:
              - The position of the device in the boot order, from 1. If any device of the VM has one, only devices
                with a boot_order are booted from, and O(vms[].boot_dev) is not used.
            type: int
          address:
            description:
              - The disk's address in the guest, so that it never moves. V(pci) for a virtio disk, V(drive) for others.
              - By default libvirt chooses the PCI address when the VM is defined, and keeps it; a drive address
                follows from device_id.
            type: dict
            suboptions: &address
              type:
                description:
                  - The kind of address. V(pci) has domain, bus, slot and function, V(drive) has controller, bus, target
                    and unit. Numbers may be hexadecimal (C(0x1f)); those left out are 0.
                type: str
                choices: [pci, drive]
                required: true
              domain:
                description:
                  - The PCI domain.
                type: int
              bus:
                description:
                  - The PCI bus (the index of its controller), or the bus of the drive controller.
                type: int
              slot:
                description:
                  - The slot on the PCI bus, 0 to 31. Required for V(pci).
                type: int
              function:
                description:
                  - The function in the slot, 0 to 7.
                type: int
              controller:
                description:
                  - The index of the drive controller.
                type: int
              target:
                description:
                  - The target on the drive controller.
                type: int
              unit:
                description:
                  - The unit on the drive controller. Required for V(drive).
                type: int
          controller_index:
            description:
              - The index of the SCSI controller that the disk is attached to. Over 0, with use_virtio_scsi, it is a
                controller for the disks that name it, in addition to that of all others.
              - The default is 0.
            type: int
          discard:
            description:
              - Whether blocks that the guest discards are freed in the image (V(unmap)) or not (V(ignore)).
              - When it is omitted, QEMU's default applies, which is V(ignore).
            type: str
            choices: [unmap, ignore]
          native_aio:
            description:
              - Whether QEMU uses the kernel's asynchronous I/O instead of threads. Ignored with a warning unless
                cache_mode is V(none).
            type: bool
            default: false
          queues:
            description:
              - The number of queues of a virtio disk. Ignored with a warning for other disks.
            type: int
          io_thread:
            description:
              - The id of an IO thread of the VM that serves the disk. It must be a virtio disk, or one with
                use_virtio_scsi and a controller_index over 0, whose controller the thread serves; otherwise it is
                ignored with a warning.
            type: int
          physical_block_size:
            description:
              - The size of the disk's physical blocks as the guest sees it, in bytes. A power of 2 from 512 to 2097152.
                Not for a LUN on iSCSI without use_virtio, which has its own.
            type: int
          luks_secret_uuid:
            description:
              - The UUID of the libvirt secret that holds the passphrase of an image that is encrypted with LUKS. The
                secret must exist and have a value. The backing files of the image must not be encrypted.
              - Newer versions of libvirt, such as 11.3, refuse it for shared volumes, which those on iSCSI always are.
            type: str
          recovery_url:
            description:
              - C(nbd://HOST:PORT/EXPORT), an NBD export that the guest uses instead of the volume, while this is being
                recovered from it. The data are raw.
            type: str
          qos:
            description:
              - Limits of the volume. A limit of reads and writes together excludes those of reads or writes.
            type: dict
            suboptions:
              read_bandwidth:
                description:
                  - Bytes per second, reads only.
                type: bytes
              write_bandwidth:
                description:
                  - Bytes per second, writes only.
                type: bytes
              total_bandwidth:
                description:
                  - Bytes per second, reads and writes together. A size such as V(100MB) is accepted too.
                type: bytes
              read_iops:
                description:
                  - Requests per second, reads only.
                type: int
              write_iops:
                description:
                  - Requests per second, writes only.
                type: int
              overall_iops:
                description:
                  - Requests per second, reads and writes together.
                type: int
              total_iops:
                description:
                  - Requests per second, for reads and for writes each, as ZStack 2.3.1 means it.
                type: int
      data_volumes:
        description:
          - The other disks.
        type: list
        elements: dict
        default: []
        suboptions: *volume
      boot_iso:
        description:
          - The CDs. An x86 guest has three CD drives, an aarch64 guest one; drives without a CD are empty.
          - With O(vms[].cd_roms) it must be omitted.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description:
              - The absolute path of a file or block device, or C(ceph://POOL/IMAGE@SNAPSHOT), or
                C(fusionstor://POOL/IMAGE@SNAPSHOT).
            type: str
            required: true
          image_uuid:
            description:
              - ZStack's UUID of the image. It has no effect on the VM.
            type: str
          device_id:
            description:
              - The drive, 0 to 2; by default the CD's index in the list, counted from 0.
            type: int
          mon_info:
            description:
              - The monitors of the ceph cluster.
            type: list
            elements: dict
            default: []
            suboptions: *monitor
          secret_uuid:
            description:
              - The UUID of the libvirt secret that holds the cephx key of the user C(zstack).
            type: str
      cd_roms:
        description:
          - The CD drives, at most three; others do not exist. An empty list is a VM without CD drives.
          - With this option, disks are named and numbered as ZStack Cloud 5 and ZSphere do it. The letter of a volume
            decides its SCSI unit, and on aarch64 the letters C(c), C(d) and C(e) are those of the CD drives.
          - By default a VM has the drives of O(vms[].boot_iso).
        type: list
        elements: dict
        suboptions:
          path:
            description:
              - The CD. The absolute path of a file or block device, C(ceph://POOL/IMAGE@SNAPSHOT),
                C(fusionstor://POOL/IMAGE@SNAPSHOT), or C(iscsi://HOST[,HOST]:PORT/IQN/DISK_ID), for which the
                hypervisor logs in and waits for C(/dev/disk/by-id/wwn-0xDISK_ID).
              - Without a path the drive is empty.
            type: str
          protocol:
            description:
              - V(vhost) if the path is the socket of a vhost-user server.
            type: str
            choices: [vhost]
          image_uuid:
            description:
              - ZStack's UUID of the image. It has no effect on the VM.
            type: str
          device_id:
            description:
              - The drive, 0 to 2; by default its index in the list, counted from 0.
            type: int
          mon_info:
            description:
              - The monitors of the ceph cluster.
            type: list
            elements: dict
            default: []
            suboptions: *monitor
          secret_uuid:
            description:
              - The UUID of the libvirt secret that holds the cephx key of the user C(zstack).
            type: str
          boot_order:
            description:
              - The position of the drive in the boot order, from 1.
            type: int
          serial:
            description:
              - The drive's serial number.
            type: str
          address:
            description:
              - The drive's address in the guest, of type V(drive). By default it follows from device_id.
            type: dict
            suboptions: *address
      floppies:
        description:
          - The absolute paths of up to two floppy images, read-only for the guest. Those that do not exist are left
            out, and so are all on aarch64, which has no floppy controller.
        type: list
        elements: str
        default: []
      scsi_luns:
        description:
          - SCSI devices of the hypervisor that are passed through, as disks on the virtio SCSI controller.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description:
              - The absolute path of the block device, such as C(/dev/disk/by-id/scsi-ID).
            type: str
            required: true
          device_id:
            description:
              - The number of the disk, 0 to 24, which determines its letter and unit as that of a volume does. No
                volume on the SCSI bus may have the same.
              - The default is its index in the list, counted from 1.
            type: int
          sgio:
            description:
              - Whether the kernel filters the SCSI commands of the guest. V(unfiltered) requires a kernel that can
                disable the filter.
            type: str
            choices: [filtered, unfiltered]
            default: filtered
          boot_order:
            description:
              - The position of the device in the boot order, from 1.
            type: int
          address:
            description:
              - The device's address in the guest, of type V(drive).
            type: dict
            suboptions: *address
      image_platform:
        description:
          - ZStack's platform of the image. V(Other) gives disks that are not virtio disks fixed addresses on IDE or
            SATA, of which there are three.
        type: str
        choices: [Linux, Windows, WindowsVirtio, Paravirtualization, Other]
      create_paused:
        description:
          - Whether the VM is started paused. It is not resumed then, also not by a later run, and nothing in the guest
            is waited for.
        type: bool
        default: false
      memory_snapshot:
        description:
          - The path of a file with the saved memory of the VM (C(virsh save), or a snapshot with memory). A VM that is
            off is restored from it instead of being booted; a running VM stays as it is. The file is kept.
          - The disks must have the content that they had when the memory was saved.
        type: str
      memory_snapshot_xml:
        description:
          - The definition that the VM had when its memory was saved; disks get the names that they have in it. Only
            used with O(vms[].memory_snapshot).
        type: str
      nics:
        description:
          - The NICs (network interfaces).
        type: list
        elements: dict
        default: []
        suboptions:
          bridge_name:
            description:
              - The bridge of the hypervisor that the NIC is connected to.
              - Exactly one of O(vms[].nics[].bridge_name) and O(vms[].nics[].network_name) is required, unless the NIC
                has a O(vms[].nics[].pci_device_address).
            type: str
          network_name:
            description:
              - The libvirt network that the NIC is connected to. It must be active when the VM starts.
            type: str
          bridge_type:
            description:
              - The type of the bridge. V(linux) is a bridge of the kernel, V(openvswitch) one of Open vSwitch, to which
                libvirt connects the NIC by a virtual port.
              - With V(openvswitch) the NIC can have no O(vms[].nics[].ip) and no O(vms[].nics[].clean_traffic), because
                libvirt does not filter its traffic.
            type: str
            choices: [linux, openvswitch]
            default: linux
          interface_id:
            description:
              - The UUID by which Open vSwitch and its controllers identify the NIC (C(external_ids:iface-id) of its
                interface). Only with O(vms[].nics[].bridge_type=openvswitch).
              - By default libvirt chooses one when the VM is defined, and keeps it.
            type: str
          vlan_id:
            description:
              - The NIC's VLAN, 1 to 4094. Open vSwitch, or the network card of a virtual function, adds and removes the
                tag; the guest does not see it. Only with O(vms[].nics[].bridge_type=openvswitch) or
                O(vms[].nics[].pci_device_address).
              - For a VLAN without Open vSwitch, use a bridge of the kernel whose uplink is in the VLAN.
            type: int
          mac:
            description:
              - The NIC's MAC address, unicast.
              - By default it is derived from the VM's UUID and the NIC's device_id, so it is the same in every run and
                on every hypervisor. It is C(fa) followed by the first five bytes of the SHA-256 of C(UUID/DEVICE_ID).
              - Quote it in YAML, which reads some MAC addresses as numbers.
            type: str
          ip:
            description:
              - The NIC's IPv4 address. If set, the network filter C(clean-traffic) prevents the guest from using
                another, unless O(vms[].nics[].clean_traffic=false).
            type: str
            default: ''
          ips:
            description:
              - The NIC's IPv4 and IPv6 addresses, for O(vms[].nics[].clean_traffic); without that they have no effect.
            type: list
            elements: str
            default: []
          clean_traffic:
            description:
              - Whether the network filter C(clean-traffic) prevents the guest from using addresses of others. By
                default it does if O(vms[].nics[].ip) is set.
              - The filter allows one IPv4 address, the last one of O(vms[].nics[].ips), or without any address the one
                that the guest uses first. A NIC that has IPv6 addresses only gets no filter, and a warning.
            type: bool
          model:
            description:
              - The model of the NIC. By default V(virtio), or V(e1000) with O(vms[].use_virtio=false).
            type: str
            choices: [virtio, e1000, e1000e, igb, ne2k_pci, pcnet, rtl8139, vmxnet3]
          mtu:
            description:
              - The MTU of the NIC's device on the hypervisor, 68 to 65521, which a virtio NIC reports to the guest. A
                changed MTU takes effect when the VM next boots.
              - Omitted, a new NIC has the MTU of the bridge, and an existing one keeps its own.
            type: int
          link_state:
            description:
              - Whether the cable of the NIC is plugged in. It changes while the VM runs.
            type: str
            choices: [up, down]
            default: up
          queues:
            description:
              - The number of queue pairs of a virtio NIC, 1 to 256, so that several CPUs of the guest can use it at the
                same time. With O(vms[].domain_type=kvm), more than one require the kernel module C(vhost_net).
            type: int
            default: 1
          rx_queue_size:
            description:
              - The size of a virtio NIC's receive queues, 256, 512 or 1024. By default QEMU's.
            type: int
          tx_queue_size:
            description:
              - The size of a virtio NIC's transmit queues, 256, 512 or 1024; of a NIC on a bridge, QEMU uses 256 at
                most. By default QEMU's.
            type: int
          isolated:
            description:
              - Whether the NIC reaches only ports of its bridge that are not isolated, such as the uplink, and not the
                other isolated NICs. Only on a bridge of the kernel.
              - Omitted, a new NIC is not isolated, and an existing one stays as it is.
            type: bool
          pci_device_address:
            description:
              - The PCI address of a virtual function (SR-IOV) of the hypervisor, C([DOMAIN:]BUS:SLOT.FUNCTION), which
                becomes the NIC instead of a port of a bridge. It gets the O(vms[].nics[].mac), and the VLAN of
                O(vms[].nics[].vlan_id).
              - Its traffic bypasses the hypervisor, so that libvirt neither filters nor limits it, and its
                O(vms[].nics[].mtu) is up to the guest.
              - Not verified on hardware.
            type: str
          address:
            description:
              - The NIC's PCI address in the guest, so that it never moves. By default libvirt chooses it when the VM is
                defined, and keeps it.
            type: dict
            suboptions: *address
          uuid:
            description:
              - ZStack's UUID of the NIC.
            type: str
          nic_internal_name:
            description:
              - The name of the NIC's device on the hypervisor, 15 characters at most.
              - By default C(vnicINTERNAL_ID.DEVICE_ID), as ZStack names it, if the VM has an O(vms[].internal_id);
                otherwise libvirt chooses one at each start.
              - If a device of the hypervisor or of another running VM already has the name, that is an error before
                anything is touched.
            type: str
          device_id:
            description:
              - The NIC's number; by default its index in the list, counted from 0.
            type: int
          boot_order:
            description:
              - The position of the NIC in the boot order, from 1.
            type: int
          qos:
            description:
              - Limits of the NIC.
            type: dict
            suboptions:
              inbound_bandwidth:
                description:
                  - Bits per second towards the guest. A rate such as V(100Mb) is accepted too, in powers of 1024.
                  - The unit of libvirt is KiB per second, so less than 8192 becomes 8192.
                type: bits
              outbound_bandwidth:
                description:
                  - Bits per second from the guest, likewise.
                type: bits
      internal_id:
        description:
          - ZStack's number of the VM, stored in the domain's metadata.
        type: int
      host_management_ip:
        description:
          - The hypervisor's management address, stored in the domain's metadata. The console listens on it unless
            O(vms[].console_listen) is set.
        type: str
      cpu_speed:
        description:
          - The VM's share of CPU time for each CPU, relative to other VMs. libvirt's CPU shares are this number times
            O(vms[].cpu_num), scaled to the range that the hypervisor accepts.
        type: int
        default: 1
      socket_num:
        description:
          - The number of CPU sockets. By default 1, or the number that results from O(vms[].cpu_on_socket).
          - Sockets times cores times O(vms[].threads_per_core) must be O(vms[].cpu_num), except with O(vms[].use_numa),
            which has its own topology.
        type: int
      cpu_on_socket:
        description:
          - The number of cores per socket. By default the number that results from O(vms[].cpu_num) and
            O(vms[].socket_num).
        type: int
      use_numa:
        description:
          - Whether CPUs and memory can be added while the VM runs, up to 128 CPUs.
        type: bool
        default: false
      nested_virtualization:
        description:
          - The CPU model of the guest; V(none) is QEMU's default. With V(host-model) and V(host-passthrough) the guest
            can run VMs itself. V(custom) is O(vms[].cpu_model). aarch64 guests have V(host-passthrough) instead of
            V(none) with O(vms[].domain_type=kvm).
        type: str
        choices: [none, host-model, host-passthrough, custom]
        default: none
      kvm_hidden_state:
        description:
          - Whether KVM is hidden from the guest. Some graphics drivers require it.
        type: bool
        default: false
      clock:
        description:
          - The time base of the guest's hardware clock. V(localtime) is for Windows, and adds the timers recommended
            for it.
        type: str
        choices: [utc, localtime]
        default: utc
      boot_dev:
        description:
          - The boot devices, in order. An empty list leaves the order to the boot_order of the devices.
        type: list
        elements: str
        choices: [hd, cdrom, network]
        default: [hd]
      use_boot_menu:
        description:
          - Whether the firmware shows its boot menu.
        type: bool
        default: true
      use_virtio:
        description:
          - Whether the NICs are virtio NICs; otherwise they are e1000. A volume has its own use_virtio.
        type: bool
        default: true
      console_mode:
        description:
          - The protocol of the VM's console. V(vnc_and_spice) are two consoles with the same password; V(none) is a VM
            without a graphical console.
        type: str
        choices: [vnc, spice, vnc_and_spice, none]
        default: vnc
      console_password:
        description:
          - The password of the console. At most 8 bytes for VNC (also beside spice), 60 for spice.
        type: str
      console_listen:
        description:
          - The address of the hypervisor that the console listens on. By default O(vms[].host_management_ip), or
            loopback if that isn't set either.
        type: str
      video_type:
        description:
          - The video card. By default V(cirrus), or another one with a warning if the hypervisor's QEMU has no
            cirrus. Not for aarch64 guests, which have O(vms[].aarch64_video_type).
        type: str
        choices: [cirrus, vga, qxl, virtio]
      aarch64_video_type:
        description:
          - The video card of an aarch64 guest.
        type: str
        choices: [cirrus, vga, qxl, virtio]
        default: virtio
      qxl_memory:
        description:
          - The memory of each qxl video card, in KiB. By default QEMU's.
        type: dict
        suboptions:
          ram:
            description:
              - The memory for commands and surfaces. Rounded up to a power of two.
            type: int
          vram:
            description:
              - The memory for more surfaces. Rounded up to a power of two.
            type: int
          vgamem:
            description:
              - The memory of the frame buffer in VGA mode, a power of two.
            type: int
      vdi_monitor_number:
        description:
          - The number of monitors, 1 to 16. Used only with O(vms[].video_type=qxl).
        type: int
        default: 1
      spice_streaming_mode:
        description:
          - The streaming mode of a spice console, which decides what it sends as video.
        type: str
        choices: ['off', all, filter]
        default: 'off'
      spice_clipboard:
        description:
          - Whether guest and spice client share a clipboard.
        type: bool
        default: false
      spice_file_transfer:
        description:
          - Whether the spice client can send files to the guest.
        type: bool
        default: false
      spice_webdav:
        description:
          - Whether the spice client can share a directory with an x86 guest (channel C(org.spice-space.webdav.0)).
        type: bool
        default: false
      spice_secure_channels:
        description:
          - The channels of a spice console that require TLS. They have no effect, and a warning, unless the
            hypervisor's C(/etc/libvirt/qemu.conf) sets C(spice_tls).
          - By default, those that the console has stay.
        type: list
        elements: str
        choices: [main, display, inputs, cursor, playback, record, smartcard, usbredir]
      sound_type:
        description:
          - The sound card of a VM with a spice console.
        type: str
        choices: [ich6, ich9, ac97, es1370, sb16, pcspk, usb]
        default: ich6
      console_log:
        description:
          - Whether the output of the serial console is kept in C(/var/log/libvirt/qemu/UUID-console.log) on the
            hypervisor (the UUID without dashes). C(virtlogd) writes and rotates it.
        type: bool
        default: false
      usb_redirect:
        description:
          - Whether USB devices of the console's client can be redirected to the guest. Requires
            O(vms[].console_mode=spice) or V(vnc_and_spice).
        type: bool
        default: false
      separate_usb_redirection:
        description:
          - Whether USB devices of the console's client have two controllers of their own (EHCI and xHCI, two ports
            each), rather than ports of the guest's first controller. The controllers exist also without
            O(vms[].usb_redirect).
          - An aarch64 guest has three controllers then, and no redirection.
        type: bool
        default: false
      appliance:
        description:
          - Whether the VM is an appliance, such as a virtual router. It has no tablet, and a single USB controller
            (xHCI).
        type: bool
        default: false
      additional_qmp:
        description:
          - Whether QEMU listens on another QMP socket beside libvirt's, C(/var/lib/libvirt/qemu/zstack/UUID.sock) (the
            UUID without dashes). Its directory is created for the user that QEMU runs as. If it exists and
            others can write to it, it becomes that user's alone; if it belongs to somebody else, that is an error.
          - Such a VM is marked as tainted by libvirt, which does not notice what is changed through that socket.
        type: bool
        default: false
      memory_balloon:
        description:
          - The memory balloon, by which libvirt reads the guest's memory statistics every 10 seconds. Omitted, the VM
            has one at an address that libvirt chooses.
        type: dict
        suboptions:
          enabled:
            description:
              - Whether the VM has a memory balloon.
            type: bool
            default: true
          address:
            description:
              - The balloon's PCI address in the guest.
            type: dict
            suboptions: *address
      channels:
        description:
          - Channels, which are Unix sockets on the hypervisor connected to virtio serial ports of the guest, for
            instance for its guest agent.
        type: list
        elements: dict
        default: []
        suboptions:
          socket_path:
            description:
              - The absolute path of the socket. Its directory is created if it does not exist.
              - If anything but a socket on which nobody listens exists there, that is an error before anything is
                touched.
            type: str
            required: true
          target_name:
            description:
              - The name of the port in the guest, for instance V(org.qemu.guest_agent.0).
            type: str
            required: true
      pci_devices:
        description:
          - PCI devices of the hypervisor to pass through, each C([DOMAIN:]BUS:SLOT.FUNCTION), hexadecimal.
          - A comma and the absolute path of a file may follow, which the guest gets as the device's ROM. Instead of the
            path, it may be the UUID of a device specification of ZStack, whose ROM is the file of that name (without
            dashes) in C(/var/lib/zstack/pcirom) if it exists.
          - ROM files are not verified on hardware.
        type: list
        elements: str
        default: []
      pci_64bit_window:
        description:
          - Whether UEFI makes room for the memory of large graphics cards. It has an effect only if a graphics card of
            the hypervisor has a 64-bit memory region of more than 4 GiB. Not verified on hardware.
        type: bool
        default: false
      mdev_devices:
        description:
          - The UUIDs of mediated devices of the hypervisor (such as vGPUs) to pass through. Not verified on hardware.
        type: list
        elements: str
        default: []
      shared_memory:
        description:
          - Shared memory of the hypervisor, which the guest sees as PCI devices (ivshmem).
          - By default, that which the VM has stays.
        type: list
        elements: dict
        suboptions:
          name:
            description:
              - The name of the shared memory, that is of its file in C(/dev/shm).
            type: str
            required: true
          size:
            description:
              - The size, in bytes or as a size such as V(64MiB), rounded up to a power of two of at
                least 1 MiB.
            type: bytes
            required: true
      usb_devices:
        description:
          - USB devices of the hypervisor to pass through, each C(BUS:DEVICE:VENDOR:PRODUCT:VERSION), bus and device
            decimal, vendor and product hexadecimal. The version, V(1), V(2) or V(3), selects the guest's controller;
            its minor part (V(2.0)) is ignored.
          - C(:PassThrough:-1:ADDRESS) may follow and changes nothing. With C(:Redirect:PORT:ADDRESS) it is a device of
            another host, which a server for USB redirection offers at this TCP port and address.
        type: list
        elements: str
        default: []
      ceph_secret:
        description:
          - The cephx key for the VM's volumes and CDs. The libvirt secret is created before the VM starts, or corrected
            if it has another value. Not needed if the secret exists already.
        type: dict
        suboptions:
          uuid:
            description:
              - The UUID of the libvirt secret, the same as the volumes' secret_uuid.
            type: str
            required: true
          key:
            description:
              - The key in Base64, as C(ceph auth get-key) prints it.
            type: str
            required: true
      cloud_init:
        description:
          - The content of the seed with which cloud-init sets up the guest at its first boot (data source NoCloud). It
            is an ISO 9660 image with the label C(CIDATA), which the VM gets as a read-only virtio disk.
          - The seed is a file in C(/var/lib/zstack-kvm/seeds) that only QEMU's user can read. It is written when the VM
            starts or its definition changes, and removed when the VM is undefined. Another content gets another file,
            so that it is a difference like any other, and the guest sees it when it next boots (with
            C(on_drift=live) at once). cloud-init itself applies most of it only when the C(instance-id) changes.
          - Requires the program C(xorrisofs) or C(genisoimage) on the hypervisor, and root.
        type: dict
        suboptions:
          user_data:
            description:
              - The user data. A mapping is a cloud-config; text begins with a header that cloud-init knows, such as
                C(#cloud-config).
            type: raw
          meta_data:
            description:
              - The meta data. C(instance-id) is the VM's UUID by default, and C(local-hostname) its name, if that can
                be a host name.
            type: dict
          network_config:
            description:
              - The network configuration in version 2, which is netplan's format. By default cloud-init configures the
                first NIC by DHCP.
            type: dict
      emulator:
        description:
          - The absolute path of the QEMU to use. By default libvirt's.
        type: str
      timeout:
        description:
          - How many seconds to wait, at most, until the VM runs, and then again until its guest agent answers
            (O(vms[].wait_for=guest_agent)), a NIC has an address (O(vms[].wait_for=address)) or cloud-init has ended
            (O(vms[].wait_for=cloud_init)).
        type: int
        default: 60
      start_order:
        description:
          - VMs with a lower number are started completely, including the wait of their O(vms[].wait_for), before VMs
            with a higher one; VMs with the same number are started in parallel. If one fails, VMs with a higher number
            are not touched, and fail too.
          - A VM without a number waits for no other, and no other waits for it.
          - The order applies to the VMs of one task, that is on one hypervisor.
        type: int
      domain_type:
        description:
          - V(kvm) uses the hypervisor's CPU, V(qemu) emulates one, which is slow but works everywhere.
        type: str
        choices: [kvm, qemu]
        default: kvm
      arch:
        description:
          - The guest's architecture. By default the hypervisor's.
        type: str
        choices: [x86_64, aarch64]
      machine:
        description:
          - The machine type. By default V(pc), or V(q35) with a warning if the hypervisor's QEMU has no C(pc);
            V(virt) on aarch64.
        type: str
      firmware:
        description:
          - The guest's firmware. By default V(bios) on x86_64 and V(uefi) on aarch64. The loader and the NVRAM template
            are those that the hypervisor's firmware descriptors name.
          - V(uefi_with_csm) can also boot as a BIOS does. It is an error if the hypervisor has no such firmware.
        type: str
        choices: [bios, uefi, uefi_with_csm]
      secure_boot:
        description:
          - Whether the firmware boots only signed software. It has Microsoft's keys, as the hypervisor's package of the
            firmware enrols them. Requires O(vms[].firmware=uefi), and O(vms[].machine=q35) on x86_64.
          - An NVRAM file that exists already keeps its keys and variables.
        type: bool
        default: false
      nvram:
        description:
          - The absolute path of the file that keeps the UEFI variables. Its directory is created if it does not exist.
            By default libvirt's path. No effect with O(vms[].firmware=bios).
          - The file is created from the firmware's template when the VM first starts, and never deleted by a start.
        type: str
      loader_rom:
        description:
          - The absolute path of a BIOS image to use instead of QEMU's. Not with UEFI.
        type: str
      tpm:
        description:
          - A TPM 2.0, which swtpm emulates on the hypervisor. Requires O(vms[].machine=q35) on x86_64.
          - Its state survives starts, stops and changed definitions. If the option is omitted later, the VM keeps its
            TPM; the page about drift says how to remove it.
        type: dict
        suboptions:
          secret_uuid:
            description:
              - The UUID of the libvirt secret with the passphrase that encrypts the TPM's state. By default it is not
                encrypted.
            type: str
      boot_menu_timeout:
        description:
          - How long the firmware shows its boot menu, in milliseconds, 0 to 65535. By default the firmware decides.
        type: int
      pcie_port_num:
        description:
          - The number of PCI Express root ports, to which devices can be plugged in while the VM runs, 1 to 200. The
            machines V(q35) and V(virt) then also get a bridge to plain PCI. More than one O(vms[].pci_bridge_num)
            replaces ports.
          - By default libvirt adds the ports that the VM's devices need.
        type: int
      pci_bridge_num:
        description:
          - The number of bridges of plain PCI, 0 to 20. By default libvirt adds those that the VM's devices need.
        type: int
      smbios:
        description:
          - Texts about the machine in its SMBIOS tables (C(dmidecode) in the guest).
        type: dict
        suboptions:
          serial:
            description:
              - The serial number of the system.
            type: str
          asset_tag:
            description:
              - The asset tag of the chassis.
            type: str
          oem_strings:
            description:
              - OEM strings.
            type: list
            elements: str
            default: []
          manufacturer:
            description:
              - The manufacturer of the system.
            type: str
          product:
            description:
              - The product name of the system.
            type: str
      acpi:
        description:
          - Whether the guest has ACPI. UEFI requires it on x86_64.
        type: bool
        default: true
      ioapic:
        description:
          - Where the IO-APIC of an x86_64 guest is. By default QEMU decides; more than 255 CPUs always have V(qemu). An
            emulated CPU (O(vms[].domain_type=qemu)) always has QEMU's own.
        type: str
        choices: [kvm, qemu]
      vm_port_off:
        description:
          - Whether an x86_64 guest lacks the I/O port of VMware, by which it would mistake the hypervisor for VMware.
            By default it stays as it is.
        type: bool
      emulate_hyperv:
        description:
          - Whether an x86_64 guest gets the Hyper-V enlightenments, with which Windows runs faster. Those that the
            hypervisor does not offer are left out, with a warning.
          - They take effect with KVM only. Not verified in a Windows guest.
          - By default, those that the VM has stay.
        type: bool
      hyperv_clock:
        description:
          - Whether an x86_64 guest with O(vms[].clock=localtime) gets the clock of Hyper-V, and one with
            O(vms[].emulate_hyperv) the enlightenments that need a clock.
        type: bool
        default: true
      hyperv_vendor_id:
        description:
          - The name of the hypervisor that O(vms[].emulate_hyperv) shows to the guest, 12 bytes at most.
        type: str
      clock_track:
        description:
          - What the real-time clock follows with O(vms[].clock=localtime), V(guest) time or V(wall) time. By default
            QEMU decides.
        type: str
        choices: [guest, wall]
      suspend_to_ram:
        description:
          - Whether an x86_64 guest can suspend itself to its memory. By default the firmware decides.
        type: bool
      suspend_to_disk:
        description:
          - Whether an x86_64 guest can suspend itself to its disk. By default the firmware decides.
        type: bool
      panic_devices:
        description:
          - Devices by which the kernel of an x86_64 guest reports that it has crashed, V(isa) (pvpanic) and V(hyperv)
            (of Windows; unverified, as it needs KVM). O(vms[].on_crash) then applies.
            By default, those that the VM has stay.
        type: list
        elements: str
        choices: [isa, hyperv]
      on_crash:
        description:
          - What happens when the guest reports a crash.
        type: str
        choices: [destroy, restart, preserve, coredump-destroy, coredump-restart]
        default: restart
      oom_score_adj:
        description:
          - How readily the hypervisor's kernel kills the VM when it runs out of memory, from -1000 (never) to 1000. It
            is set after each start; if that fails, the result has a warning. By default libvirt's setting applies.
          - Only on the hypervisor itself, not through a remote URI.
        type: int
      cpu_model:
        description:
          - The CPU model of the guest with O(vms[].nested_virtualization=custom), as libvirt names it, for instance
            V(Haswell-noTSX).
        type: str
      cpu_vendor_id:
        description:
          - The vendor that the CPU of an x86_64 guest names, 12 characters (V(AuthenticAMD), for instance). Requires
            O(vms[].nested_virtualization=custom) or V(host-model).
        type: str
      x2apic:
        description:
          - Whether the guest's CPU may have the x2APIC. V(false) takes effect on x86_64 with KVM, and not with
            O(vms[].nested_virtualization=none).
        type: bool
        default: true
      cpu_hypervisor_feature:
        description:
          - Whether the CPU tells an x86_64 guest that it is virtual. V(false) has no effect with
            O(vms[].nested_virtualization=none).
        type: bool
        default: true
      pmu:
        description:
          - Whether the guest has a performance monitoring unit. By default QEMU decides.
        type: bool
      threads_per_core:
        description:
          - The number of threads per core, 1 to 8. Sockets times cores times threads must be O(vms[].cpu_num).
        type: int
        default: 1
      max_vcpu_num:
        description:
          - How many CPUs the VM can have while it runs, with O(vms[].use_numa). By default 128. If the topology is
            given as well, its product must be this number.
        type: int
      max_memory:
        description:
          - How far the memory can grow while the VM runs, with O(vms[].use_numa), as far as the hypervisor can address
            it. By default 64 TiB.
        type: bytes
      cpu_shares:
        description:
          - The VM's share of CPU time relative to other VMs, in the unit of cgroup v1, whose default is 1024; scaled on
            hypervisors with cgroup v2. By default it follows from O(vms[].cpu_speed).
        type: int
      cpu_quota:
        description:
          - How much CPU time each of the VM's CPUs gets at most, in microseconds per second (1000000 is a whole CPU),
            at least 1000. By default, a limit that the VM has stays.
        type: int
      cpu_pinning:
        description:
          - The CPUs of the hypervisor on which CPUs of the guest run. By default, pins that the VM has stay.
        type: list
        elements: dict
        suboptions:
          vcpu:
            description:
              - The guest's CPU, counted from 0.
            type: int
            required: true
          cpus:
            description:
              - The hypervisor's CPUs, such as V(0-3,^2,8).
            type: str
            required: true
      emulator_pinning:
        description:
          - The CPUs of the hypervisor on which QEMU's other threads run, such as V(0-3,^2,8). By default, the pin
            that the VM has stays, unless O(vms[].cpu_pinning) is given.
        type: str
      io_threads:
        description:
          - Threads of QEMU that can handle the requests of disks. By default, those that the VM has stay.
        type: list
        elements: dict
        suboptions:
          id:
            description:
              - The thread's number, from 1.
            type: int
            required: true
          cpus:
            description:
              - The CPUs of the hypervisor on which it runs. By default any.
            type: str
      huge_pages:
        description:
          - Whether the guest's memory is in huge pages of the hypervisor, all reserved at the start and never merged
            with that of other VMs. By default it stays as it is.
        type: bool
      no_share_pages:
        description:
          - Whether the hypervisor's kernel may not merge equal pages of the guest's memory (KSM).
            By default it stays as it is.
        type: bool
      memory_access:
        description:
          - Whether other processes of the hypervisor can map the guest's memory. V(shared) is needed by vhost-user
            devices. By default it stays as it is.
        type: str
        choices: [private, shared]
      numa_nodes:
        description:
          - The NUMA nodes of the guest. Together they have all of the VM's CPUs and memory. Not with
            O(vms[].use_numa).
        type: list
        elements: dict
        default: []
        suboptions:
          id:
            description:
              - The node's number, counted from 0 without gaps.
            type: int
            required: true
          cpus:
            description:
              - The guest's CPUs in the node, such as V(0-3,8).
            type: str
            required: true
          memory:
            description:
              - The node's memory, in bytes or as a size such as V(2GiB).
            type: bytes
            required: true
          distances:
            description:
              - The distance to each node in order of their numbers, 10 to itself and 11 to 255 to others. By default
                QEMU's.
            type: list
            elements: int
            default: []
          host_node:
            description:
              - The NUMA node of the hypervisor that the memory comes from if it has enough. By default any.
            type: int
      security_label:
        description:
          - Whether libvirt confines QEMU with the hypervisor's security driver (SELinux, AppArmor). V(none) disables it
            for this VM, as ZStack does; V(default) is the hypervisor's setting.
        type: str
        choices: [none, default]
        default: none
      omitted_settings:
        description:
          - What happens to settings of an existing VM whose option is omitted, for instance those of an operator who
            has tuned the VM with C(virsh). They are listed in the page about drift.
          - V(remove) is for callers that always describe the whole VM. A StartVmCmd of today's ZStack does.
        type: str
        choices: [keep, remove]
        default: keep
      autostart:
        description:
          - Whether the VM starts with the hypervisor. If omitted, autostart is left unchanged.
        type: bool
      domain_patches:
        description:
          - Changes to the generated domain XML, applied in order, for settings that have no option. The namespaces
            C(qemu) (C(http://libvirt.org/schemas/domain/qemu/1.0)) and C(zs) (C(http://zstack.org)) are known. The
            changes take part in the comparison with the existing domain like everything else.
          - From an existing domain, V(remove) and V(replace) remove devices, and other parts that the options
            determine. What libvirt fills in by default (the model of a NIC, an emulator, a memory balloon) stays or
            gets libvirt's default; to disable something, use V(set), for instance to set a memballoon's model to none.
          - Values of patches are not secret; arguments, differences and results show them. For a secret that
            only a patch can carry, use C(no_log).
          - When a patch is omitted in a later run, whatever other patches or operators may have added as well stays in
            the domain, such as a TPM, a watchdog or other metadata. The page
            about drift says how to remove it.
        type: list
        elements: dict
        default: []
        suboptions:
          action:
            description:
              - V(set) sets an attribute or the text of an element, V(add) adds a child element, V(remove) removes what
                the XPath matches, V(replace) replaces an element by another.
              - An XPath that ends with an attribute, such as C(devices/disk/driver/@discard), has V(set) create it in
                the elements that lack it.
            type: str
            choices: [set, add, remove, replace]
            required: true
          xpath:
            description:
              - The XPath of what to change. No match is an error. So are more than 10,000 matches, a domain that gets
                longer than 512 KiB or deeper than 100 elements, and more than five seconds for all patches.
            type: str
            required: true
          value:
            description:
              - Text for V(set), XML for V(add) and V(replace), omitted for V(remove).
            type: str
          no_log:
            description:
              - Whether O(vms[].domain_patches[].value) is a secret. If so, it, and the texts and attributes in it of
                more than three characters, are masked in arguments, messages, differences and the diff. A different
                earlier value in the existing domain is not masked.
            type: bool
            default: false
      wait_for:
        description:
          - The condition to wait for. V(running) is libvirt's state, V(console) also that the console's port of a VM
            that was started listens.
          - V(guest_agent) is that the guest agent answers, for which the VM needs a channel with target_name
            V(org.qemu.guest_agent.0). The module waits for a VM that already runs too, unless it gets that channel only
            at its next boot.
          - V(address) is that a NIC has an address that is reachable from elsewhere, which the result then has
            (C(addresses)). Sources are the guest agent, the DHCP leases of libvirt's networks and the hypervisor's ARP
            table; if the task runs on the hypervisor, an address from the last two counts only if the guest answers at
            it. Link-local addresses are not enough. The module waits for a VM that already runs too, unless it gets its
            first NIC at its next boot.
          - V(cloud_init) is that cloud-init in the guest has ended, as its result says, which the guest agent reads
            (the VM needs its channel). Errors in the result fail the task. Without the agent, cloud-init's last message
            on the serial console of a VM that was started counts.
          - A VM that is not ready in time keeps running, and the task fails. Its error then has the last lines of the
            guest's serial console and of QEMU's log, and the path of a screenshot.
        type: str
        choices: [running, console, guest_agent, address, cloud_init]
        default: console
"""
