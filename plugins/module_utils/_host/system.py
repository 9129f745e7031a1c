# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor's own system: its files, processes, devices and locks.

Everything that reads or changes them goes through here. C(HostSystem) is the machine that the code runs on; with
another C(root) it is a tree that looks like one (sysfs in tests). C(RemoteSystem) stands for a hypervisor that is
reached through libvirt only: it can answer none of this, and says so by C(needs_hypervisor).
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn, Optional, Union
from urllib.parse import urlsplit

from .._errors.errors import VmError
from ..deadline import call_with_deadline
from ..foreign_text import shorten
from . import paths as host_paths
from .lock import HostLock, vm_lock

_KINDS = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISBLK, "block"),
    (stat.S_ISSOCK, "socket"),
)
_QEMU_IMG_SECONDS = 30
# The state of a socket in /proc/net/tcp, see include/net/tcp_states.h of the kernel.
_LISTENING = "0A"


@dataclass(frozen=True)
class CommandResult:
    """What a command left: its exit status and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class UsbHostDevice:
    """A USB device that is plugged into the hypervisor."""

    bus: int
    device: int
    vendor: int
    product: int


@dataclass(frozen=True)
class ServerGreeting:
    """The IP address of a server that answered, and what it said first."""

    ip_address: str
    text: bytes


def _unwritable(what: str, path: str, error: OSError) -> VmError:
    code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "path_unwritable"
    if isinstance(error, host_paths.UnsafeLinkError):
        code = "path_unsafe"
    return VmError(code, "cannot %s %s: %s" % (what, path, error.strerror or error))


def _unreadable(path: str, error: OSError) -> VmError:
    code = "path_unsafe" if isinstance(error, host_paths.UnsafeLinkError) else "path_unreadable"
    return VmError(code, "cannot look at %s: %s" % (path, error.strerror or error))


def _address_of(digits: str) -> str:
    """The kernel writes an address as one or four numbers in the order of bytes that the machine has."""
    words = [int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


class HostSystem:
    """The machine that the code runs on, or a made-up tree below C(root)."""

    is_remote: Literal[False] = False

    def __init__(self, root: str = "/") -> None:
        self._root = root

    def _path(self, path: str) -> str:
        return path if self._root == "/" else os.path.join(self._root, path.lstrip("/"))

    def is_root(self) -> bool:
        """Return whether this process may do everything on the hypervisor."""
        return os.geteuid() == 0

    # Files

    def is_hidden(self, path: str) -> bool:
        """Return whether this user may not read what is at a path, or not even see whether anything is there."""
        try:
            os.stat(self._path(path))
        except PermissionError:
            return True
        except (OSError, ValueError):
            return False
        return not os.access(self._path(path), os.R_OK)

    def may_create(self, path: str) -> bool:
        """Return whether this user may make what is missing of the directories of C(path), and something in them."""
        directory = os.path.dirname(path)
        while directory != "/" and not os.path.lexists(self._path(directory)):
            directory = os.path.dirname(directory)
        return os.access(self._path(directory), os.W_OK | os.X_OK)

    def path_kind(self, path: str) -> Optional[str]:
        """file, directory, block, socket or other; None where there is nothing (a link that leads nowhere included)."""
        try:
            mode = os.stat(self._path(path)).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise VmError("path_unreadable", "cannot look at %s: %s" % (path, error)) from error
        return next((kind for test, kind in _KINDS if test(mode)), "other")

    def real_path(self, path: str) -> str:
        """The path without links, whether or not there is something."""
        return os.path.realpath(self._path(path))

    def read_text(self, path: str) -> Optional[str]:
        """The text of a small file, None where there is none."""
        try:
            with open(self._path(path), encoding="utf-8", errors="replace") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise VmError("path_unreadable", "cannot read %s: %s" % (path, error)) from error

    def read_head(self, path: str, size: int) -> Optional[bytes]:
        """The first C(size) bytes of a file, None where there is none."""
        try:
            with open(self._path(path), "rb") as file:
                return file.read(size)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise VmError("path_unreadable", "cannot read %s: %s" % (path, error)) from error

    def read_tail(self, path: str, size: int) -> str:
        """Return the last C(size) bytes of a regular file as text, empty where there is none; no link is followed."""
        try:
            return host_paths.read_tail(path, size, self._root).decode("utf-8", "replace")
        except OSError:
            return ""

    def file_size(self, path: str) -> int:
        """Return the bytes of a file, 0 where there is none; no link is followed."""
        status = self._status(path)
        return 0 if status is None else status.st_size

    def list_directory(self, path: str) -> list[str]:
        """The names in a directory, sorted; none where it doesn't exist."""
        try:
            return sorted(os.listdir(self._path(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise VmError("path_unreadable", "cannot list %s: %s" % (path, error)) from error

    def link_name(self, path: str) -> Optional[str]:
        """The last part of what a symbolic link leads to, None where there is no link."""
        try:
            return os.path.basename(os.readlink(self._path(path)))
        except OSError:
            return None

    def entry_kind(self, path: str) -> Optional[str]:
        """Return what has the path as L(path_kind) does, but C(link) for a symbolic link."""
        status = self._status(path)
        if status is None:
            return None
        if stat.S_ISLNK(status.st_mode):
            return "link"
        return next((kind for test, kind in _KINDS if test(status.st_mode)), "other")

    def _status(self, path: str) -> Optional[os.stat_result]:
        try:
            return host_paths.entry_status(path, self._root)
        except OSError as error:
            raise _unreadable(path, error) from error

    def make_directory(self, path: str, mode: int, owner: Optional[tuple[int, int]] = None) -> list[str]:
        """Create C(path), which gets C(mode) and C(owner) (user and group id), and its parents, which get 0755.

        Returns what was created, outermost first, for L(remove_directories); a directory that exists is left as it is.
        """
        created, error = host_paths.create_directories(path, mode, owner, self._root)
        if error is not None:
            self.remove_directories(created)
            raise _unwritable("create the directory", path, error) from error
        return created

    def remove_directories(self, paths: Sequence[str]) -> None:
        """Remove directories, innermost last in C(paths); one that something is in stays, for somebody uses it."""
        for path in reversed(paths):
            try:
                host_paths.remove_directory(path, self._root)
            except OSError:
                return

    def write_private_file(self, path: str, content: Union[str, bytes], replace: bool = True) -> None:
        """Write a file that only its owner can read, whole or not at all; C(replace): also where one is there already.

        Raises C(path_taken) where something is there that may not be replaced.
        """
        data = content.encode("utf-8") if isinstance(content, str) else content
        self.make_directory(os.path.dirname(path), 0o700)
        try:
            host_paths.write_file(path, data, replace, self._root)
        except FileExistsError as error:
            raise VmError("path_taken", "cannot write %s: %s" % (path, error.strerror)) from error
        except OSError as error:
            raise _unwritable("write", path, error) from error

    def remove_file(self, path: str) -> None:
        """Remove a regular file; none is fine. Raises C(path_taken) for anything else."""
        try:
            host_paths.remove_regular_file(path, self._root)
        except FileExistsError as error:
            raise VmError("path_taken", "cannot remove %s: %s" % (path, error.strerror)) from error
        except OSError as error:
            raise _unwritable("remove", path, error) from error

    def remove_socket(self, path: str) -> None:
        """Remove a socket that nobody listens on; whatever else has the path stays."""
        try:
            host_paths.remove_unused_socket(path, self._root)
        except OSError as error:
            raise _unwritable("remove", path, error) from error

    # Processes

    def find_program(self, name: str) -> Optional[str]:
        """The full path of a program, None where the hypervisor doesn't have it."""
        places = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
        return shutil.which(name, path=places)

    def run(self, argv: Sequence[str], timeout: float, stdin: Union[str, None] = None) -> CommandResult:
        """Runs a program in the C locale, C(timeout) seconds at most. Secrets go into C(stdin), not C(argv)."""
        program = self.find_program(argv[0])
        if program is None:
            raise VmError("command_missing", "the program %s is not installed" % argv[0])
        try:
            # A file in memory: some programs want to know how long their input is.
            with os.fdopen(os.memfd_create("stdin"), "w+b") as stdin_file:
                stdin_file.write((stdin or "").encode("utf-8"))
                stdin_file.seek(0)
                # run_command, which is asked for instead, knows no timeout.
                done = subprocess.run(  # pylint: disable=ansible-bad-function
                    [program, *argv[1:]],
                    stdin=stdin_file,
                    capture_output=True,
                    timeout=timeout,
                    check=False,
                    encoding="utf-8",
                    errors="replace",
                    env=dict(os.environ, LC_ALL="C"),
                )
        except subprocess.TimeoutExpired as error:
            raise VmError("command_timeout", "%s did not end within %g seconds" % (argv[0], timeout)) from error
        except OSError as error:
            raise VmError("command_failed", "cannot run %s: %s" % (argv[0], error)) from error
        return CommandResult(done.returncode, done.stdout, shorten(done.stderr))

    def process_age(self, pid: int, argument: str) -> Optional[float]:
        """Seconds since a process started; None where there is none, or its command line lacks C(argument)."""
        command = (self.read_text("/proc/%d/cmdline" % pid) or "").split("\0")
        status = self.read_text("/proc/%d/stat" % pid)
        up = self.read_text("/proc/uptime")
        if argument not in command or not status or up is None:
            return None
        # The name of the program, in parentheses, may have spaces; the start is the 20th field after it (proc(5)).
        started = int(status.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return float(up.split()[0]) - started

    def kill_process(self, pid_file: str, argument: str) -> None:
        """Kills the process that a file names, if it is still one with that in its command line."""
        pid = (self.read_text(pid_file) or "").strip()
        if pid.isdigit() and argument in (self.read_text("/proc/%s/cmdline" % pid) or ""):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def image_format(self, target: str) -> str:
        """What qemu-img says the format of an image is; doesn't mind that a VM has it open.

        C(target) is a path or what else qemu-img takes (C(nbd+unix:///...)).
        """
        done = self.run(["qemu-img", "info", "--output=json", "--force-share", "--", target], _QEMU_IMG_SECONDS)
        if done.returncode != 0:
            reason = done.stderr.strip().partition("\n")[0].replace("qemu-img: ", "", 1)
            raise VmError("image_unreadable", "qemu-img cannot read %s: %s" % (target, reason))
        return str(json.loads(done.stdout)["format"])

    # Network

    def bridge_exists(self, name: str) -> bool:
        """Whether a network device of that name is there and is a bridge of the kernel."""
        return self.path_kind("/sys/class/net/%s/bridge" % name) == "directory"

    def bridges(self) -> list[str]:
        """The names of the bridges of the kernel."""
        return [name for name in self.list_directory("/sys/class/net") if self.bridge_exists(name)]

    def network_device_exists(self, name: str) -> bool:
        """Return whether there is a network device of that name, of whatever kind."""
        return self.path_kind("/sys/class/net/%s" % name) is not None

    def listening_endpoints(self) -> list[tuple[str, int]]:
        """Return the addresses and TCP ports that processes listen on."""
        found = []
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in (self.read_text(table) or "").splitlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                if state == _LISTENING:
                    address, _colon, port = local.partition(":")
                    found.append((_address_of(address), int(port, 16)))
        return found

    def arp_table(self) -> dict[str, list[str]]:
        """The IPv4 addresses that the kernel knows of each MAC address in its networks."""
        table: dict[str, list[str]] = {}
        for line in (self.read_text("/proc/net/arp") or "").splitlines()[1:]:
            address, _kind, flags, mac = line.split()[:4]
            # 0: the kernel has asked, but nobody has answered.
            if int(flags, 16):
                table.setdefault(mac.lower(), []).append(address)
        return table

    def connect(self, host: str, port: int, timeout: float, greeting: int = 0) -> ServerGreeting:
        """Sees that a TCP server answers, and takes the first C(greeting) bytes that it sends of its own accord."""

        def greet() -> ServerGreeting:
            with socket.create_connection((host, port), timeout) as client:
                said = client.recv(greeting, socket.MSG_WAITALL) if greeting else b""
                return ServerGreeting(str(client.getpeername()[0]), said)

        try:
            return call_with_deadline(greet, timeout)
        except (OSError, UnicodeError) as error:
            raise VmError("storage_unreachable", getattr(error, "strerror", None) or str(error)) from error

    def connect_to_socket(self, path: str, timeout: float) -> None:
        """Sees that a server answers on a unix socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout)
            try:
                client.connect(self._path(path))
            except OSError as error:
                raise VmError("storage_unreachable", error.strerror or str(error)) from error

    def has_listener(self, path: str) -> bool:
        """Return whether somebody listens on a unix socket, or may do so: only a refusal says that nobody does."""
        try:
            return host_paths.socket_has_listener(path, self._root)
        except OSError:
            return True

    def ip_addresses(self) -> frozenset[str]:
        """The IP addresses that the hypervisor has, loopback included."""
        table = self.read_text("/proc/net/fib_trie") or ""
        found = set(re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", table))
        for line in (self.read_text("/proc/net/if_inet6") or "").splitlines():
            found.add(ipaddress.IPv6Address(int(line.split()[0], 16)).compressed)
        return frozenset(found)

    def answers(self, address: str, port: int) -> bool:
        """Whether something listens on a TCP port of this machine."""
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            return False

    # Devices and memory

    def pci_device_exists(self, address: str) -> bool:
        """Whether the hypervisor has a PCI device at C(DDDD:BB:SS.F)."""
        return self.path_kind("/sys/bus/pci/devices/" + address) == "directory"

    def has_iommu_group(self, address: str) -> bool:
        """Whether the PCI device at C(DDDD:BB:SS.F) is behind an IOMMU, without which it can't be passed through."""
        return self.path_kind("/sys/bus/pci/devices/%s/iommu_group" % address) == "directory"

    def iommu_groups(self) -> dict[int, list[str]]:
        """The PCI devices in each IOMMU group, which can only be passed through together; none without an IOMMU."""
        top = "/sys/kernel/iommu_groups"
        return {int(name): self.list_directory("%s/%s/devices" % (top, name)) for name in self.list_directory(top)}

    def usb_devices(self) -> list[UsbHostDevice]:
        """The USB devices that are plugged in."""
        top = "/sys/bus/usb/devices"
        found = []
        for name in self.list_directory(top):
            parts = ("busnum", "devnum", "idVendor", "idProduct")
            texts = [self.read_text("%s/%s/%s" % (top, name, part)) for part in parts]
            if None not in texts:
                bus, device, vendor, product = (str(text).strip() for text in texts)
                found.append(UsbHostDevice(int(bus), int(device), int(vendor, 16), int(product, 16)))
        return found

    def memory_size(self) -> Optional[int]:
        """Bytes of memory that the hypervisor has; None where the kernel doesn't say."""
        return self._memory("MemTotal")

    def free_memory(self) -> Optional[int]:
        """Bytes that new processes can have without swapping; None where the kernel doesn't say."""
        return self._memory("MemAvailable")

    def _memory(self, name: str) -> Optional[int]:
        found = re.search(r"^%s:\s+(\d+) kB$" % name, self.read_text("/proc/meminfo") or "", re.MULTILINE)
        return int(found[1]) * 1024 if found else None

    def load_average(self) -> Optional[list[float]]:
        """How many tasks wanted a CPU, on average over 1, 5 and 15 minutes; None where the kernel doesn't say."""
        text = self.read_text("/proc/loadavg")
        return [float(number) for number in text.split()[:3]] if text else None

    def cgroup_version(self) -> int:
        """2 on a host with the unified hierarchy alone, else 1."""
        return 2 if self.path_kind("/sys/fs/cgroup/cgroup.controllers") == "file" else 1

    def cpu_count(self) -> int:
        """CPUs that this process may run on."""
        return len(os.sched_getaffinity(0))

    # Locks

    def lock(self, uuid: str) -> HostLock:
        """The lock of one VM on this hypervisor."""
        return vm_lock(uuid)

    def shared_lock(self, name: str, label: str) -> HostLock:
        """The lock of what VMs share on this hypervisor; C(label) is what messages call it."""
        return HostLock(name, label, "shared_locked")


class RemoteSystem:
    """A hypervisor that is reached through libvirt only. Everything but the lock says that it can't be asked."""

    is_remote: Literal[True] = True

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def lock(self, uuid: str) -> HostLock:
        """The lock holds among the tasks of the machine that connects; libvirt itself is the last line."""
        return vm_lock(uuid)

    def shared_lock(self, name: str, label: str) -> HostLock:
        """The same of what VMs share."""
        return HostLock(name, label, "shared_locked")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise VmError(
            "needs_hypervisor",
            "this VM needs what only the hypervisor itself can tell or do (%s), but it is reached by %s"
            % (name.replace("_", " "), self._uri),
        )


System = Union[HostSystem, RemoteSystem]


def system_of(uri: str) -> System:
    """The system that a libvirt URI leads to: this machine where the URI names no host."""
    return RemoteSystem(uri) if urlsplit(uri).netloc else HostSystem()
