# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive in which Ansible sends a module: its files and bytes, and the CPU seconds for building it.

python -m tests.benchmarks.archive DIRECTORY writes those of MODULES to the directory, and prints their CPU seconds.
ANSIBLE_COLLECTIONS_PATH must be set.
"""

from __future__ import annotations

import base64
import inspect
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..run.checkout import Checkout

OURS = "zstack.kvm.zstack_vm_start"
MODULES = ("ansible.builtin.ping", OURS)
ANSIBLE = "Ansible's part of every module"


@dataclass
class Part:
    """A part of an archive, whose bytes are compressed."""

    files: int = 0
    bytes: int = 0


@dataclass
class Archive:
    """An archive: its bytes as a file, and its parts."""

    files: int
    bytes: int
    cpu_seconds: float
    parts: dict[str, Part] = field(default_factory=dict)


def archives(checkout: Checkout, directory: Path) -> dict[str, Archive]:
    """Write the archives of MODULES into the directory, and describe them."""
    environment = checkout.environment(ANSIBLE_COLLECTIONS_PATH=str(checkout.collections))
    command = [checkout.program("python"), "-m", "tests.benchmarks.archive", str(directory)]
    done = subprocess.run(command, cwd=checkout.root, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seconds: dict[str, float] = json.loads(done.stdout)
    return {name: _described(path_of(directory, name), seconds[name]) for name in MODULES}


def path_of(directory: Path, module: str) -> Path:
    """Return the path of the archive in a directory of archives."""
    return directory / f"{module}.zip"


def _described(path: Path, cpu_seconds: float) -> Archive:
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, entry.compress_size) for entry in archive.infolist()]
    return Archive(len(entries), path.stat().st_size, cpu_seconds, parts_of(entries))


def parts_of(entries: Sequence[tuple[str, int]]) -> dict[str, Part]:
    """Return the parts of an archive that has these files, with their compressed bytes."""
    parts: dict[str, Part] = {}
    for name, size in sorted(entries, key=lambda entry: _part(entry[0])):
        part = parts.setdefault(_part(name), Part())
        part.files += 1
        part.bytes += size
    return parts


def _part(name: str) -> str:
    package = re.match(r"ansible_collections/zstack/kvm/plugins/module_utils/(_\w+)/", name)
    if package:
        return package[1]
    return ANSIBLE if name.startswith("ansible/") else "the module itself, and what modules share"


def build(name: str) -> tuple[bytes, float]:
    """Return an archive as ansible-core builds it, compressed, and the CPU seconds for it."""
    from ansible.executor import module_common
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import module_loader
    from ansible.template import Templar

    path = module_loader.find_plugin(name)
    arguments = {
        "module_name": name,
        "module_path": path,
        "module_args": {},
        "templar": Templar(DataLoader()),
        "task_vars": {"ansible_python_interpreter": sys.executable},
        "module_compression": "ZIP_DEFLATED",
    }
    known = inspect.signature(module_common.modify_module).parameters
    begun = time.process_time()
    built = module_common.modify_module(**{name: value for name, value in arguments.items() if name in known})
    seconds = time.process_time() - begun
    # A tuple until ansible-core 2.18.
    payload = built[0] if isinstance(built, tuple) else built.b_module_data
    # The archive is by far the longest text in base64.
    return base64.b64decode(max(re.findall(rb"[A-Za-z0-9+/=]{1000,}", payload), key=len)), seconds


if __name__ == "__main__":
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader(os.environ["ANSIBLE_COLLECTIONS_PATH"].split(os.pathsep))
    taken = {}
    for module in MODULES:
        content, taken[module] = build(module)
        path_of(Path(sys.argv[1]), module).write_bytes(content)
    print(json.dumps(taken))
