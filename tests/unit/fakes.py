# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fakes of a hypervisor, its system and its VMs, shared by all unit tests.

A test that needs other answers derives from a fake and overrides the one method that the test is about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import CommandResult
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import ListedDomain, ListedSecret, Removal
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm

UUID = "0d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"

_DOMAIN = """<domain><name>{name}</name><uuid>{uuid}</uuid><memory unit='KiB'>65536</memory><vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os><devices>{devices}</devices></domain>"""


def parsed_vms(*options: Mapping[str, Any]) -> tuple[Vm, ...]:
    """Return VMs with these options and otherwise the fewest that a VM can have."""
    raw = [
        {
            "uuid": UUID,
            "name": "vm",
            "memory": "1GiB",
            "cpu_num": 1,
            "root_volume": {"install_path": f"/root-{index}.qcow2"},
            **each,
        }
        for index, each in enumerate(options)
    ]
    vms, problems = parse_vms(raw)
    assert not problems
    return vms


def parsed_vm(**options: Any) -> Vm:
    """Return a VM with these options and otherwise the fewest that a VM can have."""
    return parsed_vms(options)[0]


@dataclass
class FakeDomain:
    """A domain; C(defined) and C(running) are the devices of its definition and of its QEMU."""

    state: str = "running"
    reason: str = "booted"
    defined: str = ""
    running: str = ""
    persistent: bool = True
    saved: bool = False
    autostart: bool = False
    snapshots: int = 0
    checkpoints: int = 0

    @property
    def is_active(self) -> bool:
        """Return whether it has a QEMU."""
        return self.state != "shutoff"


@dataclass
class FakeSecret:
    """A secret of libvirt."""

    uuid: str
    kind: str = "ceph"
    usage: str = "x"
    ephemeral: bool = True
    private: bool = False
    value: Optional[bytes] = None
    given: Optional[bytes] = None

    @property
    def xml(self) -> str:
        """Return its definition."""
        flags = ["no", "yes"]
        usage = "<usage type='%s'><name>%s</name></usage>" % (self.kind, self.usage)
        text = "<secret ephemeral='%s' private='%s'><uuid>%s</uuid>%s</secret>"
        return text % (flags[self.ephemeral], flags[self.private], self.uuid, usage)


class FakeHypervisor:
    """A libvirt with domains and secrets in memory, which notes what it is called for in C(calls)."""

    def __init__(self, domains: Optional[Mapping[str, FakeDomain]] = None, secrets: Sequence[FakeSecret] = ()) -> None:
        self.domains = dict(domains or {})
        self.secrets = {secret.uuid: secret for secret in secrets}
        self.undefined: list[Removal] = []
        self.calls: list[tuple[Any, ...]] = []
        self.on_shutdown: Callable[[FakeDomain], None] = lambda domain: None
        self.keeps_tpm = True
        self.job = False
        self.job_error: Optional[VmError] = None

    def list_domains(self) -> list[ListedDomain]:
        return [ListedDomain(uuid, f"vm-{uuid}", domain.is_active) for uuid, domain in list(self.domains.items())]

    def list_saved(self) -> set[str]:
        return {uuid for uuid, domain in self.domains.items() if domain.saved}

    def list_transient(self) -> set[str]:
        return {uuid for uuid, domain in self.domains.items() if not domain.persistent}

    def find(self, uuid: str) -> Optional[str]:
        return f"vm-{uuid}" if uuid in self.domains else None

    def state(self, uuid: str) -> tuple[str, str]:
        domain = self._domain(uuid)
        return domain.state, domain.reason

    def is_persistent(self, uuid: str) -> bool:
        self.calls.append(("is_persistent", uuid))
        return self._domain(uuid).persistent

    def autostart(self, uuid: str) -> bool:
        self.calls.append(("autostart", uuid))
        return self._domain(uuid).autostart

    def xml(self, uuid: str, inactive: bool) -> str:
        self.calls.append(("xml", uuid, inactive))
        domain = self._domain(uuid)
        devices = domain.running if domain.is_active and not inactive else domain.defined
        return _DOMAIN.format(name=f"vm-{uuid}", uuid=uuid, devices=devices)

    def has_job(self, uuid: str, seconds: float) -> bool:
        if self.job_error is not None:
            raise self.job_error
        return self.job

    def snapshot_count(self, uuid: str) -> int:
        return self._domain(uuid).snapshots

    def checkpoint_count(self, uuid: str) -> int:
        return self._domain(uuid).checkpoints

    def shutdown(self, uuid: str, seconds: float) -> None:
        self.calls.append(("shutdown", uuid, seconds))
        self.on_shutdown(self._domain(uuid))

    def destroy(self, uuid: str) -> None:
        self._domain(uuid).state = "shutoff"

    def can_keep_tpm(self) -> bool:
        return self.keeps_tpm

    def undefine(self, uuid: str, removal: Removal) -> None:
        self.undefined.append(removal)
        del self.domains[uuid]

    def open_console(self, uuid: str) -> Any:
        return SimpleNamespace(read=lambda: b"", close=lambda: None)

    def screenshot(self, uuid: str) -> bytes:
        raise VmError("libvirt_error", "no picture")

    def interface_addresses(self, uuid: str, source: str) -> dict[str, Any]:
        return {}

    def storage_volume_xml(self, path: str) -> Optional[str]:
        return None

    def known_secrets(self) -> dict[str, ListedSecret]:
        return {
            secret.uuid: ListedSecret(secret.uuid, secret.kind, secret.usage, secret.private, secret.given)
            for secret in self.secrets.values()
        }

    def secret_xml(self, uuid: str) -> Optional[str]:
        return self.secrets[uuid].xml if uuid in self.secrets else None

    def secret_value(self, uuid: str) -> Optional[bytes]:
        assert not self.secrets[uuid].private, "libvirt shows it to nobody"
        return self.secrets[uuid].value

    def undefine_secret(self, uuid: str) -> None:
        del self.secrets[uuid]

    def _domain(self, uuid: str) -> FakeDomain:
        if uuid not in self.domains:
            raise VmError("domain_gone", "there is no such domain")
        return self.domains[uuid]


class FakeSystem:
    """A hypervisor's system with files in memory and programs that succeed, which notes what is done to them.

    C(kinds): what is at which path, and C(otherwise) at all others; C(listening): sockets that have a listener.
    """

    is_remote = False
    # Files, processes, network and devices are this one object.
    files = processes = network = devices = property(lambda self: self)

    def __init__(
        self,
        kinds: Optional[Mapping[str, Optional[str]]] = None,
        otherwise: Optional[str] = None,
        listening: Collection[str] = (),
    ) -> None:
        self._kinds = kinds or {}
        self._otherwise = otherwise
        self._listening = listening
        self.as_root = True
        self.removed: list[str] = []
        self.ran: list[str] = []

    def is_root(self) -> bool:
        return self.as_root

    def may_create(self, path: str) -> bool:
        return self.as_root

    def is_hidden(self, path: str) -> bool:
        return False

    def lock(self, name: str) -> Any:
        return SimpleNamespace(acquire=self._acquire)

    def shared_lock(self, name: str, label: str) -> Any:
        return SimpleNamespace(acquire=self._acquire)

    def _acquire(self, seconds: float) -> AbstractContextManager[None]:
        return nullcontext()

    def path_kind(self, path: str) -> Optional[str]:
        return None if path in self.removed else self._kinds.get(path, self._otherwise)

    entry_kind = path_kind

    def has_listener(self, path: str) -> bool:
        return path in self._listening

    def answers(self, address: str, port: int) -> bool:
        return False

    def list_directory(self, path: str) -> list[str]:
        return [each.rpartition("/")[2] for each in self._kinds if each.rpartition("/")[0] == path]

    def image_info(self, target: str) -> dict[str, Any]:
        return {"format": "qcow2"}

    def read_head(self, path: str, size: int) -> bytes:
        return b""

    def read_tail(self, path: str, size: int) -> str:
        return ""

    def read_text(self, path: str) -> str:
        """Return what is in the mark of an iSCSI session whose target had no record before."""
        return "{}"

    def remove_file(self, path: str) -> None:
        self.removed.append(path)

    remove_socket = remove_file

    def run(self, argv: Sequence[str], timeout: float) -> CommandResult:
        self.ran.append(" ".join(argv))
        return CommandResult(0, "", "")


class FakePrograms(HostSystem):
    """The system of a file tree whose programs only say what they were called with, and C(answer)."""

    def __init__(self, root: Path, answer: Optional[Callable[[Sequence[str]], CommandResult]] = None) -> None:
        super().__init__(str(root))
        self.processes: Any = self
        self._answer = answer or (lambda argv: CommandResult(0, "", ""))
        self.calls: list[list[str]] = []

    def run(self, argv: Sequence[str], timeout: float, stdin: Optional[str] = None) -> CommandResult:
        self.calls.append(list(argv))
        return self._answer(argv)
