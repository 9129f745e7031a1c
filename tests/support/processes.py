# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The QEMU processes of VMs, and a QEMU that is slow to start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def qemus_of(uuid: str) -> list[int]:
    """Return the processes of a VM's QEMU."""
    argument = b"guest=" + uuid.replace("-", "").encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if argument in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def slow_to_start(vm: dict[str, Any], seconds: int = 20) -> dict[str, Any]:
    """Return the VM with a QEMU that answers libvirt only after so many seconds."""
    wrapper = Path(vm["root_volume"]["install_path"]).parent / f"starts-in-{seconds}-seconds"
    if not wrapper.exists():
        fifo = wrapper.with_name(f"{wrapper.name}.fifo")
        os.mkfifo(fifo)
        fifo.chmod(0o666)
        wrapper.write_text(
            "#!/bin/bash\n"
            # bash itself has to wait: another process would keep QEMU's inherited file descriptors open.
            f'case "$*" in *guest=*) read -t {seconds} <>{fifo};; esac\n'
            'exec /usr/bin/qemu-system-x86_64 "$@"\n'
        )
        wrapper.chmod(0o755)
    return {**vm, "emulator": str(wrapper)}
