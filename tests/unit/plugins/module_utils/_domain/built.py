# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains of VMs with few options on recorded hosts, for the tests of builders."""

from __future__ import annotations

from functools import cache
from typing import Any, Union

from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import Host
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

DEBIAN = "debian-12"

_recorded = cache(recorded_host)


def host_with(name: str, **capabilities: Any) -> Host:
    """Return a recorded host with other capabilities for every kind of domain."""
    host = _recorded(name)
    return host._replace(
        domain_capabilities={kind: known._replace(**capabilities) for kind, known in host.domain_capabilities.items()},
    )


def built(host: Union[str, Host] = DEBIAN, **options: Any) -> DesiredDomain:
    """Return the domain of a VM, which is valid against libvirt's schema, with its warnings and problems."""
    desired = build(parsed_vm(**options), _recorded(host) if isinstance(host, str) else host, StorageFacts())
    assert schema_errors(desired.element) == []
    return desired


def domain(host: Union[str, Host] = DEBIAN, **options: Any) -> etree._Element:
    """Return the domain of a VM."""
    return built(host, **options).element


def attributes(parent: etree._Element, path: str) -> list[dict[str, str]]:
    """Return the attributes of all elements at this path."""
    return [dict(element.attrib) for element in parent.iterfind(path)]


def missing(host: Union[str, Host] = DEBIAN, **options: Any) -> list[str]:
    """Return what the host lacks to run the VM."""
    return [str(problem) for problem in built(host, **options).missing]
