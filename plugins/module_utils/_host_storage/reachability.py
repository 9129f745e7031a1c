# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check before any change that the VMs' storage can be reached. Bounded in time; each server and image once."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Optional

from .._errors.errors import Problem, VmError
from .._libvirt.hypervisor import Hypervisor
from .._spec.vm import Vm, Volume
from .._storage.base import (
    SECRET_OBJECT,
    Address,
    Backend,
    Inquiry,
    InquiryContext,
    StorageItem,
    option_path_of,
    path_of,
)
from ..deadline import side_by_side

if TYPE_CHECKING:
    from .._host.network import ServerGreeting
    from .._host.system import System

CONNECT_SECONDS = 4
OPEN_SECONDS = 10
CONNECTIONS_AT_ONCE = 16
IMAGES_AT_ONCE = 4

_TIMED_OUT = "timed out"


class ItemOfVm(NamedTuple):
    """A volume or CD of a VM that must be reachable."""

    vm: Vm
    item: StorageItem
    backend: Backend


class _Question(NamedTuple):
    """An image to open, and its servers."""

    inquiry: Inquiry
    addresses: tuple[Address, ...]


class _Answer(NamedTuple):
    """The answer of an address: a greeting, or why there is none."""

    greeting: Optional[ServerGreeting] = None
    failure: str = ""


class SecretValues:
    """The values of secrets in base64: the task's cephx keys, which it sets before it starts any VM, or libvirt's."""

    def __init__(self, vms: Iterable[Vm], hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._given = {vm.ceph_secret.uuid: vm.ceph_secret.key for vm in vms if vm.ceph_secret}
        self._asked: dict[str, Optional[str]] = {}

    def key(self, uuid: str) -> Optional[str]:
        """Return the value, None for a private secret. Raises C(secret_missing)."""
        if uuid in self._given:
            return self._given[uuid]
        if uuid not in self._asked:
            self._asked[uuid] = self._ask(uuid)
        return self._asked[uuid]

    def _ask(self, uuid: str) -> Optional[str]:
        if self._hypervisor.secret_xml(uuid) is None:
            raise VmError("secret_missing", "libvirt has no secret %s" % uuid)
        try:
            value = self._hypervisor.secret_value(uuid)
        except VmError as error:
            if error.code == "libvirt_denied":
                return None
            raise
        if value is None:
            raise VmError("secret_missing", "the libvirt secret %s has no value" % uuid)
        return base64.b64encode(value).decode("ascii")


def find_problems(items: Sequence[ItemOfVm], system: System, hypervisor: Hypervisor) -> list[Problem]:
    """Return the problems that make items unreachable, in their order."""
    answers = _ask_addresses(items, system)
    greetings = {address: answer.greeting for address, answer in answers.items() if answer.greeting is not None}
    keys = SecretValues([each.vm for each in items], hypervisor)
    found: dict[int, Problem] = {}
    questions: dict[int, _Question] = {}
    files = None if system.is_remote else system.files
    for index, (vm, item, backend) in enumerate(items):
        try:
            _check_addresses(backend.addresses(item), answers)
            inquiry = backend.inquiry(item, InquiryContext(vm, files, keys.key, greetings))
        except VmError as error:
            found[index] = Problem(option_path_of(item), error.message, error.code, error.hint)
            continue
        try:
            if isinstance(item, Volume) and item.luks_secret_uuid:
                keys.key(item.luks_secret_uuid)
        except VmError as error:
            option_path = "%s.luks_secret_uuid" % item.option_path
            found[index] = Problem(option_path, error.message, error.code, error.hint)
        else:
            if inquiry is not None:
                questions[index] = _Question(inquiry, backend.addresses(item))
    for index, reason in _open_images(questions, system).items():
        problem = _explain(items[index], reason)
        if problem is not None:
            found[index] = problem
    return [found[index] for index in sorted(found)]


def _ask_addresses(items: Iterable[ItemOfVm], system: System) -> dict[Address, _Answer]:
    if system.is_remote:
        return {}
    addresses = [address for each in items for address in each.backend.addresses(each.item)]
    distinct = list(dict.fromkeys(addresses))
    return dict(zip(distinct, side_by_side(lambda address: _connect(system, address), distinct, CONNECTIONS_AT_ONCE)))


def _connect(system: System, address: Address) -> _Answer:
    try:
        if address.port is None:
            system.network.connect_to_socket(address.host, CONNECT_SECONDS)
            return _Answer()
        return _Answer(system.network.connect(address.host, address.port, CONNECT_SECONDS, address.greeting))
    except VmError as error:
        return _Answer(failure=error.message)


def _check_addresses(addresses: Sequence[Address], answers: Mapping[Address, _Answer]) -> None:
    """Raise C(storage_unreachable) unless one of the addresses has answered."""
    failures = [(address, answers[address].failure) for address in addresses if address in answers]
    if failures and all(failure for dummy, failure in failures):
        reasons = ", ".join("%s (%s)" % failure for failure in failures)
        raise VmError("storage_unreachable", "no answer from %s" % reasons)


def _open_images(questions: Mapping[int, _Question], system: System) -> dict[int, str]:
    """Return why images cannot be opened. After a timeout, no other image of that server is tried."""
    silent: set[tuple[Address, ...]] = set()

    def ask(question: _Question) -> Optional[str]:
        if question.addresses in silent:
            return _TIMED_OUT
        reason = _open_failure(system, question.inquiry)
        if reason == _TIMED_OUT:
            silent.add(question.addresses)
        return reason

    distinct = list(dict.fromkeys(questions.values()))
    reasons = dict(zip(distinct, side_by_side(ask, distinct, IMAGES_AT_ONCE)))
    found = {index: reasons[question] for index, question in questions.items()}
    return {index: reason for index, reason in found.items() if reason is not None}


def _open_failure(system: System, inquiry: Inquiry) -> Optional[str]:
    """Return why qemu-img cannot open an image, None if it can."""
    argv = ["qemu-img", "info", "--output=json", "--force-share"]
    if inquiry.is_secret:
        argv += ["--object", "secret,id=%s,file=/dev/stdin" % SECRET_OBJECT]
    try:
        done = system.processes.run([*argv, "--", inquiry.image], OPEN_SECONDS, inquiry.stdin)
    except VmError as error:
        return _TIMED_OUT if error.code == "command_timeout" else error.message
    if done.returncode == 0:
        return None
    return re.sub(r"(?s)^qemu-img: (Could not open '.*': )?", "", done.stderr.strip())


def _explain(item_of_vm: ItemOfVm, reason: str) -> Optional[Problem]:
    item, backend = item_of_vm.item, item_of_vm.backend
    if reason == _TIMED_OUT:
        names = ", ".join(map(str, backend.addresses(item)))
        text = "%s accepts connections, but qemu-img could not open %s within %d seconds"
        return Problem(option_path_of(item), text % (names, path_of(item), OPEN_SECONDS), "storage_unreachable")
    explained = backend.explain(item, reason)
    return None if explained is None else Problem(option_path_of(item), explained[1], explained[0])
