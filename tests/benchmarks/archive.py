# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive in which Ansible sends a module: its files and bytes, and the CPU seconds for building it.

python -m tests.benchmarks.archive MODULE... prints them. ANSIBLE_COLLECTIONS_PATH must be set.
"""

from __future__ import annotations

import base64
import inspect
import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile

from ..run.checkout import Checkout

MODULES = ("ansible.builtin.ping", "zstack.kvm.zstack_vm_start")


def archives(checkout: Checkout) -> dict[str, dict[str, float]]:
    """Return files, bytes and seconds of the modules' archives."""
    environment = checkout.environment(ANSIBLE_COLLECTIONS_PATH=str(checkout.collections))
    command = [checkout.program("python"), "-m", "tests.benchmarks.archive"]
    done = subprocess.run(
        [*command, *MODULES], cwd=checkout.root, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def _archive(name: str) -> dict[str, float]:
    """Return files, bytes and seconds of an archive as ansible-core builds it, compressed."""
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
    content = base64.b64decode(max(re.findall(rb"[A-Za-z0-9+/=]{1000,}", payload), key=len))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {"files": len(archive.namelist()), "bytes": len(content), "cpu_seconds": seconds}


if __name__ == "__main__":
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader(os.environ["ANSIBLE_COLLECTIONS_PATH"].split(os.pathsep))
    print(json.dumps({name: _archive(name) for name in sys.argv[1:]}))
