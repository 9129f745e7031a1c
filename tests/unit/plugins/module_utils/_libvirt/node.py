# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor of libvirt's test driver, which simulates one within this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.binding import libvirt
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor

RUNNING = "11111111-2f64-4d0b-9a55-7a0d3c1f2b11"
SHUT_OFF = "22222222-2f64-4d0b-9a55-7a0d3c1f2b11"
ABSENT = "33333333-2f64-4d0b-9a55-7a0d3c1f2b11"
CPUS, MEMORY_KIB = 24, 5 << 20

DOMAIN = (
    "<domain type='test'%s><name>%s</name><uuid>%s</uuid><memory>65536</memory><os><type>hvm</type></os>%s</domain>"
)
_RUN_STATE = " xmlns:test='http://libvirt.org/schemas/domain/test/1.0'", "<test:runstate>5</test:runstate>"
_NODE = """<node>
  <cpu><mhz>2000</mhz><model>x</model><active>%d</active><nodes>1</nodes><sockets>2</sockets><cores>6</cores>
    <threads>2</threads></cpu>
  <memory>%d</memory>%s
  <network><name>lan</name><bridge name="virbr0"/><ip address="192.168.122.1" netmask="255.255.255.0"/></network>
  <pool type="dir"><name>images</name><target><path>/images</path></target>
    <volume><name>disk</name><capacity unit="bytes">1048576</capacity><target><format type="qcow2"/></target></volume>
  </pool>
</node>"""


@contextmanager
def connected(directory: Path) -> Iterator[Hypervisor]:
    """Return a connection to a hypervisor with two domains, a network and a storage pool with one volume."""
    domains = DOMAIN % ("", "running", RUNNING, "") + DOMAIN % (_RUN_STATE[0], "off", SHUT_OFF, _RUN_STATE[1])
    (directory / "node.xml").write_text(_NODE % (CPUS, MEMORY_KIB, domains), encoding="utf-8")
    hypervisor = Hypervisor.connect("test://%s/node.xml" % directory)
    try:
        yield hypervisor
    finally:
        hypervisor.close()


def libvirt_error(number: int, source: int = 0, message: str = "no", system_errno: int = -1) -> Any:
    """Return an error as libvirt's bindings raise it."""
    error = libvirt.libvirtError(message)
    error.err = (number, source, message, 2, "", "", "", system_errno, -1)
    return error
