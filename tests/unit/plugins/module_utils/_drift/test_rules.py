# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There is a rule for everything that the builders of the domain write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.rules import NAMESPACES, RULES, Rule
from ansible_collections.zstack.kvm.tests.support.golden_domains import GOLDEN_NAMES, recorded_outcome
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES
from lxml import etree


def path_of(element: etree._Element) -> str:
    """Return the key of an element's rule."""
    names = []
    while element.getparent() is not None:
        tag = element.tag
        for prefix, uri in NAMESPACES.items():
            tag = tag.replace("{%s}" % uri, prefix + ":")
        names.append(tag)
        element = element.getparent()
    return "/".join(reversed(names)) or "."


def rule_of(path: str) -> Rule:
    """Return the rule, or that of any child of its parent."""
    return RULES.get(path) or RULES[path.rpartition("/")[0] + "/*"]


def known_attributes(rule: Rule) -> set[str]:
    """Return all attributes that a rule mentions."""
    of_itself = {where[1:] for where in rule.kinds if where.startswith("@")}
    return {*rule.attributes.split(), *rule.optional.split(), *rule.defaults, *of_itself}


def domains() -> Iterator[etree._Element]:
    """Return the domains of all reference documents and all recorded ones, without what patches wrote."""
    yield from (case.build().element for case in ALL_CASES)
    texts = (recorded_outcome(name).xml for name in GOLDEN_NAMES if name != "patched")
    yield from (etree.fromstring(text) for text in texts if text is not None)


def written() -> Iterator[tuple[str, str]]:
    """Yield every element and attribute of these domains, by path."""
    for domain in domains():
        for element in domain.iter():
            path = path_of(element)
            yield path, ""
            for name in element.attrib:
                yield path, name


def test_every_element_and_attribute_that_builders_write_has_a_rule() -> None:
    missing = {"%s/@%s" % (path, name) if name else path for path, name in set(written()) if not _is_known(path, name)}
    assert sorted(missing) == []


def _is_known(path: str, name: str) -> bool:
    try:
        rule = rule_of(path)
    except KeyError:
        return False
    return not name or name in known_attributes(rule)


def test_every_rule_has_its_parents() -> None:
    orphans = [path for path in RULES if "/" in path and path.rpartition("/")[0] not in RULES]
    assert orphans == []


KINDS_OF_CHILDREN = [
    (path, child)
    for path, rule in RULES.items()
    for child in (where.partition("@")[0].rstrip("/") for where in rule.kinds)
    if child
]


@pytest.mark.parametrize(("path", "child"), KINDS_OF_CHILDREN)
def test_a_kind_that_is_of_a_child_is_of_one_with_a_rule(path: str, child: str) -> None:
    assert f"{path}/{child}" in RULES
