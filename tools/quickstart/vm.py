# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VM of the quickstart: its options, its bridge, its console and screen."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
import tty
import uuid
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from . import guest
from .progress import Progress, StepError

BRIDGE = "br_quickstart"
# QEMU's user often can't read files below the checkout, for instance in /root
DISKS = Path("/var/lib/libvirt/images/zstack-kvm-quickstart")
CHANNELS = Path("/var/lib/libvirt/qemu/zstack-kvm-quickstart")
SEEDS = Path("/var/lib/zstack-kvm/seeds")
BOOT_SECONDS = 240


class QuickstartVm:
    """A VM whose UUID comes from the checkout's path, so that every checkout has its own VM and finds it again."""

    name = "quickstart"

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.directory = checkout / ".cache/quickstart"
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_URL, checkout.as_uri()))
        self.picture = self.directory / "screen.png"
        self.disk = DISKS / f"{self.uuid}.qcow2"
        self.channel = CHANNELS / self.uuid / "guest_agent.sock"

    def prepare(self, progress: Progress) -> None:
        """Create what must exist before the VM: the directory of its disk, and the bridge."""
        self.disk.parent.mkdir(parents=True, exist_ok=True)
        if not Path(f"/sys/class/net/{BRIDGE}").exists():
            hint = "Creating a bridge needs root's network privileges; in a container, the capability NET_ADMIN."
            progress.run(["ip", "link", "add", BRIDGE, "type", "bridge"], hint=hint, seconds=20)
        progress.run(["ip", "link", "set", BRIDGE, "up"], hint="Look at: ip link", seconds=20)

    def options(self) -> dict[str, Any]:
        """Return the options of the module: a disk created from an image, and a seed that names the guest."""
        return {
            "uuid": self.uuid,
            "name": self.name,
            "memory": "128MiB",
            "cpu_num": 1,
            "use_boot_menu": False,
            "root_volume": {
                "install_path": str(self.disk),
                "create": {"image": str(guest.directory(self.checkout) / "disk.qcow2"), "size": "64MiB"},
            },
            "nics": [{"bridge_name": BRIDGE}],
            "channels": [{"socket_path": str(self.channel), "target_name": "org.qemu.guest_agent.0"}],
            "cloud_init": {"meta_data": {"local-hostname": self.name}},
            "timeout": 300,
        }

    def seeds(self) -> list[Path]:
        """Return the files with the content for cloud-init."""
        return sorted(SEEDS.glob(f"{uuid.UUID(self.uuid).hex}.*"))

    def wait_until_booted(self) -> str:
        """Read the serial console until the guest says that it is up, and return what it says."""
        path = self._virsh("ttyconsole", self.uuid).strip()
        terminal = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            tty.setraw(terminal)
            return _read_ready_line(terminal)
        finally:
            os.close(terminal)

    def take_picture(self) -> None:
        """Take a screenshot. The guest writes on its screen before it says that it is up."""
        self._virsh("screenshot", self.uuid, str(self.picture))
        if not self.picture.read_bytes().startswith(b"\x89PNG"):
            raise StepError(f"libvirt returned a screenshot that is not a PNG: {self.picture}")

    def state(self) -> str:
        return self._virsh("domstate", self.uuid).strip()

    def console(self) -> str:
        """Return the console's address as type://host:port."""
        graphics = ElementTree.fromstring(self._virsh("dumpxml", self.uuid)).find("devices/graphics")
        if graphics is None:
            raise StepError(f"The VM {self.uuid} has no console.")
        return f"{graphics.get('type')}://{graphics.get('listen')}:{graphics.get('port')}"

    def exists(self) -> bool:
        """Return whether libvirt knows the VM; a machine without libvirt doesn't."""
        if shutil.which("virsh") is None:
            return False
        return self.uuid in self._virsh("list", "--all", "--uuid").split()

    def remove(self) -> None:
        """Stop the VM and remove it from libvirt."""
        if self.uuid in self._virsh("list", "--uuid").split():
            self._virsh("destroy", self.uuid)
        if self.exists():
            self._virsh("undefine", self.uuid)

    def _virsh(self, *arguments: str) -> str:
        command = ["virsh", "--quiet", "--connect", "qemu:///system", *arguments]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        if done.returncode != 0:
            raise StepError(
                f"{' '.join(command)}\n    {done.stderr.strip()}\n\nIs libvirt running? ./quickstart starts it."
            )
        return done.stdout


def _read_ready_line(terminal: int) -> str:
    output = ""
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        # A guest that is up answers an empty line at once
        if not select.select([terminal], [], [], 2)[0]:
            print(".", end="", flush=True)
            os.write(terminal, b"\n")
            continue
        try:
            output += os.read(terminal, 4096).decode("utf-8", errors="replace")
        except OSError:
            # QEMU hasn't opened its end yet, or has ended
            time.sleep(0.5)
        for line in output.splitlines(keepends=True):
            if line.startswith('@guest {"kind":"ready"') and line.endswith("\n"):
                return line.strip()
    raise StepError(
        f"The guest didn't boot within {BOOT_SECONDS} s. The last output of its serial console:\n{output[-1000:]}\n"
        "A loaded machine may need longer: run ./quickstart again."
    )
