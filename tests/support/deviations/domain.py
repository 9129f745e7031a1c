# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deviations as changes of the agent's domain in normal form, which give it the meaning that ours should have."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi import chap_secret_uuid
from ansible_collections.zstack.kvm.tests.support.deviations.documents import is_scsi, scsi_name, volumes
from ansible_collections.zstack.kvm.tests.support.reference_cases import Case
from lxml import etree


def _usb_versions(case: Case) -> list[int]:
    return [int(device.split(":")[-1].split(".")[0]) for device in case.document["addons"].get("usbDevice", [])]


def _drop(domain: etree._Element, path: str) -> None:
    for element in domain.findall(path):
        element.getparent().remove(element)


def disk_names(domain: etree._Element, case: Case) -> None:
    """SCSI disks are named by their device_id."""
    for volume, disk in volumes(domain, case):
        if is_scsi(disk):
            disk.find("target").set("dev", scsi_name(volume))


def scsi_units(domain: etree._Element, case: Case) -> None:
    """SCSI disks have their device_id as unit, and the CD drive moves out of the way."""
    units = set()
    for volume, disk in volumes(domain, case):
        if is_scsi(disk):
            units.add(volume["deviceId"])
            _set_unit(disk, volume["deviceId"])
    drive = domain.find("devices/disk[@device='cdrom']/target[@dev='sdc']/..")
    if drive is not None:
        _set_unit(drive, 25 if 2 in units else 2)


def _set_unit(disk: etree._Element, unit: int) -> None:
    _drop(disk, "address")
    etree.SubElement(disk, "address", type="drive", controller="0", bus="0", target="0", unit=str(unit))


def chap_secret(domain: etree._Element, case: Case) -> None:
    """A target has one secret."""
    for source in domain.iterfind("devices/disk/source[@protocol='iscsi']"):
        for secret in source.iterfind("auth/secret"):
            secret.set("uuid", chap_secret_uuid(source.get("name").rsplit("/", 1)[0]))


def outside_schema(domain: etree._Element, case: Case) -> None:
    """Elements that libvirt's schema refuses are left out."""
    _drop(domain, "devices/interface/alias")
    for driver in domain.iterfind("devices/disk/driver[@io]"):
        del driver.attrib["io"]
    for number, controller in enumerate(domain.iterfind("devices/controller[@model]")):
        controller.attrib.pop("multifunction", None)
        if controller.get("model").startswith("ich9-uhci"):
            etree.SubElement(controller, "master", startport=str(2 * (number - 1)))


def nbd_host(domain: etree._Element, case: Case) -> None:
    """The socket of an NBD export is described as one."""
    for host in domain.iterfind("devices/disk/source[@protocol='nbd']/host"):
        path = host.get("port")
        host.attrib.clear()
        host.attrib.update({"transport": "unix", "socket": path})


def ceph_snapshot(domain: etree._Element, case: Case) -> None:
    """A snapshot is no part of the image's name."""
    for source in domain.iterfind("devices/disk[@device='cdrom']/source[@protocol='rbd']"):
        name, snapshot = source.get("name").split("@")
        source.set("name", name)
        etree.SubElement(source, "snapshot", name=snapshot)


def cache_mode(domain: etree._Element, case: Case) -> None:
    """Every volume has its cache mode."""
    for volume, disk in volumes(domain, case):
        disk.find("driver").set("cache", volume["cacheMode"])


def console(domain: etree._Element, case: Case) -> None:
    """The console listens on the management address, and has its password."""
    graphics = domain.find("devices/graphics")
    graphics.find("listen").set("address", case.document["hostManagementIp"])
    if "consolePassword" in case.document:
        graphics.set("passwd", case.document["consolePassword"])


def network_boot(domain: etree._Element, case: Case) -> None:
    """NICs boot in the order of bootDev."""
    boot_dev = case.document["bootDev"]
    nics = domain.findall("devices/interface")
    if "network" not in boot_dev or boot_dev[0] == "cdrom" or not nics:
        return
    _drop(domain, "os/boot")
    _drop(domain, "devices/disk/boot")
    devices = {
        "network": nics,
        "hd": [disk for _volume, disk in volumes(domain, case)][:1],
        "cdrom": domain.findall("devices/disk[@device='cdrom']"),
    }
    for order, device in enumerate((device for kind in boot_dev for device in devices[kind]), 1):
        etree.SubElement(device, "boot", order=str(order))


def shares(domain: etree._Element, case: Case) -> None:
    """CPU shares are at least two."""
    shares = domain.find("cputune/shares")
    shares.text = str(max(2, int(shares.text)))


def usb_ports(domain: etree._Element, case: Case) -> None:
    """USB controllers and ports are assigned."""
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


def architecture(domain: etree._Element, case: Case) -> None:
    """Some features exist on x86_64 only."""
    if case.arch == "aarch64":
        for feature in ("apic", "pae", "kvm"):
            _drop(domain, "features/" + feature)
        _drop(domain, "clock/timer[@name='hypervclock']")
