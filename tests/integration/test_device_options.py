# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of NICs, consoles, video, USB, balloon and QMP, seen from the guest and from QEMU."""

from __future__ import annotations

import json
import socket
import stat
import struct
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm, image_directory
from ansible_collections.zstack.kvm.tests.support import linux_guest, media, vnc
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, start
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp, remove_domain, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

KIB, MIB = 1 << 10, 1 << 20
PASSWORD = "opensesm"
FIRST, SECOND, PLUGGED = ("fa:16:3e:84:00:0%d" % number for number in (1, 2, 3))
DOWN = {
    "mac": SECOND,
    "bridge_name": "br_eth0",
    "link_state": "down",
    "clean_traffic": True,
    "ips": ["192.0.2.184"],
    "isolated": True,
}
UP = {**DOWN, "link_state": "up", "isolated": False, "qos": {"inbound_bandwidth": 80 << 13}}
QMP_DIRECTORY = Path("/var/lib/libvirt/qemu/zstack")


class Guest(NamedTuple):
    """A VM with a Linux: its options, and the result of the run that started it."""

    options: dict[str, Any]
    result: dict[str, Any]

    @property
    def uuid(self) -> str:
        return str(self.options["uuid"])


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    """Yield a VM with a Linux and devices of all kinds; it boots once for all tests."""
    with image_directory() as directory:
        options = {
            "uuid": str(uuid.uuid4()),
            "name": "devices",
            "memory": linux_guest.MEMORY,
            "cpu_num": 2,
            "cpu_speed": 1024,
            "domain_type": "qemu",
            "machine": "q35",
            "pcie_port_num": 8,
            "use_boot_menu": False,
            "root_volume": {"install_path": str(linux_guest.boot_disk(directory / "guest.qcow2"))},
            "cd_roms": [{"path": str(media.write_cd(directory / "first.iso", "the first CD"))}],
            "nics": [
                {
                    "mac": FIRST,
                    "bridge_name": "br_eth0",
                    "mtu": 1400,
                    "queues": 2,
                    "rx_queue_size": 512,
                    "tx_queue_size": 256,
                },
                DOWN,
            ],
            "console_mode": "vnc_and_spice",
            "console_password": PASSWORD,
            "video_type": "qxl",
            "qxl_memory": {"ram": 65536, "vram": 32768, "vgamem": 8192},
            "console_log": True,
            "usb_redirect": True,
            "additional_qmp": True,
            "memory_balloon": {"address": {"type": "pci", "slot": 0x1C}},
        }
        try:
            run = start(options)
            assert not run.failed, run.vm
            linux_guest.wait_until_booted(str(options["uuid"]))
            yield Guest(options, run.vm)
        finally:
            remove_domain(str(options["uuid"]))


def nic(guest: Guest, mac: str, fact: str) -> str:
    """Return what the guest's kernel says about one of its NICs: the content of a file, or the names in a directory."""
    find = f"path=$(dirname $(grep -l {mac} /sys/class/net/*/address))/{fact}"
    output = linux_guest.execute(guest.uuid, f"{find}; if [ -d $path ]; then ls $path; else cat $path; fi")
    return " ".join(output.partition("@guest")[0].split())


def device_of(guest: Guest, mac: str) -> str:
    """Return the device of a NIC on the hypervisor."""
    (target,) = definition(guest.uuid, inactive=False).findall(f"devices/interface/mac[@address='{mac}']/../target")
    return str(target.get("dev"))


def is_isolated(guest: Guest, mac: str) -> bool:
    """Return whether the bridge isolates the port of a NIC."""
    return Path(f"/sys/class/net/{device_of(guest, mac)}/brport/isolated").read_text("ascii") == "1\n"


def device_property(guest: Guest, device: str, name: str) -> Any:
    """Return the value that QEMU has for a property of a device."""
    return qmp(guest.uuid, "qom-get", path=f"/machine/peripheral/{device}", property=name)


class TestNics:
    def test_the_guest_has_the_mtu(self, guest: Guest) -> None:
        assert nic(guest, FIRST, "mtu") == "1400"

    def test_the_guest_has_the_queues(self, guest: Guest) -> None:
        assert nic(guest, FIRST, "queues") == "rx-0 rx-1 tx-0 tx-1"

    def test_qemu_has_rings_of_the_sizes(self, guest: Guest) -> None:
        sizes = [device_property(guest, "net0", name) for name in ("rx_queue_size", "tx_queue_size")]
        assert sizes == [512, 256]

    def test_the_guest_has_no_carrier_where_the_link_is_down(self, guest: Guest) -> None:
        assert [nic(guest, mac, "carrier") for mac in (FIRST, SECOND)] == ["1", "0"]

    def test_the_filter_lets_only_the_address_through(self, guest: Guest) -> None:
        rules = subprocess.run(["ebtables", "-t", "nat", "-L"], check=True, capture_output=True, text=True).stdout
        (filterref,) = definition(guest.uuid, inactive=False).findall("devices/interface/filterref")
        assert filterref.get("filter") == "clean-traffic"
        assert f"-i {device_of(guest, SECOND)} " in rules and "192.0.2.184" in rules

    def test_the_port_of_an_isolated_one_is_isolated(self, guest: Guest) -> None:
        assert [is_isolated(guest, mac) for mac in (FIRST, SECOND)] == [False, True]

    def test_one_is_plugged_into_a_root_port_and_goes(self, guest: Guest) -> None:
        plugged = {"mac": PLUGGED, "bridge_name": "br_eth0"}
        run = agreed({**guest.options, "nics": [*guest.options["nics"], plugged]}, on_drift="live")
        assert (run.actions, run.vm["restart_required"]) == (["define", "attach_nic"], False)
        linux_guest.wait_until_seen(guest.uuid, "nic", mac=PLUGGED, driver="virtio_net")
        domain = definition(guest.uuid, inactive=False)
        bus = domain.find(f"devices/interface/mac[@address='{PLUGGED}']/../address").get("bus")
        (port,) = domain.findall(f"devices/controller[@type='pci'][@index='{int(bus, 0)}']")
        assert port.get("model") == "pcie-root-port"
        run = agreed(guest.options, on_drift="live")
        assert (run.actions, run.vm["restart_required"]) == (["define", "detach_nic"], False)
        assert PLUGGED not in {each["mac"] for each in linux_guest.seen(guest.uuid, "nic")}


class TestConsoles:
    def test_vnc_accepts_the_password(self, guest: Guest) -> None:
        console = guest.result["console"]
        assert console["type"] == "vnc"
        assert vnc.accepts(console["host"], console["port"], PASSWORD)

    def test_spice_answers_as_well(self, guest: Guest) -> None:
        graphics = definition(guest.uuid, inactive=False).find("devices/graphics[@type='spice']")
        with socket.create_connection((graphics.get("listen"), int(graphics.get("port"))), timeout=60) as console:
            # spice-protocol's SpiceLinkMess for the main channel, without capabilities.
            message = struct.pack("<IBBIII", 0, 1, 0, 0, 0, 18)
            console.sendall(struct.pack("<4sIII", b"REDQ", 2, 2, len(message)) + message)
            assert console.recv(4, socket.MSG_WAITALL) == b"REDQ"

    def test_what_the_serial_port_says_is_in_the_log(self, guest: Guest) -> None:
        log = Path("/var/log/libvirt/qemu/%s-console.log" % guest.uuid.replace("-", ""))
        wait_until(
            lambda: '@guest {"kind":"ready"' in log.read_text("utf-8", "replace"), "the log has the guest's words"
        )


class TestOtherDevices:
    def test_the_graphics_card_has_the_memory(self, guest: Guest) -> None:
        sizes = [device_property(guest, "video0", name) for name in ("ram_size", "vram_size", "vgamem_mb")]
        assert sizes == [65536 * KIB, 32768 * KIB, 8]

    def test_the_balloon_is_at_its_address_and_reports(self, guest: Guest) -> None:
        (balloon,) = [each for each in linux_guest.seen(guest.uuid, "pci") if each["address"] == "0000:00:1c.0"]
        assert balloon["vendor"] == "0x1af4"
        wait_until(lambda: "usable" in virsh("dommemstat", guest.uuid), "libvirt has statistics of the guest's memory")

    def test_the_usb_controllers_have_the_tablet_and_the_redirections(self, guest: Guest) -> None:
        controllers = [each for each in linux_guest.seen(guest.uuid, "pci") if each["class"].startswith("0x0c03")]
        assert len(controllers) == 4
        devices = virsh("qemu-monitor-command", guest.uuid, "--hmp", "info usb")
        assert devices.count("USB Tablet") == 1
        assert devices.count("USB Redirection Device") == 4

    def test_the_additional_qmp_socket_answers(self, guest: Guest) -> None:
        path = QMP_DIRECTORY / ("%s.sock" % guest.uuid.replace("-", ""))
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(path))
            with client.makefile("rw", encoding="utf-8") as monitor:
                assert "QMP" in json.loads(monitor.readline())
                monitor.write(json.dumps({"execute": "qmp_capabilities"}) + "\n")
                monitor.flush()
                assert json.loads(monitor.readline()) == {"return": {}}


class TestARunningVm:
    def test_has_nothing_to_be_done(self, guest: Guest) -> None:
        run = start(guest.options, on_drift="live")
        assert (run.result["changed"], run.vm["differences"], run.vm["restart_required"]) == (False, [], False)

    def test_gets_another_link_state_isolation_cd_and_limits(self, guest: Guest, images: Path) -> None:
        second = media.write_cd(images / "second.iso", "the second CD")
        changed = {
            **guest.options,
            "root_volume": {**guest.options["root_volume"], "qos": {"write_bandwidth": 64 * MIB}},
            "cd_roms": [{"path": str(second)}],
            "nics": [guest.options["nics"][0], UP],
        }
        run = agreed(changed, on_drift="live")
        assert sorted(run.actions) == ["change_media", "define", "set_volume_qos", "update_nic"]
        assert not run.vm["restart_required"]
        wait_until(lambda: nic(guest, SECOND, "carrier") == "1", "the guest has a carrier")
        classes = ["tc", "class", "show", "dev", device_of(guest, SECOND)]
        assert "rate 640Kbit" in subprocess.run(classes, check=True, capture_output=True, text=True).stdout
        assert not is_isolated(guest, SECOND)
        inserted = [each["inserted"] for each in qmp(guest.uuid, "query-block") if "inserted" in each]
        assert str(second) in {each["file"] for each in inserted}
        assert 64 * MIB in {each["bps_wr"] for each in inserted}
        back = agreed(guest.options, on_drift="live")
        assert not back.vm["restart_required"]
        wait_until(lambda: nic(guest, SECOND, "carrier") == "0", "the guest has no carrier")
        assert is_isolated(guest, SECOND)

    def test_gets_another_mtu_at_its_next_boot(self, guest: Guest) -> None:
        first = {**guest.options["nics"][0], "mtu": 1450}
        run = start({**guest.options, "nics": [first, DOWN]}, check=True, on_drift="live")
        assert (run.actions, run.vm["restart_required"]) == (["define"], True)


def test_a_directory_of_qmp_sockets_that_others_can_write_to_becomes_qemus_alone(new_vm: NewVm) -> None:
    QMP_DIRECTORY.mkdir(exist_ok=True)
    QMP_DIRECTORY.chmod(0o777)
    run = agreed(new_vm(additional_qmp=True))
    assert "restrict_qmp_dir" in run.actions
    status = QMP_DIRECTORY.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o755, QMP_DIRECTORY.parent.stat().st_uid)


def test_an_appliance_has_no_tablet_and_may_have_neither_console_nor_balloon(new_vm: NewVm) -> None:
    vm = new_vm(appliance=True, console_mode="none", memory_balloon={"enabled": False})
    run = start(vm)
    assert (run.failed, run.vm["console"]) == (False, None)
    devices = virsh("qemu-monitor-command", vm["uuid"], "--hmp", "info qtree")
    assert "nec-usb-xhci" in devices
    assert not any(name in devices for name in ("usb-tablet", "virtio-balloon"))
    assert definition(vm["uuid"], inactive=False).find("devices/graphics") is None
