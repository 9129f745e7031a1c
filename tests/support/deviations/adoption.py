# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences that the collection must find in a VM that ZStack's agent defined, document by document.

They follow from the document and the agent's domain alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi import chap_secret_uuid
from ansible_collections.zstack.kvm.tests.support.deviations.documents import is_scsi, scsi_name, volumes
from ansible_collections.zstack.kvm.tests.support.domain_meaning import normal_form
from ansible_collections.zstack.kvm.tests.support.reference_cases import Case
from lxml import etree

# SCSI disks per controller when libvirt derives their addresses from their letters.
_UNITS = 7


@dataclass(frozen=True)
class Part:
    """A part of a domain that a deviation is about: its path, the agent's element, and what is desired."""

    path: str
    actual: etree._Element
    desired: Mapping[str, Any]


Value = Union[str, None, Callable[[Part], Optional[str]]]


@dataclass(frozen=True)
class Differs:
    """Each of the C(parts) of a document's domain differs at C(path), unless C(before) and C(after) are equal."""

    parts: Callable[[Case], Iterable[Part]]
    path: str
    before: Value
    after: Value

    def predicted(self, case: Case) -> Iterator[Difference]:
        """Yield the differences of the parts."""
        for part in self.parts(case):
            before, after = (value(part) if callable(value) else value for value in (self.before, self.after))
            if before != after:
                yield Difference("/".join(filter(None, (part.path, self.path))), before, after)


def _domain(case: Case) -> Iterator[Part]:
    yield Part("", normal_form(case.reference, case.arch), case.document)


def _on_aarch64(case: Case) -> Iterable[Part]:
    return _domain(case) if case.arch == "aarch64" else ()


def _with_many_cpus_on_aarch64(case: Case) -> Iterable[Part]:
    return [domain for domain in _on_aarch64(case) if int(domain.actual.findtext("vcpu")) > 8]


def _that_can_grow(case: Case) -> Iterable[Part]:
    return _domain(case) if case.document["useNuma"] else ()


def _volumes(case: Case) -> Iterator[Part]:
    (domain,) = _domain(case)
    for volume, disk in volumes(domain.actual, case):
        name = scsi_name(volume) if is_scsi(disk) else disk.find("target").get("dev")
        yield Part("devices/disk[target=%s]" % name, disk, {**volume, "name": name})


def _scsi_volumes(case: Case) -> list[Part]:
    return [volume for volume in _volumes(case) if is_scsi(volume.actual)]


def _volumes_with_a_password(case: Case) -> list[Part]:
    return [volume for volume in _volumes(case) if volume.desired.get("chapPassword")]


def _fusionstor_volumes(case: Case) -> list[Part]:
    return [volume for volume in _volumes(case) if volume.desired["deviceType"] == "fusionstor"]


def _ceph_cds(case: Case) -> Iterator[Part]:
    for disk in case.reference.iterfind("devices/disk[@device='cdrom']"):
        if disk.find("source[@protocol='rbd']") is not None:
            yield Part("devices/disk[target=%s]" % disk.find("target").get("dev"), disk, case.document)


def _console(case: Case) -> Iterator[Part]:
    graphics = case.reference.find("devices/graphics")
    yield Part("devices/graphics[type=%s]" % graphics.get("type"), graphics, case.document)


def _spice_with_a_password(case: Case) -> list[Part]:
    return [each for each in _console(case) if each.actual.get("type") == "spice" and "consolePassword" in each.desired]


def _booting_from_network(case: Case) -> Iterable[Part]:
    return _domain(case) if "network" in case.document["bootDev"] and case.document["nics"] else ()


def _devices_to_boot_from(case: Case) -> Iterator[Part]:
    for domain in _booting_from_network(case):
        macs = [nic.get("address") for nic in domain.actual.iterfind("devices/interface/mac")]
        paths = {
            "network": ["devices/interface[mac=%s]" % mac for mac in macs],
            "hd": [volume.path for volume in _volumes(case)][:1],
        }
        in_order = [path for kind in case.document["bootDev"] for path in paths[kind]]
        for order, path in enumerate(in_order, 1):
            yield Part(path, domain.actual, {"order": order})


def _agents_letter(volume: Part) -> str:
    return volume.actual.find("target").get("dev")


def _agents_unit(volume: Part) -> tuple[str, str]:
    """Return the agent's controller and unit, or those that libvirt derives from the letter."""
    address = volume.actual.find("address")
    if address is not None:
        return address.get("controller"), address.get("unit")
    controller, unit = divmod(ord(_agents_letter(volume)[2]) - ord("a"), _UNITS)
    return str(controller), str(unit)


def _agents_cache(volume: Part) -> Optional[str]:
    return volume.actual.find("driver").get("cache")


def _agents_secret(volume: Part) -> str:
    return volume.actual.find("source/auth/secret").get("uuid")


def _secret_of_target(volume: Part) -> str:
    return chap_secret_uuid(volume.actual.find("source").get("name").rpartition("/")[0])


def _snapshot(cd: Part) -> tuple[str, str]:
    """Return the image and its snapshot."""
    image, _at, snapshot = cd.actual.find("source").get("name").partition("@")
    return image, snapshot


def _maximum_memory(domain: Part) -> str:
    """Return how much memory the emulated guest can address, in KiB."""
    return str((960 if domain.actual.find("os/type").get("arch") == "x86_64" else 16320) << 20)


SCSI_LETTERS = (Differs(_scsi_volumes, "target/@dev", _agents_letter, lambda volume: volume.desired["name"]),)
SCSI_UNITS = (
    Differs(_scsi_volumes, "address/@controller", lambda volume: _agents_unit(volume)[0], "0"),
    Differs(
        _scsi_volumes,
        "address/@unit",
        lambda volume: _agents_unit(volume)[1],
        lambda volume: str(volume.desired["deviceId"]),
    ),
)
CHAP_SECRETS = (Differs(_volumes_with_a_password, "source/auth/secret/@uuid", _agents_secret, _secret_of_target),)
OUTSIDE_SCHEMA = (Differs(_fusionstor_volumes, "driver/@io", "native", None),)
CEPH_SNAPSHOTS = (
    Differs(_ceph_cds, "source/@name", lambda cd: "@".join(_snapshot(cd)), lambda cd: _snapshot(cd)[0]),
    Differs(_ceph_cds, "source/snapshot", None, lambda cd: '<snapshot name="%s"/>' % _snapshot(cd)[1]),
)
CACHE_MODE = (Differs(_volumes, "driver/@cache", _agents_cache, lambda volume: volume.desired["cacheMode"]),)
CONSOLE = (
    Differs(_console, "@listen", "0.0.0.0", lambda console: console.desired["hostManagementIp"]),
    Differs(_console, "listen[0]/@address", "0.0.0.0", lambda console: console.desired["hostManagementIp"]),
    Differs(_spice_with_a_password, "@passwd", None, "********"),
)
NETWORK_BOOT = (
    Differs(_booting_from_network, "os/boot[0]", '<boot dev="hd"/>', None),
    Differs(_devices_to_boot_from, "boot", None, lambda device: '<boot order="%(order)s"/>' % device.desired),
)
FIRMWARE = (
    Differs(
        _on_aarch64, "os/loader", "/usr/share/edk2.git/aarch64/QEMU_EFI-pflash.raw", "/usr/share/AAVMF/AAVMF_CODE.fd"
    ),
)
EMULATED_CPU = (Differs(_on_aarch64, "cpu/model/@fallback", "allow", "forbid"),)
EMULATED_GIC = (Differs(_with_many_cpus_on_aarch64, "features/gic/@version", "2", "3"),)
MAXIMUM_MEMORY = (Differs(_that_can_grow, "maxMemory", "68719476736", _maximum_memory),)
