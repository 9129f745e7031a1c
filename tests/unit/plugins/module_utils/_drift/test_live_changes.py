# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a running VM that are applied at once, and those that wait for its next boot."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.live import (
    AttachVolume,
    ChangeMedia,
    PinThread,
    ReconnectNic,
    SetCpuQuota,
    SetVolumeQos,
    UpdateNic,
)
from ansible_collections.zstack.kvm.plugins.module_utils._drift.live_drift import LiveDrift, live_drift
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._drift.running_vm import (
    DESIRED_XML,
    RUNNING_XML,
    changes,
    domain,
    left,
    names,
    text_of,
)
from lxml import etree

BRIDGE = "devices/interface[mac=fa:00:00:00:00:01]/source/@bridge"


@pytest.mark.parametrize(
    ("more", "actions", "remaining"),
    [
        ("<total_bytes_sec_max_length>1</total_bytes_sec_max_length>", [], []),
        ("<total_bytes_sec_max>900</total_bytes_sec_max>", ["set_volume_qos"], []),
        ("<group_name>together</group_name>", [], ["devices/disk[target=vdb]/iotune/group_name"]),
    ],
)
def test_what_somebody_adds_to_the_limits_of_a_volume(more: str, actions: list[str], remaining: list[str]) -> None:
    planned = changes(running=(("</iotune>", more + "</iotune>"),))
    assert (names(planned), left(planned)) == (actions, remaining)


VOLUME = (
    '<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="/new"/>'
    '<target dev="%s" bus="%s"/></disk><video>'
)


@pytest.mark.parametrize(
    ("replacement", "actions"),
    [
        (("<total_bytes_sec>100", "<total_bytes_sec>200"), ["set_volume_qos"]),
        (("/cd.iso", "/other.iso"), ["change_media"]),
        (('<source file="/cd.iso"/>', ""), ["change_media"]),
        (('passwd="s3cret"', 'passwd="other"'), ["set_console_password"]),
        (('<model type="virtio"/>', '<model type="virtio"/><filterref filter="clean-traffic"/>'), ["update_nic"]),
        (('<model type="virtio"/>', '<model type="virtio"/><link state="down"/>'), ["update_nic"]),
        (('<model type="virtio"/>', '<model type="virtio"/><port isolated="yes"/>'), ["update_nic"]),
        (('bridge="br0"', 'bridge="br1"'), ["update_nic"]),
        (('current="2"', 'current="4"'), ["set_vcpus"]),
        (('memory="1048576"', 'memory="2097152"'), ["attach_memory"]),
        (('memory="1048576"', 'memory="1179648"'), ["attach_memory"]),
        (('period="10"', 'period="5"'), ["set_balloon_period"]),
        (("<shares>1024", "<shares>2048"), ["set_cpu_shares"]),
        (("</shares>", "</shares><period>1000000</period><quota>500000</quota>"), ["set_cpu_quota"]),
        (("</shares>", '</shares><vcpupin vcpu="1" cpuset="0-1"/>'), ["pin_thread"]),
        (("</shares>", '</shares><emulatorpin cpuset="0"/>'), ["pin_thread"]),
        (("<description>web", "<description>db"), ["set_description"]),
        (("<video>", VOLUME % ("vdd", "virtio")), ["attach_volume"]),
        (('file="/data"', 'file="/other"'), ["detach_volume", "attach_volume"]),
        (("fa:00:00:00:00:01", "fa:00:00:00:00:02"), ["detach_nic", "attach_nic"]),
    ],
)
def test_can_be_changed_at_once(replacement: tuple[str, str], actions: list[str]) -> None:
    planned = changes(replacement)
    assert (names(planned), left(planned)) == (actions, [])


ORDERED = VOLUME.replace("<target", '<boot order="1"/><target') % ("vdd", "virtio")


@pytest.mark.parametrize(
    ("device", "is_kept"),
    [
        pytest.param("", True, id="of no device"),
        pytest.param('<target dev="vda" bus="virtio"/>', False, id="of a volume that stays"),
        pytest.param('<target dev="vdb" bus="virtio"/>', True, id="of a volume that is detached"),
        pytest.param('<target dev="hdc" bus="ide"/>', False, id="of a CD drive"),
        pytest.param('<model type="virtio"/>', False, id="of a NIC that stays"),
    ],
)
def test_a_volume_is_attached_with_its_boot_order_unless_a_device_keeps_it(device: str, is_kept: bool) -> None:
    running = (('<boot dev="hd"/>', ""), *(((device, device + '<boot order="1"/>'),) if device else ()))
    planned = changes(("<video>", ORDERED), ('dev="vdb"', 'dev="vde"'), running=running)
    (attached,) = [each for each in planned.actions if isinstance(each, AttachVolume) and "/new" in each.xml]
    assert ('<boot order="1"/>' in attached.xml) is is_kept


@pytest.mark.parametrize(
    ("replacement", "path"),
    [
        (('current="2"', 'current="1"'), "vcpu/@current"),
        (('memory="1048576"', 'memory="524288"'), "cpu/numa/cell[id=0]/@memory"),
        (('memory="1048576"', 'memory="1048577"'), "cpu/numa/cell[id=0]/@memory"),
        (('memory="1048576"', 'memory="1114112"'), "cpu/numa/cell[id=0]/@memory"),
        (('passwd="s3cret"', ""), "devices/graphics[type=vnc]/@passwd"),
        (("<video>", VOLUME % ("hda", "ide")), "devices/disk[target=hda]"),
        (('file="/root"', 'file="/other"'), "devices/disk[target=vda]/source/@file"),
        (("cirrus", "vga"), "devices/video[0]/model/@type"),
        (('type="virtio"/>', 'type="e1000"/>'), "devices/interface[mac=fa:00:00:00:00:01]/model/@type"),
        (
            ('type="virtio"/>\n    </interface>', 'type="virtio"/><mtu size="9000"/></interface>'),
            "devices/interface[mac=fa:00:00:00:00:01]/mtu",
        ),
        (
            ('type="virtio"/>\n    </interface>', 'type="virtio"/><driver name="vhost" queues="2"/></interface>'),
            "devices/interface[mac=fa:00:00:00:00:01]/driver",
        ),
        (('<memballoon model="virtio">', '<memballoon model="none">'), "devices/memballoon/@model"),
        (
            ('<stats period="10"/>', '<stats period="10"/><address type="pci" bus="0x00" slot="0x09"/>'),
            "devices/memballoon/address",
        ),
        (("<cpu>", '<cpu mode="host-passthrough">'), "cpu/@mode"),
        (("<devices>", '<idmap><uid start="0"/></idmap><devices>'), "idmap"),
        (("<video>", '<rng model="virtio"/><video>'), "devices/rng"),
    ],
)
def test_waits_for_the_next_boot(replacement: tuple[str, str], path: str) -> None:
    planned = changes(replacement)
    assert names(planned) == []
    assert path in left(planned)


@pytest.mark.parametrize("log", ["", '<log file="/var/log/libvirt/qemu/other-console.log"/>'])
def test_the_log_of_the_console_comes_at_the_next_boot(log: str) -> None:
    serial = '<serial type="pty">%s<target port="0"/></serial><console type="pty"/><video>'
    desired = ("<video>", serial % '<log file="/var/log/libvirt/qemu/vm-console.log"/>')
    planned = changes(desired, running=(("<video>", serial % log),))
    assert names(planned) == []
    assert left(planned) == ["devices/serial[port=0]/log" + ("/@file" if log else "")]


def test_a_quota_that_is_removed_is_no_limit() -> None:
    limited = RUNNING_XML.replace("</shares>", "</shares><period>1000000</period><quota>500000</quota>")
    planned = live_drift(etree.fromstring(DESIRED_XML), etree.fromstring(limited), {})

    assert planned.actions == (SetCpuQuota((100000, -1), (1000000, 500000)),)
    unlimited = RUNNING_XML.replace("</shares>", "</shares><period>100000</period><quota>-1</quota>")
    assert live_drift(etree.fromstring(DESIRED_XML), etree.fromstring(unlimited), {}).differences == ()


def test_a_pin_knows_its_thread_and_what_was_before() -> None:
    pinned = RUNNING_XML.replace("</shares>", '</shares><vcpupin vcpu="1" cpuset="0,1"/>')
    pins = '<vcpupin vcpu="1" cpuset="2-3"/><iothreadpin iothread="4" cpuset="0"/>'
    desired = DESIRED_XML.replace("</shares>", "</shares>" + pins)
    planned = live_drift(etree.fromstring(desired), etree.fromstring(pinned), {})

    assert planned.actions == (
        PinThread("vcpu", 1, frozenset({2, 3}), frozenset({0, 1})),
        PinThread("iothread", 4, frozenset({0}), frozenset()),
    )


def test_a_removed_pin_waits_for_the_next_boot() -> None:
    pinned = RUNNING_XML.replace("</shares>", '</shares><vcpupin vcpu="1" cpuset="0,1"/>')
    planned = live_drift(etree.fromstring(DESIRED_XML), etree.fromstring(pinned), {})

    assert (planned.actions, [each.path for each in planned.remaining]) == ((), ["cputune/vcpupin[vcpu=1]"])


def test_an_action_knows_what_was_before() -> None:
    planned = changes(("<total_bytes_sec>100", "<total_bytes_sec>200"))
    (action,) = planned.actions
    assert isinstance(action, SetVolumeQos)
    assert (action.limits["total_bytes_sec"], action.before["total_bytes_sec"]) == (200, 100)


def test_limits_that_are_not_desired_are_set_to_none() -> None:
    (action,) = changes(("<total_bytes_sec>100", "<total_bytes_sec>200")).actions
    assert isinstance(action, SetVolumeQos)
    assert {name: limit for name, limit in action.limits.items() if limit} == {"total_bytes_sec": 200}
    assert len(action.limits) == 19


def test_a_cd_of_another_type_changes_the_type_of_its_drive() -> None:
    drive = '<disk type="%s" device="cdrom">\n      <driver name="qemu" type="raw"/><source %s/>'
    (action,) = changes((drive % ("file", 'file="/cd.iso"'), drive % ("block", 'dev="/dev/sr0"'))).actions
    assert isinstance(action, ChangeMedia)
    changed = etree.fromstring(action.xml)
    assert (changed.get("type"), dict(changed.find("source").attrib)) == ("block", {"dev": "/dev/sr0"})


@pytest.mark.parametrize(
    ("bus", "actions", "remaining"),
    [("virtio", ["detach_volume"], []), ("sata", [], ["devices/disk[target=sdb]"])],
)
def test_a_volume_that_is_not_desired_is_detached_where_its_bus_allows_it(
    bus: str, actions: list[str], remaining: list[str]
) -> None:
    disk = f'<disk type="file" device="disk"><source file="/more"/><target dev="sdb" bus="{bus}"/></disk>'
    planned = changes(running=(("<controller", disk + "<controller"),))
    assert (names(planned), left(planned)) == (actions, remaining)


def test_what_is_detached_goes_before_what_is_attached_and_what_grows_comes_last() -> None:
    planned = changes(('current="2"', 'current="4"'), ('file="/data"', 'file="/other"'), ("/cd.iso", "/other.iso"))
    assert names(planned) == ["detach_volume", "change_media", "attach_volume", "set_vcpus"]


def test_with_pci_express_a_device_needs_a_free_root_port() -> None:
    q35 = ("pc-i440fx-7.2", "pc-q35-7.2")
    port = '<controller type="pci" index="%d" model="pcie-root-port"/><video>'
    board = ('machine="pc"', 'machine="q35"')
    new = ("<video>", VOLUME % ("vdd", "virtio"))
    assert names(changes(board, new, running=(q35,))) == []
    assert names(changes(board, new, running=(q35, ("<video>", port % 9)))) == ["attach_volume"]


class TestNicThatLeftItsBridge:
    @pytest.mark.parametrize(("port", "before"), [("", None), ("br7", "br7")])
    def test_is_put_back_and_taken_out_again_when_that_is_undone(self, port: str, before: Optional[str]) -> None:
        planned = changes(port=port)
        assert [(each.path, each.before, each.after) for each in planned.differences] == [(BRIDGE, before, "br0")]
        (action,) = planned.actions
        assert isinstance(action, ReconnectNic)
        assert (action.device, action.bridge, action.before) == ("vnic1.0", "br0", port)
        assert left(planned) == []

    def test_is_something_that_the_guest_sees(self) -> None:
        assert [each.path for each in changes(port="").for_guest] == [BRIDGE]

    def test_waits_for_the_next_boot_where_its_device_is_gone(self) -> None:
        planned = changes(port=None)
        assert (names(planned), left(planned)) == ([], [BRIDGE])

    def test_is_put_back_before_its_limits_change(self) -> None:
        limited = ('<model type="virtio"/>', '<model type="virtio"/><bandwidth><inbound average="9"/></bandwidth>')
        assert names(changes(limited, port="")) == ["reconnect_nic", "update_nic"]

    def test_is_moved_by_libvirt_to_another_bridge(self) -> None:
        planned = changes(('bridge="br0"', 'bridge="br1"'), port="")
        assert (names(planned), left(planned)) == (["update_nic"], [])

    def test_of_open_vswitch_waits_for_the_next_boot_where_it_has_limits(self) -> None:
        more = '<virtualport type="openvswitch"/><bandwidth><inbound average="9"/></bandwidth>'
        limited = ('<model type="virtio"/>', '<model type="virtio"/>' + more)
        planned = changes(limited, running=(limited,), port="")
        assert (names(planned), left(planned)) == ([], [BRIDGE])

    def test_is_left_alone_where_nobody_knows_where_it_is(self) -> None:
        assert live_drift(domain(DESIRED_XML, ()), domain(RUNNING_XML, ()), {}) == LiveDrift()


class TestNicOfOpenVSwitch:
    NIC = "devices/interface[mac=fa:00:00:00:00:01]"
    HELD = (
        '<source bridge="br0"/>',
        '<source bridge="br0"/><vlan><tag id="7"/></vlan>'
        '<virtualport type="openvswitch"><parameters interfaceid="i1"/></virtualport>',
    )

    def asked(self, more: str = '<vlan><tag id="7"/></vlan>', bridge: str = "br0") -> tuple[str, str]:
        return (self.HELD[0], f'<source bridge="{bridge}"/>{more}<virtualport type="openvswitch"/>')

    def test_keeps_the_id_that_libvirt_chose(self) -> None:
        assert changes(self.asked(), running=(self.HELD,)) == LiveDrift()

    @pytest.mark.parametrize(
        ("vlan", "path", "before", "after"),
        [
            ('<vlan><tag id="8"/></vlan>', "/vlan/tag/@id", "7", "8"),
            ("", "/vlan", '<vlan><tag id="7"/></vlan>', None),
        ],
    )
    def test_gets_another_tag_at_once(self, vlan: str, path: str, before: str, after: Optional[str]) -> None:
        planned = changes(self.asked(vlan), running=(self.HELD,))
        assert [(each.path, each.before, each.after) for each in planned.differences] == [
            (self.NIC + path, before, after)
        ]
        assert (names(planned), left(planned)) == (["update_nic"], [])

    def test_goes_to_another_bridge_at_the_next_boot(self) -> None:
        planned = changes(self.asked(bridge="br1"), running=(self.HELD,))
        assert (names(planned), left(planned)) == ([], [BRIDGE])

    def test_that_lost_its_virtual_port_gets_it_at_the_next_boot(self) -> None:
        planned = changes(self.asked())
        assert (names(planned), left(planned)) == ([], [self.NIC + "/vlan", self.NIC + "/virtualport"])

    def test_goes_back_to_a_bridge_of_the_kernel_at_the_next_boot(self) -> None:
        planned = changes(running=(self.HELD,))
        assert (names(planned), left(planned)) == ([], [self.NIC + "/vlan", self.NIC + "/virtualport"])


class TestNicOnALibvirtNetwork:
    NIC = "devices/interface[mac=fa:00:00:00:00:01]"
    DESIRED = ('<interface type="bridge">', '<interface type="network">'), ('bridge="br0"', 'network="default"')
    PORT = ('bridge="br0"', 'network="default" portid="a1" bridge="virbr0"')
    RUNNING = DESIRED[0], PORT

    def test_may_have_the_bridge_that_libvirt_writes(self) -> None:
        assert changes(*self.DESIRED, running=self.RUNNING, port="virbr0") == LiveDrift()

    def test_may_run_as_one_on_a_bridge(self) -> None:
        """A network that only names a bridge."""
        assert changes(*self.DESIRED, running=(self.PORT,), port="virbr0") == LiveDrift()

    @pytest.mark.parametrize(
        ("desired", "running", "port"),
        [
            ((DESIRED[0], ('bridge="br0"', 'network="other"')), RUNNING, "virbr0"),
            (DESIRED, (), "br0"),
            ((), RUNNING, "virbr0"),
        ],
        ids=["to another network", "from a bridge", "to a bridge"],
    )
    def test_moves_while_it_runs(self, desired: Any, running: Any, port: str) -> None:
        planned = changes(*desired, running=running, port=port)
        assert (names(planned), left(planned)) == (["update_nic"], [])
        (action,) = planned.actions
        assert isinstance(action, UpdateNic)
        source = etree.fromstring(action.xml).find("source")
        assert source.attrib == etree.fromstring(text_of(desired)).find("devices/interface/source").attrib

    def test_is_reconnected_after_the_network_was_started_again(self) -> None:
        planned = changes(*self.DESIRED, running=self.RUNNING, port="")
        assert [each.path for each in planned.differences] == [self.NIC + "/source/@network"]
        (action,) = planned.actions
        assert isinstance(action, ReconnectNic)
        assert (action.device, action.bridge) == ("vnic1.0", "virbr0")
