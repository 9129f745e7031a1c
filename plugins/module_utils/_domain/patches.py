# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of the finished domain by XPath: how a site adds what this collection doesn't know."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._spec.vm import DomainPatch
from .metadata import ZSTACK_NAMESPACE

QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
NAMESPACES = {"qemu": QEMU_NAMESPACE, "zs": ZSTACK_NAMESPACE}


# The VM would be another one.
_FIXED = ("name", "uuid")


def apply_patches(domain: etree._Element, patches: tuple[DomainPatch, ...], problems: list[Problem]) -> None:
    """Changes the domain. A patch that can't be made becomes a problem; the others are made."""
    identity = _identity(domain)
    for patch in patches:
        try:
            _apply(domain, patch)
            if _identity(domain) != identity:
                raise _Refused("%s of a domain cannot be changed" % " and ".join(_FIXED))
        except _Refused as error:
            problems.append(Problem(patch.option_path, str(error), "patch_failed"))


def _identity(domain: etree._Element) -> list[list[Optional[str]]]:
    return [[element.text for element in domain.findall(tag)] for tag in _FIXED]


class _Refused(Exception):
    """Why a patch can't be made."""


def _apply(domain: etree._Element, patch: DomainPatch) -> None:
    found = _find(domain, patch.xpath)
    if patch.action == "set":
        for item in found:
            _set(item, patch.value or "")
    elif patch.action == "remove":
        for item in found:
            _remove(domain, item)
    else:
        for item in found:
            _add_or_replace(domain, item, patch)


def _find(domain: etree._Element, xpath: str) -> list:
    try:
        found = domain.xpath(xpath, namespaces=NAMESPACES)
    except etree.XPathError as error:
        raise _Refused("%r is no XPath: %s" % (xpath, error)) from error
    if not isinstance(found, list):
        raise _Refused("%r gives a value, not elements or attributes of the domain" % xpath)
    if not found:
        raise _Refused("%r finds nothing in the domain" % xpath)
    return found


def _set(item: object, value: str) -> None:
    """Sets an attribute, or the text of an element that has no children."""
    if isinstance(item, etree._Element):
        if len(item):
            raise _Refused("<%s> has elements in it: set changes texts and attributes only" % item.tag)
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
        raise _Refused("%r finds an attribute: %s needs an element" % (patch.xpath, patch.action))
    elements = _parse(patch.value or "")
    if patch.action == "add":
        item.extend(elements)
        return
    parent = _parent(domain, item)
    index = parent.index(item)
    parent.remove(item)
    for offset, element in enumerate(elements):
        parent.insert(index + offset, element)


def _parse(value: str) -> list:
    """One or more elements, in which the namespaces are known."""
    declared = " ".join('xmlns:%s="%s"' % item for item in sorted(NAMESPACES.items()))
    # No document type can stand inside an element, so no entity can lead out of the value.
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True)
    try:
        elements = list(etree.fromstring("<patch %s>%s</patch>" % (declared, value), parser))
    except etree.XMLSyntaxError as error:
        raise _Refused("the value is no XML: %s" % error) from error
    if not elements:
        raise _Refused("the value has no element in it")
    return elements


def _parent(domain: etree._Element, item: etree._Element) -> etree._Element:
    parent = item.getparent()
    if item is domain or parent is None:
        raise _Refused("the domain itself stays")
    return parent


def _owner(item: object) -> etree._Element:
    if not getattr(item, "is_attribute", False):
        raise _Refused("the XPath finds a text: name its element")
    return item.getparent()  # type: ignore[attr-defined]


def _attribute(item: object) -> Optional[str]:
    return item.attrname  # type: ignore[attr-defined]
