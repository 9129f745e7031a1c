# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laboratory hypervisors for benchmarks, which Ansible reaches over ssh."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.lab.laboratory import ssh
from tools.lab.laboratory.hypervisor import load_all

from ..run.checkout import Checkout
from .hypervisors import ONE, Hypervisors, run


@contextmanager
def laboratory(checkout: Checkout, hosts: int) -> Iterator[tuple[Hypervisors, Hypervisors]]:
    """Yield one hypervisor, and all of them."""
    digest = hashlib.sha256(str(checkout.root).encode()).hexdigest()[:8]
    lab, data = Path(f"/var/lib/zstack-kvm-benchmarks-{digest}"), Path(f"/var/lib/zstack-kvm-benchmarks-{digest}-data")
    program, own = str(checkout.root / "tools" / "lab" / "lab"), ["--dir", str(lab)]
    data.mkdir(parents=True, exist_ok=True)
    _link_ansible(checkout, data)
    environment = checkout.environment()
    run([[program, "down", *own]], environment)  # what an earlier run may have left when it was killed
    try:
        stand_ins = str(checkout.root / "tests" / "support" / "path")
        more = ["--network", "free", "--bind", str(data), "--path-first", stand_ins]
        run([[program, "up", *own, "--hosts", str(hosts), *more]], environment)
        inside = [program, "exec", *own, ONE, "--"]
        over_ssh = {each.name: ssh.command(each) for each in load_all(lab)}
        inventory = ["-i", str(lab / "inventory.yml")]
        yield (
            Hypervisors(checkout, data / "one", {ONE: inside}, [*inventory, "--limit", ONE]),
            Hypervisors(checkout, data / "fleet", over_ssh, [*inventory, "--forks", str(hosts)]),
        )
    finally:
        run([[program, "down", *own]], environment)
        shutil.rmtree(data)


def _link_ansible(checkout: Checkout, data: Path) -> None:
    """Link what the target's Python lacks to run code of the collection outside of a module."""
    link = data / "python" / "ansible"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(next(checkout.venv.glob("lib/python3*/site-packages/ansible")))
