# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where our domains differ from those of ZStack's agent on purpose.

Each deviation turns the agent's domain (in normal form) into what ours should mean instead. C(row) is its
row in docs/deviations.md, where the reason stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi import chap_secret_uuid
from ansible_collections.zstack.kvm.tests.support.domain_meaning import normal_form
from ansible_collections.zstack.kvm.tests.support.reference_cases import Case
from lxml import etree

_LETTERS = "abdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Deviation:
    """One deliberate difference."""

    row: str
    apply: Callable[[etree._Element, Case], None]


def expected_domain(case: Case) -> etree._Element:
    """The agent's domain with all deviations, in normal form."""
    domain = normal_form(case.reference, case.arch)
    for deviation in DEVIATIONS:
        deviation.apply(domain, case)
    return domain


def _volumes(domain: etree._Element, case: Case) -> Iterator[tuple[dict, etree._Element]]:
    volumes = [case.document["rootVolume"], *case.document["dataVolumes"]]
    disks = [disk for disk in domain.iterfind("devices/disk") if disk.get("device") != "cdrom"]
    return zip(sorted(volumes, key=lambda volume: volume["deviceId"]), disks)


def _usb_versions(case: Case) -> list[int]:
    return [int(device.split(":")[-1].split(".")[0]) for device in case.document["addons"].get("usbDevice", [])]


def _drop(domain: etree._Element, path: str) -> None:
    for element in domain.findall(path):
        element.getparent().remove(element)


def _disk_names(domain: etree._Element, case: Case) -> None:
    for volume, disk in _volumes(domain, case):
        target = disk.find("target")
        if target.get("bus") == "scsi":
            target.set("dev", "sd" + _LETTERS[volume["deviceId"]])


def _scsi_units(domain: etree._Element, case: Case) -> None:
    units = set()
    for volume, disk in _volumes(domain, case):
        if disk.find("target").get("bus") == "scsi":
            units.add(volume["deviceId"])
            _set_unit(disk, volume["deviceId"])
    drive = domain.find("devices/disk[@device='cdrom']/target[@dev='sdc']/..")
    if drive is not None:
        _set_unit(drive, 25 if 2 in units else 2)


def _set_unit(disk: etree._Element, unit: int) -> None:
    _drop(disk, "address")
    etree.SubElement(disk, "address", type="drive", controller="0", bus="0", target="0", unit=str(unit))


def _chap_secret(domain: etree._Element, case: Case) -> None:
    for source in domain.iterfind("devices/disk/source[@protocol='iscsi']"):
        for secret in source.iterfind("auth/secret"):
            secret.set("uuid", chap_secret_uuid(source.get("name").rsplit("/", 1)[0]))


def _what_schema_refuses(domain: etree._Element, case: Case) -> None:
    _drop(domain, "devices/interface/alias")
    for driver in domain.iterfind("devices/disk/driver[@io]"):
        del driver.attrib["io"]
    for number, controller in enumerate(domain.iterfind("devices/controller[@model]")):
        controller.attrib.pop("multifunction", None)
        if controller.get("model").startswith("ich9-uhci"):
            etree.SubElement(controller, "master", startport=str(2 * (number - 1)))


def _nbd_host(domain: etree._Element, case: Case) -> None:
    for host in domain.iterfind("devices/disk/source[@protocol='nbd']/host"):
        path = host.get("port")
        host.attrib.clear()
        host.attrib.update({"transport": "unix", "socket": path})


def _ceph_snapshot(domain: etree._Element, case: Case) -> None:
    for source in domain.iterfind("devices/disk[@device='cdrom']/source[@protocol='rbd']"):
        name, snapshot = source.get("name").split("@")
        source.set("name", name)
        etree.SubElement(source, "snapshot", name=snapshot)


def _cache_mode(domain: etree._Element, case: Case) -> None:
    for volume, disk in _volumes(domain, case):
        disk.find("driver").set("cache", volume["cacheMode"])


def _console(domain: etree._Element, case: Case) -> None:
    graphics = domain.find("devices/graphics")
    graphics.find("listen").set("address", case.document["hostManagementIp"])
    if "consolePassword" in case.document:
        graphics.set("passwd", case.document["consolePassword"])


def _network_boot(domain: etree._Element, case: Case) -> None:
    boot_dev = case.document["bootDev"]
    nics = domain.findall("devices/interface")
    if "network" not in boot_dev or boot_dev[0] == "cdrom" or not nics:
        return
    _drop(domain, "os/boot")
    _drop(domain, "devices/disk/boot")
    devices = {
        "network": nics,
        "hd": [disk for _volume, disk in _volumes(domain, case)][:1],
        "cdrom": domain.findall("devices/disk[@device='cdrom']"),
    }
    for order, device in enumerate((device for kind in boot_dev for device in devices[kind]), 1):
        etree.SubElement(device, "boot", order=str(order))


def _shares(domain: etree._Element, case: Case) -> None:
    shares = domain.find("cputune/shares")
    shares.text = str(max(2, int(shares.text)))


def _usb_ports(domain: etree._Element, case: Case) -> None:
    devices = domain.find("devices")
    versions = _usb_versions(case)
    redirects = case.document["usbRedirect"] == "true"
    if redirects:
        for index, model in [(1, "ehci"), (2, "nec-xhci")][: max(versions, default=1) - 1]:
            etree.SubElement(devices, "controller", type="usb", index=str(index), model=model)
        for port in domain.iterfind("devices/hostdev/address[@bus='0']"):
            port.set("port", "5")
    for keyboard in domain.iterfind("devices/input[@type='keyboard']"):
        etree.SubElement(keyboard, "address", type="usb", bus="0", port="5" if redirects else "2")


def _architecture(domain: etree._Element, case: Case) -> None:
    if case.arch == "aarch64":
        for feature in ("apic", "pae", "kvm"):
            _drop(domain, "features/" + feature)
        _drop(domain, "clock/timer[@name='hypervclock']")


DEVIATIONS = (
    Deviation("SCSI letters", _disk_names),
    Deviation("SCSI units", _scsi_units),
    Deviation("CHAP secrets", _chap_secret),
    Deviation("Settings outside libvirt's schema", _what_schema_refuses),
    Deviation("NBD host", _nbd_host),
    Deviation("Ceph snapshots", _ceph_snapshot),
    Deviation("Cache mode", _cache_mode),
    Deviation("Console", _console),
    Deviation("Network boot", _network_boot),
    Deviation("CPU shares", _shares),
    Deviation("USB ports", _usb_ports),
    Deviation("Architecture", _architecture),
)
