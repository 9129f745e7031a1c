# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that describe a VM; module_utils/_spec/arguments.py is what reads them."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  vms:
    description:
      - The VMs, each a mapping of the options below. An option that is null or an empty text counts as left out.
      - ZStack's document for starting a VM, a StartVmCmd, becomes an element of this list by the filter
        P(zstack.kvm.from_start_vm_cmd#filter).
      - Everything that is wrong with the VMs is reported at once, each with its place, for instance
        C(vms[0].nics[1].mac).
    type: list
    elements: raw
    required: true
    suboptions:
      uuid:
        description:
          - The UUID of the VM, 32 hexadecimal digits with or without dashes. The libvirt domain is found by it, and
            its 32 digits are the domain's name.
        type: str
        required: true
      name:
        description:
          - What people call the VM. Any text that XML can carry; it becomes the domain's description.
        type: str
        required: true
      memory:
        description:
          - The RAM, in bytes or as a size such as V(2GiB), V(2GB) or V(2G), which all count in powers of 1024.
          - At least 1 MiB, so that a number that was meant in another unit is noticed.
        type: bytes
        required: true
      cpu_num:
        description:
          - The number of CPUs. More than 255 need O(vms[].machine=q35), and get an IOMMU.
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
              - Where the volume is. The absolute path of a file or block device for
                O(vms[].root_volume.device_type=file), C(ceph://POOL/IMAGE) for V(ceph),
                C(iscsi://HOST:PORT/IQN/LUN) for V(iscsi), C(fusionstor://POOL/IMAGE) for V(fusionstor).
            type: str
            required: true
          device_id:
            description:
              - The volume's number, which decides its letter and, on the SCSI bus, its unit. The root volume has 0, a
                data volume 1 to 24.
              - By default a data volume's place in the list, counted from 1.
            type: int
          device_type:
            description:
              - The kind of storage. V(file) is a file or a block device (C(/dev/VG/LV) of a SharedBlock primary
                storage, for instance), whichever is at the path. V(fusionstor) is reached as NBD over the unix socket
                C(/tmp/nbd-socket).
            type: str
            choices: [file, ceph, iscsi, fusionstor]
            default: file
          volume_uuid:
            description:
              - ZStack's UUID of the volume.
            type: str
          use_virtio:
            description:
              - Whether the disk is a virtio one. Without it, and without use_virtio_scsi, it is an IDE disk (SATA
                where the machine has no IDE, SCSI on aarch64).
              - An iSCSI volume is always a SCSI disk; with V(true) QEMU itself is the initiator, with V(false) the
                hypervisor logs in to the target and the LUN is passed through.
            type: bool
            default: true
          use_virtio_scsi:
            description:
              - Whether the disk is on the virtio SCSI controller.
            type: bool
            default: false
          shareable:
            description:
              - Whether other VMs may use the volume at the same time. Only raw images can be shared.
            type: bool
            default: false
          cache_mode:
            description:
              - How the hypervisor caches the disk.
            type: str
            choices: [none, writethrough, writeback]
            default: none
          wwn:
            description:
              - The disk's world wide name, 16 hexadecimal digits with or without C(0x). Only disks with
                use_virtio_scsi show it to the guest.
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
              - The UUID of the libvirt secret that holds the cephx key of the user C(zstack). Without it there is no
                authentication.
            type: str
          chap_username:
            description:
              - The user name for the iSCSI target. Goes with chap_password.
            type: str
          chap_password:
            description:
              - The password for the iSCSI target.
            type: str
          format:
            description:
              - The image's format. By default the hypervisor looks at a file when the VM is made, and what its
                definition says holds from then on. A FusionStor volume is asked likewise, and is V(raw) where it
                can't be. Volumes in ceph and iSCSI are V(raw).
            type: str
            choices: [raw, qcow2]
          qos:
            description:
              - Limits of the volume.
            type: dict
            suboptions:
              total_bandwidth:
                description:
                  - Bytes per second, reading and writing together. A size such as V(100MB) works too.
                type: bytes
              total_iops:
                description:
                  - Requests per second, for reading and for writing each.
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
          - The CDs. An x86 guest always has three CD drives, an aarch64 guest one; those without a CD are empty.
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
              - ZStack's UUID of the image.
            type: str
          device_id:
            description:
              - The drive, 0 to 2; by default the CD's place in the list, counted from 0.
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
      nics:
        description:
          - The network cards.
        type: list
        elements: dict
        default: []
        suboptions:
          bridge_name:
            description:
              - The bridge of the hypervisor that the card is connected to.
            type: str
            required: true
          bridge_type:
            description:
              - Whose bridge that is. V(linux) is the kernel's own, V(openvswitch) one of Open vSwitch, which libvirt
                calls a virtual port.
              - With V(openvswitch) the card can have no O(vms[].nics[].ip), for libvirt does not filter its traffic.
            type: str
            choices: [linux, openvswitch]
            default: linux
          interface_id:
            description:
              - The UUID by which Open vSwitch and its controllers know the card (C(external_ids:iface-id) of its
                interface). Only with O(vms[].nics[].bridge_type=openvswitch).
              - Without it, libvirt chooses one when the VM is defined, and keeps it.
            type: str
          vlan_id:
            description:
              - The VLAN that the card is in, 1 to 4094. Open vSwitch adds and removes the tag; the guest does not see
                it. Only with O(vms[].nics[].bridge_type=openvswitch).
              - A bridge of the kernel is in a VLAN by its uplink; name that bridge.
            type: int
          mac:
            description:
              - The card's MAC address, unicast.
              - Without it, the card gets one that follows from the VM's UUID and the card's device_id, so that it is
                the same in every run and on every hypervisor. C(fa) and then the first five bytes of the SHA-256 of
                C(UUID/DEVICE_ID).
              - Put quotes around it in YAML, which reads some MAC addresses as numbers.
            type: str
          ip:
            description:
              - The card's IPv4 address. With one, the filter C(clean-traffic) keeps the guest from using another.
            type: str
            default: ''
          uuid:
            description:
              - ZStack's UUID of the card.
            type: str
          nic_internal_name:
            description:
              - The name of the card's device on the hypervisor, 15 characters at most.
              - By default C(vnicINTERNAL_ID.DEVICE_ID), as ZStack names it, if the VM has an O(vms[].internal_id);
                else libvirt chooses one at each start.
              - A device of the hypervisor or another running VM that has the name already is an error before anything
                is touched.
            type: str
          device_id:
            description:
              - The card's number; by default its place in the list, counted from 0.
            type: int
          qos:
            description:
              - Limits of the card.
            type: dict
            suboptions:
              inbound_bandwidth:
                description:
                  - Bits per second towards the guest. A rate such as V(100Mb) works too and counts in powers of 1024.
                  - Counted by libvirt in KiB per second, so less than 8192 becomes 8192.
                type: bits
              outbound_bandwidth:
                description:
                  - Bits per second from the guest, likewise.
                type: bits
      internal_id:
        description:
          - ZStack's number of the VM, kept in the domain's metadata.
        type: int
      host_management_ip:
        description:
          - The hypervisor's management address, kept in the domain's metadata. The console listens on it unless
            O(vms[].console_listen) says otherwise.
        type: str
      cpu_speed:
        description:
          - The VM's share of CPU time for each CPU, relative to other VMs. libvirt's CPU shares are this times
            O(vms[].cpu_num), scaled to what the hypervisor takes.
        type: int
        default: 1
      socket_num:
        description:
          - The number of CPU sockets. By default 1, or what follows from O(vms[].cpu_on_socket).
          - Sockets times cores must be O(vms[].cpu_num), except with O(vms[].use_numa), which has a topology of its
            own.
        type: int
      cpu_on_socket:
        description:
          - The number of cores of each socket. By default what follows from O(vms[].cpu_num) and O(vms[].socket_num).
        type: int
      use_numa:
        description:
          - Whether CPUs and memory can be added while the VM runs, up to 128 CPUs.
        type: bool
        default: false
      nested_virtualization:
        description:
          - The CPU that the guest sees, V(none) for QEMU's default one. With V(host-model) and V(host-passthrough)
            the guest can run VMs itself. aarch64 guests always have V(host-passthrough) with
            O(vms[].domain_type=kvm).
        type: str
        choices: [none, host-model, host-passthrough]
        default: none
      kvm_hidden_state:
        description:
          - Whether the guest is kept from seeing that it runs under KVM. Some graphics drivers want it.
        type: bool
        default: false
      clock:
        description:
          - The time that the guest's hardware clock has. V(localtime) is for Windows and brings the timers that it
            likes.
        type: str
        choices: [utc, localtime]
        default: utc
      boot_dev:
        description:
          - What to boot from, first things first.
        type: list
        elements: str
        choices: [hd, cdrom, network]
        default: [hd]
      use_boot_menu:
        description:
          - Whether the firmware offers its boot menu.
        type: bool
        default: true
      use_virtio:
        description:
          - Whether the network cards are virtio ones; else they are e1000. A volume's own use_virtio decides for the
            volume.
        type: bool
        default: true
      console_mode:
        description:
          - The protocol of the VM's console.
        type: str
        choices: [vnc, spice]
        default: vnc
      console_password:
        description:
          - The password of the console. At most 8 bytes for VNC, 60 for spice.
        type: str
      console_listen:
        description:
          - The address of the hypervisor that the console listens on. By default O(vms[].host_management_ip), or
            loopback where that isn't given either.
        type: str
      video_type:
        description:
          - The graphics card. By default V(cirrus), or another one with a warning where the hypervisor's QEMU has no
            cirrus. aarch64 guests always have V(virtio).
        type: str
        choices: [cirrus, vga, qxl, virtio]
      vdi_monitor_number:
        description:
          - The number of monitors, 1 to 16. Counts only for O(vms[].video_type=qxl).
        type: int
        default: 1
      spice_streaming_mode:
        description:
          - Which moving pictures a spice console sends as video.
        type: str
        choices: ['off', all, filter]
        default: 'off'
      usb_redirect:
        description:
          - Whether USB devices of the person at the console can be used in the guest. Needs
            O(vms[].console_mode=spice).
        type: bool
        default: false
      channels:
        description:
          - Unix sockets on the hypervisor that are connected to virtio ports of the guest, for instance for its
            agent.
        type: list
        elements: dict
        default: []
        suboptions:
          socket_path:
            description:
              - The absolute path of the socket. Its directory is created if need be.
              - Anything there but a socket on which nobody listens is an error before anything is touched.
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
        type: list
        elements: str
        default: []
      usb_devices:
        description:
          - USB devices of the hypervisor to pass through, each C(BUS:DEVICE:VENDOR:PRODUCT:VERSION), bus and device
            decimal, vendor and product hexadecimal. The version, V(1), V(2) or V(3), chooses the guest's controller;
            what follows it (V(2.0)) doesn't count.
        type: list
        elements: str
        default: []
      ceph_secret:
        description:
          - The cephx key for the VM's volumes and CDs. The libvirt secret is made before the VM starts, or repaired
            if it holds something else. Not needed where the secret is there already.
        type: dict
        suboptions:
          uuid:
            description:
              - The UUID of the libvirt secret, the same as the volumes' secret_uuid.
            type: str
            required: true
          key:
            description:
              - The key, base64, as C(ceph auth get-key) prints it.
            type: str
            required: true
      emulator:
        description:
          - The absolute path of the QEMU to use. By default the one that libvirt names.
        type: str
      timeout:
        description:
          - How many seconds to wait, at most, until the VM runs, and again until its guest's agent answers or
            has an address where O(vms[].wait_for=guest_agent) or O(vms[].wait_for=address).
        type: int
        default: 60
      start_order:
        description:
          - VMs with a lower number are done, which includes what their O(vms[].wait_for) says, before VMs with a higher
            one are begun; VMs with the same number are started side by side. When one fails, those with a higher number
            are left as they are, and are failures too.
          - A VM without a number waits for no other, and no other waits for it.
          - It holds among the VMs of one task, that is on one hypervisor.
        type: int
      domain_type:
        description:
          - V(kvm) uses the hypervisor's CPU, V(qemu) emulates one, which is slow but works anywhere.
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
          - The machine type. By default V(pc), or V(q35) with a warning where the hypervisor's QEMU has no C(pc);
            V(virt) on aarch64.
        type: str
      firmware:
        description:
          - The guest's firmware. By default V(bios) on x86_64 and V(uefi) on aarch64. Loader and NVRAM are those that
            the hypervisor names.
        type: str
        choices: [bios, uefi]
      security_label:
        description:
          - Whether libvirt confines QEMU by the hypervisor's security driver (SELinux, AppArmor). V(none) switches it
            off for this VM, as ZStack does; V(default) is what the hypervisor is set to.
        type: str
        choices: [none, default]
        default: none
      autostart:
        description:
          - Whether the VM starts with the hypervisor. Without it, that is left as it is.
        type: bool
      domain_patches:
        description:
          - Changes to the finished libvirt domain, one after another, for what no option exists. The namespaces
            C(qemu) (C(http://libvirt.org/schemas/domain/qemu/1.0)) and C(zs) (C(http://zstack.org)) are known. They
            take part in the comparison with the existing domain like everything else.
          - Of an existing domain, V(remove) and V(replace) take out devices, and what else the document decides. What
            libvirt fills in where nothing is said (the model of a network card, an emulator, a memory balloon) stays
            or gets libvirt's default; to switch something off, say so with V(set), such as a memballoon's model none.
          - Values of patches are no secrets; arguments, differences and results show them. For a secret that
            only a patch can carry there is C(no_log).
          - A patch that is left out again takes nothing with it that other patches or operators may have put there
            as well, such as a TPM, a watchdog, C(memoryBacking), C(features/hyperv) or other metadata. See the page
            about drift for how to take such a thing out.
        type: list
        elements: dict
        default: []
        suboptions:
          action:
            description:
              - V(set) gives an attribute or the text of an element a value, V(add) adds an element inside, V(remove)
                takes something out, V(replace) puts an element in the place of another.
              - An XPath that ends with an attribute, such as C(devices/disk/driver/@discard), has V(set) create it in
                the elements that lack it.
            type: str
            choices: [set, add, remove, replace]
            required: true
          xpath:
            description:
              - What to change. Finding nothing is an error. So is finding more than 10,000 places, making the domain
                longer than 512 KiB or deeper than 100 elements, or taking more than five seconds for all patches.
            type: str
            required: true
          value:
            description:
              - A text for V(set), XML for V(add) and V(replace), nothing for V(remove).
            type: str
          no_log:
            description:
              - Whether O(vms[].domain_patches[].value) is a secret. Then it, and the texts and attributes in it of more
                than three characters, are masked in arguments, messages, differences and the diff. What libvirt has of
                an earlier value is not known, and shown.
            type: bool
            default: false
      wait_for:
        description:
          - What to wait for. V(running) is the state that libvirt tells, V(console) that the console's port of a VM
            that was started listens as well.
          - V(guest_agent) is that the guest's agent answers, for which the VM needs a channel with target_name
            V(org.qemu.guest_agent.0). A VM that runs already is waited for as well, unless it gets that channel at its
            next boot only.
          - V(address) is that a NIC has an address that can be used from elsewhere, which the result then has
            (C(addresses)). The guest agent, leases of libvirt's networks and the hypervisor's ARP table are asked; of
            the last two only what the guest answers at counts, where the task runs on the hypervisor. Link-local
            addresses are not enough. A VM that runs already is waited for as well, unless it gets its first NIC at its
            next boot.
          - A VM that doesn't come up in time runs on, and the task fails. Its error then has the last lines of the
            guest's serial console and of QEMU's log, and the path of a picture of the screen.
        type: str
        choices: [running, console, guest_agent, address]
        default: console
"""
