# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims of a domain on its hypervisor."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._start.domain_claims import Endpoint, claims_of
from lxml import etree


def claimed(devices: str, live: bool = False, os: str = "") -> Any:
    return claims_of(
        etree.fromstring(
            "<domain><name>n</name><uuid>u</uuid><description>web</description><os>%s</os><devices>%s</devices></domain>"
            % (os, devices)
        ),
        live,
    )


@pytest.mark.parametrize(
    ("device", "sockets"),
    [
        ("<channel type='unix'><source mode='bind' path='/s'/></channel>", {"/s"}),
        ("<serial type='unix'><source mode='bind' path='/s'/></serial>", {"/s"}),
        ("<serial type='unix'><source mode='connect' path='/s'/></serial>", set()),
        ("<rng><backend model='egd' type='unix'><source mode='bind' path='/s'/></backend></rng>", {"/s"}),
        ("<interface type='vhostuser'><source type='unix' path='/s' mode='server'/></interface>", {"/s"}),
        ("<interface type='vhostuser'><source type='unix' path='/s' mode='client'/></interface>", set()),
        ("<graphics type='vnc' socket='/s'/>", {"/s"}),
        ("<graphics type='spice'><listen type='socket' socket='/s'/></graphics>", {"/s"}),
        ("<channel type='unix'><target type='virtio' name='chosen by libvirt'/></channel>", set()),
    ],
)
def test_sockets_are_those_that_qemu_listens_on(device: str, sockets: set[str]) -> None:
    assert claimed(device).sockets == sockets


@pytest.mark.parametrize(
    ("device", "logs"),
    [
        ("<serial type='file'><source path='/l'/></serial>", {"/l"}),
        ("<serial type='file'><source path='/l' append='on'/></serial>", {"/l"}),
        ("<serial type='pty'><log file='/l' append='off'/></serial>", {"/l"}),
        ("<channel type='unix'><source mode='bind' path='/s'/><log file='/l'/></channel>", {"/l"}),
        ("<audio id='1' type='file' path='/l'/>", {"/l"}),
        ("<interface type='user'><backend type='passt' logFile='/l'/></interface>", {"/l"}),
        ("<pstore backend='acpi-erst'><path>/l</path><size unit='KiB'>8</size></pstore>", {"/l"}),
        ("<tpm model='tpm-crb'><backend type='emulator'><source type='file' path='/l'/></backend></tpm>", {"/l"}),
        ("<disk type='file'><source file='/d'/></disk>", set()),
    ],
)
def test_logs_are_the_files_that_are_written(device: str, logs: set[str]) -> None:
    assert claimed(device).logs == logs


@pytest.mark.parametrize(
    ("device", "streams"),
    [
        ("<serial type='pipe'><source path='/l'/></serial>", {"/l", "/l.in", "/l.out"}),
        ("<parallel type='dev'><source path='/l'/></parallel>", {"/l"}),
        ("<rng><backend model='egd' type='pipe'><source path='/l'/></backend></rng>", {"/l", "/l.in", "/l.out"}),
    ],
)
def test_streams_are_character_devices_and_pipes_which_may_be_pairs(device: str, streams: set[str]) -> None:
    assert (claimed(device).streams, claimed(device).logs) == (streams, set())


@pytest.mark.parametrize(
    ("device", "peers"),
    [
        ("<serial type='unix'><source mode='connect' path='/s'/></serial>", {"/s"}),
        ("<serial type='unix'><source mode='bind' path='/s'/></serial>", set()),
        ("<interface type='vhostuser'><source type='unix' path='/s' mode='client'/></interface>", {"/s"}),
        ("<disk type='vhostuser'><source type='unix' path='/s'/></disk>", {"/s"}),
        ("<shmem name='a'><server path='/s'/></shmem>", {"/s"}),
        ("<filesystem><driver type='virtiofs'/><source socket='/s'/></filesystem>", {"/s"}),
    ],
)
def test_peers_are_the_sockets_that_qemu_connects_to(device: str, peers: set[str]) -> None:
    assert claimed(device).peers == peers


def test_images_are_those_of_disks_and_their_backing_files() -> None:
    disks = "<disk><source file='/a'/><backingStore><source file='/b'/></backingStore></disk>"
    assert claimed(disks + "<disk><source dev='/dev/c'/></disk>").images == {"/a", "/b", "/dev/c"}


def test_non_volatile_memory_is_an_image_too() -> None:
    assert claimed("<memory model='nvdimm'><source><path>/a</path></source></memory>").images == {"/a"}


def test_nvram_has_its_format() -> None:
    assert claimed("", os="<nvram>/a</nvram>").nvram == (("/a", "raw"),)
    assert claimed("", os="<nvram format='qcow2'>/a</nvram>").nvram == (("/a", "qcow2"),)
    assert claimed("", os="<nvram template='/t'/>").nvram == ()


def test_a_tap_that_has_to_exist_is_not_claimed() -> None:
    nics = "<interface><mac address='FA:00:00:00:00:01'/><target dev='vnic1.0'/></interface>"
    found = claimed(nics + "<interface><target dev='tap1' managed='no'/></interface>")
    assert (found.taps, found.macs) == ({"vnic1.0"}, {"fa:00:00:00:00:01"})


@pytest.mark.parametrize(
    ("device", "endpoints"),
    [
        ("<graphics type='vnc' port='5901' listen='10.0.0.1'/>", [("10.0.0.1", 5901)]),
        ("<graphics type='vnc' port='5901' autoport='no'><listen type='address'/></graphics>", [("127.0.0.1", 5901)]),
        ("<graphics type='spice' port='5901' tlsPort='5902' listen='::'/>", [("::", 5901), ("::", 5902)]),
        ("<graphics type='vnc' port='-1' websocket='5700' listen='::'/>", [("::", 5700)]),
        ("<graphics type='vnc' port='-1' autoport='yes' listen='::'/>", []),
        ("<graphics type='spice' port='5901'><listen type='none'/></graphics>", []),
        ("<graphics type='vnc' port='\u00b2' websocket='%s' listen='::'/>" % ("1" * 5000), []),
        ("<serial type='tcp'><source mode='bind' host='::1' service='4000'/></serial>", [("::1", 4000)]),
        ("<serial type='tcp'><source mode='connect' host='::1' service='4000'/></serial>", []),
    ],
)
def test_ports_are_the_fixed_ones(device: str, endpoints: list[tuple[str, int]]) -> None:
    assert list(claimed(device).endpoints) == [Endpoint(*pair) for pair in endpoints]


def test_ports_of_what_runs_are_also_those_that_libvirt_chose() -> None:
    graphics = "<graphics type='vnc' port='5900' autoport='yes' listen='0.0.0.0'/>"
    assert claimed(graphics).endpoints == ()
    assert claimed(graphics, live=True).endpoints == (Endpoint("0.0.0.0", 5900),)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (("10.0.0.1", 1), ("10.0.0.1", 1), True),
        (("10.0.0.1", 1), ("0.0.0.0", 1), True),
        (("", 1), ("::1", 1), True),
        (("10.0.0.1", 1), ("10.0.0.2", 1), False),
        (("10.0.0.1", 1), ("10.0.0.1", 2), False),
    ],
)
def test_a_port_is_taken_where_an_address_is_shared(one: Any, other: Any, clash: bool) -> None:
    assert Endpoint(*one).clashes_with(Endpoint(*other)) is clash
    assert Endpoint(*other).clashes_with(Endpoint(*one)) is clash


def test_the_label_has_the_name_that_people_gave() -> None:
    assert claimed("").label == "VM web (u)"
