# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of patches are found in a definition that predates them, and applied to it."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import left_from_before_patches, reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

TABLET = '<input type="tablet" bus="usb"><address type="usb" bus="0" port="1"/></input>'
SCSI = '<controller type="scsi" index="0" model="virtio-scsi"/>'
SERIAL = '<serial type="pty"><target port="0"/></serial>'
CONSOLE = '<console type="pty"><target type="serial" port="0"/></console>'
BALLOON = "devices/memballoon/stats", '<stats period="10"/>', None


def removed(xpath: str) -> dict[str, Any]:
    return {"action": "remove", "xpath": xpath}


def desired(*patches: dict[str, Any], **options: Any) -> DesiredDomain:
    vm = parsed_vm(nics=[{"bridge_name": "br0"}], domain_patches=list(patches), **options)
    return build(vm, recorded_host("debian-12"), StorageFacts())


def before_patches(**options: Any) -> etree._Element:
    """Return the definition that libvirt has of the VM without patches."""
    domain = desired(**options).element
    return reconcile(domain, domain).merged


def definition_of(patched: DesiredDomain) -> etree._Element:
    """Return libvirt's definition."""
    return reconcile(patched.element, patched.element).merged


def found(patched: DesiredDomain, defined: etree._Element) -> list[tuple[str, Optional[str], Optional[str]]]:
    """Return the differences; assert that a comparison with the merged domain finds none."""
    result = reconcile(patched.element, defined, patched.unpatched)
    assert reconcile(patched.element, result.merged, patched.unpatched).differences == ()
    return [(each.path, each.before, each.after) for each in result.differences]


@pytest.mark.parametrize(
    ("patch", "differences"),
    [
        (removed("devices/input"), [("devices/input[is=usb tablet]", TABLET, None)]),
        (removed('devices/controller[@type="scsi"]'), [("devices/controller[is=scsi 0]", SCSI, None)]),
        (
            removed("devices/serial|devices/console"),
            [
                ("devices/serial[port=0]", SERIAL, None),
                ("devices/console[port=0]", CONSOLE, None),
            ],
        ),
        (removed("on_crash"), [("on_crash", "restart", "destroy")]),
        (removed("features/acpi"), [("features/acpi", "<acpi/>", None)]),
        (removed("devices/disk[1]/@snapshot"), [("devices/disk[target=vda]/@snapshot", "external", None)]),
        (removed("devices/memballoon"), [BALLOON]),
        ({"action": "set", "xpath": "on_crash", "value": "preserve"}, [("on_crash", "restart", "preserve")]),
        (
            {"action": "add", "xpath": "features", "value": '<pmu state="off"/>'},
            [
                ("features/pmu", None, '<pmu state="off"/>'),
            ],
        ),
        (
            {"action": "replace", "xpath": "devices/input", "value": '<input type="mouse" bus="virtio"/>'},
            [
                ("devices/input[is=usb tablet]", TABLET, None),
                ("devices/input[is=virtio mouse]", None, '<input type="mouse" bus="virtio"/>'),
            ],
        ),
    ],
)
def test_what_a_patch_changes_is_a_difference(
    patch: dict[str, Any], differences: list[tuple[str, Optional[str], Optional[str]]]
) -> None:
    assert found(desired(patch), before_patches()) == differences


@pytest.mark.parametrize(
    "xpath",
    [
        "clock",
        "on_poweroff",
        "on_reboot",
        "devices/serial",
        "devices/console",
        "devices/video",
        'devices/controller[@type="usb"][@index="0"]',
        "devices/interface/model",
    ],
)
def test_what_libvirt_puts_back_is_none(xpath: str) -> None:
    assert found(desired(removed(xpath)), before_patches()) == []


def test_on_aarch64_no_memory_balloon_comes_back() -> None:
    patched = desired(removed("devices/memballoon"), arch="aarch64")

    ((path, _before, after),) = found(patched, before_patches(arch="aarch64"))
    assert (path, after) == ("devices/memballoon", None)


def test_nor_is_the_controller_of_scsi_disks() -> None:
    root = {"install_path": "/root.raw", "use_virtio_scsi": True}
    patched = desired(removed('devices/controller[@type="scsi"]'), root_volume=root)

    assert found(patched, before_patches(root_volume=root)) == []


def test_another_clock_becomes_the_one_that_libvirt_puts_back() -> None:
    differences = found(desired(removed("clock"), clock="localtime"), before_patches(clock="localtime"))

    assert ("clock/@offset", "localtime", "utc") in differences


def test_a_device_that_somebody_else_wrote_stays() -> None:
    defined = before_patches()
    defined.find("devices/input/address").set("port", "2")

    assert found(desired(removed("devices/input")), defined) == []


def test_a_vm_that_runs_has_them_until_its_next_boot() -> None:
    patched, live = desired(removed("devices/input")), before_patches()

    merged = reconcile(patched.element, live, patched.unpatched).merged
    (left,) = left_from_before_patches(patched.element, patched.unpatched, live, merged)
    assert (left.path, left.before, left.after) == ("devices/input[is=usb tablet]", TABLET, None)
    assert live.find("devices/input") is not None


def test_a_vm_without_patches_has_nothing_of_them() -> None:
    assert desired().unpatched is None


class TestWithoutAName:
    NIC = '<interface type="bridge"><source bridge="br1"/></interface>'

    def test_a_nic_has_the_mac_that_libvirt_gave_it(self) -> None:
        patched = desired({"action": "add", "xpath": "devices", "value": self.NIC})
        defined = definition_of(patched)
        defined.findall("devices/interface")[-1].append(etree.fromstring('<mac address="52:54:00:00:00:01"/>'))

        assert found(patched, defined) == []
        assert len(reconcile(patched.element, defined).merged.findall("devices/interface/mac")) == 2

    def test_a_nic_is_not_another_one_that_goes(self) -> None:
        patched = desired({"action": "add", "xpath": "devices", "value": self.NIC})
        defined = definition_of(patched)
        first, last = defined.findall("devices/interface")
        last.append(etree.fromstring('<mac address="52:54:00:00:00:01"/>'))
        first.find("mac").set("address", "fa:00:00:00:00:99")

        paths = [path for path, before, _after in found(patched, defined) if before is not None]
        assert paths == ["devices/interface[mac=fa:00:00:00:00:99]"]

    @pytest.mark.parametrize(
        "device",
        [
            '<channel type="pty"><target type="virtio"/></channel>',
            '<hostdev mode="subsystem" type="usb"><source><vendor id="0x1"/><product id="2"/></source></hostdev>',
        ],
    )
    def test_a_device_is_the_one_that_has_no_name_either(self, device: str) -> None:
        patched = desired({"action": "add", "xpath": "devices", "value": device})

        assert found(patched, definition_of(patched)) == []

    def test_a_usb_device_has_the_address_at_which_it_was_found(self) -> None:
        device = '<hostdev mode="subsystem" type="usb"><source><vendor id="0x1"/><product id="2"/></source></hostdev>'
        patched = desired({"action": "add", "xpath": "devices", "value": device})
        defined = definition_of(patched)
        defined.find("devices/hostdev/source").append(etree.fromstring('<address bus="1" device="7"/>'))

        assert found(patched, defined) == []
