# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address of a console: where it listens, or where the hypervisor is reached if it listens everywhere."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._start.console_address import console_of, console_of_domain
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree


def domain(graphics: str) -> etree._Element:
    return etree.fromstring("<domain><devices>%s</devices></domain>" % graphics)


def vnc(host: str, port: int) -> dict[str, Any]:
    return {"type": "vnc", "host": host, "port": port}


@pytest.mark.parametrize(
    ("graphics", "console"),
    [
        ("<graphics type='vnc' port='5900' listen='10.0.0.1'/>", vnc("10.0.0.1", 5900)),
        ("<graphics type='vnc' port='5900'/>", vnc("127.0.0.1", 5900)),
        (
            "<graphics type='spice' port='-1' tlsPort='5901' listen='::1'/>",
            {"type": "spice", "host": "::1", "port": 5901},
        ),
        ("<graphics type='vnc' port='-1' autoport='yes'/>", None),
        ("<graphics type='vnc'><listen type='none'/></graphics>", None),
        ("", None),
    ],
)
def test_it_is_where_the_first_graphics_listen(graphics: str, console: Optional[dict[str, Any]]) -> None:
    assert console_of_domain(domain(graphics), None) == console


@pytest.mark.parametrize(
    ("listen", "management_ip", "host"),
    [
        ("0.0.0.0", "10.0.0.9", "10.0.0.9"),
        ("::", "10.0.0.9", "10.0.0.9"),
        ("0.0.0.0", None, "0.0.0.0"),
        ("10.0.0.1", "10.0.0.9", "10.0.0.1"),
    ],
)
def test_one_that_listens_everywhere_is_at_the_management_address(
    listen: str, management_ip: Optional[str], host: str
) -> None:
    live = domain("<graphics type='vnc' port='5900' listen='%s'/>" % listen)
    assert console_of(parsed_vm(host_management_ip=management_ip), live) == vnc(host, 5900)


def test_a_vm_that_does_not_run_has_none() -> None:
    assert console_of(parsed_vm(), None) is None
