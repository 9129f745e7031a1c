# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open vSwitch, its database and its switch, where libvirt and ovs-vsctl look for it.

The bridges use the datapath in user space, so that the kernel needs no module: ovs-vswitchd itself forwards what comes
from the taps of VMs. It replaces the hypervisor's own Open vSwitch, so it runs in the laboratory only.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible_collections.zstack.kvm.tests.support import daemon

from .process import Daemon, make_directory, program, run, wait_for

_SOCKET = Path("/var/run/openvswitch/db.sock")
_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class OpenVSwitch:
    """A running Open vSwitch; gone, with its bridges, at the end of the `with` block."""

    def __init__(self) -> None:
        daemon.assert_own()
        for name in ("ovsdb-server", "ovs-vswitchd", "ovsdb-tool", "ovs-vsctl"):
            program(name)
        _SOCKET.parent.mkdir(exist_ok=True)
        self._directory = make_directory("openvswitch")
        self._database = self._directory / "conf.db"
        run("ovsdb-tool", "create", str(self._database), _SCHEMA)
        self.start()

    def start(self) -> None:
        """Start both daemons with the bridges that the database has."""
        # The socket that a killed server has left would be mistaken for the new one's.
        _SOCKET.unlink(missing_ok=True)
        remote = f"--remote=punix:{_SOCKET}"
        self._server = Daemon(self._directory / "server.log", "ovsdb-server", str(self._database), remote)
        wait_for("the socket of ovsdb-server", _SOCKET.exists, self._server)
        run("ovs-vsctl", "--no-wait", "init")
        self._switch = Daemon(self._directory / "switch.log", "ovs-vswitchd", f"unix:{_SOCKET}")

    def stop(self) -> None:
        """Stop both daemons."""
        self._switch.stop()
        self._server.stop()

    def __enter__(self) -> OpenVSwitch:
        return self

    def __exit__(self, *_error: object) -> None:
        for bridge in self.vsctl("list-br").split():
            self.vsctl("del-br", bridge)
        self.stop()
        _SOCKET.unlink(missing_ok=True)
        shutil.rmtree(self._directory)

    def vsctl(self, *arguments: str) -> str:
        """Run ovs-vsctl and return its output."""
        return run("ovs-vsctl", "--timeout=10", *arguments).strip()

    def add_bridge(self, name: str) -> None:
        """Create a bridge, or create it again with none of the ports that it had."""
        self.vsctl(
            "--if-exists", "del-br", name, "--", "add-br", name, "--", "set", "Bridge", name, "datapath_type=netdev"
        )

    def add_port(self, bridge: str, name: str, vlan: int, address: str) -> None:
        """Add an address of the hypervisor in a VLAN of a bridge."""
        self.vsctl("add-port", bridge, name, f"tag={vlan}", "--", "set", "Interface", name, "type=internal")
        run("ip", "address", "add", address, "dev", name)
        run("ip", "link", "set", name, "up")
