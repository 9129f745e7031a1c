# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook start_vms for many hypervisors, which are simulated: what it costs on the controller.

All hosts are the controller itself (connection local). A stand-in for the module sends and runs a module that does
nothing, and reports that all VMs run as described. The playbook is compared with a task that does nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..run.checkout import Checkout
from .hypervisors import HERE, Failed
from .sizes import Sizes
from .vms import write_json

PLAYBOOK = "playbook start_vms"
PING = "a task that does nothing"


@dataclass(frozen=True)
class Cost:
    """The medians of several runs: wall-clock seconds, CPU seconds, and the peak memory of a process, in KiB."""

    what: str
    hosts: int
    seconds: float
    cpu_seconds: float
    memory_kib: int


def simulated(checkout: Checkout, directory: Path, sizes: Sizes) -> list[Cost]:
    """Return what the playbook and the task cost, for each number of hosts."""
    directory.mkdir(parents=True, exist_ok=True)
    environment = checkout.environment(ANSIBLE_COLLECTIONS_PATH=str(_write_collection(checkout, directory)))
    return [cost for hosts in sizes.simulated_hosts for cost in _costs(checkout, directory, environment, hosts, sizes)]


def _costs(
    checkout: Checkout, directory: Path, environment: dict[str, str], hosts: int, sizes: Sizes
) -> Iterator[Cost]:
    inventory = _write_inventory(directory, hosts, sizes.vms_of_a_simulated_host)
    playbooks = {
        PLAYBOOK: checkout.root / "playbooks" / "start_vms.yml",
        PING: _write_ping(directory),
    }
    program = checkout.program("ansible-playbook")
    found: dict[str, list[Cost]] = {name: [] for name in playbooks}
    for _round in range(sizes.repetitions):
        for name, playbook in playbooks.items():
            if found[name] and found[name][0].seconds >= sizes.long:
                continue
            command = [program, "-i", str(inventory), str(playbook), "-e", "ansible_become=false"]
            found[name].append(_measured(name, hosts, command, environment, directory / "output"))
            if name == PLAYBOOK:
                _check_table(directory / "output", hosts * sizes.vms_of_a_simulated_host)
    for cost in map(_median, found.values()):
        print(f"  simulated    {cost.what:28} {cost.hosts:3} hosts {cost.seconds:8.2f} s", flush=True)
        yield cost


def _write_ping(directory: Path) -> Path:
    tasks = [{"name": "Nothing", "ansible.builtin.ping": {}}]
    return write_json(directory / "ping.json", [{"hosts": "all", "gather_facts": False, "tasks": tasks}])


def _write_inventory(directory: Path, count: int, vms: int) -> Path:
    hosts = {f"hv{number}": {"ansible_connection": "local", "zstack_vms": _vms(number, vms)} for number in range(count)}
    return write_json(directory / "simulated-inventory.json", {"all": {"children": {"hypervisors": {"hosts": hosts}}}})


def _vms(host: int, count: int) -> list[dict[str, object]]:
    return [
        {
            "uuid": f"{host:08x}-0000-4000-8000-{number:012x}",
            "name": f"benchmark {host} {number}",
            "memory": "1GiB",
            "cpu_num": 1,
            "root_volume": {"install_path": f"/vms/{host}/{number}-root.raw", "format": "raw"},
            "data_volumes": [{"install_path": f"/vms/{host}/{number}-data.raw", "format": "raw"}],
            "nics": [{"bridge_name": "br_eth0"}],
        }
        for number in range(count)
    ]


def _write_collection(checkout: Checkout, directory: Path) -> Path:
    """Write a collection that is this one, except for the stand-in."""
    # Links of an earlier run may lead into the checkout
    shutil.rmtree(directory / "simulated", ignore_errors=True)
    collection = directory / "simulated" / "ansible_collections" / "zstack" / "kvm"
    (collection / "plugins" / "action").mkdir(parents=True)
    links = {collection / name: checkout.root / name for name in ("galaxy.yml", "meta", "playbooks")}
    for part in (checkout.root / "plugins").iterdir():
        links[collection / "plugins" / part.name] = part
    actions = links.pop(collection / "plugins" / "action")
    for action in (*actions.glob("*.py"), *(HERE / "stand_ins").glob("*.py")):
        links[collection / "plugins" / "action" / action.name] = action
    for link, target in links.items():
        link.symlink_to(target)
    return directory / "simulated"


def _measured(what: str, hosts: int, command: Sequence[str], environment: dict[str, str], output: Path) -> Cost:
    begun = time.perf_counter()
    with output.open("w+", encoding="utf-8") as stream:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            stream.seek(0)
            raise Failed(f"{' '.join(command)}\nended with {process.returncode}:\n{stream.read()}")
    return Cost(what, hosts, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def _check_table(output: Path, vms: int) -> None:
    shown = re.findall(r'^ +"hv\d+ +benchmark .* running +vnc\S+ +no +no"', output.read_text("utf-8"), re.MULTILINE)
    if len(shown) != vms:
        raise Failed(f"the playbook shows {len(shown)} VMs that run unchanged instead of {vms}: see {output}")


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        costs[0].what,
        costs[0].hosts,
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.cpu_seconds for cost in costs),
        int(statistics.median(cost.memory_kib for cost in costs)),
    )
