# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers and images are tried once before any change, and each problem names the option that causes it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.network import ServerGreeting
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import CommandResult
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage import reachability
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.reachability import (
    ItemOfVm,
    SecretValues,
    find_problems,
)
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import CephSecret
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import (
    Address,
    Backend,
    DiskSource,
    Greeting,
    Inquiry,
    InquiryContext,
    StorageFacts,
    StorageItem,
    path_of,
)
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, FakeSecret, parsed_vm
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import SECRET, volume

A, B, SOCKET = Address("10.0.0.1", 3260), Address("fd00::1", 3260, greeting=4), Address("/run/socket")
VM = parsed_vm()
DONE = CommandResult(0, "{}", "")


class Storage(Backend):
    """Storage behind these servers. C(secret): the value that its images need; C(refusal): why none can be opened."""

    def __init__(self, *addresses: Address, secret: Optional[str] = None, refusal: Optional[VmError] = None) -> None:
        self._addresses = addresses
        self._secret = secret
        self._refusal = refusal
        self.greetings: Mapping[Address, Greeting] = {}

    def check(self, item: StorageItem) -> list[Problem]:
        return []

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        raise NotImplementedError

    def addresses(self, item: StorageItem) -> tuple[Address, ...]:
        return self._addresses

    def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
        if self._refusal is not None:
            raise self._refusal
        self.greetings = context.greetings
        return Inquiry("image:" + path_of(item), self._secret, is_secret=self._secret is not None)


class System:
    """A hypervisor where qemu-img has these answers, by path, which records connections and commands."""

    is_remote = False

    def __init__(self, *unreachable: Address, answers: Optional[Mapping[str, Any]] = None) -> None:
        self.network = self.processes = self.files = self
        self.connected: list[str] = []
        self.ran: list[tuple[list[str], float, Optional[str]]] = []
        self._unreachable = {address.host for address in unreachable}
        self._answers = answers or {}

    def connect(self, host: str, port: int, timeout: float, greeting: int) -> ServerGreeting:
        self.connect_to_socket(host, timeout)
        return ServerGreeting(host, b"hello"[:greeting])

    def connect_to_socket(self, path: str, timeout: float) -> None:
        self.connected.append(path)
        if path in self._unreachable:
            raise VmError("storage_unreachable", "Connection refused")

    def run(self, argv: list[str], timeout: float, stdin: Optional[str]) -> CommandResult:
        self.ran.append((argv, timeout, stdin))
        answer = self._answers.get(argv[-1].replace("image:", ""), DONE)
        if isinstance(answer, VmError):
            raise answer
        assert isinstance(answer, CommandResult)
        return answer


def items_of_vm(backend: Backend, *paths: str, **options: Any) -> list[ItemOfVm]:
    return [
        ItemOfVm(VM, volume("file", path, option_path="volumes[%d]" % index, **options), backend)
        for index, path in enumerate(paths)
    ]


def problems(items: list[ItemOfVm], system: Any, *secrets: FakeSecret) -> list[tuple[str, str, str]]:
    hypervisor: Any = FakeHypervisor(secrets=secrets)
    found = find_problems(items, system, hypervisor)
    return [(problem.option_path, problem.code, problem.message) for problem in found]


@pytest.fixture(autouse=True)
def one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "IMAGES_AT_ONCE", 1)
    monkeypatch.setattr(reachability, "CONNECTIONS_AT_ONCE", 1)


class TestServers:
    def test_one_that_answers_is_enough(self) -> None:
        storage = Storage(A, B)
        assert problems(items_of_vm(storage, "/a"), System(A)) == []
        assert storage.greetings == {B: ServerGreeting("fd00::1", b"hell")}

    def test_without_any_the_image_is_not_opened(self) -> None:
        system = System(A, B)
        (problem,) = problems(items_of_vm(Storage(A, B), "/a"), system)
        message = "no answer from 10.0.0.1:3260 (Connection refused), [fd00::1]:3260 (Connection refused)"
        assert problem == ("volumes[0].install_path", "storage_unreachable", message)
        assert system.ran == []

    def test_each_is_connected_to_once(self) -> None:
        system = System()
        assert problems(items_of_vm(Storage(A), "/a", "/b") + items_of_vm(Storage(A, SOCKET), "/c"), system) == []
        assert system.connected == [A.host, SOCKET.host]

    def test_none_is_connected_to_where_the_hypervisor_is_remote(self) -> None:
        class Unasked(Storage):
            def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
                return None

        assert problems(items_of_vm(Unasked(A), "/a"), RemoteSystem("qemu+ssh://hv1/system")) == []


class TestImages:
    FAILED = CommandResult(1, "", "qemu-img: Could not open 'image:/a': Image is not in qcow2 format\n")

    def test_one_is_opened_for_reading_beside_a_running_vm(self) -> None:
        system = System()
        assert problems(items_of_vm(Storage(), "/a"), system) == []
        argv = ["qemu-img", "info", "--output=json", "--force-share", "--", "image:/a"]
        assert system.ran == [(argv, reachability.OPEN_SECONDS, None)]

    def test_a_secret_is_given_as_input(self) -> None:
        system = System()
        assert problems(items_of_vm(Storage(secret="s3cret"), "/a"), system) == []
        ((argv, _seconds, stdin),) = system.ran
        assert (argv[4:6], stdin) == (["--object", "secret,id=key,file=/dev/stdin"], "s3cret")
        assert "s3cret" not in " ".join(argv)

    def test_one_of_two_vms_is_opened_once_and_a_problem_of_both(self) -> None:
        system = System(answers={"/a": self.FAILED})
        message = "qemu-img cannot open /a: Image is not in qcow2 format"
        assert problems(items_of_vm(Storage(A), "/a", "/b", "/a"), system) == [
            ("volumes[0].install_path", "image_unreadable", message),
            ("volumes[2].install_path", "image_unreadable", message),
        ]
        assert len(system.ran) == 2

    def test_after_a_timeout_no_other_of_that_server_is_opened(self) -> None:
        system = System(answers={"/a": VmError("command_timeout", "no")})
        found = problems(items_of_vm(Storage(A), "/a", "/b") + items_of_vm(Storage(B), "/c"), system)
        text = "10.0.0.1:3260 accepts connections, but qemu-img could not open %s within 10 seconds"
        assert [(code, message) for _option_path, code, message in found] == [
            ("storage_unreachable", text % "/a"),
            ("storage_unreachable", text % "/b"),
        ]
        assert [argv[-1] for argv, _seconds, _stdin in system.ran] == ["image:/a", "image:/c"]

    def test_a_hypervisor_without_qemu_img_says_so(self) -> None:
        system = System(answers={"/a": VmError("command_missing", "the program qemu-img is not installed")})
        ((_option_path, _code, message),) = problems(items_of_vm(Storage(), "/a"), system)
        assert message == "qemu-img cannot open /a: the program qemu-img is not installed"

    def test_problems_are_in_the_order_of_the_items(self) -> None:
        refused = Storage(refusal=VmError("image_missing", "gone"))
        items = items_of_vm(Storage(), "/a") + items_of_vm(refused, "/b") + items_of_vm(Storage(), "/a")
        found = problems(items, System(answers={"/a": self.FAILED}))
        assert [code for _option_path, code, _message in found] == [
            "image_unreadable",
            "image_missing",
            "image_unreadable",
        ]


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        ([], "libvirt has no secret %s"),
        ([FakeSecret(SECRET, "volume")], "the libvirt secret %s has no value"),
        ([FakeSecret(SECRET, "volume", value=b"x")], None),
    ],
)
def test_the_passphrase_of_a_volume_must_exist(secrets: list[FakeSecret], message: Optional[str]) -> None:
    found = problems(items_of_vm(Storage(), "/a", luks_secret_uuid=SECRET), System(), *secrets)
    expected = [] if message is None else [("volumes[0].luks_secret_uuid", "secret_missing", message % SECRET)]
    assert found == expected


class TestSecretValues:
    def test_a_key_of_the_task_is_taken_before_libvirts(self) -> None:
        vm: Any = type("VmWithKey", (), {"ceph_secret": CephSecret(SECRET, "bmV3")})
        hypervisor: Any = FakeHypervisor(secrets=[FakeSecret(SECRET, value=b"old")])
        assert SecretValues([vm], hypervisor).key(SECRET) == "bmV3"

    def test_libvirts_is_in_base64_and_read_once(self) -> None:
        hypervisor: Any = FakeHypervisor(secrets=[FakeSecret(SECRET, value=b"a key")])
        values = SecretValues([VM], hypervisor)
        first = values.key(SECRET)
        hypervisor.secrets.clear()
        assert (first, values.key(SECRET)) == (base64.b64encode(b"a key").decode(), first)

    @pytest.mark.parametrize(("code", "is_private"), [("libvirt_denied", True), ("connection_lost", False)])
    def test_a_private_one_is_unknown_and_any_other_error_is_one(self, code: str, is_private: bool) -> None:
        class Libvirt(FakeHypervisor):
            def secret_value(self, uuid: str) -> Optional[bytes]:
                raise VmError(code, "no")

        hypervisor: Any = Libvirt(secrets=[FakeSecret(SECRET)])
        if is_private:
            assert SecretValues([], hypervisor).key(SECRET) is None
        else:
            with pytest.raises(VmError, match="no"):
                SecretValues([], hypervisor).key(SECRET)
