# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences are found and set; additions of libvirt or an operator stay."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import Reconciled, reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from lxml import etree

DESIRED = """
<domain type="kvm" xmlns:zs="http://zstack.org" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
  <name>vm</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <description>web</description>
  <metadata><zs:zstack><internalId>1</internalId></zs:zstack></metadata>
  <memory unit="MiB">1024</memory>
  <vcpu placement="static">2</vcpu>
  <cputune><shares>1024</shares></cputune>
  <os><type machine="pc">hvm</type><bootmenu enable="yes"/></os>
  <features><acpi/></features>
  <cpu><topology sockets="1" cores="2" threads="1"/></cpu>
  <clock offset="utc"/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2" cache="none"/>
      <source file="/root.qcow2"/>
      <target dev="vda" bus="virtio"/>
      <boot order="1"/>
    </disk>
    <disk type="file" device="cdrom">
      <driver name="qemu" type="raw"/>
      <target dev="hdc" bus="ide"/>
      <readonly/>
      <address type="drive" unit="1"/>
    </disk>
    <controller type="usb" index="0"/>
    <interface type="bridge">
      <mac address="fa:00:00:00:00:01"/>
      <source bridge="br0"/>
      <target dev="vnic1.0"/>
      <model type="virtio"/>
      <filterref filter="clean-traffic"><parameter name="IP" value="192.0.2.1"/></filterref>
      <bandwidth><inbound average="100"/></bandwidth>
    </interface>
    <channel type="unix"><source mode="bind" path="/agent"/><target type="virtio" name="agent"/></channel>
    <input type="tablet" bus="usb"><address type="usb" bus="0" port="1"/></input>
    <graphics type="vnc" autoport="yes" passwd="s3cret!"><listen type="address" address="127.0.0.1"/></graphics>
    <video><model type="cirrus"/></video>
    <memballoon model="virtio"><stats period="10"/></memballoon>
  </devices>
  <seclabel type="none"/>
</domain>
"""

# The same as libvirt 9.0 returns it, shortened.
DEFINED = """
<domain type="kvm">
  <name>vm</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <description>web</description>
  <metadata xmlns:zs="http://zstack.org">
    <zs:zstack><internalId>1</internalId></zs:zstack>
    <other:note xmlns:other="urn:other">an operator's</other:note>
  </metadata>
  <memory unit="KiB">1048576</memory>
  <currentMemory unit="KiB">1048576</currentMemory>
  <vcpu placement="static">2</vcpu>
  <cputune><shares>1024</shares></cputune>
  <os><type arch="x86_64" machine="pc-i440fx-7.2">hvm</type><bootmenu enable="yes"/></os>
  <features><acpi/></features>
  <cpu mode="custom" match="exact" check="none">
    <model fallback="forbid">qemu64</model>
    <topology sockets="1" dies="1" cores="2" threads="1"/>
  </cpu>
  <clock offset="utc"/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2" cache="none"/>
      <source file="/root.qcow2"/>
      <target dev="vda" bus="virtio"/>
      <boot order="1"/>
      <address type="pci" domain="0x0000" bus="0x00" slot="0x05" function="0x0"/>
    </disk>
    <disk type="file" device="cdrom">
      <driver name="qemu" type="raw"/>
      <target dev="hdc" bus="ide"/>
      <readonly/>
      <address type="drive" controller="0" bus="0" target="0" unit="1"/>
    </disk>
    <controller type="usb" index="0" model="piix3-uhci">
      <address type="pci" domain="0x0000" bus="0x00" slot="0x01" function="0x2"/>
    </controller>
    <controller type="pci" index="0" model="pci-root"/>
    <interface type="bridge">
      <mac address="fa:00:00:00:00:01"/>
      <source bridge="br0"/>
      <bandwidth><inbound average="100"/></bandwidth>
      <target dev="vnic1.0"/>
      <model type="virtio"/>
      <filterref filter="clean-traffic"><parameter name="IP" value="192.0.2.1"/></filterref>
      <address type="pci" domain="0x0000" bus="0x00" slot="0x03" function="0x0"/>
    </interface>
    <channel type="unix">
      <source mode="bind" path="/agent"/>
      <target type="virtio" name="agent"/>
      <address type="virtio-serial" controller="0" bus="0" port="1"/>
    </channel>
    <input type="tablet" bus="usb"><address type="usb" bus="0" port="1"/></input>
    <input type="mouse" bus="ps2"/>
    <graphics type="vnc" port="-1" autoport="yes" listen="127.0.0.1" passwd="s3cret!">
      <listen type="address" address="127.0.0.1"/>
    </graphics>
    <audio id="1" type="none"/>
    <video>
      <model type="cirrus" vram="16384" heads="1" primary="yes"/>
      <address type="pci" domain="0x0000" bus="0x00" slot="0x02" function="0x0"/>
    </video>
    <memballoon model="virtio">
      <stats period="10"/>
      <address type="pci" domain="0x0000" bus="0x00" slot="0x04" function="0x0"/>
    </memballoon>
    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
  </devices>
  <seclabel type="none" model="none"/>
</domain>
"""


def desired_domain(*replacements: tuple[str, str]) -> etree._Element:
    """Return the desired domain, with some of its text replaced."""
    return _domain(DESIRED, replacements)


def defined(*replacements: tuple[str, str]) -> etree._Element:
    """Return libvirt's definition, with some of its text replaced."""
    return _domain(DEFINED, replacements)


def _domain(text: str, replacements: tuple[tuple[str, str], ...]) -> etree._Element:
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return etree.fromstring(text)


def reconciled(desired: etree._Element, existing: Optional[etree._Element]) -> Reconciled:
    """Return the result; assert that a comparison with its outcome finds no difference."""
    result = reconcile(desired, existing)
    assert reconcile(desired, result.merged).differences == ()
    return result


def found(desired: etree._Element, existing: etree._Element) -> list[tuple[str, Optional[str], Optional[str]]]:
    """Return the differences."""
    return [(each.path, each.before, each.after) for each in reconciled(desired, existing).differences]


def test_without_a_definition_there_is_no_difference_and_the_result_is_in_sync() -> None:
    desired = desired_domain()
    assert reconcile(desired, None) == Reconciled(desired, ())


def test_additions_of_libvirt_and_operators_are_no_difference_and_stay() -> None:
    result = reconciled(desired_domain(), defined())
    assert result.differences == ()
    assert etree.tostring(result.merged) == etree.tostring(defined())


FILE = '<source file="/root.qcow2"/>'


def test_a_disk_that_becomes_a_block_device_keeps_its_address_and_nothing_of_the_file() -> None:
    desired = desired_domain(
        (FILE, '<source dev="/root.qcow2"/>'), ('<disk type="file" device="disk">', '<disk type="block" device="disk">')
    )
    existing = defined((FILE, '<source file="/root.qcow2" index="1"><slices/></source>'))
    result = reconciled(desired, existing)
    assert [each.path for each in result.differences] == [
        "devices/disk[target=vda]/@type",
        "devices/disk[target=vda]/source/@dev",
        "devices/disk[target=vda]/source/@file",
    ]
    disk = result.merged.find("devices/disk")
    assert disk.find("address") is not None
    assert etree.tostring(disk.find("source")).strip() == b'<source dev="/root.qcow2"/>'


def test_an_empty_drive_may_have_been_for_a_device() -> None:
    drive = '<disk type="%s" device="cdrom">'
    assert found(desired_domain(), defined((drive % "file", drive % "block"))) == []


def test_neither_domain_is_changed() -> None:
    desired, existing = desired_domain(), defined(("<shares>1024", "<shares>7"))
    texts = [etree.tostring(each) for each in (desired, existing)]
    reconcile(desired, existing)
    assert [etree.tostring(each) for each in (desired, existing)] == texts


NIC = "devices/interface[mac=fa:00:00:00:00:01]"
IP = NIC + "/filterref/parameter[name=IP]/@value"
ROOT = "devices/disk[target=vda]"


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("<description>web", "<description>db", ("description", "db", "web")),
        ('unit="KiB">1048576</memory>', 'unit="KiB">4096</memory>', ("memory", "4096", "1048576")),
        ('<currentMemory unit="KiB">1048576', '<currentMemory unit="KiB">4096', ("currentMemory", "4096", "1048576")),
        ("<shares>1024", "<shares>7", ("cputune/shares", "7", "1024")),
        ('<bootmenu enable="yes"/>', "", ("os/bootmenu", None, '<bootmenu enable="yes"/>')),
        ("<acpi/>", "<acpi/><pae/>", ("features/pae", "<pae/>", None)),
        ("<acpi/>", '<acpi/><kvm><hidden state="on"/></kvm>', ("features/kvm/hidden", '<hidden state="on"/>', None)),
        ("qemu64", "Nehalem", ("cpu/model", '<model fallback="forbid">Nehalem</model>', None)),
        ('dies="1"', 'dies="2"', ("cpu/topology/@dies", "2", "1")),
        ('cache="none"', 'cache="writeback"', (ROOT + "/driver/@cache", "writeback", "none")),
        ('<boot order="1"/>', "", (ROOT + "/boot", None, '<boot order="1"/>')),
        ('unit="1"', 'unit="0"', ("devices/disk[target=hdc]/address/@unit", "0", "1")),
        ("<readonly/>", "<readonly/><shareable/>", ("devices/disk[target=hdc]/shareable", "<shareable/>", None)),
        ('bridge="br0"', 'bridge="br1"', (NIC + "/source/@bridge", "br1", "br0")),
        ('average="100"', 'average="9"', (NIC + "/bandwidth/inbound/@average", "9", "100")),
        ('value="192.0.2.1"', 'value="192.0.2.2"', (IP, "192.0.2.2", "192.0.2.1")),
        ("<bandwidth>", '<link state="down"/><bandwidth>', (NIC + "/link", '<link state="down"/>', None)),
        ('path="/agent"', 'path="/other"', ("devices/channel[name=agent]/source/@path", "/other", "/agent")),
        ('period="10"', 'period="5"', ("devices/memballoon/stats/@period", "5", "10")),
        ("<internalId>1", "<internalId>2", ("metadata/zs:zstack/internalId", "2", "1")),
        ('heads="1"', 'heads="2"', ("devices/video[0]/model/@heads", "2", "1")),
    ],
)  # fmt: skip
def test_a_change_of_what_the_document_decides_is_found(old: str, new: str, difference: tuple) -> None:
    assert found(desired_domain(), defined((old, new))) == [difference]


def test_a_size_is_compared_in_whatever_unit() -> None:
    assert found(desired_domain(('unit="MiB">1024', 'unit="GiB">1')), defined()) == []


def test_a_secret_is_compared_and_masked() -> None:
    (difference,) = reconciled(desired_domain(), defined(('passwd="s3cret!"', 'passwd="other"'))).differences
    assert difference == Difference("devices/graphics[type=vnc]/@passwd", "********", "********")


def test_a_secret_is_masked_in_what_is_removed() -> None:
    spice = (
        '<graphics type="vnc" autoport="yes" passwd="s3cret!"><listen type="address" address="127.0.0.1"/></graphics>',
        '<graphics type="spice" autoport="yes" passwd="s3cret!"/>',
    )
    result = reconciled(desired_domain(spice), defined())
    assert [each.path for each in result.differences] == ["devices/graphics[type=vnc]", "devices/graphics[type=spice]"]
    assert "s3cret!" not in repr(result.differences)
    # The audio backend depends on the console.
    assert result.merged.find("devices/audio") is None


class TestDevices:
    DISK = (
        '<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="/%s"/>'
        '<target dev="%s" bus="virtio"/></disk>'
    )

    def test_added_by_hand_to_an_owned_list_are_removed(self) -> None:
        by_hand = self.DISK % ("extra.raw", "vdz")
        ((path, before, after),) = found(
            desired_domain(), defined(('<controller type="pci"', by_hand + '<controller type="pci"'))
        )
        assert (path, before, after) == ("devices/disk[target=vdz]", by_hand, None)

    @pytest.mark.parametrize(
        "device",
        [
            '<hostdev mode="subsystem" type="usb"><source><address bus="1" device="2"/></source></hostdev>',
            '<redirdev bus="usb" type="spicevmc"/>',
            '<channel type="unix"><target type="virtio" name="mine"/></channel>',
            '<interface type="bridge"><mac address="fa:00:00:00:00:99"/><source bridge="br0"/></interface>',
        ],
    )
    def test_of_every_owned_list(self, device: str) -> None:
        ((_path, _before, after),) = found(desired_domain(), defined(("<rng", device + "<rng")))
        assert after is None

    def test_put_in_front_of_others_move_none(self) -> None:
        nic = '<interface type="bridge"><mac address="fa:00:00:00:00:99"/><source bridge="br0"/></interface>'
        desired = desired_domain(
            ('<interface type="bridge">', nic + '<interface type="bridge">'), ('<target dev="vda"', '<target dev="vdb"')
        )
        desired.find("devices").insert(1, etree.fromstring(self.DISK % ("first.raw", "vda")))
        devices = reconciled(desired, defined()).merged.find("devices")
        known = devices.find("interface/mac[@address='fa:00:00:00:00:01']/../address")
        root = devices.find("disk/source[@file='/root.qcow2']/../address")
        assert (known.get("slot"), root.get("slot")) == ("0x03", "0x05")
        assert devices.find("interface/mac[@address='fa:00:00:00:00:99']/../address") is None
        assert devices.find("disk/source[@file='/first.raw']/../address") is None

    def test_are_known_by_what_they_hold_whatever_they_are_called(self) -> None:
        renamed = ("devices/disk[target=vdb]/target/@dev", "vda", "vdb")
        assert found(desired_domain(('dev="vda"', 'dev="vdb"')), defined()) == [renamed]

    def test_on_another_bus_get_another_slot(self) -> None:
        result = reconciled(desired_domain(('dev="vda" bus="virtio"', 'dev="sda" bus="scsi"')), defined())
        assert result.merged.find("devices/disk[@device='disk']/address") is None

    def test_with_another_mac_stay_where_they_are(self) -> None:
        result = reconciled(desired_domain(("fa:00:00:00:00:01", "fa:00:00:00:00:77")), defined())
        assert [each.path for each in result.differences] == ["devices/interface[mac=fa:00:00:00:00:77]/mac/@address"]
        assert result.merged.find("devices/interface/address").get("slot") == "0x03"

    def test_of_another_kind_lose_what_belonged_to_the_old(self) -> None:
        result = reconciled(desired_domain(('<model type="cirrus"/>', '<model type="qxl"/>')), defined())
        assert [each.path for each in result.differences] == ["devices/video[0]/model/@type"]
        video = result.merged.find("devices/video")
        assert (dict(video.find("model").attrib), video.find("address")) == ({"type": "qxl", "heads": "1"}, None)

    def test_in_another_order_are_put_in_order(self) -> None:
        first, second = "fa:00:00:00:00:01", "fa:00:00:00:00:02"
        nic = '<interface type="bridge"><mac address="%s"/><source bridge="br0"/></interface>' % second
        existing = defined(('<interface type="bridge">', nic + '<interface type="bridge">'))
        order = ("devices/interface[order]", "%s %s" % (second, first), "%s %s" % (first, second))
        assert found(desired_domain(("<channel", nic + "<channel")), existing) == [order]

    def test_by_hand_move_from_the_slots_of_desired_ones(self) -> None:
        port = '<address type="usb" bus="0" port="%d"/></input>'
        mouse = '<input type="mouse" bus="usb">' + port % 1
        merged = reconciled(desired_domain(), defined((port % 1, port % 2 + mouse))).merged
        ports = {each.get("type"): each.find("address") for each in merged.iterfind("devices/input[@bus='usb']")}
        assert (ports["tablet"].get("port"), ports["mouse"]) == ("1", None)


class TestCpu:
    def test_of_another_mode_loses_the_old_model(self) -> None:
        result = reconciled(desired_domain(("<cpu>", '<cpu mode="host-passthrough">')), defined())
        assert [each.path for each in result.differences] == ["cpu/@mode"]
        assert result.merged.find("cpu/model") is None

    def test_of_the_hosts_model_has_a_vendor_and_no_fallback_in_libvirts_definition(self) -> None:
        described = desired_domain(
            ("<cpu>", '<cpu mode="host-model"><model fallback="allow" vendor_id="AuthenticAMD"/>')
        )
        existing = defined(('<cpu mode="custom" match="exact" check="none">', '<cpu mode="host-model">'))
        model = existing.find("cpu/model")
        model.clear()
        model.set("vendor_id", "AuthenticAMD")
        assert found(described, existing) == []

    def test_of_a_mode_that_nobody_chose_becomes_the_default(self) -> None:
        existing = defined(('<cpu mode="custom" match="exact" check="none">', '<cpu mode="host-model">'))
        ((path, before, after),) = found(desired_domain(), existing)
        assert (path, before, after) == ("cpu/@mode", "host-model", "custom")


class TestBoard:
    def test_of_another_version_is_the_same(self) -> None:
        assert found(desired_domain(), defined(("pc-i440fx-7.2", "pc-i440fx-rhel7.6.0"))) == []

    def test_of_another_version_is_requested_by_its_full_name(self) -> None:
        result = reconciled(desired_domain(('machine="pc"', 'machine="pc-i440fx-9.0"')), defined())
        assert [each.path for each in result.differences] == ["os/type/@machine"]
        assert (result.other_board, result.merged.find("devices/interface/address").get("slot")) == (False, "0x03")

    def test_of_another_kind_lays_the_hardware_out_again(self) -> None:
        result = reconciled(desired_domain(('machine="pc"', 'machine="q35"')), defined())
        assert result.other_board
        assert result.merged.findall("devices/*/address[@type='pci']") == []
        assert result.merged.find("devices/controller[@type='pci']") is None
        assert result.merged.find("devices/rng") is not None

    def test_of_another_kind_loses_the_watchdog_that_only_q35_has(self) -> None:
        watchdogs = '<watchdog model="itco" action="reset"/><watchdog model="i6300esb" action="reset"/>'
        existing = defined(("pc-i440fx-7.2", "pc-q35-7.2"), ("<rng", watchdogs + "<rng"))
        merged = reconciled(desired_domain(), existing).merged
        assert [each.get("model") for each in merged.iterfind("devices/watchdog")] == ["i6300esb"]


class TestMetadata:
    NOTE = '<n:note xmlns:n="http://other.example/notes">desired</n:note>'

    def test_of_others_can_be_requested(self) -> None:
        desired = desired_domain(("<metadata>", "<metadata>" + self.NOTE))
        ((path, before, _after),) = found(desired, defined())
        assert (path, before) == ("metadata/{http://other.example/notes}note", None)


class TestGrownMemory:
    GROWN = (
        ("<cpu>", '<cpu><numa><cell id="0" cpus="0-1" memory="1048576" unit="KiB"/></numa>'),
        ('<memory unit="MiB">1024</memory>', ""),
    )

    def defined_with(self, cell: int, dimm: int) -> etree._Element:
        return defined(
            ('check="none">', 'check="none"><numa><cell id="0" cpus="0-1" memory="%d" unit="KiB"/></numa>' % cell),
            ("<rng", '<memory model="dimm"><target><size unit="KiB">%d</size></target></memory><rng' % dimm),
        )

    def test_may_be_plugged_in(self) -> None:
        assert found(desired_domain(*self.GROWN), self.defined_with(524288, 524288)) == []

    def test_of_another_size_becomes_one_piece(self) -> None:
        paths = [
            path for path, _before, _after in found(desired_domain(*self.GROWN), self.defined_with(524288, 262144))
        ]
        assert sorted(paths) == ["cpu/numa/cell[id=0]/@memory", "devices/memory[0]"]


def test_uefi_that_libvirt_chose_stays_and_goes_with_its_kind() -> None:
    firmware = ("<bootmenu", "<loader type='pflash'>/code</loader><nvram>/vars</nvram><bootmenu")
    efi = defined(("<os>", "<os firmware='efi'>"), firmware)
    assert found(desired_domain(("<os>", "<os firmware='efi'>")), efi) == []
    result = reconciled(desired_domain(), efi)
    assert "os/@firmware" in [each.path for each in result.differences]
    assert result.merged.find("os/nvram") is None


def test_variables_without_a_file_are_a_difference_only_where_the_firmware_keeps_none() -> None:
    desired = desired_domain(("<os>", '<os firmware="efi">'), ("<bootmenu", "<nvram/><bootmenu"))
    for loader, differences in (("", []), ("<loader type='rom'>/sev.fd</loader>", ["os/nvram"])):
        existing = defined(("<os>", '<os firmware="efi">'), ("<bootmenu", loader + "<bootmenu"))
        assert [path for path, _before, _after in found(desired, existing)] == differences


IMAGE = '<loader readonly="yes" type="pflash">/usr/share/AAVMF/AAVMF_CODE.fd</loader>'


def test_firmware_that_libvirt_derives_from_the_named_image_is_no_difference() -> None:
    derived = '<firmware><feature enabled="yes" name="secure-boot"/></firmware>' + IMAGE
    existing = defined(("<os>", '<os firmware="efi">'), ("<bootmenu", derived + "<bootmenu"))
    assert found(desired_domain(("<bootmenu", IMAGE + "<bootmenu")), existing) == []


def test_an_image_that_the_distribution_renamed_is_the_same() -> None:
    renamed = IMAGE.replace("CODE.fd", "CODE.no-secboot.fd")
    for desired, existing in ((IMAGE, renamed), (renamed, IMAGE)):
        assert (
            found(desired_domain(("<bootmenu", desired + "<bootmenu")), defined(("<bootmenu", existing + "<bootmenu")))
            == []
        )


# libvirt 12.8's answer to a definition with IMAGE alone, on a host where that is a link
RESOLVED = """<firmware>
    <feature enabled='no' name='enrolled-keys'/>
    <feature enabled='no' name='secure-boot'/>
</firmware>
<loader readonly='yes' type='pflash' format='raw'>/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd</loader>
<nvram template='/usr/share/AAVMF/AAVMF_VARS.fd' templateFormat='raw' format='raw'>/vars/vm_VARS.fd</nvram>"""


@pytest.mark.parametrize("name", ["AAVMF_CODE.fd", "AAVMF_CODE.no-secboot.fd"])
def test_a_link_to_an_image_that_libvirt_resolves_is_no_difference(name: str) -> None:
    existing = defined(("<os>", '<os firmware="efi">'), ("<bootmenu", RESOLVED + "<bootmenu"))
    desired = desired_domain(("<bootmenu", IMAGE.replace("AAVMF_CODE.fd", name) + "<bootmenu"))

    result = reconciled(desired, existing)

    assert result.differences == ()
    assert result.merged.findtext("os/loader") == "/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd"


def test_a_disk_on_another_bus_loses_the_model_that_libvirt_wrote_for_the_old_bus() -> None:
    existing = defined(
        ('<disk type="file" device="disk"', '<disk type="file" device="disk" model="usb-storage"'),
        ('bus="virtio"', 'bus="usb"'),
    )
    result = reconciled(desired_domain(), existing)
    assert [each.path for each in result.differences] == ["devices/disk[target=vda]/target/@bus"]
    assert [each for each in result.merged.iterfind("devices/disk") if each.get("model")] == []


def test_a_command_line_for_qemu_is_the_documents() -> None:
    namespace = "http://libvirt.org/schemas/domain/qemu/1.0"
    line = '<q:commandline xmlns:q="%s"><q:arg value="-x"/></q:commandline>' % namespace
    ((path, before, after),) = found(desired_domain(), defined(("<seclabel", line + "<seclabel")))
    assert (path, after) == ("qemu:commandline", None)
    assert 'value="-x"' in str(before)


def test_credentials_may_stand_beside_the_source_or_in_it() -> None:
    auth = '<auth username="zstack"><secret type="ceph" uuid="11111111-2222-3333-4444-555555555555"/></auth>'
    network = '<source protocol="rbd" name="pool/image"><host name="192.0.2.1" port="6789"/>%s</source>'
    desired = desired_domain(('<source file="/root.qcow2"/>', network % auth))
    assert found(desired, defined(('<source file="/root.qcow2"/>', auth + network % ""))) == []


def found_in(desired: str, existing: str) -> list[str]:
    """Return the paths of the differences between disks and controllers of two domains with these devices."""
    template = '<domain type="kvm"><os><type arch="x86_64" machine="pc">hvm</type></os><devices>%s</devices></domain>'
    made = reconciled(etree.fromstring(template % desired), etree.fromstring(template % existing))
    paths = [difference.path for difference in made.differences]
    return [path for path in paths if path.startswith(("devices/disk", "devices/controller"))]


class TestDiskOptions:
    USB = '<controller type="usb" index="0"/><memballoon model="virtio"/>'

    def disk(self, driver: str = "", source: str = 'file="/a"', inside: str = "", beside: str = "") -> str:
        return (
            f'{self.USB}<disk type="file" device="disk"><driver name="qemu" type="raw" {driver}/>'
            f'<source {source}>{inside}</source><target dev="sda" bus="scsi"/>{beside}</disk>'
            '<controller type="scsi" index="0" model="virtio-scsi"/>'
        )

    def test_the_encryption_may_be_in_the_source_or_beside_it(self) -> None:
        secret = '<encryption format="luks"><secret type="passphrase" uuid="%s"/></encryption>'
        assert found_in(self.disk(inside=secret % "1F"), self.disk(beside=secret % "1f")) == []

    def test_a_controller_of_any_model_is_one_that_libvirt_has_chosen(self) -> None:
        chosen = self.disk()
        assert found_in(chosen.replace('model="virtio-scsi"', 'model="auto"'), chosen) == []

    def test_native_aio_that_is_not_desired_any_more_is_removed(self) -> None:
        assert found_in(self.disk(), self.disk('io="native"')) == ["devices/disk[target=sda]/driver/@io"]

    @pytest.mark.parametrize("driver", ['discard="unmap"', 'queues="4"', 'iothread="1"'])
    def test_settings_that_are_not_desired_are_removed(self, driver: str) -> None:
        path = "devices/disk[target=sda]/driver/@%s" % driver.partition("=")[0]
        assert found_in(self.disk(), self.disk(driver)) == [path]

    @pytest.mark.parametrize("part", ["<serial>1</serial>", '<blockio physical_block_size="4096"/>'])
    def test_parts_that_are_not_desired_are_removed(self, part: str) -> None:
        path = "devices/disk[target=sda]/%s" % etree.fromstring(part).tag
        assert found_in(self.disk(), self.disk(beside=part)) == [path]

    def test_a_volume_on_another_socket_is_another(self) -> None:
        ours, other = (self.disk(source='type="unix" path="/run/%s"' % name) for name in "ab")
        assert found_in(ours, other) == ["devices/disk[target=sda]/source/@path"]


def domain_of(devices: str) -> etree._Element:
    """Return a domain with these devices and those that libvirt adds."""
    usual = '<controller type="usb" index="0"/><memballoon model="virtio"/><video/>'
    return etree.fromstring(
        '<domain type="kvm"><name>vm</name><os><type arch="x86_64" machine="pc">hvm</type></os>'
        "<devices>%s%s</devices></domain>" % (devices, usual)
    )


NIC = '<interface type="bridge"><mac address="fa:00:00:00:00:01"/>%s</interface>'
SERIAL = '<serial type="pty">%s</serial><console type="pty"/>'
PCI = (
    '<hostdev mode="subsystem" type="pci"><source><address domain="0x0000" bus="0x01" slot="0x00" function="0x0"/>'
    "</source>%s</hostdev>"
)
VHOST = '<driver name="vhost" txmode="iothread" ioeventfd="on" event_idx="off" queues="4"/>'


def device_differences(desired: str, existing: str) -> list[Difference]:
    """Return the differences between the devices of two domains."""
    made = reconciled(domain_of(desired), domain_of(existing))
    return [difference for difference in made.differences if difference.path.startswith("devices/")]


class TestPartsOfDevicesThatNoOptionDecides:
    @pytest.mark.parametrize(
        ("device", "part"),
        [
            (NIC, '<driver name="vhost" queues="4"/>'),
            (NIC, '<driver name="qemu"/>'),
            (SERIAL, '<log file="/var/log/libvirt/qemu/web-console.log"/>'),
            (PCI, '<rom bar="off"/>'),
            (PCI, '<rom file="/usr/share/rom.bin"/>'),
        ],
    )
    def test_stay_and_are_no_difference(self, device: str, part: str) -> None:
        desired, existing = (device % each for each in ("", part))
        assert device_differences(desired, existing) == []
        merged = reconciled(domain_of(desired), domain_of(existing)).merged
        assert merged.find(".//%s" % etree.fromstring(part).tag) is not None

    @pytest.mark.parametrize(
        ("device", "part"),
        [
            (NIC, VHOST),
            (NIC, '<mtu size="9000"/>'),
            (NIC, '<port isolated="yes"/>'),
            (SERIAL, '<log file="/var/log/libvirt/qemu/vm-console.log"/>'),
            (PCI, '<rom bar="on" file="/var/lib/zstack/pcirom/1"/>'),
        ],
    )
    def test_go_where_an_option_wrote_them(self, device: str, part: str) -> None:
        (difference,) = device_differences(device % "", device % part)
        assert (difference.before, difference.after) == (part, None)

    @pytest.mark.parametrize(
        ("desired", "existing", "path"),
        [
            ('<mtu size="1500"/>', '<mtu size="9000"/>', "mtu/@size"),
            ('<port isolated="no"/>', '<port isolated="yes"/>', "port/@isolated"),
            (VHOST, '<driver name="vhost" queues="2" rx_queue_size="512"/>', "driver/@queues"),
        ],
    )
    def test_are_differences_where_an_option_decides_them(self, desired: str, existing: str, path: str) -> None:
        paths = {each.path for each in device_differences(NIC % desired, NIC % existing)}
        assert "devices/interface[mac=fa:00:00:00:00:01]/" + path in paths


def test_disks_and_controllers_let_go_of_an_io_thread_that_is_gone() -> None:
    domain = (
        '<domain type="kvm"><iothreads>1</iothreads><iothreadids><iothread id="%s"/></iothreadids>'
        '<os><type arch="x86_64" machine="pc">hvm</type></os><devices>'
        '<controller type="usb" index="0"/><memballoon model="virtio"/>%s</devices></domain>'
    )
    disk = (
        '<disk type="file" device="disk"><driver name="qemu"%s/><source file="/a"/>'
        '<target dev="vda" bus="virtio"/></disk>'
    )
    own = '<controller type="scsi" index="1" model="virtio-scsi"><driver iothread="2"/></controller>'
    made = reconciled(
        etree.fromstring(domain % (1, disk % "")), etree.fromstring(domain % (2, own + disk % ' iothread="2"'))
    )
    assert [driver.get("iothread") for driver in made.merged.iterfind("devices/*/driver")] == [None, None]
