# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defines and starts libvirt networks, and prints what it changed.

The arguments are "apply" or "check" (which only prints), "restart" or "keep", and the networks as JSON.
"""

import ipaddress
import json
import sys
from xml.sax.saxutils import quoteattr

import libvirt
from lxml import etree


def desired_xml(network):
    """Return the definition of a network."""
    name = etree.Element("name")
    name.text = network["name"]
    parts = [etree.tostring(name, encoding="unicode")]
    mode = network.get("mode", "nat")
    if mode != "isolated":
        parts.append("<forward mode=%s/>" % quoteattr(mode))
    if network.get("bridge"):
        parts.append("<bridge name=%s/>" % quoteattr(network["bridge"]))
    if mode != "bridge":
        address = ipaddress.IPv4Interface(network["address"])
        parts.append("<ip address='%s' prefix='%d'>" % (address.ip, address.network.prefixlen))
        if network.get("dhcp_start"):
            ends = [ipaddress.IPv4Address(network[name]) for name in ("dhcp_start", "dhcp_end")]
            if not all(end in address.network for end in ends):
                raise ValueError("the range %s to %s is not in %s" % (*ends, address.network))
            parts.append("<dhcp><range start='%s' end='%s'/></dhcp>" % tuple(ends))
        parts.append("</ip>")
    return "<network>%s</network>" % "".join(parts)


def facts(network):
    """Return what of a definition this role decides. Without a bridge in it, libvirt chooses the name."""
    forward, bridge, ip, dhcp = (network.find(path) for path in ("forward", "bridge", "ip", "ip/dhcp/range"))
    address = None
    if ip is not None:
        address = str(ipaddress.IPv4Interface("%s/%s" % (ip.get("address"), ip.get("prefix") or ip.get("netmask"))))
    return {
        "mode": "isolated" if forward is None else forward.get("mode"),
        "bridge": None if bridge is None else bridge.get("name"),
        "address": address,
        "dhcp": None if dhcp is None else (dhcp.get("start"), dhcp.get("end")),
    }


def differences(desired, existing):
    """Return the names of the facts that differ."""
    desired_facts, found = facts(desired), facts(existing)
    if desired_facts["bridge"] is None:
        found["bridge"] = None
    return [name for name in desired_facts if desired_facts[name] != found[name]]


def keep_identity(desired, existing):
    """Take over what libvirt chose for an existing network."""
    for tag in ("uuid", "mac"):
        found = existing.find(tag)
        if found is not None:
            desired.append(found)
    if desired.find("bridge") is None and existing.find("bridge") is not None and facts(desired)["mode"] != "bridge":
        desired.append(existing.find("bridge"))


class Networks:
    """The networks of a libvirt, which are only looked at unless C(applies)."""

    def __init__(self, connection, applies, restarts):
        self._connection = connection
        self._applies = applies
        self._restarts = restarts
        self._existing = {network.name(): network for network in connection.listAllNetworks(0)}

    def ensure(self, options):
        """Define, start and autostart a network as far as it is not yet; yield what was changed."""
        name = options["name"]
        desired = etree.fromstring(desired_xml(options))
        network = self._existing.get(name)
        runs = network is not None and network.isActive()
        if network is None:
            yield "%s: defined" % name
            network = self._define(desired)
        else:
            existing = etree.fromstring(network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE))
            changed = differences(desired, existing)
            if changed or not network.isPersistent():
                yield "%s: redefined (%s)" % (name, ", ".join(changed) or "was not persistent")
                keep_identity(desired, existing)
                network = self._define(desired) or network
                if self._restarts and runs:
                    yield "%s: stopped" % name
                    runs = False
                    if self._applies:
                        network.destroy()
        yield from self._running(name, network, runs)

    def _define(self, desired):
        return self._connection.networkDefineXML(etree.tostring(desired, encoding="unicode")) if self._applies else None

    def _running(self, name, network, runs):
        if not runs:
            yield "%s: started" % name
            if self._applies:
                network.create()
        if network is None or not network.isPersistent() or not network.autostart():
            yield "%s: starts with the hypervisor" % name
            if self._applies:
                network.setAutostart(1)


def problems_of(networks):
    """Yield what is wrong with the options, with their paths."""
    for index, network in enumerate(networks):
        try:
            desired_xml(network)
        except ValueError as error:
            yield "networks_libvirt[%d] (%s): %s" % (index, network["name"], error)


def main():
    """Change the networks; end with a message that names the network when one fails."""
    mode, restart, given = sys.argv[1:]
    networks = json.loads(given)
    problems = list(problems_of(networks))
    if problems:
        sys.exit("\n".join(problems))
    libvirt.registerErrorHandler(lambda context, error: None, None)
    try:
        connection = libvirt.open("qemu:///system")
    except libvirt.libvirtError as error:
        sys.exit("cannot connect to libvirt: %s" % error)
    managed = Networks(connection, mode == "apply", restart == "restart")
    for index, options in enumerate(networks):
        try:
            for change in managed.ensure(options):
                sys.stdout.write(change + "\n")
        except libvirt.libvirtError as error:
            sys.exit("networks_libvirt[%d] (%s): %s" % (index, options["name"], error))


main()
