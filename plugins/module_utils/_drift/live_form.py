# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo what libvirt changes in a definition at the start, so that live XML can be compared with a definition.

Sources: libvirt's src/qemu/qemu_process.c (qemuProcessUpdateGuestCPU, qemuProcessPrepareDomain), and what
libvirt 9.0 shows of running domains.
"""

from __future__ import annotations

import copy
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .identity import DEFAULT_X86_CPU_MODELS, DISK_TARGET


def as_definition(live: etree._Element, desired: etree._Element) -> None:
    """Remove from C(live) what libvirt writes only for a running domain, and from both what can't be compared."""
    live.attrib.pop("id", None)
    _unlabelled(live)
    _unexpanded_cpu(live, desired)
    _unchosen_firmware(live, desired)
    _unballooned(live, desired)
    for domain in (live, desired):
        _unlimited(domain)
    _unchangeable_metadata(live, desired)
    for limits in live.iterfind("devices/disk/iotune"):
        _unburst(limits)
    for source in live.iterfind("devices/interface/source[@network]"):
        _unconnected(source)
    for drive in live.iterfind('devices/disk[@device="cdrom"]'):
        _emptied(drive)
    for drive in desired.iterfind("devices/disk"):
        _left_empty(drive, live)
    for graphics, found in zip(desired.iterfind("devices/graphics"), live.iterfind("devices/graphics")):
        _unlistened(graphics, found)


def _unconnected(source: etree._Element) -> None:
    """Remove libvirt's own resolution of the network: its port, bridge or device, and the type that follows from it."""
    source.getparent().set("type", "network")
    for name in ("portid", "bridge", "dev", "mode"):
        source.attrib.pop(name, None)


def _unchangeable_metadata(live: etree._Element, desired: etree._Element) -> None:
    """Remove ZStack's metadata, which can't be set live: libvirt would move it to another namespace.

    The guest doesn't depend on it, and whoever needs it reads the definition.
    """
    for domain in (live, desired):
        for metadata in domain.findall("metadata"):
            domain.remove(metadata)


def _emptied(drive: etree._Element) -> None:
    """Write an empty drive as defined: libvirt omits its format, and leaves a useless source after an ejection."""
    driver, source = drive.find("driver"), drive.find("source")
    if driver is not None and driver.get("type") is None:
        driver.set("type", "raw")
    if source is not None and not {"file", "dev", "protocol", "dir", "pool"} & set(source.attrib):
        drive.remove(source)


def _left_empty(desired_drive: etree._Element, live: etree._Element) -> None:
    """Expect an empty drive if its file is missing and a start-up policy lets libvirt leave it empty."""
    source, target = desired_drive.find("source"), desired_drive.find("target")
    if source is None or target is None or source.get("startupPolicy") not in ("optional", "requisite"):
        return
    drive = next(
        (each for each in live.iterfind("devices/disk") if DISK_TARGET.of(each) == DISK_TARGET.of(desired_drive)), None
    )
    if drive is not None and drive.find("source") is None:
        desired_drive.remove(source)


def _unlistened(desired: etree._Element, live: etree._Element) -> None:
    """Remove the listen address if none is desired: libvirt takes the one in its configuration."""
    if desired.get("listen") is None:
        for listening in [live, *live.iterfind('listen[@type="address"]')]:
            listening.attrib.pop("listen", None)
            listening.attrib.pop("address", None)


def _unburst(limits: etree._Element) -> None:
    """Remove the lengths of bursts that aren't allowed; QEMU always reports them."""
    suffix = "_length"
    for length in [each for each in limits if each.tag.endswith("_max" + suffix)]:
        if limits.find(length.tag[: -len(suffix)]) is None:
            limits.remove(length)
    if not len(limits):
        limits.getparent().remove(limits)


def _unlabelled(live: etree._Element) -> None:
    """Remove the labels that were chosen at the start, but not their type."""
    for seclabel in live.findall("seclabel"):
        for label in list(seclabel):
            seclabel.remove(label)


def _unexpanded_cpu(live: etree._Element, desired: etree._Element) -> None:
    """Restore the CPU mode: libvirt replaces every CPU but host-passthrough by a model with features."""
    existing_cpu, desired_cpu = live.find("cpu"), desired.find("cpu")
    if existing_cpu is None or desired_cpu is None:
        return
    for cpu in (existing_cpu, desired_cpu):
        # Records how libvirt checked the CPU at the start.
        cpu.attrib.pop("check", None)
    if existing_cpu.get("mode") != "custom":
        return
    model = existing_cpu.findtext("model")
    if _may_have_become(desired_cpu, model):
        mode = desired_cpu.get("mode")
        if mode is not None:
            existing_cpu.set("mode", mode)
        for expanded in (
            existing_cpu.findall("model") + existing_cpu.findall("vendor") + existing_cpu.findall("feature")
        ):
            existing_cpu.remove(expanded)
        for name in ("model", "feature"):
            existing_cpu.extend(copy.deepcopy(each) for each in desired_cpu.findall(name))


def _may_have_become(desired_cpu: etree._Element, model: Optional[str]) -> bool:
    mode = desired_cpu.get("mode", "custom")
    is_default = model in DEFAULT_X86_CPU_MODELS
    if mode == "custom":
        desired_model = desired_cpu.findtext("model")
        return model == desired_model if desired_model else is_default
    return mode == "host-model" and not is_default


def _unchosen_firmware(live: etree._Element, desired: etree._Element) -> None:
    """Restore the kind of firmware, which libvirt replaces at the start by the image that it chooses."""
    existing = live.find("os")
    if desired.find('os[@firmware="efi"]') is not None and existing.find('loader[@type="pflash"]') is not None:
        existing.set("firmware", "efi")


def _unlimited(domain: etree._Element) -> None:
    """Remove a quota that is no limit: libvirt shows it when the limit of a running VM was removed."""
    for quota in domain.findall("cputune/quota"):
        if (quota.text or "").startswith("-"):
            tune = quota.getparent()
            for each in [quota, *tune.findall("period")]:
                tune.remove(each)


def _unballooned(live: etree._Element, desired: etree._Element) -> None:
    """Ignore the current size of the balloon, which changes while the guest runs."""
    live_size, desired_size = live.find("currentMemory"), desired.find("currentMemory")
    if live_size is not None and desired_size is not None:
        live_size.text = desired_size.text
