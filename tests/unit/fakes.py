# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fakes of a hypervisor, its system and its VMs, shared by all unit tests.

A test that needs other answers derives a class from a fake and overrides the method that the test is about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

from ansible_collections.zstack.kvm.plugins.module_utils._actions.context import ActionContext
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import CommandResult
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.volume_store import Remove, VolumeStore, Written
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import ListedDomain, ListedSecret, Removal
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm, Volume, VolumeCreation
from ansible_collections.zstack.kvm.plugins.module_utils._storage.found_volume import FoundVolume
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import CAPABILITIES
from lxml import etree

# It runs guests without KVM.
_HOST = CAPABILITIES / "debian-12"
_QUESTIONS = ("state", "is_persistent", "is_saved", "autostart", "xml", "has_block_job", "check_definition")

UUID = "0d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"

_DOMAIN = """<domain><name>{name}</name><uuid>{uuid}</uuid><memory unit='KiB'>65536</memory><vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os><devices>{devices}</devices></domain>"""


def parsed_vms(*options: Mapping[str, Any]) -> tuple[Vm, ...]:
    """Return VMs with these options and otherwise only the required ones."""
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
    """Return a VM with these options and otherwise only the required ones."""
    return parsed_vms(options)[0]


@dataclass
class FakeDomain:
    """A domain; C(defined), C(running) and C(saved_devices) are the devices of its definition, QEMU and saved memory.

    C(definition) and C(live): the same as whole domains, after it has been defined and started.
    """

    state: str = "running"
    reason: str = "booted"
    defined: str = ""
    running: str = ""
    persistent: bool = True
    saved: bool = False
    saved_devices: str = ""
    autostart: bool = False
    snapshots: int = 0
    checkpoints: int = 0
    name: str = ""
    definition: str = ""
    live: str = ""

    @property
    def is_active(self) -> bool:
        """Return whether it has a QEMU."""
        return self.state != "shutoff"


def _noted(name: str) -> Callable[..., None]:
    """Return a libvirt call that only records its arguments."""

    def call(self: FakeHypervisor, *arguments: Any) -> None:
        self.note(name, *arguments)

    return call


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
    """A libvirt with domains and secrets in memory, which records calls in C(calls).

    C(errors): by name, what the next call raises, once.
    """

    is_session = False
    uri = "qemu:///system"

    def __init__(self, domains: Optional[Mapping[str, FakeDomain]] = None, secrets: Sequence[FakeSecret] = ()) -> None:
        self.domains = dict(domains or {})
        self.secrets = {secret.uuid: secret for secret in secrets}
        self.undefined: list[Removal] = []
        self.calls: list[tuple[Any, ...]] = []
        self.errors: dict[str, VmError] = {}
        self.on_start: Callable[[FakeDomain], None] = lambda domain: None
        self.on_shutdown: Callable[[FakeDomain], None] = lambda domain: None
        self.keeps_tpm = True
        self.job = False
        self.block_jobs: set[str] = set()
        self.free = 1 << 40
        self.job_error: Optional[VmError] = None

    def note(self, *call: Any) -> None:
        """Record a call, and raise its error."""
        self.calls.append(call)
        self._raise(call[0])

    def _raise(self, name: str) -> None:
        error = self.errors.pop(name, None)
        if error is not None:
            raise error

    @property
    def changes(self) -> list[tuple[Any, ...]]:
        """Return the calls that change something."""
        return [call for call in self.calls if call[0] not in _QUESTIONS]

    def list_domains(self) -> list[ListedDomain]:
        return [
            ListedDomain(uuid, domain.name or f"vm-{uuid}", domain.is_active)
            for uuid, domain in list(self.domains.items())
        ]

    def list_saved(self) -> set[str]:
        return {uuid for uuid, domain in self.domains.items() if domain.saved}

    def list_autostart(self) -> set[str]:
        return {uuid for uuid, domain in self.domains.items() if domain.autostart}

    def list_transient(self) -> set[str]:
        return {uuid for uuid, domain in self.domains.items() if not domain.persistent}

    def find(self, uuid: str) -> Optional[str]:
        return f"vm-{uuid}" if uuid in self.domains else None

    def state(self, uuid: str) -> tuple[str, str]:
        self.note("state", uuid)
        domain = self._domain(uuid)
        return domain.state, domain.reason

    def is_persistent(self, uuid: str) -> bool:
        self.calls.append(("is_persistent", uuid))
        return self._domain(uuid).persistent

    def is_saved(self, uuid: str) -> bool:
        self.calls.append(("is_saved", uuid))
        return self._domain(uuid).saved

    def saved_xml(self, uuid: str) -> str:
        domain = self._domain(uuid)
        return _DOMAIN.format(name=f"vm-{uuid}", uuid=uuid, devices=domain.saved_devices)

    def autostart(self, uuid: str) -> bool:
        self.calls.append(("autostart", uuid))
        return self._domain(uuid).autostart

    def xml(self, uuid: str, inactive: bool) -> str:
        self.note("xml", uuid, inactive)
        domain = self._domain(uuid)
        if domain.definition:
            return domain.live if domain.live and not inactive else domain.definition
        devices = domain.running if domain.is_active and not inactive else domain.defined
        return _DOMAIN.format(name=f"vm-{uuid}", uuid=uuid, devices=devices)

    def has_job(self, uuid: str, seconds: float = 1) -> bool:
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
        self.note("destroy", uuid)
        domain = self._domain(uuid)
        domain.state, domain.live = "shutoff", ""

    def define(self, xml: str, validate: bool = True) -> None:
        self.note("define", xml, validate)
        root = etree.fromstring(xml)
        domain = self.domains.setdefault(root.findtext("uuid"), FakeDomain("shutoff", "unknown"))
        domain.name, domain.definition, domain.persistent = root.findtext("name"), xml, True

    def check_definition(self, xml: str, before: Optional[str]) -> None:
        self.note("check_definition", xml, before)

    def set_autostart(self, uuid: str, autostart: bool) -> None:
        self.note("set_autostart", uuid, autostart)
        self._domain(uuid).autostart = autostart

    def create(self, uuid: str, seconds: float, paused: bool = False) -> None:
        self.note("create", uuid)
        self._run(uuid, paused)

    def restore(self, path: str, xml: str, seconds: float, paused: bool = False) -> None:
        self.note("restore", path, xml)
        self._run(etree.fromstring(xml).findtext("uuid"), paused)

    def _run(self, uuid: str, paused: bool) -> None:
        domain = self._domain(uuid)
        domain.state, domain.reason = ("paused", "user") if paused else ("running", "booted")
        domain.live = domain.definition
        self.on_start(domain)

    def resume(self, uuid: str) -> None:
        self.note("resume", uuid)
        self._domain(uuid).state = "running"

    def wake_up(self, uuid: str) -> None:
        self.note("wake_up", uuid)
        self._domain(uuid).state = "running"

    def discard_saved_state(self, uuid: str) -> None:
        self.note("discard_saved_state", uuid)
        self._domain(uuid).saved = False

    def has_block_job(self, uuid: str, target: str) -> bool:
        self.note("has_block_job", uuid, target)
        return target in self.block_jobs

    def snapshot_xmls(self, uuid: str) -> list[str]:
        return []

    close = _noted("close")
    reconnect = _noted("reconnect")
    update_device = _noted("update_device")
    attach_device = _noted("attach_device")
    detach_device = _noted("detach_device")
    set_vcpus = _noted("set_vcpus")
    set_memory_stats_period = _noted("set_memory_stats_period")
    set_description = _noted("set_description")
    set_defined_metadata = _noted("set_defined_metadata")
    set_block_io_tune = _noted("set_block_io_tune")
    set_scheduler = _noted("set_scheduler")
    pin = _noted("pin")
    resize_block = _noted("resize_block")

    def capabilities(self) -> str:
        return (_HOST / "capabilities.xml").read_text()

    def domain_capabilities(self, emulator: Optional[str], arch: str, machine: str, domain_type: str) -> str:
        return (_HOST / f"{arch}.{machine}.{domain_type}.xml").read_text()

    def networks(self) -> dict[str, bool]:
        return {"default": True}

    def network_filters(self) -> list[str]:
        return []

    def hostname(self) -> str:
        return "hv1"

    def libvirt_version(self) -> str:
        return "10.5.0"

    def qemu_version(self) -> str:
        return "9.1.0"

    def memory_size(self) -> int:
        return 64 << 30

    def free_memory(self) -> int:
        return self.free

    def cpu_count(self) -> int:
        return 4

    def can_keep_tpm(self) -> bool:
        return self.keeps_tpm

    def undefine(self, uuid: str, removal: Removal) -> None:
        self.note("undefine", uuid)
        self._domain(uuid)
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
        assert not self.secrets[uuid].private, "libvirt does not reveal it"
        return self.secrets[uuid].value

    def define_secret(self, xml: str, private: bool) -> None:
        self.note("define_secret", xml)
        root = etree.fromstring(xml)
        uuid, usage = root.findtext("uuid"), root.find("usage")
        secret = self.secrets.setdefault(uuid, FakeSecret(uuid))
        secret.kind, secret.usage = usage.get("type"), usage[0].text
        secret.ephemeral, secret.private = root.get("ephemeral") == "yes", private

    def set_secret_value(self, uuid: str, value: bytes) -> None:
        self.note("set_secret_value", uuid)
        self.secrets[uuid].value = value

    def undefine_secret(self, uuid: str) -> None:
        self.secrets.pop(uuid, None)

    def _domain(self, uuid: str) -> FakeDomain:
        if uuid not in self.domains:
            raise VmError("domain_gone", "there is no such domain")
        return self.domains[uuid]


class FakeSystem:
    """A hypervisor's system with files in memory and programs that succeed, which records what is done to them.

    C(kinds): what is at which path; C(otherwise): what is at all others; C(listening): sockets with a listener.
    """

    is_remote = False
    # This one object stands for files, processes, network and devices.
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
        self.when_locked: Callable[[threading.Event], None] = lambda cancelled: None
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

    def _acquire(self, seconds: float, cancelled: Optional[threading.Event] = None) -> AbstractContextManager[None]:
        if cancelled is not None:
            self.when_locked(cancelled)
            if cancelled.is_set():
                raise VmError("interrupted", "the task was interrupted")
        return nullcontext()

    def path_kind(self, path: str) -> Optional[str]:
        return None if path in self.removed else self._kinds.get(path, self._otherwise)

    entry_kind = path_kind

    def has_listener(self, path: str) -> bool:
        return path in self._listening

    def answers(self, address: str, port: int) -> bool:
        return False

    def arp_table(self) -> dict[str, list[str]]:
        return {}

    def list_directory(self, path: str) -> list[str]:
        return [each.rpartition("/")[2] for each in self._kinds if each.rpartition("/")[0] == path]

    def files_in(self, directory: str, least_size: int, recursive: bool) -> list[str]:
        return []

    def real_path(self, path: str) -> str:
        return path

    def cpu_count(self) -> int:
        return 4

    def image_info(self, target: str) -> dict[str, Any]:
        return {"format": "qcow2"}

    def read_head(self, path: str, size: int) -> bytes:
        return b""

    def read_tail(self, path: str, size: int) -> str:
        return ""

    def read_text(self, path: str) -> str:
        """Return the content of the marker file of an iSCSI session whose target had no record before."""
        return "{}"

    def remove_file(self, path: str) -> None:
        self.removed.append(path)

    remove_socket = remove_file

    def run(self, argv: Sequence[str], timeout: float) -> CommandResult:
        self.ran.append(" ".join(argv))
        return CommandResult(0, "", "")


class RemoteFakeSystem(FakeSystem):
    """The system of a hypervisor that is reached through libvirt only."""

    is_remote = True


class FakeVolumes(VolumeStore):
    """Volumes in memory, by image, which records what is done to them. It is the store of all types of storage.

    C(unfit): what keeps missing ones from being created; C(errors): what a change of that name raises.
    """

    def __init__(self, volumes: Optional[Mapping[str, FoundVolume]] = None) -> None:
        self.volumes = dict(volumes or {})
        self.unfit: list[Problem] = []
        self.errors: dict[str, VmError] = {}
        self.changes: list[tuple[Any, ...]] = []

    def of(self, volume: Volume) -> FakeVolumes:
        """Return this, which stands for C(VolumeStores) too."""
        return self

    def is_missing(self, volume: Volume) -> bool:
        return volume.install_path not in self.volumes

    def find(self, volume: Volume, written: Written) -> Optional[FoundVolume]:
        return self.volumes.get(written.image)

    def canonical(self, image: str) -> str:
        return image

    def problems(self, volume: Volume, create: VolumeCreation) -> list[Problem]:
        return self.unfit

    def create(self, volume: Volume, create: VolumeCreation, cancelled: threading.Event) -> Optional[Remove]:
        self._note("create", volume.install_path)
        if not self.is_missing(volume):
            return None
        self.volumes[volume.install_path] = FoundVolume(create.format, create.size or 0, create.image)
        return lambda: True

    def check_closed(self, volume: Volume) -> None:
        if "check_closed" in self.errors:
            raise self.errors["check_closed"]

    def remove(self, volume: Volume) -> None:
        self._note("remove", volume.install_path)
        del self.volumes[volume.install_path]

    def grow(self, volume: Volume, written: Written, size: int, cancelled: threading.Event) -> None:
        self._note("grow", written.image, size)
        self.volumes[written.image] = self.volumes[written.image]._replace(size=size)

    def _note(self, *change: Any) -> None:
        self.changes.append(change)
        if change[0] in self.errors:
            raise self.errors[change[0]]


def context_of(hypervisor: FakeHypervisor, system: Any = None, **observed: Any) -> ActionContext:
    """Return the context of actions on the VM with C(UUID), which was observed in this state."""
    return ActionContext(
        hypervisor, system or FakeSystem(), parsed_vm(timeout=1), ObservedVm(**observed), threading.Event()
    )


class FakePrograms(HostSystem):
    """The system of a file tree whose programs only record their arguments, and return C(answer)."""

    def __init__(self, root: Path, answer: Optional[Callable[[Sequence[str]], CommandResult]] = None) -> None:
        super().__init__(str(root))
        self.processes: Any = self
        self._answer = answer or (lambda argv: CommandResult(0, "", ""))
        self.calls: list[list[str]] = []

    def run(self, argv: Sequence[str], timeout: float, stdin: Optional[str] = None) -> CommandResult:
        self.calls.append(list(argv))
        return self._answer(argv)
