# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults that depend on other options."""

from __future__ import annotations

from typing import Any

from .derived_mac import derived_mac
from .option_reader import Part
from .values import MAX_INTERFACE_NAME


def fill_in(vm: Part) -> None:
    """Set omitted options whose defaults depend on other options."""
    root = vm.get("root_volume")
    if root is not None:
        _default(root, "device_id", 0)
    for name, first in (("data_volumes", 1), ("boot_iso", 0), ("cd_roms", 0), ("scsi_luns", 1), ("nics", 0)):
        for part in vm.get(name) or ():
            _default(part, "device_id", part.index + first)
    for part in [*([] if root is None else [root]), *(vm.get("data_volumes") or ())]:
        fill_in_creation(part)
    _fill_in_topology(vm)
    _fill_in_nics(vm)


def fill_in_creation(volume: Part) -> None:
    """Set the format of a volume that may have to be created: a file is qcow2, as ZStack creates it."""
    create = volume.get("create")
    if create is None:
        return
    is_file = volume.get("device_type") == "file"
    _default(create, "format", (volume.get("format") or "qcow2") if is_file else "raw")
    if is_file and create.get("format") is not None:
        _default(volume, "format", create.get("format"))


def _fill_in_nics(vm: Part) -> None:
    named: set[int] = set()
    for nic in vm.get("nics") or ():
        device_id = nic.get("device_id")
        if device_id is None or device_id in named:
            continue
        named.add(device_id)
        if vm.get("uuid"):
            _default(nic, "mac", derived_mac(vm.get("uuid"), device_id))
        name = "" if vm.get("internal_id") is None else "vnic%d.%d" % (vm.get("internal_id"), device_id)
        _default(nic, "nic_internal_name", name if len(name) <= MAX_INTERFACE_NAME else "")


def _fill_in_topology(vm: Part) -> None:
    """Set one socket with all CPUs; if one of the two numbers is given, derive the other from it.

    With use_numa the topology is that of max_vcpu_num, which the builder knows without these numbers.
    """
    cpus, threads = vm.get("cpu_num"), vm.get("threads_per_core") or 1
    sockets, cores = vm.get("socket_num"), vm.get("cpu_on_socket")
    if vm.get("use_numa") and vm.get("max_vcpu_num"):
        if not (sockets or cores):
            return
        cpus = vm.get("max_vcpu_num")
    if not cpus:
        return
    if not sockets:
        _default(vm, "socket_num", max(cpus // (cores * threads), 1) if cores else 1)
    if not cores:
        of_one = max(cpus // ((vm.get("socket_num") or 1) * threads), 1)
        _default(vm, "cpu_on_socket", of_one)


def _default(part: Part, name: str, value: Any) -> None:
    if part.values.get(name) is None and name not in part.wrong:
        part.values[name] = value
