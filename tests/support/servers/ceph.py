# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ceph cluster of one monitor and one OSD that keeps its objects in memory, up within two seconds."""

from __future__ import annotations

import importlib
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

from .process import Daemon, ProgramMissingError, ServerError, free_port, make_directory, package_of, run, wait_for

USER = "zstack"
_CONNECT_SECONDS = 120

# The first half is a cluster of one; the second makes it quick to start, at the expense of everything that a larger
# cluster needs.
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = {monitor_addresses}
mon initial members = a
public addr = {address}
cluster addr = {address}
ms bind ipv4 = {ipv4}
ms bind ipv6 = {ipv6}
auth cluster required = {auth}
auth service required = {auth}
auth client required = {auth}
keyring = {directory}/keyring
run dir = {directory}
pid file = {directory}/$name.pid
admin socket = {directory}/$name.$pid.asok
log file = {directory}/$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon data avail crit = 1
mon data avail warn = 1

paxos propose interval = 0.05
paxos min wait = 0.01
osd heartbeat interval = 2
osd op num shards = 1
rbd default features = 1
[mon.a]
mon data = {directory}/mon
[osd.0]
osd data = {directory}/osd
osd class dir = {classes}
osd objectstore = memstore
memstore device bytes = 1073741824
"""

_KEYRING = """\
[mon.]
    key = {monitor}
    caps mon = "allow *"
[client.admin]
    key = {admin}
    caps mon = "allow *"
    caps osd = "allow *"
    caps mgr = "allow *"
[client.{user}]
    key = {zstack}
    caps mon = "profile rbd"
    caps osd = "profile rbd"
[osd.0]
    key = {osd}
    caps mon = "allow profile osd"
    caps mgr = "allow profile osd"
    caps osd = "allow *"
"""


class CephCluster:
    """A cluster with the user client.zstack; pools, images and snapshots are created while it runs."""

    def __init__(self, address: str = "127.0.0.1", pools: Sequence[str] = ("pool",), cephx: bool = True) -> None:
        self.address = address
        self.port = 0
        self.key = ""
        self.wrong_key = ""
        self.cephx = cephx
        self._pools = tuple(pools)
        self._cleanup = ExitStack()
        self._directory = Path()
        self.monitor: Optional[Daemon] = None

    def __enter__(self) -> CephCluster:
        with ExitStack() as cleanup:
            self._directory = make_directory("ceph")
            cleanup.callback(shutil.rmtree, self._directory)
            self._start(cleanup)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._cleanup.close()

    @property
    def configuration(self) -> Path:
        """Return its ceph.conf."""
        return self._directory / "ceph.conf"

    @property
    def monitors(self) -> list[dict[str, Any]]:
        """Return its monitors as StartVmCmd's monInfo lists them."""
        return [{"hostname": self.address, "port": self.port}]

    def _start(self, cleanup: ExitStack) -> None:
        fsid, osd_uuid = str(uuid.uuid4()), str(uuid.uuid4())
        monitor_addresses = self._write_configuration(fsid)
        configuration, keyring = str(self.configuration), str(self._directory / "keyring")
        monitor_map = str(self._directory / "monmap")
        run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", monitor_addresses, monitor_map)
        run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitor_map, "--keyring", keyring, "-c", configuration)
        self.monitor = Daemon(self._directory / "mon.out", "ceph-mon", "-f", "-i", "a", "-c", configuration)
        cleanup.callback(self.monitor.stop)
        with self._connected("admin") as cluster:
            _command_monitor(cluster, "osd new", uuid=osd_uuid, id=0)
            _command_monitor(cluster, "osd crush add", id=0, weight=1.0, args=["root=default", "host=one"])
            (self._directory / "osd").mkdir()
            run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_uuid, "-c", configuration)
            osd = Daemon(self._directory / "osd.out", "ceph-osd", "-f", "-i", "0", "-c", configuration)
            cleanup.callback(osd.stop)
            # A client that connects before the OSD is up looks for it again only after five seconds.
            wait_for("Ceph's OSD", lambda: _osd_is_up(cluster), osd)
        for pool in self._pools:
            self.create_pool(pool)

    def _write_configuration(self, fsid: str) -> str:
        first_port, self.port = free_port(self.address), free_port(self.address)
        host = f"[{self.address}]" if ":" in self.address else self.address
        monitor_addresses = f"[v2:{host}:{first_port},v1:{host}:{self.port}]"
        (self._directory / "mon").mkdir()
        self.configuration.write_text(
            _CONFIGURATION.format(
                fsid=fsid,
                monitor_addresses=monitor_addresses,
                address=self.address,
                ipv4=str(":" not in self.address).lower(),
                ipv6=str(":" in self.address).lower(),
                auth="cephx" if self.cephx else "none",
                directory=self._directory,
                # Debian 13's ceph resolves its own default against the working directory.
                classes=next(Path("/usr/lib").glob("*/rados-classes")),
            ),
            encoding="utf-8",
        )
        keys = {
            name: run("ceph-authtool", "--gen-print-key").strip() for name in ("monitor", "admin", USER, "osd", "none")
        }
        self.key, self.wrong_key = keys[USER], keys["none"]
        keyring = self._directory / "keyring"
        keyring.touch(mode=0o600)
        keyring.write_text(_KEYRING.format(user=USER, **keys), encoding="utf-8")
        return monitor_addresses

    @contextmanager
    def _connected(self, user: str) -> Iterator[Any]:
        assert self.monitor is not None
        rados = _module("rados")
        cluster = rados.Rados(conffile=str(self.configuration), name=f"client.{user}")
        try:
            cluster.connect(timeout=_CONNECT_SECONDS)
            yield cluster
        except rados.Error as error:
            self.monitor.check()
            raise ServerError(f"Ceph: {error}") from error
        finally:
            cluster.shutdown()

    @contextmanager
    def _pool(self, name: str) -> Iterator[Any]:
        with self._connected("admin") as cluster, cluster.open_ioctx(name) as pool:
            yield pool

    def create_pool(self, name: str) -> None:
        """Create a pool for images."""
        with self._connected("admin") as cluster:
            _command_monitor(cluster, "osd pool create", pool=name, pg_num=8, pgp_num=8)
            _command_monitor(cluster, "osd pool application enable", pool=name, app="rbd")

    def write_image(self, pool: str, image: str, content: bytes) -> None:
        """Create an image of these bytes, padded to whole MiB."""
        rbd = _module("rbd", "rbd.py")
        size = -(-len(content) // 2**20) * 2**20
        with self._pool(pool) as opened:
            rbd.RBD().create(opened, image, size)
            with rbd.Image(opened, image) as writable:
                writable.write(content, 0)

    def snapshot(self, pool: str, image: str, name: str) -> None:
        """Create a protected snapshot of an image, as ZStack does for its templates and ISOs."""
        rbd = _module("rbd", "rbd.py")
        with self._pool(pool) as opened, rbd.Image(opened, image) as source:
            source.create_snap(name)
            source.protect_snap(name)

    def images(self, pool: str) -> set[str]:
        """Return the names of the images in a pool."""
        rbd = _module("rbd", "rbd.py")
        with self._pool(pool) as opened:
            return set(rbd.RBD().list(opened))

    def parent(self, pool: str, image: str) -> Optional[str]:
        """Return the snapshot that an image is a clone of, or None if it is no clone."""
        rbd = _module("rbd", "rbd.py")
        with self._pool(pool) as opened, rbd.Image(opened, image) as clone:
            try:
                return "%s/%s@%s" % clone.parent_info()
            except rbd.ImageNotFound:
                return None

    def url(self, pool: str, image: str, key_file: Optional[Path] = None) -> str:
        """Return the URL of an image for QEMU's programs, with client.zstack's key or the one in a file."""
        key = f":keyring={self._directory}/keyring" if key_file is None else f":keyring={key_file}"
        return f"rbd:{pool}/{image}:id={USER}:conf={self.configuration}{key}"


def _module(name: str, listed_as: Optional[str] = None) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = package_of(listed_as or name)
        raise ProgramMissingError(
            f"Python module {name} is not installed; on Debian: apt-get install {package}"
        ) from error


def _command_monitor(cluster: Any, prefix: str, **arguments: Any) -> bytes:
    status, output, message = cluster.mon_command(json.dumps({"prefix": prefix, **arguments}), b"")
    if status:
        raise ServerError(f"ceph {prefix}: {message or status}")
    return output


def _osd_is_up(cluster: Any) -> bool:
    return json.loads(_command_monitor(cluster, "osd stat", format="json"))["num_up_osds"] == 1
