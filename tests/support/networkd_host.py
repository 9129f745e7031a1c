# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a network of its own that a real systemd-networkd manages, in namespaces, without systemd.

It has the uplink eth0, at ADDRESS from a file. The machine at the other end of the cable is a network namespace of the
host; PEER is its address.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .waiting import wait_until

ADDRESS, PEER = "10.77.0.1", "10.77.0.2"
FILES = "/etc/systemd/network"

# With a sysfs that cannot be written, networkd does not wait for udev.
SET_UP = f"""set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/netns /run/systemd {FILES}
mount -t tmpfs tmpfs {FILES}
mount -t sysfs -o ro sysfs /sys
ip netns add peer
ip link set lo up
ip link add eth0 type veth peer name eth0 netns peer
ip -n peer address add {PEER}/24 dev eth0
ip -n peer link set eth0 up
printf '[Match]\\nName=eth0\\n\\n[Network]\\nAddress={ADDRESS}/24\\nLinkLocalAddressing=no\\n' >{FILES}/10-eth0.network
dbus-daemon --system --fork --nopidfile
/lib/systemd/systemd-networkd 2>/run/networkd.log &
echo $! >/run/networkd.pid
"""
_STAY = """touch "$1"
wait
exec sleep infinity
"""
NAMESPACES = ("unshare", "--net", "--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")


class NetworkdHost:
    """A host in namespaces. C(prefix): the command that runs another one in them."""

    def __init__(self, pid: int) -> None:
        self.prefix = ["nsenter", f"--target={pid}", "--net", "--mount", "--pid", "--ipc"]

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program on the host."""
        return subprocess.run([*self.prefix, *argv], check=check, capture_output=True, text=True)

    def in_peer(self, *argv: str) -> list[str]:
        """Return the command that runs a program on the machine at the other end."""
        return [*self.prefix, "ip", "netns", "exec", "peer", *argv]

    def addresses(self, device: str) -> list[str]:
        """Return the IPv4 addresses of a device; none where it doesn't exist."""
        shown = self.run("ip", "-4", "-brief", "address", "show", "dev", device, check=False).stdout
        return shown.split()[2:]

    def ports(self, bridge: str) -> set[str]:
        """Return the devices in a bridge."""
        shown = self.run("ip", "-brief", "link", "show", "master", bridge, check=False).stdout
        return {line.split()[0].partition("@")[0] for line in shown.splitlines()}

    def files(self) -> set[str]:
        """Return the names of networkd's files."""
        return set(self.run("ls", FILES).stdout.split())

    def restart(self, without: Sequence[str]) -> None:
        """Stop networkd, remove devices, and start it, as a boot of the host would."""
        script = "kill $(cat /run/networkd.pid); while kill -0 $(cat /run/networkd.pid); do sleep 0.1; done"
        self.run("sh", "-c", script + " 2>/dev/null")
        self.run("ip", "address", "flush", "dev", "eth0")
        for device in without:
            self.run("ip", "link", "delete", "dev", device)
        script = "/lib/systemd/systemd-networkd >/dev/null 2>/run/networkd.log </dev/null & echo $! >/run/networkd.pid"
        self.run("sh", "-c", script)


@contextmanager
def networkd_host(directory: Path) -> Iterator[NetworkdHost]:
    """Yield a host, whose processes have ended when the block has."""
    ready = directory / "ready"
    command = [*NAMESPACES, "sh", "-c", SET_UP + _STAY, "sh", str(ready)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None, "the namespaces are there")
        assert process.poll() is None, "the namespaces cannot be set up"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        host = NetworkdHost(int(children[0]))
        wait_until(lambda: host.addresses("eth0") == [f"{ADDRESS}/24"], "networkd has configured the uplink")
        yield host
    finally:
        process.kill()
        process.wait()
