# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_prerequisites applied to a host, and the VM that is then started on it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.fresh_host import FreshHost, fresh_host

CHECKOUT = Path(__file__).resolve().parents[2]
PREPARE, START = (str(CHECKOUT / "playbooks" / name) for name in ("prepare_hypervisors.yml", "start_vms.yml"))
VM = "3f0b6c1e-0000-4000-8000-0000000000f5"
OTHER_SETTINGS = {"host_prerequisites_security_driver": "none"}


def changed(printed: str) -> int:
    """Return the number of tasks that changed something."""
    (number,) = re.findall(r"^fresh +: ok=\d+ +changed=(\d+) ", printed, re.MULTILINE)
    return int(number)


@contextmanager
def host_with_disk(files: Path, directory: Path, systemd: bool) -> Iterator[tuple[FreshHost, Path]]:
    """Yield a host with these files, and a disk on it for the VM."""
    with tempfile.TemporaryDirectory(prefix="zstack-kvm-images-", dir="/var/tmp") as images:
        Path(images).chmod(0o755)
        disk = media.write_qcow2(Path(images, "disk.qcow2"), f"I am {VM}")
        with fresh_host(files, directory, systemd, disk.parent) as host:
            yield host, disk


def start_vm(host: FreshHost, disk: Path) -> None:
    """Start the VM, if it does not run yet."""
    vm = {
        "uuid": VM,
        "name": "first",
        "domain_type": "qemu",
        "memory": "64MiB",
        "cpu_num": 1,
        "root_volume": {"install_path": str(disk)},
    }
    host.play(START, zstack_vms=[vm])


def vm_boots(host: FreshHost) -> bool:
    """Return whether the guest prints the VM's UUID."""
    terminal = host.run("virsh", "ttyconsole", VM).strip()
    return f"I am {VM}" in host.run("timeout", "240", "grep", "--max-count=1", "--text", VM, terminal)


def assert_daemon_restarts_with_other_settings(host: FreshHost, daemon: str, **variables: str) -> None:
    """Assert that other QEMU settings restart the daemon, leave the VM running, and change nothing in the next run."""
    settings = {**variables, **OTHER_SETTINGS}
    domain_id, daemon_pid = host.run("virsh", "domid", VM), host.run("cat", f"/run/{daemon}.pid")
    assert changed(host.play(PREPARE, **settings)) > 0
    assert host.run("cat", f"/run/{daemon}.pid") != daemon_pid
    assert host.run("virsh", "domid", VM) == domain_id
    assert changed(host.play(PREPARE, **settings)) == 0
