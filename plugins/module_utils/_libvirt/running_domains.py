# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running domains: screen, console, addresses, and live changes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Optional

from .._errors.errors import VmError
from .binding import libvirt, libvirt_qemu
from .connection import ANSWER_SECONDS
from .domains import DomainCalls
from .serial_console import ConsoleStream

# A guest chooses the size of its screen. More than any realistic screenshot.
PICTURE_BYTES = 64 * 1024**2


class RunningDomainCalls(DomainCalls):
    """Calls to a running QEMU or its guest."""

    def agent_answers(self, uuid: str, timeout: int) -> bool:
        """Return whether the guest agent answers a ping within C(timeout) seconds."""
        ping = '{"execute": "guest-ping"}'
        try:
            ask = libvirt_qemu.qemuAgentCommand
            self._call_qemu(timeout + ANSWER_SECONDS, "ping the guest agent", ask, self._domain(uuid), ping, timeout, 0)
        except VmError as error:
            if error.lost_libvirt:
                raise
            return False
        return True

    def guest_file(self, uuid: str, path: str, most: int, timeout: int) -> Optional[bytes]:
        """Return the first C(most) bytes of a file in the guest, None if the guest agent cannot open it."""
        try:
            handle = self._ask_agent(uuid, "guest-file-open", timeout, path=path, mode="r")
        except VmError as error:
            if error.lost_libvirt or error.agent_is_silent:
                raise
            return None
        try:
            read = self._ask_agent(uuid, "guest-file-read", timeout, handle=handle, count=most)
        finally:
            self._ask_agent(uuid, "guest-file-close", timeout, handle=handle)
        return base64.b64decode(read["buf-b64"])

    def _ask_agent(self, uuid: str, command: str, timeout: int, **arguments: Any) -> Any:
        """Return the answer of the guest agent, which comes from the guest and may be anything."""
        request = json.dumps({"execute": command, "arguments": arguments})
        ask, what = libvirt_qemu.qemuAgentCommand, "ask the guest agent"
        answer = self._call_qemu(timeout + ANSWER_SECONDS, what, ask, self._domain(uuid), request, timeout, 0)
        try:
            return json.loads(answer)["return"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise VmError("libvirt_error", "cannot %s: it does not answer as one" % what) from error

    def interface_addresses(self, uuid: str, source: str) -> dict[str, dict[str, Any]]:
        """Return a running domain's NICs and addresses from C(source): the guest agent, libvirt's leases or ARP."""
        number = getattr(libvirt, "VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_" + source.upper())
        ask, what = self._domain(uuid).interfaceAddresses, "get the addresses"
        if source == "agent":
            return dict(self._call_qemu(ANSWER_SECONDS, what, ask, number, 0))
        return dict(self._call_libvirt(what, ask, number, 0))

    def block_size(self, uuid: str, target: str) -> tuple[int, int]:
        """Return the size of a disk in the guest, and its allocation in storage, in bytes."""
        ask = self._domain(uuid).blockInfo
        size, allocated, _end = self._call_qemu(ANSWER_SECONDS, "get the size of a disk", ask, target, 0)
        return int(size), int(allocated)

    def has_block_job(self, uuid: str, target: str) -> bool:
        """Return whether a disk of a running domain is being copied, committed or pulled."""
        ask = self._domain(uuid).blockJobInfo
        try:
            return bool(self._call_qemu(ANSWER_SECONDS, "get the block job of a disk", ask, target, 0))
        except VmError as error:
            if error.libvirt_code in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT):
                return False
            raise

    def resize_block(self, uuid: str, target: str, size: int) -> None:
        """Set the size of a disk of a running domain, in bytes. Its guest sees it at once."""
        flags = libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
        self._change_qemu("resize a disk", self._domain(uuid).blockResize, target, size, flags)

    def screenshot(self, uuid: str) -> bytes:
        """Return a screenshot of a running domain's first screen, as PNG or PPM depending on QEMU.

        At most C(PICTURE_BYTES) of it, or C(VmError).
        """
        stream = self._call_libvirt("open a stream", self._connection.newStream, 0)
        take = self._domain(uuid).screenshot
        self._call_qemu(ANSWER_SECONDS, "take a screenshot", take, stream, 0, 0)
        picture = bytearray()
        while True:
            part = self._call_libvirt("receive the picture", stream.recv, 65536)
            if not part:
                break
            picture += part
            if len(picture) > PICTURE_BYTES:
                self._call_libvirt("abort the screenshot", stream.abort)
                raise VmError("libvirt_error", "the screenshot has more than %d bytes" % PICTURE_BYTES)
        self._call_libvirt("end the stream", stream.finish)
        return bytes(picture)

    def open_console(self, uuid: str) -> ConsoleStream:
        """Return the first serial console of a running domain. Refused where another has it open through libvirt."""
        stream = self._call_libvirt("open a stream", self._connection.newStream, libvirt.VIR_STREAM_NONBLOCK)
        self._call_libvirt("open the console", self._domain(uuid).openConsole, None, stream, 0)
        return ConsoleStream(stream)

    def update_device(self, uuid: str, xml: str) -> None:
        """Update a device of the running domain to C(xml)."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._change_qemu("change a device", self._domain(uuid).updateDeviceFlags, xml, flags)

    def attach_device(self, uuid: str, xml: str) -> None:
        """Attach a device to the running domain."""
        self._change_qemu("attach a device", self._domain(uuid).attachDeviceFlags, xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def detach_device(self, uuid: str, xml: str) -> None:
        """Request that the guest releases a device; the device is gone once the live definition no longer has it."""
        self._change_qemu("detach a device", self._domain(uuid).detachDeviceFlags, xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def set_vcpus(self, uuid: str, count: int) -> None:
        """Set the number of CPUs of the running domain."""
        self._change_qemu("set the CPUs", self._domain(uuid).setVcpusFlags, count, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def set_memory_stats_period(self, uuid: str, seconds: int) -> None:
        """Set how often the balloon of the running domain tells its statistics."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._change_qemu("set the balloon period", self._domain(uuid).setMemoryStatsPeriod, seconds, flags)

    def set_description(self, uuid: str, text: Optional[str]) -> None:
        """Set the description of the running domain, its display name."""
        kind, flags = libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._change_domain("set the description", self._domain(uuid).setMetadata, kind, text, None, None, flags)

    def set_defined_metadata(self, uuid: str, namespace: str, prefix: str, xml: Optional[str]) -> None:
        """Set the element of a namespace in the metadata of the definition, or remove it."""
        kind, flags = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
        self._change_domain("set the metadata", self._domain(uuid).setMetadata, kind, xml, prefix, namespace, flags)

    def set_block_io_tune(self, uuid: str, target: str, limits: Mapping[str, int]) -> None:
        """Set the limits of a disk of the running domain, by libvirt's names of them; 0 is none."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._change_qemu("set the limits of a disk", self._domain(uuid).setBlockIoTune, target, dict(limits), flags)

    def set_scheduler(self, uuid: str, parameters: dict[str, int]) -> None:
        """Set the share of CPU time of the running domain, by libvirt's names."""
        set_parameters = self._domain(uuid).setSchedulerParametersFlags
        self._change_domain("set the CPU shares", set_parameters, parameters, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def pin(self, uuid: str, thread: str, number: int, cpus: frozenset[int]) -> None:
        """Let a thread of the running domain (vcpu, emulator or iothread; C(number)) run on these CPUs only."""
        domain, flags = self._domain(uuid), libvirt.VIR_DOMAIN_AFFECT_LIVE
        known = self._call_libvirt("ask for the CPUs", self._connection.getCPUMap)[0]
        cpu_map = tuple(cpu in cpus for cpu in range(known))
        if thread == "vcpu":
            self._change_qemu("pin a CPU", domain.pinVcpuFlags, number, cpu_map, flags)
        elif thread == "iothread":
            self._change_qemu("pin an IO thread", domain.pinIOThread, number, cpu_map, flags)
        else:
            self._change_qemu("pin QEMU's threads", domain.pinEmulator, cpu_map, flags)
