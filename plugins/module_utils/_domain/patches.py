# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of the finished domain by XPath: how a site adds what this collection doesn't know."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._spec.vm import DomainPatch
from ..deadline import call_with_deadline
from .metadata import NAMESPACES

# The VM would be another one.
_FIXED = ("name", "uuid")
# Far beyond what a VM needs: patches that multiply elements end here, before they fill the hypervisor's memory.
_MOST_CHARACTERS = 512 * 1024
_MOST_RESULTS = 10_000
# libxml2, and so libvirt, reads no more than 256.
_DEEPEST = 100
_NESTING = ("add", "replace")
# Ordinary patches take less than a millisecond; a few nested predicates take years.
_SECONDS = 5.0
# The last step of an XPath that sets an attribute, which need not be there yet.
_ATTRIBUTE_STEP = re.compile(r"(?:(?P<owner>.*[^/])/)?@(?P<name>[A-Za-z_][\w.-]*)", re.DOTALL)
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")


def apply_patches(domain: etree._Element, patches: tuple[DomainPatch, ...], problems: list[Problem]) -> None:
    """Change the domain. A patch that can't be applied becomes a problem; the others are applied. When the patches take
    too long, the current one becomes a problem and C(domain) must not be used any more.
    """
    if not patches:
        return
    patching = _Patching(domain)
    try:
        # libxml2 has no limit of its own, and can't be interrupted; lxml lets other threads run meanwhile.
        problems += call_with_deadline(partial(patching.apply, patches), _SECONDS)
    except TimeoutError:
        problems.append(
            _problem(patching.current, "%r takes longer than %g seconds" % (patching.current.xpath, _SECONDS))
        )


def _problem(patch: DomainPatch, message: str) -> Problem:
    return Problem(patch.option_path, message, "patch_failed")


class _PatchError(Exception):
    """The reason why a patch can't be applied."""


class _Patching:
    """The patches of one domain. C(current) is the one that is being applied."""

    current: DomainPatch

    def __init__(self, domain: etree._Element) -> None:
        self._domain = domain
        self._characters = len(etree.tostring(domain))

    def apply(self, patches: tuple[DomainPatch, ...]) -> list[Problem]:
        """Apply the patches that can be applied, and return why the others can't."""
        problems = []
        identity = _identity(self._domain)
        for patch in patches:
            self.current = patch
            try:
                self._apply(patch)
                if _identity(self._domain) != identity:
                    raise _PatchError("%s of a domain cannot be changed" % " and ".join(_FIXED))
            except _PatchError as error:
                problems.append(_problem(patch, str(error)))
            if patch.action in _NESTING and _too_deep()(self._domain):
                return [*problems, _problem(patch, "elements would be nested more than %d deep" % _DEEPEST)]
        return problems

    def _apply(self, patch: DomainPatch) -> None:
        if patch.action == "set":
            owners, attribute = _owners(self._domain, patch.xpath)
            if attribute is not None:
                self._grow(owners, patch)
                for owner in owners:
                    owner.set(attribute, patch.value or "")
                return
        found = _find(self._domain, patch.xpath)
        self._grow(found, patch)
        for item in found:
            if patch.action == "set":
                _set(item, patch.value or "")
            elif patch.action == "remove":
                _remove(self._domain, item)
            else:
                _add_or_replace(self._domain, item, patch)

    def _grow(self, found: list, patch: DomainPatch) -> None:
        self._characters += len(found) * len(patch.value or "")
        if self._characters > _MOST_CHARACTERS:
            raise _PatchError(
                "the domain would grow beyond %d characters: %r matches %d nodes"
                % (_MOST_CHARACTERS, patch.xpath, len(found))
            )


@cache
def _too_deep() -> etree.XPath:
    return etree.XPath("boolean(//*[count(ancestor::*) >= %d])" % _DEEPEST)


def _identity(domain: etree._Element) -> list[list[Optional[str]]]:
    return [[element.text for element in domain.findall(tag)] for tag in _FIXED]


def _owners(domain: etree._Element, xpath: str) -> tuple[list, Optional[str]]:
    """Return the elements that get an attribute, and its name, or None if the XPath doesn't end with an attribute."""
    match = _ATTRIBUTE_STEP.fullmatch(xpath.strip())
    if match is None or _is_union(xpath):
        return [], None
    owners = _find(domain, match["owner"] or ".")
    if not all(isinstance(owner, etree._Element) for owner in owners):
        return [], None
    return owners, match["name"]


def _is_union(xpath: str) -> bool:
    depth = 0
    for character in _QUOTED.sub("", xpath):
        depth += (character in "([") - (character in ")]")
        if character == "|" and not depth:
            return True
    return False


def _find(domain: etree._Element, xpath: str) -> list:
    try:
        found = domain.xpath(xpath, namespaces=NAMESPACES)
    except etree.XPathError as error:
        raise _PatchError("%r is not a valid XPath: %s" % (xpath, error)) from error
    if not isinstance(found, list):
        raise _PatchError("%r returns a value, not elements or attributes of the domain" % xpath)
    if not found:
        raise _PatchError("%r matches nothing in the domain" % xpath)
    if len(found) > _MOST_RESULTS:
        raise _PatchError("%r matches %d nodes of the domain, %d are allowed" % (xpath, len(found), _MOST_RESULTS))
    return found


def _set(item: object, value: str) -> None:
    """Set an attribute, or the text of an element that has no children."""
    if isinstance(item, etree._Element):
        if len(item):
            raise _PatchError("<%s> contains elements: set changes only text and attributes" % item.tag)
        item.text = value
    else:
        _owner(item).set(_attribute(item), value)


def _remove(domain: etree._Element, item: object) -> None:
    if isinstance(item, etree._Element):
        _parent(domain, item).remove(item)
    else:
        del _owner(item).attrib[_attribute(item)]


def _add_or_replace(domain: etree._Element, item: object, patch: DomainPatch) -> None:
    if not isinstance(item, etree._Element):
        raise _PatchError("%r matches an attribute: %s needs an element" % (patch.xpath, patch.action))
    elements = _parse(patch.value or "")
    if patch.action == "add":
        item.extend(elements)
        return
    parent = _parent(domain, item)
    for element in reversed(elements):
        item.addnext(element)
    parent.remove(item)


def _parse(value: str) -> list:
    """Parse one or more elements that may use the known namespaces."""
    declared = " ".join('xmlns:%s="%s"' % item for item in sorted(NAMESPACES.items()))
    # No document type can stand inside an element, so no entity can lead out of the value.
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True)
    try:
        elements = list(etree.fromstring("<patch %s>%s</patch>" % (declared, value), parser))
    except etree.XMLSyntaxError as error:
        raise _PatchError("the value is not valid XML: %s" % error) from error
    if not elements:
        raise _PatchError("the value contains no element")
    return elements


def _parent(domain: etree._Element, item: etree._Element) -> etree._Element:
    parent = item.getparent()
    if item is domain or parent is None:
        raise _PatchError("the domain itself cannot be removed")
    return parent


def _owner(item: object) -> etree._Element:
    if not getattr(item, "is_attribute", False):
        raise _PatchError("the XPath matches a text: select its element instead")
    return item.getparent()  # type: ignore[attr-defined]


def _attribute(item: object) -> Optional[str]:
    return item.attrname  # type: ignore[attr-defined]
