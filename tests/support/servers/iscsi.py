# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An iSCSI server (tgt) on the IPv4 and IPv6 loopback addresses, with and without CHAP."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Optional
from urllib.parse import quote

from .process import Daemon, ServerError, free_port, make_directory, run, wait_for


class IscsiServer:
    """A tgtd of its own; targets are added while it runs."""

    def __init__(self, addresses: Sequence[str] = ("127.0.0.1", "::1")) -> None:
        self.addresses = tuple(addresses)
        self.port = 0
        self._targets: dict[str, int] = {}
        self._environment: dict[str, str] = {}
        self._cleanup = ExitStack()

    def __enter__(self) -> IscsiServer:
        with ExitStack() as cleanup:
            directory = make_directory("iscsi")
            cleanup.callback(shutil.rmtree, directory)
            self._environment = {**os.environ, "TGT_IPC_SOCKET": str(directory / "socket")}
            self.port = free_port(self.addresses[0])
            portals = ",".join(f"portal={self.host(address)}:{self.port}" for address in self.addresses)
            daemon = Daemon(directory / "log", "tgtd", "-f", "--iscsi", portals, env=self._environment)
            cleanup.callback(daemon.stop)
            wait_for("tgtd", self._answers, daemon)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._cleanup.close()

    @staticmethod
    def host(address: str) -> str:
        """Return an address as it is written before a port."""
        return f"[{address}]" if ":" in address else address

    def _answers(self) -> bool:
        try:
            self._administer("sys", "show")
        except ServerError:
            return False
        return True

    def _administer(self, mode: str, operation: str, *arguments: str) -> str:
        return run("tgtadm", "--lld", "iscsi", "--mode", mode, "--op", operation, *arguments, env=self._environment)

    def add_target(self, iqn: str, *luns: Path, chap: Optional[tuple[str, str]] = None) -> None:
        """Offer files as LUN 1, 2 and so on of a target; `chap` is the user and the password that it requires."""
        number = str(len(self._targets) + 1)
        self._administer("target", "new", "--tid", number, "--targetname", iqn)
        self._targets[iqn] = int(number)
        for lun, path in enumerate(luns, start=1):
            self._administer("logicalunit", "new", "--tid", number, "--lun", str(lun), "--backing-store", str(path))
        if chap:
            user, password = chap
            self._administer("account", "new", "--user", user, "--password", password)
            self._administer("account", "bind", "--tid", number, "--user", user)
        self._administer("target", "bind", "--tid", number, "--initiator-address", "ALL")

    def sessions(self, iqn: str) -> int:
        """Return the number of initiators that are logged in to a target."""
        shown = self._administer("conn", "show", "--tid", str(self._targets[iqn]))
        return shown.count("Session:")

    def install_path(self, iqn: str, lun: int = 1, address: Optional[str] = None) -> str:
        """Return a LUN as StartVmCmd's installPath names it."""
        return f"iscsi://{self.host(address or self.addresses[0])}:{self.port}/{iqn}/{lun}"

    def url(self, iqn: str, lun: int = 1, address: Optional[str] = None, chap: Optional[tuple[str, str]] = None) -> str:
        """Return the URL of a LUN for QEMU's programs."""
        login = f"{quote(chap[0])}%{chap[1]}@" if chap else ""
        return f"iscsi://{login}{self.host(address or self.addresses[0])}:{self.port}/{iqn}/{lun}"
