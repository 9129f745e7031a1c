# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of an operator are kept if their option is omitted, and are drift if it is given."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._drift.live_drift import live_drift
from ansible_collections.zstack.kvm.plugins.module_utils._drift.normal_form import normalise_desired
from ansible_collections.zstack.kvm.plugins.module_utils._drift.omitted import with_omitted
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

# What operators set, where they set it, the path that names it, and the options that remove it.
TUNED = {
    "pin of a CPU": (
        "cputune",
        '<vcpupin vcpu="0" cpuset="0"/>',
        "cputune/vcpupin[vcpu=0]",
        {"cpu_pinning": []},
    ),
    "pin of QEMU": ("cputune", '<emulatorpin cpuset="0"/>', "cputune/emulatorpin", {"cpu_pinning": []}),
    "IO threads": (".", "<iothreads>2</iothreads>", "iothreads", {"io_threads": []}),
    "huge pages": ("memoryBacking", "<hugepages/>", "memoryBacking/hugepages", {"huge_pages": False}),
    "unshared pages": ("memoryBacking", "<nosharepages/>", "memoryBacking/nosharepages", {"no_share_pages": False}),
    "shared memory": (
        "memoryBacking",
        '<access mode="shared"/>',
        "memoryBacking/access",
        {"memory_access": "private"},
    ),
    "enlightenments": (
        "features/hyperv",
        '<relaxed state="on"/>',
        "features/hyperv/relaxed",
        {"emulate_hyperv": False},
    ),
    "VMware's port": ("features", '<vmport state="off"/>', "features/vmport", {"vm_port_off": False}),
    "memory that others share": (
        "devices",
        '<shmem name="frames"><model type="ivshmem-plain"/><size unit="M">4</size></shmem>',
        "devices/shmem[name=frames]",
        {"shared_memory": []},
    ),
    "panic device": ("devices", '<panic model="isa"/>', "devices/panic[model=isa]", {"panic_devices": []}),
}
# What is removed only by another value.
OTHERS = {
    "quota": ("cputune", "<quota>50000</quota>", {"cpu_quota": 70000}),
    "SMBIOS": (".", "<sysinfo type='smbios'><chassis/></sysinfo>", {"smbios": {"serial": "1"}}),
    "no PMU": ("features", '<pmu state="off"/>', {"pmu": True}),
    "suspending": ("pm", '<suspend-to-mem enabled="yes"/>', {"suspend_to_ram": False}),
}


def desired(**options: Any) -> tuple[Any, etree._Element]:
    vm = parsed_vm(**options)
    return vm, build(vm, recorded_host("debian-12"), StorageFacts()).element


def tuned(parent: str, xml: str) -> etree._Element:
    """Return the definition of a VM without options to which an operator has added an element."""
    domain = copy.deepcopy(desired()[1])
    element = domain.find(parent)
    if element is None:
        above, _slash, name = parent.rpartition("/")
        element = etree.SubElement(domain.find(above or "."), name)
    element.append(etree.fromstring(xml))
    normalise_desired(domain)
    return domain


def drift(existing: etree._Element, **options: Any) -> list[str]:
    vm, domain = desired(**options)
    return [each.path for each in reconcile(with_omitted(domain, vm, existing), existing).differences]


@pytest.mark.parametrize(
    ("parent", "xml"), [each[:2] for each in [*TUNED.values(), *OTHERS.values()]], ids=[*TUNED, *OTHERS]
)
def test_what_an_operator_has_set_is_no_drift_while_its_option_is_omitted(parent: str, xml: str) -> None:
    existing = tuned(parent, xml)
    vm, domain = desired()
    merged = reconcile(with_omitted(domain, vm, existing), existing).merged
    assert drift(existing) == []
    assert etree.tostring(merged) == etree.tostring(existing)
    assert live_drift(with_omitted(domain, vm, existing), existing, {}).differences == ()


@pytest.mark.parametrize(("parent", "xml", "path", "options"), TUNED.values(), ids=TUNED)
def test_an_empty_list_or_false_removes_it(parent: str, xml: str, path: str, options: dict[str, Any]) -> None:
    assert drift(tuned(parent, xml), **options) == [path]


@pytest.mark.parametrize(("parent", "xml", "options"), OTHERS.values(), ids=OTHERS)
def test_a_value_of_the_options_replaces_it(parent: str, xml: str, options: dict[str, Any]) -> None:
    assert drift(tuned(parent, xml), **options) != []


# What operators set in a disk and in a NIC, and where.
TUNED_DEVICES = {
    "discard": ("disk/driver", "@discard", "unmap"),
    "queues": ("disk/driver", "@queues", "4"),
    "IO thread": ("disk/driver", "@iothread", "1"),
    "serial number": ("disk", "serial", "<serial>one</serial>"),
    "block size": ("disk", "blockio", '<blockio logical_block_size="4096"/>'),
    "encryption": ("disk/source", "encryption", '<encryption format="luks"/>'),
    "MTU": ("interface", "mtu", '<mtu size="9000"/>'),
    "isolation": ("interface", "port", '<port isolated="yes"/>'),
}
NIC = {"nics": [{"bridge_name": "br0", "mac": "fa:00:00:00:00:01"}]}


def tuned_device(parent: str, part: str, value: str) -> etree._Element:
    """Return the definition of a VM in whose disk or NIC an operator has set something."""
    domain = copy.deepcopy(desired(**NIC)[1])
    element = domain.find("devices/" + parent)
    if part.startswith("@"):
        element.set(part[1:], value)
    else:
        element.append(etree.fromstring(value))
    normalise_desired(domain)
    return domain


@pytest.mark.parametrize(("parent", "part", "value"), TUNED_DEVICES.values(), ids=TUNED_DEVICES)
class TestWhatAnOperatorHasSetInADevice:
    def test_is_no_drift(self, parent: str, part: str, value: str) -> None:
        existing = tuned_device(parent, part, value)
        vm, domain = desired(**NIC)
        assert etree.tostring(reconcile(with_omitted(domain, vm, existing), existing).merged) == etree.tostring(
            existing
        )
        assert live_drift(with_omitted(domain, vm, existing), existing, {}).differences == ()

    def test_is_removed_if_omitted_settings_are(self, parent: str, part: str, value: str) -> None:
        (path,) = drift(tuned_device(parent, part, value), **NIC, omitted_settings="remove")
        assert path.endswith(part)


@pytest.mark.parametrize(("parent", "xml"), [each[:2] for each in [*TUNED.values(), *OTHERS.values()]])
def test_what_is_set_in_the_machine_is_removed_if_omitted_settings_are(parent: str, xml: str) -> None:
    assert drift(tuned(parent, xml), omitted_settings="remove") != []


def test_what_libvirt_refuses_for_a_virtual_function_goes_with_the_bridge() -> None:
    existing = tuned_device("interface", "mtu", '<mtu size="9000"/>')
    etree.SubElement(existing.find("devices/interface"), "target", dev="tap0")
    function = {"nics": [{**NIC["nics"][0], "bridge_name": None, "pci_device_address": "0000:5e:02.1"}]}
    vm, domain = desired(**function)
    (nic,) = reconcile(with_omitted(domain, vm, existing), existing).merged.findall("devices/interface")
    assert [part.tag for part in nic] == ["mac", "source", "driver"]


def test_an_image_that_takes_the_path_of_another_is_not_encrypted_like_it() -> None:
    existing = tuned_device("disk/source", "encryption", '<encryption format="luks"/>')
    existing.find("devices/disk/source").set("file", "/another.qcow2")
    vm, domain = desired(**NIC)
    assert reconcile(with_omitted(domain, vm, existing), existing).merged.find("devices/disk/source/encryption") is None


def test_a_pin_that_is_given_decides_about_all_pins() -> None:
    existing = tuned("cputune", '<vcpupin vcpu="0" cpuset="0"/>')
    etree.SubElement(existing.find("cputune"), "vcpupin", vcpu="1", cpuset="1")
    assert "cputune/vcpupin[vcpu=1]" in drift(existing, cpu_num=2, cpu_pinning=[{"vcpu": 0, "cpus": "0"}])


def test_a_limit_that_was_lifted_while_the_vm_runs_is_none() -> None:
    live = tuned("cputune", "<quota>-1</quota>")
    vm, domain = desired()
    assert live_drift(with_omitted(domain, vm, live), live, {}).differences == ()


def test_a_new_vm_has_nothing_of_others() -> None:
    vm, domain = desired()
    assert with_omitted(domain, vm, None) is domain


def spice(channels: str) -> etree._Element:
    """Return the definition of a VM with both consoles, whose spice channels are these."""
    existing = desired(console_mode="vnc_and_spice")[1]
    existing.find("devices/graphics[@type='spice']").extend(etree.fromstring("<x>%s</x>" % channels))
    normalise_desired(existing)
    return existing


def test_channels_of_an_operator_are_those_of_spice_and_go_with_it() -> None:
    existing = spice('<channel name="main" mode="secure"/>')
    assert drift(existing, console_mode="vnc_and_spice") == []
    removed = "devices/graphics[type=spice]/channel[name=main]"
    assert drift(existing, console_mode="vnc_and_spice", spice_secure_channels=[]) == [removed]
    assert "devices/graphics[type=spice]" in drift(existing, console_mode="vnc")


def test_a_device_of_an_operator_is_not_bound_to_the_address_on_its_board() -> None:
    existing = tuned("devices", '<shmem name="frames"><address type="pci" bus="0x00" slot="0x09"/></shmem>')
    vm, domain = desired(machine="q35")
    assert reconcile(with_omitted(domain, vm, existing), existing).merged.find("devices/shmem/address") is None
