# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random changes of untrusted input: nothing takes long, grows, or ends in an unexpected error.

A block is some hundred inputs of one seed; so its failures can be repeated. Together they are 20,000 and more.
"""

from __future__ import annotations

import gc
import json
import resource
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
import yarl
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.boot_diagnostics import last_lines
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.screenshot import PNG_SIGNATURE, as_png
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.thumbnail import thumbnail
from ansible_collections.zstack.kvm.plugins.module_utils._domain.patches import apply_patches
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VM_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import (
    StartVmCmdError,
    vm_from_start_vm_cmd,
)
from ansible_collections.zstack.kvm.plugins.module_utils._spec.values import xml_text
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import DomainPatch
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import SecretMask, masked_arguments
from ansible_collections.zstack.kvm.plugins.module_utils.addresses import merge_addresses
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import presentable
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.body import BodyError, text_of
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.callback_url import problem_of
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.request import RequestError, read_request
from ansible_collections.zstack.kvm.tests.support.mutator import Mutator
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES
from lxml import etree

SECONDS = 2  # of CPU time, for one input
GROWTH = 64 << 20  # bytes that a block may leave
BLOCKS = range(4)

DOCUMENTS = [{**case.document, "hostManagementIp": "10.0.0.7"} for case in ALL_CASES]
VMS = [vm_from_start_vm_cmd(case.document)[0] for case in ALL_CASES]
OPTIONS = {
    "on_drift": "live",
    "backup": True,
    "console_password": "Schl8ssl",
    "domain_patches": [{"action": "add", "xpath": "/domain", "value": "<title>x</title>"}],
}
URLS = ["https://zs.example/zstack/asyncrest/callback?x=1#y", "http://10.0.0.2:8080/", "http://[fd00::2]:80/zstack/a;b"]
URL_PIECES = [
    "%2f",
    "%2e%2e",
    "..",
    "//",
    "\\",
    "@",
    ":",
    "[",
    "]",
    "#",
    "?",
    ";",
    "%",
    "%00",
    "evil.example",
    "\t",
    "８",
]
XPATHS = ["/domain/devices", "/domain/@type", "//disk[@device='disk']/source/@file", "/domain/name", "//*[last()]"]
XPATH_PIECES = [
    "//",
    "/",
    "*",
    "@*",
    "[1]",
    "text()",
    "..",
    "|",
    "(",
    ")",
    "'",
    "qemu:",
    "count(",
    "not(",
    "=",
    "domain",
]
FRAGMENTS = ["<title>x</title>", "<a b='c'>d</a><e/>", "qcow2"]
FRAGMENT_PIECES = [
    "<",
    ">",
    "&lt;",
    "&x;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "<?x?>",
    "xmlns:a='b'",
    "</patch>",
    "\x00",
    "a:b",
    '"',
]
SERIAL = b"[    0.000000] Linux\r\nprogress 10%\rprogress 99%\r\n\x1b[31mred\x1b[0m\nKernel panic \xe2\x82\xac\n" * 50
ADDRESSES = ["192.0.2.7", "2001:db8::7", "fe80::1%eth0", "::ffff:192.0.2.7"]
PPM = b"P6\n# made by hand\n8 6\n255\n" + bytes(range(144))


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(bytes([number % 5]) + bytes(range(24)) for number in range(8))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return PNG_SIGNATURE + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def description(mutator: Mutator) -> None:
    vms = [mutator.data({**mutator.random.choice(VMS), **OPTIONS})]
    _vms, problems = parse_vms(vms)
    assert len(problems) <= 101
    assert "Schl8ssl" not in SecretMask(secrets_of(vms)).text("\n".join(map(str, problems)))
    json.dumps(presentable(masked_arguments(vms, VM_ARGUMENT_SPEC)), allow_nan=False).encode()


def document(mutator: Mutator) -> None:
    sent = json.dumps(mutator.data({**mutator.random.choice(DOCUMENTS), "options": OPTIONS}))
    with suppress(RequestError):
        json.dumps(read_request(sent).arguments, allow_nan=False, ensure_ascii=False).encode()


def body(mutator: Mutator) -> None:
    sent = mutator.bytes(json.dumps(mutator.random.choice(DOCUMENTS)).encode())
    compressed = mutator.random.random() < 0.2
    with suppress(RequestError, BodyError):
        read_request(text_of(zlib.compress(sent) if compressed else sent, "deflate" if compressed else "", 1 << 20))


def filtered(mutator: Mutator) -> None:
    with suppress(StartVmCmdError):
        vm_from_start_vm_cmd(mutator.data(mutator.random.choice(DOCUMENTS)), unknown="warn")


def patch(mutator: Mutator) -> None:
    case = mutator.random.choice(ALL_CASES[:4])
    domain, problems = case.reference, list[Problem]()
    try:
        xpath = xml_text(mutator.text(mutator.random.choice(XPATHS), XPATH_PIECES))
        value = xml_text(mutator.text(mutator.random.choice(FRAGMENTS), FRAGMENT_PIECES))
    except ValueError:  # a problem of the description
        return
    action = mutator.random.choice(["set", "add", "remove", "replace"])
    apply_patches(domain, (DomainPatch("p", action, xpath, value),), problems)
    etree.tostring(domain)


def callback_url(mutator: Mutator) -> None:
    url = mutator.text(mutator.random.choice(URLS), URL_PIECES)
    for _change in range(mutator.random.randrange(3)):
        url = mutator.text(url, URL_PIECES)
    for allowed in URLS:
        if problem_of(url, [allowed]) == "":
            read, wanted = yarl.URL(url), yarl.URL(allowed)
            assert (read.scheme, read.host, read.port) == (wanted.scheme, wanted.host, wanted.port)
            assert (read.path + "/").startswith(wanted.path.rstrip("/") + "/")
            assert ".." not in read.path.split("/")


def agent_reply(mutator: Mutator) -> None:
    """Build a reply as libvirt's bindings do: only names and texts come from the guest."""
    interfaces = {
        mutator.text("eth0"): {
            "hwaddr": mutator.text("fa:52:00:00:71:01"),
            "addrs": [{"addr": mutator.text(address), "prefix": 24, "type": 0} for address in ADDRESSES],
        }
        for _interface in range(3)
    }
    addresses, warnings = merge_addresses({"agent": interfaces, "lease": {}})
    json.dumps(presentable([addresses, warnings]), allow_nan=False).encode()


def picture(mutator: Mutator) -> None:
    changed = mutator.bytes(mutator.random.choice([PPM, png()]))
    for use in (as_png, lambda data: thumbnail(data, 4)):
        with suppress(ValueError):
            use(changed)


def serial_text(mutator: Mutator) -> None:
    assert all("\n" not in line for line in last_lines(mutator.bytes(SERIAL), cut=True))


INPUTS: dict[Callable[[Mutator], None], int] = {
    description: 700,
    document: 700,
    body: 700,
    filtered: 700,
    patch: 700,
    callback_url: 1000,
    agent_reply: 400,
    picture: 400,
    serial_text: 200,
}


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("use", INPUTS, ids=lambda use: use.__name__)
def test_nothing_takes_long_or_grows_or_fails(use: Callable[[Mutator], None], block: int) -> None:
    mutator = Mutator(block)
    for _warm_up in range(20):
        use(mutator)
    before = memory()
    for number in range(INPUTS[use]):
        begun = time.process_time()
        use(mutator)
        assert time.process_time() - begun < SECONDS, f"input {number} of block {block}"
    gc.collect()
    assert memory() - before < GROWTH


def memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_twenty_thousand_and_more() -> None:
    assert sum(INPUTS.values()) * len(BLOCKS) >= 20_000
