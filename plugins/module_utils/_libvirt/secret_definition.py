# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of libvirt: how they are written, compared and planned. Nothing here touches the hypervisor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

# The element that names what a secret of a type is for.
_USAGE_ELEMENTS = {"ceph": "name", "iscsi": "target"}


@dataclass(frozen=True)
class SecretDefinition:
    """The public part of a libvirt secret. C(kind) is ceph or iscsi, C(usage) what it is for."""

    uuid: str
    kind: str
    usage: str
    ephemeral: bool
    private: bool

    def to_xml(self) -> str:
        """Return the definition as libvirt takes it."""
        secret = etree.Element("secret", ephemeral=_yes_no(self.ephemeral), private=_yes_no(self.private))
        etree.SubElement(secret, "uuid").text = self.uuid
        usage = etree.SubElement(secret, "usage", type=self.kind)
        etree.SubElement(usage, _USAGE_ELEMENTS.get(self.kind, "name")).text = self.usage
        return str(etree.tostring(secret, encoding="unicode", pretty_print=True))


@dataclass(frozen=True)
class ExistingSecret:
    """A secret as libvirt has it. C(value) is None where it has none, or is not C(readable) because it is private."""

    xml: str
    definition: SecretDefinition
    value: Optional[bytes]
    readable: bool


@dataclass(frozen=True)
class SecretPlan:
    """The steps to take, in this order. C(value) is the secret's new value, None to keep its value."""

    undefine: bool = False
    define: bool = False
    value: Optional[bytes] = None

    @property
    def changes(self) -> bool:
        """Return whether there is anything to be done."""
        return self.undefine or self.define or self.value is not None


class ValueNeededError(Exception):
    """A secret has to be recreated, but its value is unknown."""


def parse_secret(xml: str) -> SecretDefinition:
    """Return the definition that libvirt shows; C(usage) is empty for a secret without a particular use."""
    secret = etree.fromstring(xml)
    usage = secret.find("usage")
    return SecretDefinition(
        uuid=secret.findtext("uuid").strip(),
        kind="" if usage is None else usage.get("type"),
        usage="" if usage is None or len(usage) == 0 else usage[0].text or "",
        ephemeral=secret.get("ephemeral") == "yes",
        private=secret.get("private") == "yes",
    )


def plan_secret(
    desired: SecretDefinition, value: Optional[bytes], existing: Optional[ExistingSecret], overwrite: bool
) -> SecretPlan:
    """Return the plan that gives a secret its desired state. Without C(value) it keeps its value.

    C(overwrite): give it the value also if it has another one, or if nobody can see which it has. libvirt changes
    neither the usage of a secret nor a private one into a public one, and leaves the file of a persistent one that
    becomes ephemeral, so that it comes back when libvirt is restarted: such a secret is recreated.
    """
    if existing is None:
        return SecretPlan(define=True, value=value)
    found = existing.definition
    is_other = (found.kind, found.usage) != (desired.kind, desired.usage)
    if is_other or (found.private and not desired.private) or (desired.ephemeral and not found.ephemeral):
        if value is None and not existing.readable:
            raise ValueNeededError
        return SecretPlan(undefine=True, define=True, value=existing.value if value is None else value)
    has_value = existing.value is not None or not existing.readable
    is_right = existing.value == value or (has_value and not overwrite)
    return SecretPlan(define=found != desired, value=None if is_right else value)


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
