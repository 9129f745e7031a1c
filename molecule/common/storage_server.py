# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a storage server, with disks that print their location, until it is killed.

Arguments: ceph, iscsi or fusionstor; the file that tells how the server is reached, written when it answers.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._storage.fusionstor import NBD_SOCKET
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.servers import CephCluster, IscsiServer, NbdServer

CHAP = ("zstack", "chap-password")


@contextmanager
def ceph(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield pool vms with the volume root, pool images with the snapshot iso@released."""
    with CephCluster(pools=["vms", "images"]) as cluster:
        cluster.write_image("vms", "root", media.write_raw(directory / "root", "I am a volume in ceph").read_bytes())
        cluster.write_image("vms", "empty", bytes(media.DISK_BYTES))
        cluster.write_image("images", "iso", media.cd_image("I am a CD in ceph"))
        cluster.snapshot("images", "iso", "released")
        yield {"monitors": cluster.monitors, "key": cluster.key}


@contextmanager
def iscsi(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield a target that asks for CHAP, and one that doesn't."""
    with IscsiServer() as server:
        guarded, open_to_all = "iqn.2026-01.example:guarded", "iqn.2026-01.example:open"
        server.add_target(guarded, media.write_raw(directory / "guarded", "I am a volume behind CHAP"), chap=CHAP)
        server.add_target(open_to_all, media.write_raw(directory / "open", "I am a volume for everybody"))
        yield {
            "guarded": server.install_path(guarded),
            "open": server.install_path(open_to_all),
            "chap_username": CHAP[0],
            "chap_password": CHAP[1],
        }


@contextmanager
def fusionstor(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield pool vms with the volume root, pool images with an ISO, behind FusionStor's socket."""
    exports = {
        "vms/root": media.write_raw(directory / "root", "I am a volume in FusionStor"),
        "vms/empty": media.write_raw(directory / "empty", "I am empty"),
        "images/iso": media.write_cd(directory / "iso", "I am a CD in FusionStor"),
    }
    with NbdServer(exports, socket=Path(NBD_SOCKET)):
        yield {}


def main(kind: str, answer: Path) -> None:
    servers = {"ceph": ceph, "iscsi": iscsi, "fusionstor": fusionstor}
    with (
        tempfile.TemporaryDirectory(prefix="zstack-kvm-storage-") as directory,
        servers[kind](Path(directory)) as connection,
    ):
        partial = answer.with_suffix(".partial")
        partial.write_text(json.dumps(connection), encoding="utf-8")
        partial.replace(answer)
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
