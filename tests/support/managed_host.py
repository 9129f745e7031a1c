# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in namespaces, without systemd, whose network a real systemd-networkd or NetworkManager manages.

It has the uplink eth0, at ADDRESS from a file. The machine at the other end of the cable is a network namespace of the
host; PEER is its address.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ansible_collections.zstack.kvm.tests.support.waiting import wait_until
from ansible_collections.zstack.kvm.tools.guest.debian_packages import PackageDirectory

ADDRESS, PEER = "10.77.0.1", "10.77.0.2"
CACHE = Path(__file__).resolve().parent.parent.parent / ".cache" / "network-manager"
NAMESPACES = ("unshare", "--net", "--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")

# With a read-only sysfs, neither program waits for udev.
_SET_UP = f"""set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/netns
mount -t sysfs -o ro sysfs /sys
ip netns add peer
ip link set lo up
ip link add eth0 type veth peer name eth0 netns peer
ip -n peer address add {PEER}/24 dev eth0
ip -n peer link set eth0 up
"""
_STAY = """touch "$1"
wait
exec sleep infinity
"""
# Echoes the lines of a client, which must not notice that the address moves.
_ECHO = f"""import socket
server = socket.create_server(("{ADDRESS}", 7))
print("ready", flush=True)
client = server.accept()[0].makefile("rw")
for line in client:
    client.write(line)
    client.flush()
"""
_CLIENT = f"""import socket, sys
server = socket.create_connection(("{ADDRESS}", 7)).makefile("rw")
for line in sys.stdin:
    server.write(line)
    server.flush()
    print(server.readline(), end="", flush=True)
"""


class Manager(NamedTuple):
    """A program that manages a network. C(files): its configuration's directory; C(state): what no boot keeps."""

    command: str
    files: str
    state: str
    set_up_files: str

    @property
    def start(self) -> str:
        """Return the shell command that starts the program, in the background."""
        return f"{self.command} >/dev/null 2>/run/manager.log </dev/null & echo $! >/run/manager.pid\n"

    @property
    def set_up(self) -> str:
        """Return the script that sets up the host, for a shell in NAMESPACES."""
        return _SET_UP + self.set_up_files + "dbus-daemon --system --fork --nopidfile\n" + self.start


_NETWORKD_FILES = "/etc/systemd/network"
_UPLINK_FILE = f"""[Match]
Name=eth0

[Network]
Address={ADDRESS}/24
LinkLocalAddressing=no
"""
NETWORKD = Manager(
    "/lib/systemd/systemd-networkd",
    _NETWORKD_FILES,
    "/run/systemd/netif",
    f"""mkdir -p /run/systemd {_NETWORKD_FILES}
mount -t tmpfs tmpfs {_NETWORKD_FILES}
cat >{_NETWORKD_FILES}/10-eth0.network <<'END'
{_UPLINK_FILE}END
""",
)
_PROFILES = "/etc/NetworkManager/system-connections"
_UPLINK_PROFILE = f"""[connection]
id=uplink
uuid=11111111-2222-3333-4444-555555555555
type=ethernet
interface-name=eth0

[ipv4]
method=manual
address1={ADDRESS}/24

[ipv6]
method=disabled
"""


def network_manager() -> Manager:
    """Return Debian's NetworkManager, unpacked but not installed, or it would manage this machine's network."""
    tree = _unpacked()
    set_up = f"""for directory in usr etc; do
    mkdir -p /run/changes/$directory /run/work/$directory
    layers=lowerdir={tree}/$directory:/$directory,upperdir=/run/changes/$directory,workdir=/run/work/$directory
    mount -t overlay -o $layers overlay /$directory
done
mount -t tmpfs tmpfs /var/lib
printf '[main]\\nplugins=keyfile\\nauth-polkit=false\\n' >/etc/NetworkManager/NetworkManager.conf
umask 077
mkdir -p {_PROFILES}
cat >{_PROFILES}/uplink.nmconnection <<'END'
{_UPLINK_PROFILE}END
umask 022
"""
    return Manager("NetworkManager --no-daemon", _PROFILES, "/run/NetworkManager", set_up)


def _unpacked() -> Path:
    """Return a tree with the files of NetworkManager, and of its libraries that are not installed."""
    packages, tree = PackageDirectory(CACHE / "packages"), CACHE / "tree"
    if not tree.exists():
        install = ["apt-get", "--simulate", "--no-install-recommends", "install", "network-manager"]
        output = subprocess.run(install, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
        names = [line.split()[1] for line in output.splitlines() if line.startswith("Inst ")]
        packages.download(names)
        partial = CACHE / "tree.partial"
        shutil.rmtree(partial, ignore_errors=True)
        packages.extract(names, partial)
        partial.rename(tree)
    return tree


class ManagedHost:
    """A host in namespaces. C(prefix): the command that runs another one in them."""

    def __init__(self, pid: int, manager: Manager) -> None:
        self.prefix = ["nsenter", f"--target={pid}", "--net", "--mount", "--pid", "--ipc"]
        self.manager = manager

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
        """Return the ports of a bridge."""
        shown = self.run("ip", "-brief", "link", "show", "master", bridge, check=False).stdout
        return {line.split()[0].partition("@")[0] for line in shown.splitlines()}

    def files(self) -> set[str]:
        """Return the names of the configuration files."""
        return set(self.run("ls", self.manager.files).stdout.split())

    def restart(self, without: Sequence[str]) -> None:
        """Stop the program, remove the devices C(without), and start the program, as a reboot of the host would."""
        script = "kill $(cat /run/manager.pid); while kill -0 $(cat /run/manager.pid); do sleep 0.1; done"
        self.run("sh", "-c", script + " 2>/dev/null")
        self.run("rm", "-rf", self.manager.state)
        self.run("ip", "address", "flush", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "nomaster", "down")
        for device in without:
            self.run("ip", "link", "delete", "dev", device)
        self.run("sh", "-c", self.manager.start)


@contextmanager
def managed_host(directory: Path, manager: Manager) -> Iterator[ManagedHost]:
    """Yield a host, and end its processes at the end of the block."""
    ready = directory / "ready"
    command = [*NAMESPACES, "sh", "-c", manager.set_up + _STAY, "sh", str(ready)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None, "the namespaces are set up")
        assert process.poll() is None, "the namespaces cannot be set up"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        host = ManagedHost(int(children[0]), manager)
        wait_until(lambda: host.addresses("eth0") == [f"{ADDRESS}/24"], "the uplink is configured")
        yield host
    finally:
        process.kill()
        process.wait()


class Connection:
    """A connection from the peer to the host. C(client): sends each line of its input, and prints the echo."""

    def __init__(self, client: subprocess.Popen[str]) -> None:
        self._client = client

    def echoed(self, line: str) -> str:
        """Send a line, and return what comes back."""
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write(line + "\n")
        self._client.stdin.flush()
        return self._client.stdout.readline().strip()


@contextmanager
def connected(host: ManagedHost) -> Iterator[Connection]:
    """Yield a connection to ADDRESS."""
    server = _piped([*host.prefix, sys.executable, "-c", _ECHO])
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    client = _piped(host.in_peer(sys.executable, "-c", _CLIENT))
    try:
        yield Connection(client)
    finally:
        for process in (client, server):
            process.kill()
            process.communicate()


def _piped(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
