# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uses of each kind of untrusted input, and what must hold for them."""

from __future__ import annotations

import gc
import json
import resource
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import yarl
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.boot_diagnostics import last_lines
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.screenshot import as_png
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.thumbnail import thumbnail
from ansible_collections.zstack.kvm.plugins.module_utils._domain.patches import apply_patches
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VM_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import StartVmCmdError
from ansible_collections.zstack.kvm.plugins.module_utils._spec.values import xml_text
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import DomainPatch
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import SecretMask, masked_arguments
from ansible_collections.zstack.kvm.plugins.module_utils.addresses import merge_addresses
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import presentable
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.body import BodyError, text_of
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.callback_url import problem_of
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.request import RequestError, read_request
from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import vm_of_document
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, CASES
from lxml import etree

SECONDS = 2  # of CPU time, for one input
GROWTH = 64 << 20  # bytes that a test may leave
PASSWORD = "Schl8ssl"
URLS = ["https://zs.example/zstack/asyncrest/callback?x=1#y", "http://10.0.0.2:8080/", "http://[fd00::2]:80/zstack/a;b"]
MAX_BODY = 1 << 20

# The documents of both generations of ZStack's agent, as far as there are fixtures.
GENERATIONS = (CASES, CASES.with_name("start_vm_cmd_today"))
DOCUMENTS: list[dict[str, Any]] = [
    {**json.loads(path.read_text(encoding="utf-8")), "hostManagementIp": "10.0.0.7"}
    for directory in GENERATIONS
    for path in sorted(directory.glob("*.json"))
]


def vms_of(documents: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield the VMs of those documents that the filter accepts."""
    for document in documents:
        with suppress(StartVmCmdError):
            yield vm_of_document(document, "error")[0]


VMS = list(vms_of(DOCUMENTS))


def use_description(vm: Any) -> None:
    """Read the description of a VM, and show it as arguments."""
    _vms, problems = parse_vms([vm])
    assert len(problems) <= 101
    assert PASSWORD not in SecretMask(secrets_of([vm])).text("\n".join(map(str, problems)))
    json.dumps(presentable(masked_arguments([vm], VM_ARGUMENT_SPEC)), allow_nan=False).encode()


def use_document(document: Any) -> None:
    """Read a document as the agent API does, and as the filter does."""
    with suppress(RequestError):
        json.dumps(read_request(json.dumps(document)).arguments, allow_nan=False, ensure_ascii=False).encode()
    with suppress(StartVmCmdError):
        vm_of_document(document, "warn")


def use_body(sent: bytes, encoding: str) -> None:
    """Read the body of a request, perhaps compressed."""
    with suppress(RequestError, BodyError):
        read_request(text_of(zlib.compress(sent) if encoding else sent, encoding, MAX_BODY))


def use_compressed_body(sent: bytes, encoding: str) -> None:
    """Read a body that claims to be compressed."""
    with suppress(RequestError, BodyError):
        read_request(text_of(sent, encoding, MAX_BODY))


def use_patch(action: str, xpath: str, value: str, case: int) -> None:
    """Patch a domain."""
    domain, problems = ALL_CASES[case].reference, list[Problem]()
    try:
        patch = DomainPatch("p", action, xml_text(xpath), xml_text(value))
    except ValueError:  # a problem of the description
        return
    apply_patches(domain, (patch,), problems)
    etree.tostring(domain)


def use_callback_url(url: str) -> None:
    """Check a callback URL: in one that is allowed, the HTTP client reads the same server and path."""
    for allowed in URLS:
        if problem_of(url, [allowed]) == "":
            read, allowed_url = yarl.URL(url), yarl.URL(allowed)
            assert (read.scheme, read.host, read.port) == (allowed_url.scheme, allowed_url.host, allowed_url.port)
            assert (read.path + "/").startswith(allowed_url.path.rstrip("/") + "/")
            assert ".." not in read.path.split("/")


def use_agent_reply(interfaces: Any) -> None:
    """Merge the addresses that libvirt's bindings return for a guest agent's reply."""
    addresses, warnings = merge_addresses({"agent": interfaces, "lease": {}})
    json.dumps(presentable([addresses, warnings]), allow_nan=False).encode()


def use_picture(picture: bytes) -> None:
    """Convert a screenshot."""
    for convert in (as_png, lambda data: thumbnail(data, 4)):
        with suppress(ValueError):
            convert(picture)


def use_serial_text(text: bytes) -> None:
    """Take the last lines of a serial console."""
    assert all("\n" not in line for line in last_lines(text, cut=True))


class Bounded:
    """Runs inputs, none of which may take long, and which together may not grow."""

    WARM_UP = 20  # inputs that fill caches

    def __init__(self) -> None:
        self._count = 0
        self._before = 0

    def run(self, use: Callable[..., None], *arguments: Any) -> None:
        """Run one input."""
        if self._count == self.WARM_UP:
            self._before = _memory()
        begun = time.process_time()
        use(*arguments)
        assert time.process_time() - begun < SECONDS, repr(arguments)[:2000]
        self._count += 1

    def end(self) -> None:
        """Assert that nothing has grown."""
        gc.collect()
        assert self._count > self.WARM_UP
        assert _memory() - self._before < GROWTH


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
