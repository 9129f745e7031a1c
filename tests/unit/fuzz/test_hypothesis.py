# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Untrusted input that hypothesis draws: in other shapes than random changes of valid input."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.fuzz import targets, test_fuzz
from ansible_collections.zstack.kvm.tests.unit.fuzz.targets import DOCUMENTS, URLS, VMS, Bounded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLES = 150  # of each kind

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4), max_leaves=20
)


@st.composite
def changed(draw: st.DrawFn, originals: list[dict[str, Any]], *more: str) -> dict[str, Any]:
    """Draw one of the originals in which up to three fields are anything, unknown ones included."""
    original = draw(st.sampled_from(originals))
    names = st.sampled_from([*original, *more])
    return {**original, **draw(st.dictionaries(names, JSON, min_size=1, max_size=3))}


BODIES = st.one_of(st.binary(max_size=200), JSON.map(lambda data: json.dumps(data).encode()))
AXES = st.sampled_from(["/", "//", "ancestor::", "following::", "preceding-sibling::", "@", "..", "."])
NAMES = st.sampled_from(["domain", "devices", "disk", "*", "text()", "node()", "type", "qemu:arg", "a b", "\u00e9"])
TESTS = st.sampled_from(["", "[1]", "[last()]", "[@a='b']", "[count(//*)>1]", "[not(//*[//*])]", "["])
XPATHS = st.lists(st.tuples(AXES, NAMES, TESTS).map("".join), min_size=1, max_size=5).map("".join)
MARKUP = st.lists(
    st.sampled_from(
        ["<a>", "</a>", "<a/>", "<qemu:a b='c'/>", "&amp;", "&x;", "<![CDATA[", "]]>", "<!--", "-->", "<?a?>"]
    )
    | ANY_TEXT,
    max_size=8,
).map("".join)
HOSTS = st.sampled_from(
    ["zs.example", "ZS.example.", "10.0.0.2", "0x0a.2", "[fd00::2]", "[::ffff:10.0.0.2]", "a@b", ""]
)
PARTS = (
    st.sampled_from(["/zstack", "/", "/..", "/%2e%2e", "%2f", "\\", ";", "?", "#", "@evil", ":80", " ", "\t"])
    | ANY_TEXT
)
SCHEMES = st.sampled_from(["http://", "https://", "HTTP:", "//", "ftp://", ""])
ANY_URLS = st.tuples(SCHEMES, HOSTS, st.lists(PARTS, max_size=5).map("".join)).map("".join)
BELOW = st.tuples(st.sampled_from(URLS), st.lists(PARTS, max_size=3).map("".join)).map("".join)
ADDRESSES = st.fixed_dictionaries(
    {"addr": st.one_of(ANY_TEXT, st.ip_addresses().map(str)), "prefix": st.integers(), "type": st.integers(0, 9)}
)
REPLIES = st.dictionaries(
    ANY_TEXT,
    st.fixed_dictionaries({"hwaddr": st.none() | ANY_TEXT, "addrs": st.none() | st.lists(ADDRESSES, max_size=4)}),
    max_size=4,
)
PICTURES = st.tuples(
    st.sampled_from([b"P6 ", b"P6\n#", b"P5 ", b"\x89PNG\r\n\x1a\n", b""]),
    st.lists(st.integers(0, 10**7), max_size=4).map(lambda sizes: " ".join(map(str, sizes)).encode()),
    st.binary(max_size=300),
).map(b"".join)

# The arguments of the target with that name.
STRATEGIES: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "description": st.tuples(JSON | changed(VMS, "domain_patches", "console_password", "a")),
    "document": st.tuples(JSON | changed(DOCUMENTS, "options", "a")),
    "body": st.tuples(BODIES, st.sampled_from(["", "deflate"])),
    "compressed_body": st.tuples(st.binary() | BODIES.map(zlib.compress), st.sampled_from(["gzip", "deflate", "x"])),
    "patch": st.tuples(st.sampled_from(["set", "add", "remove", "replace"]), XPATHS | ANY_TEXT, MARKUP, st.just(0)),
    "callback_url": st.tuples(ANY_URLS | BELOW),
    "agent_reply": st.tuples(REPLIES),
    "picture": st.tuples(PICTURES),
    "serial_text": st.tuples(st.binary(max_size=2000)),
}


@pytest.mark.parametrize("target", STRATEGIES)
def test_random_input_is_handled_in_bounded_time_and_memory(target: str) -> None:
    bounded = Bounded()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STRATEGIES[target])
    def run(arguments: tuple[Any, ...]) -> None:
        bounded.run(getattr(targets, f"use_{target}"), *arguments)

    run()
    bounded.end()


def test_each_target_has_its_strategy() -> None:
    assert set(STRATEGIES) == {name[4:] for name in dir(targets) if name.startswith("use_")}


def test_the_figures_of_the_documentation_are_right() -> None:
    page = " ".join((CHECKOUT / "docs/testing.md").read_text(encoding="utf-8").split())
    seeded, drawn = sum(test_fuzz.INPUTS.values()) * len(test_fuzz.BLOCKS), EXAMPLES * len(STRATEGIES)
    assert f"reads {seeded:,} inputs" in page
    assert f"{drawn:,} that hypothesis draws" in page
    assert f"may take {targets.SECONDS} s of CPU time, leave {targets.GROWTH >> 20} MiB behind" in page
