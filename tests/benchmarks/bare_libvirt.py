#!/usr/bin/env python
# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run libvirt-python alone: the lower limit for everything that uses libvirt. Runs on the hypervisor.

bare_libvirt.py start|clone|look|define|remove|count DOMAINS.json [THREADS]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import libvirt

Domain = Mapping[str, str]


def start(connection: Any, domain: Domain) -> None:
    """Define and start a domain."""
    connection.defineXML(domain["xml"]).create()


def clone(connection: Any, domain: Domain) -> None:
    """Create the linked clone of an image, and define and start the domain that has it."""
    backing = ["-F", "qcow2", "-b", domain["image"]]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, domain["disk"]], check=True)
    start(connection, domain)


def define(connection: Any, domain: Domain) -> None:
    """Define a domain."""
    connection.defineXML(domain["xml"])


def look(connection: Any, domain: Domain) -> None:
    """Read everything that shows that nothing has to change."""
    found = connection.lookupByUUIDString(domain["uuid"])
    found.state()
    found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)


def remove(connection: Any, domain: Domain) -> None:
    """Force off and undefine a domain, if it exists, and remove its clone."""
    try:
        found = connection.lookupByUUIDString(domain["uuid"])
        if found.isActive():
            found.destroy()
        found.undefine()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
    if "disk" in domain and os.path.exists(domain["disk"]):
        os.unlink(domain["disk"])


OPERATIONS: dict[str, Callable[[Any, Domain], None]] = {
    "start": start, "clone": clone, "define": define, "look": look, "remove": remove
}  # fmt: skip


def main(operation: str, file: str, threads: int = 1) -> None:
    """Run the operation on all domains, some at a time."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with open(file, encoding="utf-8") as stream:
        domains = json.load(stream)
    connection = libvirt.open("qemu:///system")
    if operation == "count":
        running = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING)
        print(len({each.UUIDString() for each in running} & {domain["uuid"] for domain in domains}))
        return
    with ThreadPoolExecutor(threads) as pool:
        for _done in pool.map(lambda domain: OPERATIONS[operation](connection, domain), domains):
            pass


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
