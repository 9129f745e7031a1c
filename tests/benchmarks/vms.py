# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs that are started: 16 MiB, two volumes and a NIC each, and a guest that halts at once and for good."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Vm = Mapping[str, Any]

# All interrupts are masked, or the BIOS timer would wake even a halted CPU: cli; 0xff to both PICs; hlt; jmp back.
_HALT = bytes.fromhex("fa b0ff e621 e6a1 f4 ebfd")
_BOOT_SECTOR = _HALT.ljust(510, b"\0") + b"\x55\xaa"
# SeaBIOS boots from no disk that is much smaller.
_VOLUME_BYTES = 1 << 20


def create_vms(directory: Path, kind: int, count: int) -> list[Vm]:
    """Describe VMs and create their volumes. Each `kind` has VMs of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    return [_create_vm(directory, kind, number) for number in range(count)]


def _create_vm(directory: Path, kind: int, number: int) -> Vm:
    paths = [directory / f"{kind}-{number}-{name}.raw" for name in ("root", "data")]
    for path, content in zip(paths, (_BOOT_SECTOR, b"")):
        path.write_bytes(content)
        os.truncate(path, _VOLUME_BYTES)
        path.chmod(0o666)
    root, data = ({"install_path": str(path), "format": "raw"} for path in paths)
    return {
        "uuid": f"be9c0000-0000-4000-8{kind:03d}-{number:012d}",
        "name": f"benchmark {kind} {number}",
        "memory": "16MiB",
        "cpu_num": 1,
        # Without it, a QEMU gets next to nothing of a CPU that others use.
        "cpu_speed": 1024,
        "domain_type": "qemu",
        # With the menu, each BIOS would wait for a key.
        "use_boot_menu": False,
        "root_volume": root,
        "data_volumes": [data],
        "nics": [{"bridge_name": "br_eth0"}],
    }


def create_clones(directory: Path, kind: int, count: int) -> list[Vm]:
    """Describe VMs whose root volumes are linked clones of one image, which is created; the clones are not."""
    image = directory / f"{kind}-image.qcow2"
    vms = create_vms(directory, kind, count)
    raw = vms[0]["root_volume"]["install_path"]
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    image.chmod(0o644)
    create = {"image": str(image), "linked": True}
    clones = [str(directory / f"{kind}-{number}-clone.qcow2") for number in range(count)]
    return [{**vm, "root_volume": {"install_path": path, "create": create}} for vm, path in zip(vms, clones)]


def write_json(path: Path, value: Any) -> Path:
    """Write what a contender reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def read_json(path: Path) -> Any:
    """Read what a script has written."""
    return json.loads(path.read_text(encoding="utf-8"))


def names(vms: Sequence[Vm]) -> list[str]:
    """Return the names of the VMs in libvirt."""
    return [vm["uuid"].replace("-", "") for vm in vms]
