# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded messages of libvirt, QEMU and the kernel, and the code of each.

Recorded on libvirt 9.0 and QEMU 7.2, except for those marked with their origin: texts of things that the recording
machine doesn't have (AppArmor, SELinux, an IOMMU, KVM).
"""

from __future__ import annotations

import time

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES, RETRYABLE
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.error_classification import (
    _BY_ERRNO,
    _BY_NUMBER,
    _BY_SOURCE,
    _BY_SOURCE_AND_ERRNO,
    _TEXTS,
    broke_connection,
    classify,
    classify_text,
)

QEMU = "internal error: process exited while connecting to monitor: 2026-11-22T17:08:16.985667Z qemu-system-x86_64: "
# VIR_FROM_NONE, VIR_FROM_RPC, VIR_FROM_QEMU, VIR_FROM_REMOTE
NONE, RPC, QEMU_DRIVER, REMOTE = 0, 7, 10, 13

# How each code is recognised when libvirt reports an error, whatever libvirtd's language.
NUMBER = "the number of the error, of the part of libvirt that reports it, or errno"
QUOTED = "the words of QEMU, the kernel or a program that libvirt runs, which are never translated"
ENGLISH = "libvirt's own words in English; in another language the numbers give a wider code, at last libvirt_error"
CONNECTION = "what the connection itself says when it is asked"
OURS = "libvirt's errors are never taken for it: it is found by looking"
RECOGNISED_BY = {
    "address_in_use": {NUMBER, QUOTED, ENGLISH},
    "address_missing": {NUMBER, QUOTED},
    "bridge_missing": {NUMBER, ENGLISH},
    "cgroup_busy": {NUMBER},
    "channel_dir_missing": {ENGLISH},
    "connection_lost": {CONNECTION},
    "daemon_unavailable": {NUMBER},
    "device_in_use": {ENGLISH},
    "device_missing": {ENGLISH},
    "disk_full": {NUMBER, QUOTED},
    "domain_gone": {NUMBER},
    "filter_failed": {NUMBER, QUOTED, ENGLISH},
    "firmware_missing": {ENGLISH},
    "image_format": {QUOTED},
    "image_locked": {QUOTED},
    "image_missing": {NUMBER, QUOTED},
    "image_permission": {NUMBER, QUOTED},
    "invalid_domain": {NUMBER},
    "iommu_missing": {QUOTED, ENGLISH},
    "kvm_unavailable": {QUOTED},
    "libvirt_denied": {NUMBER},
    "libvirt_error": {NUMBER},
    "libvirt_hangs": {CONNECTION},
    "libvirt_unavailable": {CONNECTION, NUMBER},
    "name_taken": {ENGLISH},
    "not_enough_memory": {NUMBER, QUOTED},
    "openvswitch_failed": {ENGLISH},
    "qemu_failed": {NUMBER, QUOTED, ENGLISH},
    "qos_limit": {QUOTED, ENGLISH},
    "qos_unsupported": {QUOTED},
    "secret_missing": {NUMBER},
    "security_denied": {QUOTED, ENGLISH},
    "socket_unreachable": {QUOTED},
    "storage_denied": {QUOTED},
    "storage_missing": {QUOTED},
    "storage_unreachable": {QUOTED},
    "unsupported_device": {NUMBER, QUOTED, ENGLISH},
    "unsupported_domain_type": {ENGLISH},
    "unsupported_machine": {QUOTED, ENGLISH},
    "vfio_irq_conflict": {QUOTED},
    "vm_busy": {NUMBER, ENGLISH},
}

RECORDED = [
    ('qos_limit', 1, "internal error: Child process (tc filter add dev vnet9) unexpected exit status 255: "
     'Illegal "burst"\nUsage: ... rate BPS'),
    ('qos_limit', 1, 'internal error: Child process (tc ...) unexpected exit status 1: argument "99999999kb" is wrong: '
     'buffer'),
    ('qos_limit', 47, "numerical overflow: value '99999999' is too big for 'burst' parameter, maximum is '4194303'"),
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
    ('storage_unreachable', 1, QEMU + "-chardev socket,id=chr-vu-virtio-disk0,path=/run/vhost: "
     "Failed to connect to '/run/vhost': No such file or directory"),
    ('socket_unreachable', 1, QEMU + "-chardev socket,id=charshmem0,path=/run/ivshmem: "
     "Failed to connect to '/run/ivshmem': Connection refused"),
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


# The code, libvirt's numbers of the error and of its domain, errno, and the message of libvirt 9.0 in German.
TRANSLATED = [
    ("domain_gone", 42, 10, -1, "Domain nicht gefunden: Keine Domain mit übereinstimmender UUID '00000000-0000'"),
    ("image_missing", 38, 18, 2, "Cannot access storage file '/nope': Datei oder Verzeichnis nicht gefunden"),
    ("image_permission", 38, 18, 13, "Cannot access storage file '/root/a' (as uid:64055): Keine Berechtigung"),
    ("bridge_missing", 38, 0, 19, "Konnte Schnittstellen-MTU auf 'br_nope' nicht erhalten: Kein passendes Gerät"),
    ("filter_failed", 1, 33, -1, "Interner Fehler: Referenzierter Filter »nope« fehlt"),
    ("invalid_domain", 92, 5, -1, "XML document failed to validate against schema: Extra element devices"),
    ("invalid_domain", 27, 20, -1, "XML Fehler: Keine PCI-Busse verfügbar"),
    ("not_enough_memory", 1, 10, -1, "Interner Fehler: QEMU hat den Monitor geschlossen: qemu-system-x86_64: "
     "cannot set up guest memory 'pc.ram': Cannot allocate memory"),
    ("qemu_failed", 1, 10, -1, "Interner Fehler: QEMU hat den Monitor geschlossen: qemu-system-x86_64: -x"),
    ("qemu_failed", 38, 10, 104, "Kann nicht vom Monitor lesen: Die Verbindung wurde vom Kommunikationspartner "
     "zurückgesetzt"),
    ("secret_missing", 66, 30, -1, "Secret nicht gefunden: Kein Secret für uuid '00000000-0000-4000'"),
    ("unsupported_device", 67, 20, -1, "Nicht unterstützte Konfiguration: Unbekanntes Video-Modell 'nope'"),
    ("vm_busy", 68, 10, -1, "Zeitüberschreitung bei Operation: Kann Statuswechsel-Sperre nicht erlangen"),
    ("disk_full", 38, 0, 28, "Datei '/etc/libvirt/qemu/a.xml.new' konnte nicht erstellt werden: Auf dem Gerät ist kein "
     "Speicherplatz mehr verfügbar"),
    ("address_in_use", 38, 7, 98, "Socket kann nicht gebunden werden: Die Adresse wird bereits verwendet"),
    ("cgroup_busy", 38, 54, 11, "cgroup-BPF-Programm konnte nicht geladen werden: zur Zeit nicht verfügbar"),
    ("libvirt_denied", 45, 7, -1, "Authentifizierung fehlgeschlagen: Zugriff verweigert"),
    ("daemon_unavailable", 38, 7, 2, "Socket-Erstellung zu '/run/libvirt/virtlogd-sock' fehlgeschlagen: Datei oder "
     "Verzeichnis nicht gefunden"),
    ("libvirt_error", 1, 7, -1, "Interner Fehler: Anzahl der Schnittstellen 5000 übersteigt das Limit 2048"),
    # Codes that only libvirt's own English messages reveal.
    ("libvirt_error", 9, 20, -1, "Operation schlug fehl: Domain 'taken' ist bereits mit UUID fec5c888-80de definiert"),
    ("libvirt_error", 55, 10, -1, "Angeforderte Operation ist nicht gültig: Domain läuft nicht"),
    ("libvirt_error", 38, 10, 2, "Unable to bind to UNIX-Socket '/nope/x': Datei oder Verzeichnis nicht gefunden"),
]  # fmt: skip


@pytest.mark.parametrize("code, number, text", RECORDED)
def test_a_recorded_text_has_its_code(code: str, number: int, text: str) -> None:
    assert classify(number, NONE if number == 38 else QEMU_DRIVER, -1, text) == code


@pytest.mark.parametrize("code, number, source, error_number, text", TRANSLATED)
def test_a_libvirtd_of_another_language_is_understood_by_its_numbers(
    code: str, number: int, source: int, error_number: int, text: str
) -> None:
    assert classify(number, source, error_number, text) == code


def test_the_list_of_recognised_codes_matches_the_tables() -> None:
    by_numbers = {*_BY_NUMBER.values(), *_BY_SOURCE.values(), *_BY_ERRNO.values(), *_BY_SOURCE_AND_ERRNO.values()}
    of_libvirt = {code for code, how in RECOGNISED_BY.items() if how & {QUOTED, ENGLISH}}
    assert {code for code, _pattern in _TEXTS} == of_libvirt
    assert {code for code, how in RECOGNISED_BY.items() if NUMBER in how} == by_numbers | {
        "daemon_unavailable",
        "libvirt_error",
    }
    assert set(RECOGNISED_BY) <= set(ERROR_CODES)


@pytest.mark.parametrize("code", sorted(code for code, how in RECOGNISED_BY.items() if how == {NUMBER}))
def test_a_code_that_is_recognised_by_numbers_has_an_example_in_another_language(code: str) -> None:
    assert code in {row[0] for row in TRANSLATED}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (38, "Cannot recv data: Connection reset by peer"),
        (38, "End of file while reading data: Input/output error"),
        (1, "internal error: client socket is closed"),
        (1, "internal error: connection closed due to keepalive timeout"),
        (1, "internal error: Number of interfaces 5000 exceeds the max limit: 2048"),
        (39, "Unable to encode message payload"),
    ],
)
def test_what_may_have_broken_the_connection_is_distinguished_from_what_libvirt_reports(number: int, text: str) -> None:
    assert broke_connection(number, RPC)
    assert broke_connection(number, REMOTE)
    assert not broke_connection(number, QEMU_DRIVER)


def test_a_monitor_that_breaks_is_no_broken_connection() -> None:
    text = "Unable to read from monitor: Connection reset by peer"
    assert classify(38, QEMU_DRIVER, 104, text) == "qemu_failed"


@pytest.mark.parametrize(
    "piece",
    [
        "'/",
        "'a",
        '"/',
        "/dev/kvm'",
        "burst",
        "rbd ",
        "iSCSI target ",
        "vfio group ",
        "secret ",
        "device ",
        "iSCSI ",
        "Could not open ",
        "qemu",
        "bridge ",
    ],
)
def test_a_long_text_is_classified_quickly(piece: str) -> None:
    began = time.process_time()
    classify_text(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 5


def test_file_names_do_not_match_patterns() -> None:
    assert classify_text("Datei »/data/No space left on device« fehlt") is None
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
