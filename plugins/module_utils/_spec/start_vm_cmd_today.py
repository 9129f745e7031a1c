# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VM that today's StartVmCmd describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .document_fields import DocumentReader, Sent
from .option_values import shown, whole_number
from .start_vm_cmd_2018 import add_ceph_secret
from .start_vm_cmd_today_devices import add_devices
from .start_vm_cmd_today_fields import VM

_MOST_VCPUS = 128
_MOST_MEMORY = 32 << 40  # bytes; fewer where the CPU has no addresses for them
_CPU_PERIOD = 1000000  # microseconds
_MOST_IO_THREADS = 1000
_DEFAULT_SHARES = 1024  # of a cgroup
_MACHINES_WITH_PCIE = ("q35", "virt")
_NVRAM = "/var/lib/libvirt/qemu/nvram/"


def convert(document: Mapping[Any, Any], reader: DocumentReader) -> dict[str, Any]:
    """Return the VM that one of today's documents describes, with today's defaults."""
    sent = reader.read(document, VM, "")
    addons = sent.get("addons") or Sent("addons")
    vm = {**sent.options, **addons.options, "boot_dev": [], "omitted_settings": "remove"}
    vm.setdefault("timeout", 300)
    vm.setdefault("on_crash", "preserve")
    add_ceph_secret(addons, vm, reader)
    is_aarch64 = _is_aarch64(sent, vm, reader)
    _add_cpu(sent, is_aarch64, vm, reader)
    _add_topology(sent, addons, vm)
    _add_io_threads(addons, vm, reader)
    _add_memory(sent, vm)
    _add_machine(sent, addons, is_aarch64, vm, reader)
    _add_platform(sent, is_aarch64, vm)
    _add_smbios(sent, is_aarch64, vm)
    _add_console(sent, addons, vm)
    _add_usb_redirection(sent, is_aarch64, vm, reader)
    _add_start(sent, vm)
    add_devices(sent, addons, is_aarch64, vm, reader)
    return vm


def _is_aarch64(sent: Sent, vm: dict[str, Any], reader: DocumentReader) -> bool:
    arch = sent.get("architecture")
    if arch and arch != vm.setdefault("arch", arch):
        reader.problems.append("architecture is %s, but imageArchitecture is %s" % (shown(arch), vm["arch"]))
    is_aarch64 = vm.get("arch", "aarch64" if sent.get("machineType") == "virt" else "x86_64") == "aarch64"
    if is_aarch64 and sent.get("bootMode") == "Legacy":
        # The words are those of ZStack's agent
        reader.problems.append(
            "bootMode is Legacy: Aarch64 does not support legacy, "
            "please change boot mode to UEFI instead of Legacy on your VM or Image."
        )
    return is_aarch64


def _add_when_true(sent: Sent, vm: dict[str, Any], fields: Mapping[str, str]) -> None:
    vm.update({option: True for field, option in fields.items() if sent.get(field)})


def _add_cpu(sent: Sent, is_aarch64: bool, vm: dict[str, Any], reader: DocumentReader) -> None:
    mode = vm.get("nested_virtualization", "none")
    priority = sent.get("priorityConfigStruct") or Sent("")
    vm["cpu_shares"] = priority.get("cpuShares", _DEFAULT_SHARES)
    if priority.get("oomScoreAdj") is not None:
        vm["oom_score_adj"] = priority.get("oomScoreAdj")
    vm["cpu_quota"] = sent.get("vmCpuQuota") or _CPU_PERIOD
    if mode == "custom" and sent.get("vmCpuModel"):
        vm["cpu_model"] = sent.get("vmCpuModel")
    if mode != "none":
        for field, option in (("x2apic", "x2apic"), ("cpuHypervisorFeature", "cpu_hypervisor_feature")):
            if sent.get(field) is False:
                vm[option] = False
    vendor = sent.get("vmCpuVendorId")
    if not vendor or vendor == "None" or is_aarch64:
        return
    if mode in ("none", "host-passthrough"):
        reader.problems.append(
            "vmCpuVendorId is not supported with nestedVirtualization %s: set that to host-model or custom" % mode
        )
    else:
        vm["cpu_vendor_id"] = vendor


def _number(text: str) -> Any:
    number = whole_number(text)
    return text if number is None else number


def _add_topology(sent: Sent, addons: Sent, vm: dict[str, Any]) -> None:
    if sent.get("useNuma"):
        vm["max_vcpu_num"] = sent.get("maxVcpuNum") or _MOST_VCPUS
        vm["max_memory"] = _MOST_MEMORY
    elif addons.all("numaNodes"):
        vm["numa_nodes"] = [
            {**node.options, "distances": [_number(text) for text in node.all("distance")]}
            for node in addons.all("numaNodes")
        ]


def _add_io_threads(addons: Sent, vm: dict[str, Any], reader: DocumentReader) -> None:
    """Add the IO threads. Those without a pin get the lowest free numbers, as libvirt numbers them for the agent."""
    pins, number = addons.all("ioThreadPins"), addons.get("ioThreadNum", 0)
    if number > _MOST_IO_THREADS:
        reader.problems.append("%s must be at most %d" % (addons.inner("ioThreadNum"), _MOST_IO_THREADS))
    elif number > 0:
        pinned = {pin.get("ioThreadId") for pin in pins}
        free = [thread for thread in range(1, number + 1) if thread not in pinned]
        others = [{"id": thread} for thread in free[: max(0, number - len(pins))]]
        vm["io_threads"] = [*(pin.options for pin in pins), *others]
    elif pins:
        reader.warnings.append("%s has no effect: ioThreadNum is not above 0" % addons.inner("ioThreadPins"))


def _add_memory(sent: Sent, vm: dict[str, Any]) -> None:
    access = sent.get("MemAccess")
    if access not in (None, "private"):
        vm["memory_access"] = access
    _add_when_true(sent, vm, {"useHugePage": "huge_pages", "noSharePages": "no_share_pages"})


def _add_machine(sent: Sent, addons: Sent, is_aarch64: bool, vm: dict[str, Any], reader: DocumentReader) -> None:
    """Add machine and firmware. The machine pc is left to the host, which may have q35 only."""
    machine = "virt" if is_aarch64 else sent.get("machineType", "pc")
    if not is_aarch64 and machine != "pc":
        vm["machine"] = machine
    if machine in _MACHINES_WITH_PCIE:
        vm["pcie_port_num"] = sent.get("pciePortNums", 28)
        vm["pci_bridge_num"] = sent.get("predefinedPciBridgeNum", 1)
    elif sent.get("predefinedPciBridgeNum"):
        vm["pci_bridge_num"] = sent.get("predefinedPciBridgeNum")
    _add_when_true(sent, vm, {"secureBoot": "secure_boot"})
    if addons.get("loaderRom") and vm.get("firmware", "bios") == "bios" and not is_aarch64:
        vm["loader_rom"] = addons.get("loaderRom")
    if is_aarch64 or vm.get("firmware", "bios") != "bios":
        vm["nvram"] = _nvram(sent, reader)
    if sent.get("useBootMenu", True) and sent.get("bootMenuSplashTimeout", 0) > 0:
        vm["boot_menu_timeout"] = sent.get("bootMenuSplashTimeout")


def _nvram(sent: Sent, reader: DocumentReader) -> str:
    given = sent.get("nvRam")
    if given is None or not given.get("installPath") or not (sent.get("secureBoot") or sent.get("tpm")):
        return "%s%s.fd" % (_NVRAM, str(sent.get("vmInstanceUuid", "")).replace("-", "").lower())
    path = str(given.get("installPath"))
    if path.startswith("/dev/") or path.endswith(".raw"):
        reader.problems.append(
            "%s is not supported: the NVRAM of this VM is in a raw image or a logical volume; "
            "start it in ZStack, or move the file to %s" % (given.inner("installPath"), _NVRAM)
        )
    return path


def _add_platform(sent: Sent, is_aarch64: bool, vm: dict[str, Any]) -> None:
    if str(sent.get("imagePlatform", "")).lower() == "other":
        vm["image_platform"] = "Other"
    vm["acpi"] = sent.get("acpi", False)
    vm["hyperv_clock"] = sent.get("hypervClock", False)
    if sent.get("emulateHyperV"):
        vm["emulate_hyperv"] = True
        if sent.get("vendorId"):
            vm["hyperv_vendor_id"] = sent.get("vendorId")
    if sent.get("clockTrack") and vm.get("clock") == "localtime":
        vm["clock_track"] = sent.get("clockTrack")
    if not is_aarch64:
        vm["ioapic"] = "kvm"
        vm["suspend_to_ram"] = sent.get("suspendToRam", False)
        vm["suspend_to_disk"] = sent.get("suspendToDisk", False)
        _add_when_true(sent, vm, {"vmPortOff": "vm_port_off"})


def _add_smbios(sent: Sent, is_aarch64: bool, vm: dict[str, Any]) -> None:
    smbios: dict[str, Any] = {}
    guest = str(sent.get("guestOsType", "")).lower()
    if not is_aarch64 and ("ubuntu" in guest or "debian" in guest):
        smbios.update(manufacturer="Microsoft Corporation", product="Virtual Machine")
    if sent.get("systemSerialNumber"):
        fields = {"serial": "systemSerialNumber", "asset_tag": "chassisAssetTag", "oem_strings": "oemStrings"}
        smbios.update({option: sent.get(field) for option, field in fields.items() if sent.get(field)})
    if smbios:
        vm["smbios"] = smbios


def _add_console(sent: Sent, addons: Sent, vm: dict[str, Any]) -> None:
    vm.setdefault("video_type", "virtio")
    if addons.get("noConsole"):
        vm["console_mode"] = "none"
    vm.update(aarch64_video_type=vm["video_type"], separate_usb_redirection=True)
    if _has_spice(vm):
        vm.update(
            sound_type=sent.get("soundType", "ich6"),
            spice_clipboard=True,
            spice_file_transfer=True,
            spice_webdav=True,
        )
        if sent.all("spiceChannels"):
            vm["spice_secure_channels"] = sent.get("spiceChannels")
    memory = sent.get("qxlMemory")
    if memory is not None and memory.values and vm["video_type"] == "qxl":
        vm["qxl_memory"] = dict(memory.values)


def _has_spice(vm: Mapping[str, Any]) -> bool:
    return vm.get("console_mode") in ("spice", "vnc_and_spice")


def _add_usb_redirection(sent: Sent, is_aarch64: bool, vm: dict[str, Any], reader: DocumentReader) -> None:
    if not sent.get("usbRedirect") or is_aarch64:
        return
    if sent.get("isApplianceVm"):
        reader.warnings.append("usbRedirect has no effect: an appliance VM has no USB redirection")
    elif _has_spice(vm):
        vm["usb_redirect"] = True
    else:
        reader.problems.append("usbRedirect is not supported without spice: set consoleMode to spice or vncAndSpice")


def _add_start(sent: Sent, vm: dict[str, Any]) -> None:
    fields = {
        "createPaused": "create_paused",
        "additionalQmp": "additional_qmp",
        "isApplianceVm": "appliance",
        "consoleLogToFile": "console_log",
    }
    _add_when_true(sent, vm, fields)
    if sent.get("qemu64BitPciMmioSetup") and sent.get("additionalQmp"):
        vm["pci_64bit_window"] = True
    if vm.get("memory_snapshot") and sent.get("vmXml"):
        vm["memory_snapshot_xml"] = sent.get("vmXml")
