# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name, UUID, lifecycle and the metadata that ZStack's agent reads."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add

ZSTACK_NAMESPACE = "http://zstack.org"
# The namespaces of a domain, and of the XPaths of patches, by prefix.
NAMESPACES = {"qemu": "http://libvirt.org/schemas/domain/qemu/1.0", "zs": ZSTACK_NAMESPACE}
# The namespace of the record of what libvirt has rewritten in a definition, and libvirt's prefix for it.
REWRITTEN_NAMESPACE = "urn:zstack.kvm:rewritten"
REWRITTEN_PREFIX = "zstack-kvm"


def add_metadata(domain: etree._Element, context: BuildContext) -> None:
    """Add name, uuid, description and metadata."""
    vm = context.vm
    add(domain, "name", vm.domain_name)
    add(domain, "uuid", vm.uuid)
    add(domain, "description", vm.name)
    known = (("internalId", vm.internal_id), ("hostManagementIp", vm.host_management_ip))
    if all(value is None for _tag, value in known):
        return
    zstack = etree.SubElement(add(domain, "metadata"), "{%s}zstack" % ZSTACK_NAMESPACE)
    for tag, value in known:
        if value is not None:
            add(zstack, tag, str(value))


def add_lifecycle(domain: etree._Element, context: BuildContext) -> None:
    """Add on_poweroff, on_reboot and on_crash."""
    add(domain, "on_poweroff", "destroy")
    add(domain, "on_reboot", "restart")
    add(domain, "on_crash", context.vm.on_crash)
