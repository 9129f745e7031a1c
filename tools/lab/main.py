# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A laboratory of hypervisors on one machine, reached over ssh as an Ansible inventory."""

from __future__ import annotations

import argparse
import fcntl
import ipaddress
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from laboratory import boot, cgroups, inventory, network, programs, ssh
from laboratory.errors import LabError
from laboratory.hypervisor import Hypervisor, Settings, capabilities, load, load_all

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def up(arguments: argparse.Namespace) -> None:
    """Start the hypervisors that are not running yet, and wait until they answer."""
    programs.require(arguments.install)
    begun = time.monotonic()
    laboratory = arguments.dir
    last = arguments.first + arguments.hosts - 1
    if not 1 <= arguments.first <= last <= network.LAST_NUMBER:
        raise LabError(f"hypervisors are numbered 1 to {network.LAST_NUMBER}: hv{arguments.first} to hv{last} can't be")
    laboratory.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _alone(laboratory):
        _start(arguments, last, begun)


def _start(arguments: argparse.Namespace, last: int, begun: float) -> None:
    laboratory = arguments.dir
    ssh.create_access_key(laboratory)
    existing = {hypervisor.number: hypervisor for hypervisor in load_all(laboratory)}
    numbers = [n for n in range(arguments.first, last + 1) if n not in existing or not existing[n].pid()]
    for number in existing.keys() & numbers:
        # It ended without `lab down`, for instance with the machine.
        existing[number].stop()
    started = []
    try:
        with network.alone():
            net = arguments.network or next((other.network for other in existing.values()), None) or network.free()
            for number in numbers:
                hypervisor = _hypervisor(arguments, number, net)
                started.append(hypervisor)
                print(f"{hypervisor.name}: starting at {hypervisor.address}", flush=True)
                boot.start(hypervisor)
        inventory.path(laboratory).write_text(inventory.text(laboratory), encoding="utf-8")
        for hypervisor in started:
            boot.wait_until_ready(hypervisor, arguments.timeout)
            print(f"{hypervisor.name}: ready, {time.monotonic() - begun:.1f} s", flush=True)
    except (LabError, OSError, subprocess.CalledProcessError, KeyboardInterrupt):
        print("Not all came up: removing those that were started.", file=sys.stderr, flush=True)
        _remove([hypervisor for hypervisor in started if hypervisor.directory.exists()], laboratory)
        raise
    print(f"The laboratory is up: {_names(load_all(laboratory))}. Inventory: {inventory.path(laboratory)}")


def _names(hypervisors: list[Hypervisor]) -> str:
    return ", ".join(hypervisor.name for hypervisor in hypervisors) or "none"


@contextmanager
def _alone(laboratory: Path) -> Iterator[None]:
    descriptor = os.open(laboratory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _binds(arguments: argparse.Namespace) -> tuple[str, ...]:
    binds = {CHECKOUT, *arguments.bind, *arguments.path_first}
    environment = os.environ.get("VIRTUAL_ENV")
    if environment and Path(environment).is_dir():
        binds.add(_path(environment))
    return tuple(sorted(str(directory) for directory in binds))


def _hypervisor(arguments: argparse.Namespace, number: int, net: ipaddress.IPv4Network) -> Hypervisor:
    return Hypervisor(
        arguments.dir,
        Settings(
            number=number,
            network=str(net),
            bridges=tuple(arguments.bridges),
            binds=_binds(arguments),
            path_first=tuple(str(directory) for directory in arguments.path_first),
            system=str(arguments.system or ""),
        ),
    )


def down(arguments: argparse.Namespace) -> None:
    """Remove the named hypervisors, or all; with the last one, remove the laboratory's own files."""
    laboratory = arguments.dir
    if not laboratory.is_dir():
        print(f"There is no laboratory in {laboratory}.")
        return
    with _alone(laboratory):
        chosen = [load(laboratory, name) for name in arguments.names] or load_all(laboratory)
        _remove(chosen, laboratory)
    print(f"Removed: {_names(chosen)}. Left: {_names(load_all(laboratory))}.")


def _remove(hypervisors: list[Hypervisor], laboratory: Path) -> None:
    for hypervisor in hypervisors:
        hypervisor.stop()
    if load_all(laboratory):
        ssh.write_known_hosts(laboratory)
        inventory.path(laboratory).write_text(inventory.text(laboratory), encoding="utf-8")
        return
    key = ssh.access_key(laboratory)
    for path in (key, key.with_name("key.pub"), ssh.known_hosts(laboratory), inventory.path(laboratory)):
        path.unlink(missing_ok=True)
    shutil.rmtree(capabilities(laboratory), ignore_errors=True)
    if laboratory.exists() and not any(laboratory.iterdir()):
        laboratory.rmdir()


def show_list(arguments: argparse.Namespace) -> None:
    """Print the laboratory's hypervisors."""
    for hypervisor in load_all(arguments.dir):
        pid = hypervisor.pid()
        state = f"running, pid {pid}" if pid else "not running"
        print(f"{hypervisor.name:6} {hypervisor.address:15} {state}")


def show_inventory(arguments: argparse.Namespace) -> None:
    """Print the inventory."""
    print(inventory.text(arguments.dir), end="")


def execute(arguments: argparse.Namespace) -> None:
    """Replace this process by the command, inside the hypervisor, with the caller's environment and directory."""
    hypervisor = load(arguments.dir, arguments.name)
    pid = hypervisor.pid()
    if pid is None:
        raise LabError(f"{hypervisor.name} is not running")
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise LabError("exec needs a command: lab exec hv1 -- virsh list")
    directory = Path.cwd()
    if not hypervisor.inside(str(directory)).is_dir():
        print(f"lab: {directory} is not there in {hypervisor.name}, running in / (see --bind)", file=sys.stderr)
        directory = Path("/")
    # What is started here belongs to the hypervisor, even a libvirtd, so it must be in the hypervisor's groups.
    cgroups.join(hypervisor.cgroup)
    path = ":".join([*hypervisor.settings.path_first, os.environ.get("PATH", programs.SYSTEM_PATH)])
    nsenter = [
        programs.path_of("nsenter"),
        "--target",
        str(pid),
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--cgroup",
        "--root",
        "--wd",
        "env",
        f"--chdir={directory}",
        *command,
    ]
    os.execve(nsenter[0], nsenter, {**os.environ, "PATH": path})


def _network(text: str) -> ipaddress.IPv4Network | None:
    if text == "free":
        return None
    found = ipaddress.IPv4Network(text)
    if found.prefixlen > 24:
        raise argparse.ArgumentTypeError(f"{text} is too small: /24 or larger")
    return found


def _path(text: str) -> Path:
    return Path(text).resolve()


def _directory(text: str) -> Path:
    directory = _path(text)
    if not directory.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such directory")
    return directory


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--dir",
        type=_path,
        default=Path("/var/lib/zstack-kvm-lab"),
        metavar="DIR",
        help="where the laboratory keeps its state (default: %(default)s)",
    )
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    commands = parser.add_subparsers(dest="subcommand", required=True)

    def command(name: str, function: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=text, description=text)
        added.set_defaults(function=function)
        return added

    start = command("up", up, "start hypervisors; those that run already are left alone")
    start.add_argument("--hosts", type=int, default=2, metavar="N", help="how many (default: %(default)s)")
    start.add_argument("--first", type=int, default=1, metavar="K", help="number of the first: hv1 is K=1 (default)")
    start.add_argument(
        "--network",
        type=_network,
        default=ipaddress.IPv4Network("10.99.0.0/24"),
        metavar="NET",
        help="a /24 of their own, hv1 gets .11 (default: %(default)s); "
        f"or the word free: the first /24 of {network.FREE} that nobody uses",
    )
    start.add_argument(
        "--bridges",
        type=lambda text: text.split(","),
        default=["br_eth0", "br_eth1"],
        metavar="NAMES",
        help="bridges for virtual machines, in each hypervisor (default: br_eth0,br_eth1)",
    )
    start.add_argument(
        "--bind",
        type=_directory,
        action="append",
        default=[],
        metavar="DIR",
        help="show this directory inside as it is outside, not a copy (repeatable); "
        "the checkout and the active virtual environment always are",
    )
    start.add_argument(
        "--path-first",
        type=_directory,
        action="append",
        default=[],
        metavar="DIR",
        help="put this directory first in PATH inside, for libvirtd too (repeatable)",
    )
    start.add_argument(
        "--system",
        type=_directory,
        metavar="DIR",
        help="a directory with another system's files, to run instead of this machine's; it is not changed",
    )
    start.add_argument("--install", action="store_true", help="install missing packages with apt-get")
    start.add_argument(
        "--timeout", type=float, default=120, metavar="S", help="seconds each may take (default: %(default)s)"
    )

    stop = command("down", down, "remove hypervisors and everything created for them")
    stop.add_argument("names", nargs="*", metavar="HV", help="which ones (default: all)")
    command("list", show_list, "show the hypervisors")
    command("inventory", show_inventory, "print the Ansible inventory")
    run = command("exec", execute, "run a command inside a hypervisor, without ssh")
    run.add_argument("name", metavar="HV")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


def main() -> int:
    """Run the command line, and return the exit status."""
    arguments = _parser().parse_args()
    if os.geteuid() != 0:
        print("lab: needs root, to create namespaces, mounts and bridges", file=sys.stderr)
        return 1
    try:
        arguments.function(arguments)
    except (LabError, OSError, subprocess.CalledProcessError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
