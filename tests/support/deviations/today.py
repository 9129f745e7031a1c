# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The intended differences between our VMs and those of today's agent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi import chap_secret_uuid
from ansible_collections.zstack.kvm.tests.support.deviations.documents import is_scsi
from ansible_collections.zstack.kvm.tests.support.domain_meaning import meaning_of, normal_form
from ansible_collections.zstack.kvm.tests.support.todays_cases import ALL_OF_TODAY, TodaysCase
from lxml import etree

# Documents that are refused, and the fields that are the reason.
REFUSED = {
    "14-hugepages-dpdk": ("nics[0].type",),
    "17-cpu-vendor-none": ("vmCpuVendorId",),
    "18-sharedblock": ("shareable",),
    "23-cbd-volumes": ("rootVolume.deviceType", "dataVolumes[0].deviceType", "cdRoms[0].protocol"),
    "30-vf-and-vdpa": ("nics[2].type",),
    "37-user-defined-xml": ("addons.userDefinedXml ", "addons.userDefinedXmlHookScript"),
    "42-loader-rom-of-xdragon": ("addons.qemuCommandLine", "addons.vhostSrcPath", "addons.brMode"),
    "r0004": ("nics[0].type",),
    "r0006": ("shareable",),
    "r0013": ("rootVolume.deviceType",),
    "r0015": ("vmCpuVendorId",),
    "r0016": ("scsi_luns[0].device_id",),
    "r0024": ("shareable",),
    "r0031": ("nics[0].type",),
    "r0054": ("vmCpuVendorId",),
    "r0067": ("rootVolume.deviceType", "dataVolumes[1].deviceType"),
    "r0072": ("data_volumes[5].io_thread",),
    "r0070": ("vmCpuVendorId", "rootVolume.deviceType", "nics[0].type"),
}

STARTED = [case for case in ALL_OF_TODAY if case.name not in REFUSED]

_LETTERS = {"x86_64": "abdefghijklmnopqrstuvwxyz", "aarch64": "abfghijklmnopqrstuvwxyzde"}


def _drop(domain: etree._Element, path: str) -> None:
    for element in domain.findall(path):
        element.getparent().remove(element)


def _volumes(domain: etree._Element, case: TodaysCase) -> Iterator[tuple[dict[str, Any], etree._Element]]:
    """Yield the volumes of the document, each with its disk."""
    described = [case.document["rootVolume"], *case.document["dataVolumes"]]
    disks = [disk for disk in domain.iterfind("devices/disk") if disk.get("device") == "disk"]
    return zip(sorted(described, key=lambda volume: volume["deviceId"]), disks)


def _remove_redundant_elements(domain: etree._Element) -> None:
    """Remove elements that are empty or state what libvirt does anyway."""
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
    """Name SCSI disks by their device_id."""
    for volume, disk in _volumes(domain, case):
        if is_scsi(disk):
            disk.find("target").set("dev", "sd" + _LETTERS[case.arch][volume["deviceId"]])


def _chap_secrets(domain: etree._Element, case: TodaysCase) -> None:
    for volume, disk in _volumes(domain, case):
        if volume["deviceType"] != "iscsi":
            continue
        source = disk.find("source")
        for secret in source.iterfind("auth/secret"):
            secret.set("uuid", chap_secret_uuid(source.get("name").rsplit("/", 1)[0]))


def _host_luns(domain: etree._Element, case: TodaysCase) -> None:
    """Name the LUN of the document, and add its address."""
    for volume in case.document["dataVolumes"]:
        target, _slash, lun = volume["installPath"].rpartition("/")
        for source in domain.iterfind("devices/disk[@device='lun']/source[@dev]"):
            if volume["deviceType"] == "iscsi" and target.rpartition("/")[2] in source.get("dev"):
                source.set("dev", re.sub(r"-lun-\d+$", "-lun-" + lun, source.get("dev")))
                unit = str(ord(source.getparent().find("target").get("dev")[2]) - ord("a"))
                parts = {"type": "drive", "controller": "0", "bus": "0", "target": "0", "unit": unit}
                etree.SubElement(source.getparent(), "address", parts)


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
    """Add the CPU shares, which the agent sets only after the start."""
    shares = etree.SubElement(domain.find("cputune"), "shares")
    shares.text = str(case.document["priorityConfigStruct"]["cpuShares"])


def _console(domain: etree._Element, case: TodaysCase) -> None:
    for graphics in domain.iterfind("devices/graphics"):
        listen = graphics.find("listen")
        if listen is None:
            listen = etree.SubElement(graphics, "listen", type="address")
        listen.set("address", case.document["hostManagementIp"])


def _firmware(domain: etree._Element, case: TodaysCase) -> None:
    """Leave the choice of firmware to libvirt; on aarch64 name the host's. This host has none with a CSM."""
    os_element, is_secure = domain.find("os"), case.document["secureBoot"]
    if case.document["bootMode"] == "Legacy":
        return
    _drop(domain, "os/loader")
    os_element.find("nvram").attrib.pop("template", None)
    if case.arch == "aarch64" and not is_secure:
        loader = etree.SubElement(os_element, "loader", readonly="yes", type="pflash")
        loader.text = "/usr/share/edk2.git/aarch64/QEMU_EFI-pflash.raw"
    elif case.document["bootMode"] == "UEFI":
        os_element.set("firmware", "efi")
        firmware = etree.SubElement(os_element, "firmware")
        for name in ("enrolled-keys", "secure-boot") if is_secure else ("secure-boot",):
            etree.SubElement(firmware, "feature", enabled="yes" if is_secure else "no", name=name)


def _qemu_monitor(domain: etree._Element) -> None:
    """Write the options of the monitor's socket as today's QEMU expects them."""
    for argument in domain.iterfind("{http://libvirt.org/schemas/domain/qemu/1.0}commandline/*"):
        argument.set("value", argument.get("value").replace(",server,nowait", ",server=on,wait=off"))


def _native_aio(domain: etree._Element) -> None:
    """Remove native AIO where the host's cache is used: libvirt accepts it only without."""
    for driver in domain.iterfind("devices/disk/driver[@io='native']"):
        if driver.get("cache") != "none":
            del driver.attrib["io"]


def _console_log(domain: etree._Element, case: TodaysCase) -> None:
    for log in [*domain.iterfind("devices/serial/log"), *domain.iterfind("devices/console/log")]:
        log.set("file", "/var/log/libvirt/qemu/%s-console.log" % case.document["vmInstanceUuid"])


def _pci_devices(domain: etree._Element) -> None:
    """Have libvirt return the devices to the host."""
    for device in domain.iterfind("devices/hostdev[@type='pci']"):
        device.set("managed", "yes")


def _architecture(domain: etree._Element, case: TodaysCase) -> None:
    if case.arch == "aarch64":
        for feature in ("apic", "pae", "kvm", "vmport"):
            _drop(domain, "features/" + feature)
        _drop(domain, "clock/timer[@name='hypervclock']")
        # Only PCs have SMM.
        _drop(domain, "features/smm")


def expected_domain(case: TodaysCase) -> etree._Element:
    """Return the agent's domain with all deviations, in normal form."""
    domain = normal_form(case.reference, case.arch)
    _remove_redundant_elements(domain)
    _disk_names(domain, case)
    _chap_secrets(domain, case)
    _host_luns(domain, case)
    _ceph_snapshots(domain, case)
    _shares(domain, case)
    _console(domain, case)
    _firmware(domain, case)
    _qemu_monitor(domain)
    _native_aio(domain)
    _console_log(domain, case)
    _pci_devices(domain)
    _architecture(domain, case)
    return domain


def differences(ours: etree._Element, case: TodaysCase) -> dict[str, str]:
    """Return, by path, where the meaning of our domain differs from the agent's with all deviations."""
    expected, actual = meaning_of(expected_domain(case), case.arch), meaning_of(ours, case.arch)
    return {
        path: "agent's: %s, ours: %s" % (expected.get(path), actual.get(path))
        for path in sorted({*expected, *actual})
        if expected.get(path) != actual.get(path)
    }
