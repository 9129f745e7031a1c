# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where our VMs differ from those of today's agent on purpose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi import chap_secret_uuid
from ansible_collections.zstack.kvm.tests.support.deviations.documents import is_scsi
from ansible_collections.zstack.kvm.tests.support.domain_meaning import meaning_of, normal_form
from ansible_collections.zstack.kvm.tests.support.todays_cases import TodaysCase
from lxml import etree

PENDING = Path(__file__).resolve().parents[2] / "fixtures" / "start_vm_cmd_today_pending.json"

# Documents that are refused, and what for.
REFUSED = {
    "14-hugepages-dpdk": ("nics[0].type",),
    "17-cpu-vendor-none": ("vmCpuVendorId",),
    "18-sharedblock": ("shareable",),
    "23-cbd-volumes": ("rootVolume.deviceType", "dataVolumes[0].deviceType", "cdRoms[0].protocol"),
    "30-vf-and-vdpa": ("nics[2].type",),
    "37-user-defined-xml": ("addons.userDefinedXml ", "addons.userDefinedXmlHookScript"),
    "42-loader-rom-of-xdragon": ("addons.qemuCommandLine", "addons.vhostSrcPath", "addons.brMode"),
    "r0004": ("nics[0].type",),
    "r0013": ("rootVolume.deviceType",),
    "r0015": ("vmCpuVendorId",),
    "r0024": ("shareable",),
    "r0031": ("nics[0].type",),
    "r0054": ("vmCpuVendorId",),
    "r0067": ("rootVolume.deviceType", "dataVolumes[1].deviceType"),
    "r0070": ("vmCpuVendorId", "rootVolume.deviceType", "nics[0].type"),
}

_LETTERS = {"x86_64": "abdefghijklmnopqrstuvwxyz", "aarch64": "abfghijklmnopqrstuvwxyzde"}


def _drop(domain: etree._Element, path: str) -> None:
    for element in domain.findall(path):
        element.getparent().remove(element)


def _volumes(domain: etree._Element, case: TodaysCase) -> Iterator[tuple[dict[str, Any], etree._Element]]:
    """Each volume of the document, with its disk."""
    described = [case.document["rootVolume"], *case.document["dataVolumes"]]
    disks = [disk for disk in domain.iterfind("devices/disk") if disk.get("device") == "disk"]
    return zip(sorted(described, key=lambda volume: volume["deviceId"]), disks)


def _what_has_no_meaning(domain: etree._Element) -> None:
    """Elements that are empty or say what libvirt does anyway."""
    for path in ("devices/disk/iotune", "sysinfo/oemStrings"):
        for element in domain.findall(path):
            if not len(element):
                element.getparent().remove(element)
    _drop(domain, "devices/interface/alias")
    _drop(domain, "devices/controller/alias")
    for address in domain.findall("devices/*/address[@type='pci']"):
        if len(address.attrib) == 1:
            address.getparent().remove(address)
    for nvram in domain.findall("os/nvram[source]"):
        nvram.text = nvram.findtext("source")
        _drop(domain, "os/nvram/source")
    for target in domain.iterfind("devices/disk[@device='floppy']/target"):
        target.attrib.pop("type", None)
    for disk in domain.iterfind("devices/disk"):
        for twice in disk.findall("blockio")[1:]:
            disk.remove(twice)


def _disk_names(domain: etree._Element, case: TodaysCase) -> None:
    """SCSI disks are named by their device_id."""
    for volume, disk in _volumes(domain, case):
        if is_scsi(disk):
            disk.find("target").set("dev", "sd" + _LETTERS[case.arch][volume["deviceId"]])


def _chap_secrets_and_luns(domain: etree._Element, case: TodaysCase) -> None:
    for volume, disk in _volumes(domain, case):
        if volume["deviceType"] != "iscsi":
            continue
        source = disk.find("source")
        for secret in source.iterfind("auth/secret"):
            secret.set("uuid", chap_secret_uuid(source.get("name").rsplit("/", 1)[0]))
        if source.get("dev"):
            lun = volume["installPath"].rsplit("/", 1)[1]
            source.set("dev", re.sub(r"-lun-\d+$", "-lun-" + lun, source.get("dev")))


def _ceph_snapshots(domain: etree._Element, case: TodaysCase) -> None:
    """Name the snapshot of a CD, which is no part of the image's name."""
    snapshots = dict(
        drive["path"][len("ceph://") :].split("@")
        for drive in case.document["cdRoms"]
        if drive.get("path", "").startswith("ceph://") and "@" in drive["path"]
    )
    for source in domain.iterfind("devices/disk[@device='cdrom']/source[@protocol='rbd']"):
        name = source.get("name").partition("@")[0]
        source.set("name", name)
        if name in snapshots:
            etree.SubElement(source, "snapshot", name=snapshots[name])


def _shares(domain: etree._Element, case: TodaysCase) -> None:
    """CPU shares are in the definition, not set after the start."""
    shares = etree.SubElement(domain.find("cputune"), "shares")
    shares.text = str(case.document["priorityConfigStruct"]["cpuShares"])


def _console(domain: etree._Element, case: TodaysCase) -> None:
    for graphics in domain.iterfind("devices/graphics"):
        listen = graphics.find("listen")
        if listen is None:
            listen = etree.SubElement(graphics, "listen", type="address")
        listen.set("address", case.document["hostManagementIp"])


def _console_log(domain: etree._Element, case: TodaysCase) -> None:
    for log in [*domain.iterfind("devices/serial/log"), *domain.iterfind("devices/console/log")]:
        log.set("file", "/var/log/libvirt/qemu/%s-console.log" % case.document["vmInstanceUuid"])


def _pci_devices(domain: etree._Element) -> None:
    """libvirt gives the devices back."""
    for device in domain.iterfind("devices/hostdev[@type='pci']"):
        device.set("managed", "yes")


def _architecture(domain: etree._Element, case: TodaysCase) -> None:
    if case.arch == "aarch64":
        for feature in ("apic", "pae", "kvm", "vmport"):
            _drop(domain, "features/" + feature)
        _drop(domain, "clock/timer[@name='hypervclock']")


def expected_domain(case: TodaysCase) -> etree._Element:
    """Return the agent's domain with all deviations, in normal form."""
    domain = normal_form(case.reference, case.arch)
    _what_has_no_meaning(domain)
    _disk_names(domain, case)
    _chap_secrets_and_luns(domain, case)
    _ceph_snapshots(domain, case)
    _shares(domain, case)
    _console(domain, case)
    _console_log(domain, case)
    _pci_devices(domain)
    _architecture(domain, case)
    return domain


def differences(ours: etree._Element, case: TodaysCase) -> dict[str, str]:
    """Return what means something else in our domain than in the agent's with all deviations, by path."""
    expected, actual = meaning_of(expected_domain(case), case.arch), meaning_of(ours, case.arch)
    return {
        path: "agent's: %s, ours: %s" % (expected.get(path), actual.get(path))
        for path in sorted({*expected, *actual})
        if expected.get(path) != actual.get(path)
    }


def pending() -> dict[str, dict[str, str]]:
    """Return what is not equivalent yet: C(documents), and C(paths) in the domain as patterns, each with its area."""
    found: dict[str, dict[str, str]] = json.loads(PENDING.read_text())
    return found
