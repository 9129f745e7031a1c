# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The foundations of the other tests: guests that print what booted, and real storage servers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.support import media, serial_console
from ansible_collections.zstack.kvm.tests.support.servers import (
    CephCluster,
    IscsiServer,
    NbdServer,
    ProgramMissingError,
    ServerError,
    process,
)
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

IQN = "iqn.2026-01.org.example:volume"
CHAP = ("operator", "a-long-password")

Boot = Callable[..., str]


@pytest.fixture
def boot() -> Iterator[Boot]:
    """Boot one disk in a domain of libvirt and return the domain's name; the domain ends with the test."""
    started = []

    def start(disk: str, boot_device: str = "hd") -> str:
        name = f"support-{uuid.uuid4()}"
        xml = f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
            <os><type arch='x86_64'>hvm</type><boot dev='{boot_device}'/></os>
            <devices>{disk}<serial type='pty'/></devices></domain>"""
        virsh("create", "/dev/stdin", stdin=xml)
        started.append(name)
        return name

    yield start
    for name in started:
        virsh("destroy", name)


def virsh(*arguments: str, stdin: str = "") -> str:
    command = ["virsh", "--connect", "qemu:///system", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"virsh {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def first_sector(url: str) -> bytes:
    """Return the first 512 bytes that QEMU's own client reads; raise AssertionError with its output if it fails."""
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "sector"
        # Some clients retry for a long time when their key or password is refused.
        command = ["qemu-img", "dd", "-f", "raw", "-O", "raw", "bs=512", "count=1", f"if={url}", f"of={target}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return target.read_bytes()


class TestMedia:
    @pytest.mark.parametrize(
        ("write", "disk", "boot_device"),
        [
            (media.write_raw, "<disk device='disk'><driver name='qemu' type='raw'/>{}<target dev='hda'/></disk>", "hd"),
            (
                media.write_qcow2,
                "<disk device='disk'><driver name='qemu' type='qcow2'/>{}<target dev='vda'/></disk>",
                "hd",
            ),
            (
                media.write_cd,
                "<disk device='cdrom'><driver name='qemu' type='raw'/>{}<target dev='hdc'/></disk>",
                "cdrom",
            ),
        ],
        ids=["raw", "qcow2", "cd"],
    )
    def test_a_guest_says_what_it_booted_from(self, images, boot, write, disk, boot_device):
        path = write(images / "medium", "booted from here")
        domain = boot(disk.format(f"<source file='{path}'/>").replace("<disk ", "<disk type='file' "), boot_device)
        assert serial_console.wait_for_text(domain, "booted from here\r\n")

    def test_a_late_reader_gets_the_text(self, images, boot):
        path = media.write_raw(images / "disk", "still here")
        domain = boot(f"<disk type='file'><source file='{path}'/><target dev='hda'/></disk>")
        serial_console.wait_for_text(domain, "still here")
        assert serial_console.wait_for_text(domain, "still here", timeout=3)

    def test_the_text_is_on_the_screen_too(self, images, boot):
        screens = {}
        for text in (" ", "#" * 40):
            path = media.write_raw(images / f"disk{len(screens)}", text)
            domain = boot(f"<disk type='file'><source file='{path}'/><target dev='hda'/></disk>{SCREEN}")
            serial_console.wait_for_text(domain, f"{text}\r\n{text}\r\n")
            screens[text] = drawn(images, domain)
        assert screens["#" * 40] > screens[" "] + 1000

    def test_a_text_that_does_not_come_is_an_error_with_what_came_instead(self, images, boot):
        path = media.write_raw(images / "disk", "something else")
        domain = boot(f"<disk type='file'><source file='{path}'/><target dev='hda'/></disk>")
        with pytest.raises(serial_console.MissingOutputError, match="'never said'.*something else"):
            serial_console.wait_for_text(domain, "never said", timeout=3)

    def test_a_text_too_long_for_a_boot_sector_is_refused(self):
        assert len(media.boot_sector("x" * 360)) == 512
        with pytest.raises(ValueError, match="room for 366 characters"):
            media.boot_sector("x" * 367)


SCREEN = "<graphics type='vnc'/><video><model type='vga'/></video>"


def drawn(directory: Path, domain: str) -> int:
    """Return the number of bytes of a screen that differ from their neighbours: what PNG's filters leave."""
    picture = directory / f"{domain}.png"
    virsh("screenshot", domain, str(picture))
    content, offset, packed = picture.read_bytes(), 8, b""
    while offset < len(content):
        size, kind = int.from_bytes(content[offset : offset + 4], "big"), content[offset + 4 : offset + 8]
        if kind == b"IDAT":
            packed += content[offset + 8 : offset + 8 + size]
        offset += 12 + size
    return sum(1 for byte in zlib.decompress(packed) if byte)


@pytest.fixture(scope="module")
def cluster() -> Iterator[CephCluster]:
    with CephCluster() as cluster:
        cluster.write_image("pool", "volume", media.boot_sector("booted from rbd"))
        cluster.write_image("pool", "iso", media.cd_image("booted from an rbd snapshot"))
        cluster.snapshot("pool", "iso", "template")
        yield cluster


# Fixtures, so that the domains end before their storage: QEMU waits ten seconds for a cluster that is gone.
@pytest.fixture
def ipv6_cluster() -> Iterator[CephCluster]:
    with CephCluster(address="::1") as cluster:
        yield cluster


@pytest.fixture
def open_cluster() -> Iterator[CephCluster]:
    with CephCluster(cephx=False) as cluster:
        yield cluster


class TestCeph:
    def test_an_image_is_read_with_the_users_key(self, cluster):
        assert first_sector(cluster.url("pool", "volume")) == media.boot_sector("booted from rbd")

    def test_another_key_is_refused(self, cluster, tmp_path):
        keyring = tmp_path / "keyring"
        keyring.write_text(f"[client.zstack]\nkey = {cluster.wrong_key}\n", encoding="utf-8")
        with pytest.raises(AssertionError, match="error connecting"):
            first_sector(cluster.url("pool", "volume", keyring))

    def test_a_guest_boots_from_it_with_libvirts_secret(self, cluster, boot, ceph_secret):
        domain = boot(network_disk(cluster, "pool/volume", ceph_secret(cluster.key)))
        assert serial_console.wait_for_text(domain, "booted from rbd")

    def test_a_guest_boots_from_a_snapshot(self, cluster, boot, ceph_secret):
        domain = boot(network_disk(cluster, "pool/iso", ceph_secret(cluster.key), "template", "cdrom"), "cdrom")
        assert serial_console.wait_for_text(domain, "booted from an rbd snapshot")

    def test_an_ipv6_monitor_answers(self, ipv6_cluster, boot, ceph_secret):
        ipv6_cluster.write_image("pool", "volume", media.boot_sector("booted by IPv6"))
        domain = boot(network_disk(ipv6_cluster, "pool/volume", ceph_secret(ipv6_cluster.key)))
        assert serial_console.wait_for_text(domain, "booted by IPv6")

    def test_without_cephx_no_key_is_required(self, open_cluster, boot):
        open_cluster.write_image("pool", "volume", media.boot_sector("booted without a key"))
        assert serial_console.wait_for_text(boot(network_disk(open_cluster, "pool/volume")), "booted without a key")


@pytest.fixture
def ceph_secret() -> Iterator[Callable[[str], str]]:
    """Define a libvirt secret with a cephx key, and return its UUID."""
    defined = []

    def define(key: str) -> str:
        secret = str(uuid.uuid4())
        usage = f"<usage type='ceph'><name>{secret}</name></usage>"
        virsh("secret-define", "/dev/stdin", stdin=f"<secret ephemeral='yes'><uuid>{secret}</uuid>{usage}</secret>")
        defined.append(secret)
        virsh("secret-set-value", secret, "--file", "/dev/stdin", stdin=key)
        return secret

    yield define
    for secret in defined:
        virsh("secret-undefine", secret)


def network_disk(cluster: CephCluster, image: str, secret: str = "", snapshot: str = "", device: str = "disk") -> str:
    auth = f"<auth username='zstack'><secret type='ceph' uuid='{secret}'/></auth>" if secret else ""
    hosts = "".join(f"<host name='{monitor['hostname']}' port='{monitor['port']}'/>" for monitor in cluster.monitors)
    # The snapshot's name is an element of its own: libvirt doesn't look for it in the image's name.
    snapshot_element = f"<snapshot name='{snapshot}'/>" if snapshot else ""
    return f"""<disk type='network' device='{device}'><driver name='qemu' type='raw'/>{auth}
        <source protocol='rbd' name='{image}'>{hosts}{snapshot_element}</source><target dev='hda'/></disk>"""


@pytest.fixture(scope="module")
def server() -> Iterator[IscsiServer]:
    with IscsiServer() as server, tempfile.TemporaryDirectory() as directory:
        server.add_target(f"{IQN}-open", media.write_raw(Path(directory) / "open", "booted from iSCSI"))
        server.add_target(f"{IQN}-chap", media.write_raw(Path(directory) / "chap", "booted with CHAP"), chap=CHAP)
        yield server


class TestIscsi:
    @pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
    def test_a_lun_is_read_at_both_loopback_addresses(self, server, address):
        assert first_sector(server.url(f"{IQN}-open", address=address)) == media.boot_sector("booted from iSCSI")

    def test_chap_accepts_the_right_password(self, server):
        assert first_sector(server.url(f"{IQN}-chap", chap=CHAP)) == media.boot_sector("booted with CHAP")

    @pytest.mark.parametrize("chap", [None, ("operator", "a-wrong-password")])
    def test_chap_refuses_any_other_login(self, server, chap):
        with pytest.raises(AssertionError, match="Authentication failure"):
            first_sector(server.url(f"{IQN}-chap", chap=chap))

    def test_a_guest_boots_from_it(self, server, boot):
        domain = boot(
            f"""<controller type='scsi' model='lsilogic'/><disk type='network'><driver name='qemu' type='raw'/>
            <source protocol='iscsi' name='{IQN}-open/1'><host name='127.0.0.1' port='{server.port}'/></source>
            <target dev='hda' bus='ide'/></disk>"""
        )
        assert serial_console.wait_for_text(domain, "booted from iSCSI")
        assert server.sessions(f"{IQN}-open") == 1


class TestNbd:
    def test_exports_with_a_slash_in_their_names_are_read(self, images):
        with NbdServer(
            {"pool/a": media.write_raw(images / "a", "a"), "pool/b": media.write_raw(images / "b", "b")}
        ) as server:
            assert first_sector(server.url("pool/a")) == media.boot_sector("a")
            assert first_sector(server.url("pool/b")) == media.boot_sector("b")

    def test_a_guest_boots_from_it_at_a_given_socket(self, images, boot):
        socket = images / "nbd-socket"
        with NbdServer({"pool/volume": media.write_raw(images / "disk", "booted from NBD")}, socket):
            domain = boot(
                f"""<disk type='network'><driver name='qemu' type='raw'/><source protocol='nbd' name='pool/volume'>
                <host transport='unix' socket='{socket}'/></source><target dev='hda'/></disk>"""
            )
            assert serial_console.wait_for_text(domain, "booted from NBD")


class TestServersEnd:
    @pytest.mark.parametrize("server", [CephCluster, IscsiServer, lambda: NbdServer({})], ids=["ceph", "iscsi", "nbd"])
    def test_nothing_is_left_behind(self, server):
        before = left_behind()
        with server():
            assert left_behind() != before
        assert left_behind() == before

    def test_they_end_when_their_test_is_killed(self, images):
        program = images / "test.py"
        program.write_text(
            "import sys\n"
            "from ansible_collections.zstack.kvm.tests.support.servers import IscsiServer\n"
            "with IscsiServer() as server:\n"
            "    print(server.port, flush=True)\n"
            "    sys.stdin.read()\n",
            encoding="utf-8",
        )
        before = server_processes()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(images)}
        test = subprocess.Popen(
            [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert test.stdout is not None
        assert int(test.stdout.readline()) > 0
        assert server_processes() != before
        test.kill()
        test.communicate()
        wait_until(lambda: server_processes() == before, "the servers end with their test")

    def test_a_server_that_cannot_start_says_why(self, images):
        with pytest.raises(ServerError, match="qemu-storage-daemon ended.*No such file"):
            with NbdServer({"pool/volume": images / "missing"}):
                pass

    def test_a_missing_program_is_named_with_its_package(self, monkeypatch):
        monkeypatch.setattr(process.shutil, "which", lambda name, path: None if name == "tgtd" else f"/usr/bin/{name}")
        with pytest.raises(ProgramMissingError, match="tgtd is not installed; on Debian: apt-get install tgt"):
            with IscsiServer():
                pass


def left_behind() -> tuple[list[str], list[str]]:
    """Return the directories and processes that servers have created."""
    return sorted(str(path) for path in Path(tempfile.gettempdir()).glob("zstack-kvm-*")), server_processes()


def server_processes() -> list[str]:
    """Return the command lines of all servers on this hypervisor."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    names = ("ceph-mon", "ceph-osd", "tgtd", "qemu-storage-daemon")
    return sorted(line for line in lines if Path(line.split(" ")[0]).name in names)
