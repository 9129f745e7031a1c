# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's daemons of a hypervisor: libvirtd, or the modular ones if the system has no libvirtd.

Runs inside the hypervisor.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .programs import SYSTEM_PATH, path_of

_MONOLITHIC = ("libvirtd",)
# The last one listens on libvirtd's socket: once it exists, all are ready.
_MODULAR = (
    "virtnodedevd",
    "virtnwfilterd",
    "virtsecretd",
    "virtstoraged",
    "virtnetworkd",
    "virtqemud",
    "virtproxyd",
)


def start(uuid: str) -> None:
    """Start the daemons with this UUID of the host."""
    names = _MONOLITHIC if shutil.which("libvirtd", path=SYSTEM_PATH) else _MODULAR
    for name in names:
        _set_host_uuid(Path(f"/etc/libvirt/{name}.conf"), uuid)
    for name in ("virtlogd", *names):
        subprocess.run([path_of(name), "-d"], check=True)


def _set_host_uuid(configuration: Path, uuid: str) -> None:
    lines = configuration.read_text(encoding="utf-8").splitlines() if configuration.exists() else []
    kept = [line for line in lines if not line.startswith("host_uuid")]
    configuration.write_text("\n".join([*kept, f'host_uuid = "{uuid}"', ""]), encoding="utf-8")
