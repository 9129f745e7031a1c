# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contradictions between the options of a VM's disks, and of how it starts from a memory snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from .._errors.errors import Problem
from .guest_waits import NEEDS_GUEST
from .option_reader import Part
from .volume_creation import creation_problems

# A limit of both directions together, and those that it excludes.
_EXCLUSIVE_LIMITS = (
    ("total_bandwidth", ("read_bandwidth", "write_bandwidth")),
    ("overall_iops", ("read_iops", "write_iops", "total_iops")),
    ("total_iops", ("read_iops", "write_iops")),
)
_NOT_FOR_VHOST = ("qos", "luks_secret_uuid", "shareable", "physical_block_size", "io_thread", "use_scsi")


def disk_problems(vm: Part) -> Iterator[Problem]:
    """Yield the contradictions within one VM."""
    threads = {thread.get("id") for thread in vm.get("io_threads") or ()}
    yield from _shared_memory_problems(vm)
    for volume in _volumes(vm):
        yield from _volume_problems(volume)
        yield from creation_problems(volume)
        yield from _io_thread_problems(volume, threads, "io_threads" in vm.wrong)
    yield from _controller_problems(vm)
    yield from _drive_problems(vm)
    yield from _start_problems(vm)


def _volumes(vm: Part) -> Iterator[Part]:
    root = vm.get("root_volume")
    if root is not None:
        yield root
    yield from vm.get("data_volumes") or ()


def _shared_memory_problems(vm: Part) -> Iterator[Problem]:
    """Yield the disks whose servers cannot map the guest's memory."""
    # A patch may share the memory as well
    if vm.get("memory_access") == "shared" or "memory_access" in vm.wrong or vm.get("domain_patches"):
        return
    served = [(volume, "device_type") for volume in _volumes(vm)]
    served += [(drive, "protocol") for drive in vm.get("cd_roms") or ()]
    for disk, name in served:
        if disk.get(name) == "vhost":
            yield Problem(
                "%s.%s" % (disk.option_path, name),
                "is vhost, which needs memory that its server can map",
                hint="set memory_access to shared",
            )


def _volume_problems(volume: Part) -> Iterator[Problem]:
    if volume.get("shareable") and volume.get("format") == "qcow2":
        yield Problem(
            "%s.shareable" % volume.option_path,
            "cannot be used with format qcow2: two guests that write to it would destroy it",
            hint="only raw images can be shared",
        )
    if volume.get("device_type") == "vhost":
        yield from _vhost_problems(volume)
    qos = volume.get("qos")
    if qos is not None:
        yield from _limit_problems(qos)


def _vhost_problems(volume: Part) -> Iterator[Problem]:
    if not volume.get("use_virtio") or volume.get("use_virtio_scsi"):
        yield Problem(
            "%s.device_type" % volume.option_path,
            "is vhost, which only virtio disks can be",
            hint="set use_virtio to true, and use_virtio_scsi to false",
        )
    for name in _NOT_FOR_VHOST:
        if volume.get(name):
            yield Problem(
                "%s.%s" % (volume.option_path, name),
                "cannot be used with device_type vhost: the server of the volume decides that",
                hint="leave it out",
            )


def _limit_problems(qos: Part) -> Iterator[Problem]:
    for name, others in _EXCLUSIVE_LIMITS:
        given = [other for other in others if qos.get(other) is not None]
        if qos.get(name) is not None and given:
            yield Problem(
                "%s.%s" % (qos.option_path, name),
                "cannot be used with %s: libvirt takes either a limit of both directions, or one of each"
                % " and ".join(given),
                hint="leave one of them out",
            )


def _io_thread_problems(volume: Part, threads: set[int], threads_unknown: bool) -> Iterator[Problem]:
    thread = volume.get("io_thread")
    if thread is None:
        return
    option_path = "%s.io_thread" % volume.option_path
    if thread not in threads and not threads_unknown:
        yield Problem(
            option_path,
            "is %d, but io_threads of the VM has no thread with that id" % thread,
            hint="add it to io_threads, or leave io_thread out",
        )
    if volume.get("use_scsi"):
        yield Problem(
            option_path,
            "cannot be used with use_scsi: only virtio SCSI controllers can have an IO thread",
            hint="set use_virtio_scsi instead of use_scsi, or leave io_thread out",
        )


def _controller_problems(vm: Part) -> Iterator[Problem]:
    """Yield volumes that share a SCSI controller, but not its IO thread."""
    first: dict[int, Part] = {}
    for volume in _volumes(vm):
        index = volume.get("controller_index")
        if not index or not volume.get("use_virtio_scsi") or volume.get("io_thread") is None:
            continue
        other = first.setdefault(index, volume)
        if other.get("io_thread") != volume.get("io_thread"):
            yield Problem(
                "%s.io_thread" % volume.option_path,
                "differs from %s.io_thread, but both are on SCSI controller %d" % (other.option_path, index),
                hint="give each IO thread a controller_index of its own",
            )


def _drive_problems(vm: Part) -> Iterator[Problem]:
    if vm.get("cd_roms") is not None and vm.get("boot_iso"):
        yield Problem(
            "%s.boot_iso" % vm.option_path,
            "cannot be used with cd_roms, which lists all CD drives",
            hint="put the CDs into cd_roms",
        )
    for drive in vm.get("cd_roms") or ():
        if drive.get("protocol") and not drive.get("path") and "path" not in drive.wrong:
            yield Problem("%s.protocol" % drive.option_path, "is %s, but the drive has no path" % drive.get("protocol"))


def _start_problems(vm: Part) -> Iterator[Problem]:
    if vm.get("create_paused") and vm.get("wait_for") in NEEDS_GUEST:
        yield Problem(
            "%s.create_paused" % vm.option_path,
            "cannot be used with wait_for %s: a paused guest does not run" % vm.get("wait_for"),
            hint="set wait_for to running, or create_paused to false",
        )
