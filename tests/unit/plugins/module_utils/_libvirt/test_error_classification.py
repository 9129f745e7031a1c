# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of libvirt, QEMU and the kernel, as they were recorded, and the code that each becomes.

Recorded on libvirt 9.0 and QEMU 7.2, but for those marked with their origin: texts of things that the recording
machine doesn't have (AppArmor, SELinux, an IOMMU, KVM).
"""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES, RETRYABLE
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.error_classification import (
    _BY_NUMBER,
    _TEXTS,
    classify,
    classify_text,
)

QEMU = "internal error: process exited while connecting to monitor: 2026-11-22T17:08:16.985667Z qemu-system-x86_64: "
# VIR_FROM_NONE, VIR_FROM_RPC, VIR_FROM_QEMU
NONE, RPC, QEMU_DRIVER = 0, 7, 10

RECORDED = [
    ('qos_limit', 1, "internal error: Child process (tc filter add dev vnet9) unexpected exit status 255: "
     'Illegal "burst"\nUsage: ... rate BPS'),
    ('qos_limit', 1, 'internal error: Child process (tc ...) unexpected exit status 1: argument "99999999kb" is wrong: '
     'buffer'),
    ('qos_limit', 1, 'internal error: Child process (tc ...) unexpected exit status 1: Illegal "quantum"'),
    ('qos_limit', 27, "XML error: could not convert bandwidth average value '99999999999'"),
    # The text that ZStack's agent looks for: burst, Illegal and rate somewhere in it.
    ('qos_limit', 1, 'Child process unexpected exit status 1: Illegal "rate"\nWhat is "burst"'),
    ('qos_unsupported', 1, 'internal error: Child process (tc qdisc add dev vnet0 parent 1:1 handle 2: sfq perturb 10) '
     'unexpected exit status 2: Error: Specified qdisc kind is unknown.'),
    ('not_enough_memory', 1, QEMU + "cannot set up guest memory 'pc.ram': Cannot allocate memory"),
    ('disk_full', 38, "Failed to create file '/etc/libvirt/qemu/a.xml.new': No space left on device"),
    ('image_locked', 1, QEMU + '-blockdev {"node-name":"libvirt-1-format"}: Failed to get "write" lock\n'
     'Is another process using the image [/var/lib/libvirt/images/a.qcow2]?'),
    ('image_locked', 1, QEMU + 'Failed to get shared "write" lock'),
    ('image_permission', 38, "Cannot access storage file '/root/a.qcow2' (as uid:64055, gid:64055): Permission denied"),
    ('image_permission', 1, QEMU + "Could not open '/root/a.qcow2': Permission denied"),
    ('image_missing', 38, "Cannot access storage file '/nothing' (as uid:64055, gid:64055): No such file or directory"),
    ('image_format', 1, QEMU + '-blockdev {"driver":"qcow2"}: Image is not in qcow2 format'),
    ('bridge_missing', 38, "Cannot get interface MTU on 'br_nope': No such device"),
    ('openvswitch_failed', 1, "Unable to add port vnet5 to OVS bridge ovsbr"),
    ('secret_missing', 66, "Secret not found: no secret with matching uuid '00000000-0000-4000-8000-00000000dead'"),
    ('storage_unreachable', 1, QEMU + '-blockdev {"driver":"nbd","server":{"host":"127.0.0.1","port":"1"}}: '
     "Failed to connect to '127.0.0.1:1': Connection refused"),
    ('storage_unreachable', 1, QEMU + '-blockdev {"driver":"nbd","server":{"type":"unix","path":"/run/nbd.socket"}}: '
     "Failed to connect to '/run/nbd.socket': No such file or directory"),
    ('storage_unreachable', 1, QEMU + '-blockdev {"driver":"nbd","server":{"type":"unix","path":"/run/nbd.socket"}}: '
     "Failed to connect to '/run/nbd.socket': Connection refused"),
    ('storage_unreachable', 1, QEMU + '-blockdev {"driver":"iscsi","lun":1}: iSCSI: Failed to connect to LUN : '
     'iscsi_service failed with : iscsi_service_reconnect_if_loggedin. Can not reconnect right now.'),
    ('storage_unreachable', 1, QEMU + '-blockdev {"driver":"rbd"}: error connecting: Connection timed out'),
    ('storage_denied', 1, QEMU + '-blockdev {"driver":"rbd"}: error connecting: Operation not permitted'),
    ('storage_missing', 1, QEMU + '-blockdev {"driver":"rbd"}: error reading header from vol: No such file or '
     'directory'),
    ('storage_missing', 1, QEMU + '-blockdev {"driver":"rbd"}: error opening pool vms: No such file or directory'),
    ('address_missing', 1, QEMU + '-vnc 9.9.9.9:99: Failed to bind socket: Cannot assign requested address'),
    ('address_in_use', 1, QEMU + '-vnc 127.0.0.1:99: Failed to find an available port: Address already in use'),
    ('address_in_use', 1, "internal error: Unable to find an unused port in range 'vnc' (5900-65535)"),
    ('filter_failed', 1, "internal error: referenced filter 'nope' is missing"),
    ('iommu_missing', 67, "unsupported configuration: host doesn't support passthrough of host PCI devices"),
    ('unsupported_domain_type', 67, "unsupported configuration: Emulator '/usr/bin/qemu-system-x86_64' does not "
     "support virt type 'kvm'"),
    ('firmware_missing', 9, 'operation failed: unable to find any master var store for loader: /nope.fd'),
    ('unsupported_machine', 1, QEMU + 'unsupported machine type\nUse -machine help to list supported machines'),
    ('unsupported_device', 67, "unsupported configuration: TPM version '2.0' is not supported"),
    ('invalid_domain', 92, 'XML document failed to validate against schema: Extra element vcpu in interleave'),
    ('invalid_domain', 27, 'XML error: No PCI buses available'),
    ('name_taken', 9, "operation failed: domain 'a' already exists with uuid 6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"),
    ('domain_gone', 42, 'Domain not found: no domain with matching uuid'),
    ('vm_busy', 68, 'Timed out during operation: cannot acquire state change lock (held by monitor=remoteDispatch)'),
    ('qemu_failed', 1, 'internal error: qemu unexpectedly closed the monitor: qemu-system-x86_64: -x: invalid option'),
    ('channel_dir_missing', 38, "Unable to bind to UNIX socket path '/run/a/s': No such file or directory"),
    ('libvirt_denied', 45, 'authentication failed: access denied by policy'),
    ('libvirt_error', 9, 'operation failed: something that nobody has seen yet'),
    # From the source of libvirt and QEMU, or from reports of their users.
    ('kvm_unavailable', 1, QEMU + 'Could not access KVM kernel module: Permission denied'),
    ('kvm_unavailable', 1, QEMU + 'failed to initialize kvm: No such file or directory'),
    ('security_denied', 1, "internal error: cannot load AppArmor profile 'libvirt-6a9c3b1e'"),
    ('security_denied', 38, "unable to set security context 'system_u:object_r:svirt_image_t:s0:c1,c2' on '/nfs/a': "
     'Operation not supported'),
    ('security_denied', 1, 'apparmor="DENIED" operation="open" name="/data/a.qcow2" comm="qemu-system-x86"'),
    ('security_denied', 1, 'avc:  denied  { read } for  pid=1 comm="qemu-kvm" tclass=file'),
    ('vfio_irq_conflict', 1, QEMU + '-device vfio-pci,host=0000:03:00.0: vfio: Error: Failed to setup INTx fd: '
     'Device or resource busy'),
    ('vfio_irq_conflict', 1, QEMU + '-device vfio-pci,host=0000:03:00.0: vfio 0000:03:00.0: Failed to set up TRIGGER '
     'eventfd signaling for interrupt INTX-0: VFIO_DEVICE_SET_IRQS failure: Device or resource busy'),
    ('iommu_missing', 1, QEMU + '-device vfio-pci,host=0000:03:00.0: vfio 0000:03:00.0: no iommu_group found'),
    ('device_in_use', 55, 'Requested operation is not valid: PCI device 0000:03:00.0 is in use by driver QEMU, '
     'domain a'),
    ('device_missing', 1, 'internal error: Did not find USB device 046d:c52b bus:1 device:3'),
]  # fmt: skip


@pytest.mark.parametrize("code, number, text", RECORDED)
def test_a_recorded_text_has_its_code(code: str, number: int, text: str) -> None:
    assert classify(number, NONE if number == 38 else QEMU_DRIVER, text) == code


@pytest.mark.parametrize(
    "code, number, text",
    [
        ("connection_lost", 38, "Cannot recv data: Connection reset by peer"),
        ("connection_lost", 38, "End of file while reading data: Input/output error"),
        ("connection_lost", 1, "internal error: client socket is closed"),
        ("libvirt_hangs", 1, "internal error: connection closed due to keepalive timeout"),
        ("libvirt_unavailable", 38, "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Connection refused"),
    ],
)
def test_what_breaks_the_connection_itself_is_told_from_what_libvirt_reports(code: str, number: int, text: str) -> None:
    assert classify(number, RPC, text) == code


def test_a_monitor_that_breaks_is_no_broken_connection() -> None:
    assert classify(38, QEMU_DRIVER, "Unable to read from monitor: Connection reset by peer") == "qemu_failed"


def test_names_of_files_are_no_words_of_the_message() -> None:
    text = "Cannot access storage file '/data/SELinux iscsi: Connection refused/a': No such file or directory"
    assert classify_text(text) == "image_missing"


def test_every_pattern_is_exercised() -> None:
    assert {code for code, _pattern in _TEXTS} <= {code for code, _number, _text in RECORDED}


def test_every_code_is_in_the_table() -> None:
    assert {code for code, _pattern in _TEXTS} | set(_BY_NUMBER.values()) | RETRYABLE <= set(ERROR_CODES)


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_every_code_has_a_meaning_and_a_hint_of_whole_sentences(code: str) -> None:
    entry = ERROR_CODES[code]
    assert entry.meaning.endswith(".")
    assert entry.hint.endswith(".")
