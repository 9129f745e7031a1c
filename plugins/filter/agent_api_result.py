# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that turns the result of a start into what ZStack's agent would answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.reply import failure

DOCUMENTATION = r"""
name: agent_api_result
short_description: Convert a module's result to a response of the agent API
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Converts the result of M(zstack.kvm.zstack_vm_start) for one VM to the response of the agent API.
    C(playbooks/start_vm_cmd.yml) uses it.
positional: _input
options:
  _input:
    description:
      - The registered result of M(zstack.kvm.zstack_vm_start), or of an earlier task that failed.
    type: dict
    required: true
  domain:
    description:
      - The domain of the running VM, as libvirt describes it. With it, the response has what ZStack's management node
        records of a start.
    type: str
    default: ""
  version:
    description:
      - What the emulator prints about its version.
    type: str
    default: ""
  edk_package:
    description:
      - The name and version of the package that the VM's firmware comes from.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the result
  ansible.builtin.debug:
    msg: "{{ vm_started | zstack.kvm.agent_api_result }}"
"""

RETURN = r"""
_value:
  description:
    - C(success), and C(error), which is empty if that is true.
    - With O(domain) also C(nicInfos), C(virtualDeviceInfoList), C(memBalloonInfo), C(virtualizerInfo), C(vmXml) and
      C(edkRpm). The first four are returned on failure too, empty.
  type: dict
  sample:
    success: false
    error: there is no bridge br_eth7 on this hypervisor
      (Create the bridge, or set bridge_name to one of those that zstack_host_info lists.)
    nicInfos: []
    virtualDeviceInfoList: []
    memBalloonInfo: {}
    virtualizerInfo: {}
"""

# ZStack's management node recognises these texts.
KNOWN_TEXTS = {
    "not_enough_memory": "No enough physical memory for guest",
    "qos_limit": "QoS exceed max limit, please check and reset it in zstack",
}


_ADDRESSES = {
    "pci": ("domain", "bus", "slot", "function"),
    "drive": ("controller", "bus", "target", "unit"),
}


def agent_api_result(
    result: Mapping[str, Any], domain: str = "", version: str = "", edk_package: str = ""
) -> dict[str, Any]:
    """Return the answer."""
    if result.get("failed") or result.get("unreachable"):
        return failure(_text(result))
    records = _records(domain, version, edk_package) if domain and "<!DOCTYPE" not in domain else {}
    return {"success": True, "error": "", **records}


def _records(domain: str, version: str, edk_package: str) -> dict[str, Any]:
    """Return what the management node records of a running VM."""
    root = ElementTree.fromstring(domain)
    nics = [
        _record("macAddress", nic.find("mac"), "address", nic.find("address"))
        for nic in root.iterfind("devices/interface")
    ]
    disks = [
        {**({"resourceUuid": serial} if serial else {}), **_address(disk.find("address"))}
        for disk in root.iterfind("devices/disk")
        for serial in [disk.findtext("serial")]
    ]
    return {
        "nicInfos": nics,
        "virtualDeviceInfoList": disks,
        "memBalloonInfo": _address(root.find("devices/memballoon/address")),
        "virtualizerInfo": {
            "uuid": (root.findtext("uuid") or "").replace("-", ""),
            "virtualizer": "qemu-kvm",
            "version": _version(version),
        },
        "vmXml": domain,
        "edkRpm": edk_package.strip(),
    }


def _record(name: str, element: Any, attribute: str, address: Any) -> dict[str, Any]:
    return {**({} if element is None else {name: element.get(attribute)}), **_address(address)}


def _address(element: Any) -> dict[str, Any]:
    names = _ADDRESSES.get("" if element is None else element.get("type", ""), ())
    if not names:
        return {}
    return {"deviceAddress": {"type": element.get("type"), **{name: element.get(name) for name in names}}}


def _version(text: str) -> str:
    """Return the version in what QEMU prints: the last word in brackets, without its name, or else the number."""
    line = text.partition("\n")[0]
    found = re.search(r"\((?:\S+ )*([^ )]+)\)", line) or re.search(r"version (\S+)", line)
    return re.sub(r"^qemu-kvm-", "", found.group(1)) if found else ""


def _text(result: Mapping[str, Any]) -> str:
    error = (result.get("vms") or [{}])[0].get("error")
    if not error:
        return str(result.get("msg", ""))
    return KNOWN_TEXTS.get(error["code"]) or "%s (%s)" % (error["message"], error["hint"])


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"agent_api_result": agent_api_result}
