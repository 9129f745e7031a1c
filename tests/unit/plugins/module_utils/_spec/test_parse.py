# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of VMs in a playbook: the parsed values, and every problem with its path."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import (
    Monitor,
    NicQos,
    PciDevice,
    UsbDevice,
    VolumeQos,
)
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.options import (
    UUID,
    nic,
    parsed,
    problems,
    vm,
    volume,
)


class TestDefaults:
    def test_are_those_of_zstacks_agent(self) -> None:
        result = parsed()
        assert (result.cpu_speed, result.socket_num, result.cpu_on_socket) == (1, 1, 2)
        assert (result.boot_dev, result.use_boot_menu, result.use_virtio) == (("hd",), True, True)
        assert (result.console_mode, result.clock, result.vdi_monitor_number, result.timeout) == ("vnc", "utc", 1, 60)
        assert (result.root_volume.device_type, result.root_volume.device_id) == ("file", 0)
        assert (result.root_volume.cache_mode, result.root_volume.use_virtio) == ("none", True)
        assert (result.domain_type, result.security_label, result.wait_for) == ("kvm", "none", "console")

    def test_leave_to_the_hypervisor_what_it_knows_better(self) -> None:
        result = parsed()
        assert (result.arch, result.machine, result.firmware, result.emulator, result.video_type) == (None,) * 5
        assert (result.console_listen, result.autostart, result.root_volume.format) == (None,) * 3

    def test_null_and_empty_text_leave_an_option_out(self) -> None:
        result = parsed(console_password="", timeout=None, nics=[nic(uuid="", ip="")])
        assert (result.console_password, result.timeout, result.nics[0].uuid, result.nics[0].ip) == (None, 60, None, "")

    def test_an_unanswered_question_leaves_an_option_out(self) -> None:
        unanswered = {"timeout": "", "use_numa": "", "clock": "", "boot_dev": "", "nics": "", "ceph_secret": ""}
        assert parsed(**unanswered) == parsed()

    def test_no_limits_are_no_qos(self) -> None:
        result = parsed(root_volume=volume(qos={}), nics=[nic(qos={})])
        assert (result.root_volume.qos, result.nics[0].qos) == (None, None)


class TestConversion:
    @pytest.mark.parametrize(
        ("written", "size"),
        [
            (1 << 30, 1 << 30),
            ("1073741824", 1 << 30),
            ("1G", 1 << 30),
            ("1GB", 1 << 30),
            ("1GiB", 1 << 30),
            ("1Gi", 1 << 30),
            ("1.5 GiB", 3 << 29),
            (" 512M ", 512 << 20),
            (2.0 * (1 << 30), 2 << 30),
        ],
    )
    def test_sizes(self, written: Any, size: int) -> None:
        assert parsed(memory=written).memory == size

    @pytest.mark.parametrize("written", [UUID, UUID.upper(), UUID.replace("-", ""), UUID.replace("-", "").upper()])
    def test_uuids(self, written: str) -> None:
        assert parsed(uuid=written).uuid == UUID

    def test_text_as_surveys_and_extra_vars_give_it(self) -> None:
        result = parsed(
            cpu_num="4",
            use_numa="yes",
            kvm_hidden_state="true",
            autostart="False",
            boot_dev="cdrom, hd",
            pci_devices="0a:00.0,0b:00.1",
            internal_id="12",
            timeout="300",
        )
        assert (result.cpu_num, result.use_numa, result.kvm_hidden_state, result.autostart) == (4, True, True, False)
        assert (result.boot_dev, len(result.pci_devices), result.internal_id) == (("cdrom", "hd"), 2, 12)

    def test_a_choice_that_yaml_read_as_false(self) -> None:
        assert parsed(spice_streaming_mode=False).spice_streaming_mode == "off"

    def test_a_volume_written_as_json_text(self) -> None:
        assert (
            parsed(root_volume='{"install_path": "/a", "cache_mode": "writeback"}').root_volume.cache_mode
            == "writeback"
        )

    def test_limits(self) -> None:
        result = parsed(
            root_volume=volume(qos={"total_bandwidth": "10MB", "total_iops": "100"}),
            nics=[nic(qos={"inbound_bandwidth": "100Mb"})],
        )
        assert result.root_volume.qos == VolumeQos(None, None, 10 << 20, None, None, None, 100)
        assert result.nics[0].qos == NicQos(100 << 20, None)

    @pytest.mark.parametrize(
        ("written", "address"),
        [
            ("0a:00.1", ("0000:0a:00.1", "")),
            ("0000:81:1F.3", ("0000:81:1f.3", "")),
            ("10000:e1:00.0", ("10000:e1:00.0", "")),
            ("0a:00.1,/var/lib/rom", ("0000:0a:00.1", "/var/lib/rom")),
            (
                "0a:00.1,73cba5bd-2a86-c81e-25cf-c98fe4d1e8a3",
                ("0000:0a:00.1", "73cba5bd2a86c81e25cfc98fe4d1e8a3"),
            ),
        ],
    )
    def test_pci_devices(self, written: str, address: tuple[str, str]) -> None:
        assert parsed(pci_devices=[written]).pci_devices == (PciDevice("vms[0].pci_devices[0]", *address),)

    @pytest.mark.parametrize(("version", "number"), [("1.1", 1), ("2.0", 2), ("2.0.0", 2), ("3", 3), ("3.1", 3)])
    def test_usb_devices(self, version: str, number: int) -> None:
        result = parsed(usb_devices=["1:13:046d:C077:%s" % version])
        assert result.usb_devices == (UsbDevice("vms[0].usb_devices[0]", 1, 13, 0x46D, 0xC077, number, "", 0),)

    @pytest.mark.parametrize(
        ("mode", "server"),
        [("PassThrough:-1:172.20.1.10", ("", 0)), ("Redirect:4001:172.20.1.11", ("172.20.1.11", 4001))],
    )
    def test_usb_devices_of_this_host_or_another(self, mode: str, server: tuple[str, int]) -> None:
        result = parsed(usb_devices=["001:003:0781:5567:2.0:%s" % mode])
        assert result.usb_devices == (UsbDevice("vms[0].usb_devices[0]", 1, 3, 0x781, 0x5567, 2, *server),)

    def test_monitors(self) -> None:
        root = volume(
            install_path="ceph://p/i", device_type="ceph", mon_info=[{"hostname": "a"}, {"hostname": "b", "port": "1"}]
        )
        assert parsed(root_volume=root).root_volume.mon_info == (Monitor("a", 6789), Monitor("b", 1))

    def test_line_ends_of_a_name_are_those_that_xml_gives_back(self) -> None:
        assert parsed(name="a\r\nb\rc").name == "a\nb\nc"

    def test_names_of_any_script(self) -> None:
        assert parsed(name='数据库 <主> & "备" 🐧').name == '数据库 <主> & "备" 🐧'

    def test_paths_are_kept_for_messages(self) -> None:
        result = parsed(data_volumes=[volume(), volume(install_path="/b")], nics=[nic()])
        assert (result.option_path, result.root_volume.option_path) == ("vms[0]", "vms[0].root_volume")
        assert (result.data_volumes[1].option_path, result.nics[0].option_path) == (
            "vms[0].data_volumes[1]",
            "vms[0].nics[0]",
        )

    def test_the_text_of_a_patch_may_be_empty(self) -> None:
        patch = {"action": "set", "xpath": "/domain/title", "value": ""}
        assert parsed(domain_patches=[patch]).domain_patches[0].value == ""

    def test_text_makes_the_same_vm_as_numbers(self) -> None:
        options = {"cpu_num": 4, "memory": 1 << 30, "use_numa": True, "boot_dev": ["hd"], "nics": [nic(device_id=3)]}
        texts = {"cpu_num": "4", "memory": "1GiB", "use_numa": "True", "boot_dev": "hd", "nics": [nic(device_id="3")]}
        assert parsed(**options) == parsed(**texts)

    def test_the_order_of_vms_is_kept(self) -> None:
        names = ["c", "a", "b"]
        vms, dummy = parse_vms(
            [
                vm(name=name, uuid="%032x" % number, root_volume=volume(install_path="/%s" % name))
                for number, name in enumerate(names)
            ]
        )
        assert [result.name for result in vms] == names

    def test_the_input_is_left_as_it_is(self) -> None:
        written = [vm(nics=[nic(mac=None)], memory="1GiB", boot_dev="hd")]
        before = copy.deepcopy(written)
        parse_vms(written)
        assert written == before


WRONG_VALUES = [
    ({"uuid": "zebra"}, "vms[0].uuid: 'zebra' is not a UUID"),
    ({"uuid": UUID[:-1]}, "vms[0].uuid:"),
    ({"uuid": UUID.replace("-", "", 1)}, "vms[0].uuid:"),
    ({"uuid": ""}, "vms[0].uuid: is empty"),
    ({"uuid": None}, "vms[0].uuid: is required"),
    ({"name": ""}, "vms[0].name: is empty"),
    ({"name": "a\x00b"}, "vms[0].name: 'a\\x00b' contains the character U+0000, which XML cannot carry"),
    ({"name": "a\ud800"}, "U+D800"),
    ({"name": "a\uffff"}, "U+FFFF"),
    ({"name": ["a"]}, "vms[0].name: must be text, not a list"),
    ({"name": True}, "vms[0].name: must be text, not True"),
    ({"name": 10**5000}, "vms[0].name: must be text, not a number of 16610 bits"),
    ({"root_volume": volume(wwn="0X0123456789abcdef")}, "vms[0].root_volume.wwn:"),
    ({"memory": 0}, "vms[0].memory: 0 must be greater than 0"),
    ({"memory": -5}, "vms[0].memory:"),
    ({"memory": 2048}, "vms[0].memory: 2048 is less than 1 MiB"),
    ({"memory": "lots"}, "vms[0].memory: must be a number of bytes or a size such as 2GiB, not 'lots'"),
    ({"memory": "2Gb"}, "vms[0].memory:"),
    ({"memory": True}, "vms[0].memory:"),
    ({"memory": float("nan")}, "vms[0].memory:"),
    ({"memory": float("inf")}, "vms[0].memory:"),
    ({"memory": 10**30}, "vms[0].memory:"),
    (
        {"memory": 10**5000},
        "vms[0].memory: a number of 16610 bits is more than 1 PiB",
    ),
    ({"cpu_num": 0}, "vms[0].cpu_num: 0 must be between 1 and"),
    ({"cpu_num": 1.5}, "vms[0].cpu_num: must be a whole number, not 1.5"),
    ({"cpu_num": "1e999999999"}, "vms[0].cpu_num:"),
    ({"cpu_num": b"2"}, "vms[0].cpu_num: must be a whole number, not bytes"),
    ({"cpu_num": 3, "socket_num": 2}, "vms[0].cpu_num: is 3, but socket_num × cpu_on_socket is 2 × 1 = 2"),
    ({"cpu_num": 129, "use_numa": True}, "vms[0].cpu_num: is more than the 128 CPUs that use_numa supports"),
    ({"memory": "65T", "use_numa": True}, "vms[0].memory: is more than the 64 TiB"),
    ({"cpu_speed": -1}, "vms[0].cpu_speed:"),
    ({"internal_id": -1}, "vms[0].internal_id:"),
    ({"host_management_ip": "10.0.0.256"}, "vms[0].host_management_ip: '10.0.0.256' is neither"),
    ({"console_listen": "fe80::1%eth0"}, "vms[0].console_listen:"),
    ({"use_numa": "perhaps"}, "vms[0].use_numa: must be true or false, not 'perhaps'"),
    ({"use_numa": {}}, "vms[0].use_numa: must be true or false, not a mapping"),
    ({"clock": "gmt"}, "vms[0].clock: must be one of utc, localtime, not 'gmt'"),
    ({"arch": "sparc"}, "vms[0].arch: must be one of x86_64, aarch64"),
    ({"machine": "pc,accel=tcg"}, "vms[0].machine:"),
    ({"boot_dev": ["hd", "floppy"]}, "vms[0].boot_dev[1]: must be one of hd, cdrom, network, not 'floppy'"),
    ({"boot_dev": ["hd", "cdrom", "hd"]}, "vms[0].boot_dev[2]: is the same as vms[0].boot_dev[0]"),
    ({"boot_dev": ["hd", None]}, "vms[0].boot_dev[1]:"),
    ({"vdi_monitor_number": 0}, "vms[0].vdi_monitor_number:"),
    ({"timeout": 0}, "vms[0].timeout:"),
    ({"emulator": "qemu-kvm"}, "vms[0].emulator: 'qemu-kvm' is not an absolute path"),
    ({"usb_redirect": True}, "vms[0].usb_redirect: needs a spice console"),
    ({"wait_for": "guest_agent"}, "vms[0].wait_for: is guest_agent, but no channel"),
    ({"root_volume": None}, "vms[0].root_volume: is required"),
    ({"root_volume": "disk"}, "vms[0].root_volume: must be a mapping of options, not text"),
    ({"root_volume": {}}, "vms[0].root_volume.install_path: is required"),
    ({"root_volume": volume(device_id=1)}, "vms[0].root_volume.device_id: 1 must be between 0 and 0"),
    ({"root_volume": volume(install_path="images/a")}, "vms[0].root_volume.install_path:"),
    ({"root_volume": volume(device_type="tape")}, "vms[0].root_volume.device_type: must be one of file, block, ceph"),
    ({"root_volume": volume(wwn="0x12")}, "vms[0].root_volume.wwn: '0x12' is not a WWN"),
    (
        {"root_volume": volume(shareable=True, format="qcow2")},
        "vms[0].root_volume.shareable: cannot be used with format qcow2",
    ),
    ({"root_volume": volume(qos={"total_iops": 0})}, "vms[0].root_volume.qos.total_iops: 0 must be between 1"),
    ({"root_volume": volume(qos=[])}, "vms[0].root_volume.qos: must be a mapping of options, not a list"),
    ({"root_volume": volume(device_type="ceph", install_path="ceph://p/i")}, "vms[0].root_volume.mon_info:"),
    (
        {"root_volume": volume(device_type="ceph", install_path="/p/i", mon_info=[{"hostname": "a", "port": 0}])},
        "vms[0].root_volume.mon_info[0].port: 0 must be between 1 and 65535",
    ),
    ({"root_volume": volume(mon_info=[{}])}, "vms[0].root_volume.mon_info[0].hostname: is required"),
    (
        {"root_volume": volume(device_type="iscsi", install_path="iscsi://h:1/iqn.2001-01.a:b/1", chap_username="u")},
        "chap_username and chap_password must be set together",
    ),
    (
        {
            "root_volume": volume(
                device_type="iscsi",
                install_path="iscsi://h:1/iqn.2001-01.a:b/1",
                use_virtio=False,
                luks_secret_uuid="f728b4fa-4248-4e3a-8a5d-2f346baa9455",
            )
        },
        "vms[0].root_volume.luks_secret_uuid: cannot be used: the guest gets the LUN itself",
    ),
    (
        {
            "root_volume": volume(
                device_type="iscsi",
                install_path="iscsi://h:1/iqn.2001-01.a:b/1",
                use_virtio=False,
                physical_block_size=4096,
            )
        },
        "vms[0].root_volume.physical_block_size: cannot be used: the guest gets the LUN itself",
    ),
    ({"data_volumes": {}}, "vms[0].data_volumes: must be a list, not a mapping"),
    ({"data_volumes": [None]}, "vms[0].data_volumes[0]: must be a mapping of options, not nothing"),
    ({"data_volumes": [volume(device_id=0)]}, "vms[0].data_volumes[0].device_id: 0 must be between 1 and 24"),
    ({"data_volumes": [volume(device_id=25)]}, "vms[0].data_volumes[0].device_id: 25 must be between 1 and 24"),
    (
        {"data_volumes": [volume(device_id=2), volume(install_path="/b")]},
        "vms[0].data_volumes[1].device_id: is the same as vms[0].data_volumes[0].device_id",
    ),
    (
        {"data_volumes": [volume(), volume()]},
        "vms[0].data_volumes[1].install_path: is the same as vms[0].data_volumes[0].install_path",
    ),
    (
        {
            "data_volumes": [
                volume(wwn="0x00000000000000aA", use_virtio_scsi=True),
                volume(install_path="/b", wwn="00000000000000Aa", use_virtio_scsi=True),
            ]
        },
        "vms[0].data_volumes[1].wwn: is the same as vms[0].data_volumes[0].wwn",
    ),
    ({"boot_iso": [{"path": "/a", "device_id": 3}]}, "vms[0].boot_iso[0].device_id: 3 must be between 0 and 2"),
    ({"boot_iso": [{"path": "/a"}, {"path": "/b", "device_id": 0}]}, "vms[0].boot_iso[1].device_id: is the same as"),
    ({"boot_iso": [{"path": "/a"}] * 4}, "vms[0].boot_iso: are more than the 3 drives"),
    ({"nics": [{}]}, "vms[0].nics[0].bridge_name: is required"),
    ({"nics": [nic(), nic(mac="zz")]}, "vms[0].nics[1].mac: 'zz' is not a MAC address"),
    ({"nics": [nic(mac="01:00:5e:00:00:01")]}, "vms[0].nics[0].mac:"),
    ({"nics": [nic(mac="00:00:00:00:00:00")]}, "vms[0].nics[0].mac:"),
    (
        {"nics": [nic(mac="fa:00:00:00:00:01"), nic(mac="FA:00:00:00:00:01")]},
        "vms[0].nics[1].mac: is the same as vms[0].nics[0].mac",
    ),
    ({"nics": [nic(device_id=1), nic()]}, "vms[0].nics[1].device_id: is the same as vms[0].nics[0].device_id"),
    (
        {"nics": [nic(nic_internal_name="a"), nic(nic_internal_name="a")]},
        "vms[0].nics[1].nic_internal_name: is the same",
    ),
    ({"nics": [nic(bridge_name="a bridge")]}, "vms[0].nics[0].bridge_name:"),
    ({"nics": [nic(network_name="default")]}, "vms[0].nics[0].network_name: cannot be used with bridge_name"),
    ({"nics": [{"network_name": "a/b"}]}, "vms[0].nics[0].network_name: "),
    (
        {"nics": [{"network_name": "default", "bridge_type": "openvswitch"}]},
        "vms[0].nics[0].network_name: cannot be used with bridge_type openvswitch",
    ),
    ({"nics": [nic(bridge_name="b" * 16)]}, "is longer than 15 characters"),
    ({"nics": [nic(nic_internal_name="../x")]}, "vms[0].nics[0].nic_internal_name:"),
    ({"nics": [nic(ip="10.0.0")]}, "vms[0].nics[0].ip:"),
    (
        {"nics": [nic(qos={"inbound_bandwidth": "1MB"})]},
        "vms[0].nics[0].qos.inbound_bandwidth: must be a number of bits",
    ),
    ({"nics": [nic(qos={"outbound_bandwidth": -1})]}, "vms[0].nics[0].qos.outbound_bandwidth:"),
    ({"channels": [{"socket_path": "x", "target_name": "a"}]}, "vms[0].channels[0].socket_path:"),
    ({"channels": [{"socket_path": "/" + "x" * 107, "target_name": "a"}]}, "is longer than 107 bytes"),
    (
        {"channels": [{"socket_path": "/a", "target_name": "a"}, {"socket_path": "/b", "target_name": "a"}]},
        "vms[0].channels[1].target_name: is the same as",
    ),
    (
        {"channels": [{"socket_path": "/a", "target_name": "a"}, {"socket_path": "/a", "target_name": "b"}]},
        "vms[0].channels[1].socket_path: is the same as",
    ),
    ({"pci_devices": ["0a:20.0"]}, "vms[0].pci_devices[0]: '0a:20.0' is not a PCI address: slots end at 1f"),
    ({"pci_devices": ["0a:00"]}, "vms[0].pci_devices[0]:"),
    ({"pci_devices": ["00:00.0"]}, "vms[0].pci_devices[0]:"),
    ({"pci_devices": ["0a:00.0", "0000:0A:00.0"]}, "vms[0].pci_devices[1]: is the same as vms[0].pci_devices[0]"),
    ({"usb_devices": ["1:2:046d:c077"]}, "vms[0].usb_devices[0]:"),
    ({"usb_devices": ["1:128:046d:c077:2"]}, "vms[0].usb_devices[0]:"),
    ({"usb_devices": ["1:2:0000:c077:2"]}, "vms[0].usb_devices[0]:"),
    ({"usb_devices": ["1:2:046d:c077:4.0"]}, "vms[0].usb_devices[0]:"),
    ({"usb_devices": ["1:2:046d:c077:2", "1:2:046d:c078:2"]}, "vms[0].usb_devices[1]: is the same as"),
    ({"ceph_secret": {"uuid": UUID}}, "vms[0].ceph_secret.key: is required"),
    (
        {"domain_patches": [{"action": "set", "xpath": "/domain"}]},
        "vms[0].domain_patches[0].value: is required with action set",
    ),
    ({"domain_patches": [{"action": "remove", "xpath": "/domain", "value": "x"}]}, "cannot be used with action remove"),
    ({"console_mode": "vnc", "console_password": "ninechars"}, "is longer than 8 bytes, the limit of a VNC password"),
    ({"console_mode": "spice", "console_password": "x" * 61}, "is longer than 60 bytes, the limit of a SPICE password"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_VALUES, ids=[message[:70] for dummy, message in WRONG_VALUES])
def test_a_wrong_value_is_one_problem_with_its_path(options: dict[str, Any], message: str) -> None:
    found = problems(vm(**options))
    assert len(found) == 1
    assert message in found[0]


class TestAllProblemsAtOnce:
    def test_of_every_vm_and_at_every_depth(self) -> None:
        found = problems(
            vm(uuid="x", memory=0, data_volumes=[volume(cache_mode="y"), volume(install_path="/b", device_id=99)]),
            vm(root_volume={}, nics=[nic(mac="z"), {}]),
        )
        assert [problem.partition(": ")[0] for problem in found] == [
            "vms[0].uuid",
            "vms[0].memory",
            "vms[0].data_volumes[0].cache_mode",
            "vms[0].data_volumes[1].device_id",
            "vms[1].root_volume.install_path",
            "vms[1].nics[0].mac",
            "vms[1].nics[1].bridge_name",
        ]

    def test_what_is_wrong_between_options_is_found_beside_what_is_wrong_in_them(self) -> None:
        found = problems(vm(memory="x", usb_redirect=True), vm(name="", root_volume=volume(shareable=True)))
        assert [problem.partition(": ")[0] for problem in found] == [
            "vms[0].memory",
            "vms[0].usb_redirect",
            "vms[1].name",
            "vms[1].uuid",
        ]

    def test_what_is_wrong_with_a_url_is_found_beside_the_rest(self) -> None:
        found = problems(vm(root_volume=volume(device_type="iscsi", install_path="/a", cache_mode="x")))
        assert [problem.partition(": ")[0] for problem in found] == [
            "vms[0].root_volume.cache_mode",
            "vms[0].root_volume.install_path",
        ]

    @pytest.mark.parametrize(
        ("options", "path"),
        [
            ({"root_volume": volume(qos={"total_bandwidth": 0, "total_iops": 100})}, "root_volume.qos.total_bandwidth"),
            ({"root_volume": volume(qos={"total_bandwidth": 1, "total_iops": "x"})}, "root_volume.qos.total_iops"),
            (
                {"nics": [nic(qos={"inbound_bandwidth": 0, "outbound_bandwidth": 8192})]},
                "nics[0].qos.inbound_bandwidth",
            ),
            (
                {"nics": [nic(qos={"inbound_bandwidth": 8192, "outbound_bandwidth": -1})]},
                "nics[0].qos.outbound_bandwidth",
            ),
        ],
    )
    def test_of_two_limits_only_the_wrong_one_is_named(self, options: dict[str, Any], path: str) -> None:
        (problem,) = problems(vm(**options))
        assert problem.startswith("vms[0].%s: " % path)


YAML_NUMBER = "YAML reads digits as a number, also with colons between them, and 0123 as 83: put quotes around the text"


class TestHints:
    @pytest.mark.parametrize("options", [options for options, message in WRONG_VALUES if "is the same as" in message])
    def test_say_what_to_do_about_duplicates(self, options: dict[str, Any]) -> None:
        dummy, (problem,) = parse_vms([vm(**options)])
        assert problem.hint

    @pytest.mark.parametrize(
        ("options", "hint"),
        [
            ({"console_mode": "VNC"}, "did you mean vnc?"),
            ({"nics": [nic(mac=41135307296)]}, YAML_NUMBER),
            ({"console_password": 83}, YAML_NUMBER),
            ({"name": 1.1}, YAML_NUMBER),
            ({"root_volume": {"install_path": 20260101}}, YAML_NUMBER),
            ({"name": False}, "YAML reads yes, no, on and off as true and false: put quotes around the text"),
            ({"cpu_num": 5, "socket_num": 2}, "leave socket_num and cpu_on_socket out for one socket with all CPUs"),
        ],
    )
    def test_say_what_to_do(self, options: dict[str, Any], hint: str) -> None:
        dummy, found = parse_vms([vm(**options)])
        assert [problem.hint for problem in found] == [hint]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("vm1", "vms: must be a list of VMs"),
        (None, "vms: must be a list of VMs"),
        ({}, "vms: must be a list of VMs"),
        ([None], "vms[0]: must be a mapping of options, not nothing"),
        (['{"uuid": '], "vms[0]: must be a mapping of options, not text"),
        ([[]], "vms[0]: must be a mapping of options, not a list"),
        ([float("nan")], "vms[0]: must be a mapping of options, not a number"),
    ],
)
def test_what_is_no_list_of_vms_at_all(raw: Any, message: str) -> None:
    assert parse_vms(raw) == ((), parse_vms(raw)[1])
    assert [str(problem) for problem in parse_vms(raw)[1]] == [message]


def test_vms_that_omit_the_same_options_share_their_names() -> None:
    def numbered(number: int, **options: Any) -> dict[str, Any]:
        path = "/images/%d.qcow2" % number
        return vm(uuid=UUID[:-1] + str(number), root_volume={"install_path": path}, **options)

    (first, second, other), found = parse_vms([numbered(1), numbered(2), numbered(3, autostart=True)])
    assert not found
    assert first.omitted is second.omitted
    assert first.omitted - other.omitted == {"autostart"}


def test_no_vms_are_none() -> None:
    assert parse_vms([]) == ((), [])


class TestSecrets:
    SECRET = "hunter2"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"console_password": "hunter2-is-too-long"},
            {"console_password": ["hunter2"]},
            {"console_password": {"hunter2": "hunter2"}},
            {"console_password": "hunter2\x00"},
            {"root_volume": volume(chap_password="hunter2\n")},
            {"root_volume": volume(chap_password={"a": "hunter2"})},
            {"ceph_secret": {"uuid": UUID, "key": "hunter2!"}},
            {"ceph_secret": {"uuid": UUID, "key": ["hunter2"]}},
            {"ceph_secret": "hunter2"},
            {"root_volume": '{"chap_password": "hunter2"}'},
        ],
    )
    def test_are_in_no_message(self, wrong: dict[str, Any]) -> None:
        dummy, found = parse_vms([vm(**wrong)])
        assert found
        assert not [problem for problem in found if self.SECRET in str(problem) + problem.hint]

    @pytest.mark.parametrize(
        "options",
        [
            {"console_password": SECRET},
            {"console_password": [{"a": SECRET}]},
            {"root_volume": volume(chap_password=SECRET)},
            {"root_volume": '{"chap_password": "hunter2"}'},
            {"data_volumes": [None, volume(chap_password=SECRET)]},
            {"data_volumes": volume(chap_password=SECRET)},
            {"ceph_secret": {"key": SECRET}},
        ],
    )
    def test_are_found_whatever_their_shape(self, options: dict[str, Any]) -> None:
        assert secrets_of([vm(**options)]) == {self.SECRET}

    def test_are_found_in_a_single_vm_that_is_in_no_list(self) -> None:
        assert secrets_of(vm(console_password=self.SECRET)) == {self.SECRET}

    def test_numbers_are_found_too(self) -> None:
        assert secrets_of([vm(console_password=12345678)]) == {"12345678"}

    def test_values_that_cannot_be_passwords_are_not_masked(self) -> None:
        assert len(secrets_of([vm(console_password=[10**5000, 1e300, True, None, b"x"])])) == 2

    def test_an_empty_one_is_none(self) -> None:
        assert secrets_of([vm(console_password="")]) == set()


class TestOpenVSwitch:
    def test_a_nic_is_on_a_bridge_of_the_kernel_unless_it_says_otherwise(self) -> None:
        (result,) = parsed(nics=[nic()]).nics
        assert (result.bridge_type, result.interface_id, result.vlan_id) == ("linux", None, None)

    def test_a_nic_may_have_a_vlan_and_an_id_there(self) -> None:
        options = {"bridge_type": "openvswitch", "vlan_id": "100", "interface_id": UUID.upper().replace("-", "")}
        (result,) = parsed(nics=[nic(**options)]).nics
        assert (result.bridge_type, result.interface_id, result.vlan_id) == ("openvswitch", UUID, 100)

    @pytest.mark.parametrize("name", ["vlan_id", "interface_id"])
    def test_what_only_open_vswitch_has_needs_it(self, name: str) -> None:
        value = {"vlan_id": 100, "interface_id": UUID}[name]
        assert problems(vm(nics=[nic(**{name: value})])) == [f"vms[0].nics[0].{name}: needs bridge_type openvswitch"]

    @pytest.mark.parametrize("number", [0, 4095, -1])
    def test_a_vlan_has_a_number_that_a_tag_can_have(self, number: int) -> None:
        found = problems(vm(nics=[nic(bridge_type="openvswitch", vlan_id=number)]))
        assert found == [f"vms[0].nics[0].vlan_id: {number} must be between 1 and 4094"]

    def test_there_is_no_filter(self) -> None:
        found = problems(vm(nics=[nic(bridge_type="openvswitch", ip="10.0.0.5")]))
        reason = "libvirt does not filter traffic through Open vSwitch"
        assert found == ["vms[0].nics[0].ip: cannot be used with bridge_type openvswitch: " + reason]

    def test_two_nics_have_two_ids(self) -> None:
        options = {"bridge_type": "openvswitch", "interface_id": UUID}
        found = problems(vm(nics=[nic(**options), nic(**options)]))
        assert found == ["vms[0].nics[1].interface_id: is the same as vms[0].nics[0].interface_id"]
