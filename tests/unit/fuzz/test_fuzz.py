# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random changes of untrusted input, by seeds: nothing takes long, grows, or ends in an unexpected error.

A block is some hundred inputs of one seed, so that its failures can be reproduced. Together they are 20,000 or more.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.screenshot import PNG_SIGNATURE
from ansible_collections.zstack.kvm.tests.support.mutator import Mutator
from ansible_collections.zstack.kvm.tests.unit.fuzz import targets
from ansible_collections.zstack.kvm.tests.unit.fuzz.targets import DOCUMENTS, PASSWORD, URLS, VMS, Bounded

BLOCKS = range(4)

OPTIONS = {
    "on_drift": "live",
    "backup": True,
    "console_password": PASSWORD,
    "domain_patches": [{"action": "add", "xpath": "/domain", "value": "<title>x</title>"}],
}
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


# Each returns the arguments of the target with its name.
Make = Callable[[Mutator], tuple[Any, ...]]


def description(mutator: Mutator) -> tuple[Any, ...]:
    return (mutator.data({**mutator.random.choice(VMS), **OPTIONS}),)


def document(mutator: Mutator) -> tuple[Any, ...]:
    return (mutator.data({**mutator.random.choice(DOCUMENTS), "options": OPTIONS}),)


def body(mutator: Mutator) -> tuple[Any, ...]:
    sent = mutator.bytes(json.dumps(mutator.random.choice(DOCUMENTS)).encode())
    return sent, "deflate" if mutator.random.random() < 0.2 else ""


def compressed_body(mutator: Mutator) -> tuple[Any, ...]:
    packed = zlib.compress(json.dumps(mutator.random.choice(DOCUMENTS)).encode())
    return mutator.bytes(packed), mutator.random.choice(["deflate", "gzip"])


def patch(mutator: Mutator) -> tuple[Any, ...]:
    xpath = mutator.text(mutator.random.choice(XPATHS), XPATH_PIECES)
    value = mutator.text(mutator.random.choice(FRAGMENTS), FRAGMENT_PIECES)
    return mutator.random.choice(["set", "add", "remove", "replace"]), xpath, value, mutator.random.randrange(4)


def callback_url(mutator: Mutator) -> tuple[Any, ...]:
    url = mutator.random.choice(URLS)
    for _change in range(mutator.random.randrange(1, 4)):
        url = mutator.text(url, URL_PIECES)
    return (url,)


def agent_reply(mutator: Mutator) -> tuple[Any, ...]:
    """Return a reply as libvirt's bindings return it: only names and texts come from the guest."""
    addresses = [{"addr": mutator.text(address), "prefix": 24, "type": 0} for address in ADDRESSES]
    nics = ({"hwaddr": mutator.text("fa:52:00:00:71:01"), "addrs": addresses} for _number in range(3))
    return ({mutator.text("eth0"): nic for nic in nics},)


def picture(mutator: Mutator) -> tuple[Any, ...]:
    return (mutator.bytes(mutator.random.choice([PPM, png()])),)


def serial_text(mutator: Mutator) -> tuple[Any, ...]:
    return (mutator.bytes(SERIAL),)


INPUTS: dict[Make, int] = {
    description: 700,
    document: 900,
    body: 700,
    compressed_body: 300,
    patch: 700,
    callback_url: 1000,
    agent_reply: 400,
    picture: 400,
    serial_text: 200,
}


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("make", INPUTS, ids=lambda make: make.__name__)
def test_random_input_is_handled_in_bounded_time_and_memory(make: Make, block: int) -> None:
    mutator, bounded = Mutator(block), Bounded()
    for _number in range(INPUTS[make]):
        bounded.run(getattr(targets, f"use_{make.__name__}"), *make(mutator))
    bounded.end()


@pytest.mark.parametrize("text", ["\u00b2", "1" * 5000, "0x" + "f" * 5000])
@pytest.mark.parametrize("document", [DOCUMENTS[0], DOCUMENTS[-1]], ids=["2018", "today"])
def test_digits_that_are_no_number_are_no_failure(document: dict[str, Any], text: str) -> None:
    addons = {**document["addons"], "FIXED_CDROMS": text, "numaNodes": [{"nodeID": 0, "distance": [text]}]}
    changed = {**document, "fromForeignHypervisor": True, "cpuNum": text, "useNuma": False, "addons": addons}
    for wrong in (changed, {**changed, "cpuNum": 1}):
        targets.use_document(wrong)


def test_there_are_at_least_twenty_thousand_inputs() -> None:
    assert sum(INPUTS.values()) * len(BLOCKS) >= 20_000


def test_each_target_has_its_inputs() -> None:
    assert {make.__name__ for make in INPUTS} == {name[4:] for name in dir(targets) if name.startswith("use_")}
