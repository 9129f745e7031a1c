# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs of hypervisors as an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: zstack_vms
short_description: The VMs of KVM hypervisors as hosts
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Adds a host for each VM of some hypervisors, running or not, whether ZStack created it or not. All hypervisors are
    queried in parallel, through libvirt.
  - The configuration is a YAML file whose name ends in C(zstack_vms.yml) or C(zstack_vms.yaml).
  - A host has the results of M(zstack.kvm.zstack_vm_info) for its VM, without those of a comparison, in variables of
    the same names with the prefix C(zstack_vm_), such as C(zstack_vm_state), C(zstack_vm_console) and
    C(zstack_vm_addresses); and its hypervisor in C(zstack_vm_hypervisor) and C(zstack_vm_hypervisor_uri).
  - All hosts are in the group C(zstack_vms), and in the groups C(zstack_state_STATE) and
    C(zstack_hypervisor_NAME). Those whose metadata has an internal ID or a management address of ZStack are in
    C(zstack_made) and C(zstack_management_ip_ADDRESS). Characters that are not valid in a group name are replaced by
    C(_).
  - Values that come from a VM are never evaluated as templates, and control characters in them are replaced. A value
    that is left out because it is invalid, such as an invalid address, is a warning that names the VM.
  - C(zstack_vm_address) is V(null) if the VM is off or has no address that is reachable from elsewhere. Every VM has
    all variables, so O(strict) is safe as long as expressions allow for null.
  - If several hypervisors have the same VM, for instance after a migration, the active one is used; if none is active,
    that of the first hypervisor. A VM that is active on several hypervisors may corrupt its disks. This is a warning,
    and adds a host for each of these hypervisors, named UUID.HYPERVISOR whatever O(inventory_hostname) is.
requirements:
  - On the controller, for the Python that Ansible runs with, libvirt-python and lxml (python3-libvirt and python3-lxml
    in Debian, Ubuntu and Enterprise Linux).
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description:
      - The name of this plugin, which marks the file as its configuration.
    type: str
    required: true
    choices: [zstack.kvm.zstack_vms]
  hypervisors:
    description:
      - The libvirt URI of each hypervisor, by its name. If the names are those of the hypervisors in the rest of the
        inventory, tasks of a VM can be delegated to C(zstack_vm_hypervisor).
      - C(qemu+ssh://root@ADDRESS/system) needs an SSH key without a passphrase, or one in an SSH agent, and the host's
        key in F(known_hosts) of the user that runs Ansible. C(keyfile=PATH) in the query names another key. There is
        no password prompt unless the query has C(no_tty=0).
      - C(qemu+libssh2://root@ADDRESS/system) accepts C(keyfile=PATH), C(known_hosts=PATH) and
        C(known_hosts_verify=normal) in the query, and does not use the configuration of OpenSSH.
    type: dict
    required: true
  inventory_hostname:
    description:
      - What the names of the hosts are.
      - V(name) is for hypervisors on which only you name VMs, because a VM can have any name. A VM whose name is
        already that of another host, or contains other characters than letters, digits, C(_), C(-) and C(.), has its
        UUID as host name, with a warning.
    type: str
    choices: [uuid, name]
    default: uuid
  unreachable:
    description:
      - Whether a hypervisor that can't be queried is a warning, with its VMs missing, or an error.
    type: str
    choices: [warn, fail]
    default: warn
  connect_timeout:
    description:
      - How many seconds to wait for a connection to a hypervisor.
    type: int
    default: 15
  timeout:
    description:
      - How many seconds to wait for the information about the VMs of a hypervisor. One that takes longer counts as one
        that can't be queried.
    type: int
    default: 60
  cache:
    description:
      - Whether to cache the information of each hypervisor. One that can't be queried is queried again the next time.
notes:
  - An inventory of VMs is as recent as its cache. Playbooks that change VMs should use M(zstack.kvm.zstack_vm_info).
  - RV(zstack.kvm.zstack_vm_info#module:vms[].uptime) is known only for VMs of the local hypervisor.
seealso:
  - module: zstack.kvm.zstack_vm_info
"""

EXAMPLES = r"""
# fleet.zstack_vms.yml: two hypervisors, cached for five minutes
plugin: zstack.kvm.zstack_vms
hypervisors:
  hv1: qemu+ssh://root@10.0.0.11/system
  hv2: qemu+ssh://root@10.0.0.12/system?keyfile=/etc/ansible/hypervisors.key
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/ansible-inventory
cache_timeout: 300

---
# guests.zstack_vms.yml: guests as hosts to which Ansible connects
plugin: zstack.kvm.zstack_vms
hypervisors:
  hv1: qemu+ssh://root@10.0.0.11/system
compose:
  # A VM that is off, or reports no address, keeps the name of its host.
  ansible_host: zstack_vm_address | default(inventory_hostname, true)
groups:
  restart_due: zstack_vm_restart_required
  web: zstack_vm_name is match('web')
keyed_groups:
  - key: zstack_vm_nics | map(attribute='bridge') | select
    prefix: bridge
"""

import re
from functools import partial
from typing import Any, Optional, Union
from urllib.parse import parse_qs, urlsplit

try:
    import lxml
except ImportError:
    lxml = None

from ansible import constants as C
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.inventory.group import to_safe_group_name
from ansible.module_utils.basic import missing_required_lib
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError, internal_errors
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import system_of
from ansible_collections.zstack.kvm.plugins.module_utils._info.several_hypervisors import active_hypervisors
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import vm_information
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import LIBVIRT_IMPORT_ERROR, Hypervisor
from ansible_collections.zstack.kvm.plugins.module_utils.deadline import call_with_deadline, side_by_side
from ansible_collections.zstack.kvm.plugins.module_utils.foreign_text import clean, clean_all

_WORKERS = 32
# What a command line or a host pattern reads as a name and nothing else.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# Keys of vm_information that are of no use to an inventory.
_LEFT_OUT = ("screenshot", "thumbnail", "warnings")

Vm = dict[str, Any]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """The VMs of hypervisors as hosts."""

    NAME = "zstack.kvm.zstack_vms"

    def verify_file(self, path: str) -> bool:
        """Return whether a file is for this plugin, by its name."""
        return super().verify_file(path) and path.endswith(("zstack_vms.yml", "zstack_vms.yaml"))

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        """Fill the inventory from the cache, or else from the hypervisors."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        uris = _checked(self.get_option("hypervisors"))
        known = self._remembered(path, uris) if cache else {}
        asked = self._ask({name: uri for name, uri in uris.items() if name not in known})
        found = {**known, **asked}
        if asked and self.get_option("cache"):
            self._cache[self.get_cache_key(path)] = {
                name: {"uri": uris[name], "vms": vms} for name, vms in found.items()
            }
        where = active_hypervisors({name: found[name] for name in uris if name in found})
        self._warn_active_twice(where)
        for name, uri in uris.items():
            if name in found:
                self._add_hypervisor(name, uri, found[name], where)

    def _remembered(self, path: str, uris: dict[str, str]) -> dict[str, list[Vm]]:
        """Return the VMs of the hypervisors of which the cache has any, by the hypervisors' names."""
        try:
            cached = self._cache[self.get_cache_key(path)] if self.get_option("cache") else {}
        except KeyError:
            return {}
        return {name: entry["vms"] for name, entry in cached.items() if uris.get(name) == entry["uri"]}

    def _ask(self, uris: dict[str, str]) -> dict[str, list[Vm]]:
        """Return the VMs of the hypervisors that answer, by the hypervisors' names."""
        if not uris:
            return {}
        _require_libraries()
        look = partial(_vms_of, connect_seconds=self.get_option("connect_timeout"), seconds=self.get_option("timeout"))
        answers = side_by_side(look, list(uris.values()), _WORKERS)
        found = {}
        for name, answer in zip(uris, answers):
            if isinstance(answer, VmError):
                self._warn_unreachable(name, answer)
            else:
                found[name] = answer
        return found

    def _warn_unreachable(self, name: str, error: VmError) -> None:
        message = "the VMs of hypervisor %s are not in the inventory: %s (%s)"
        text = clean(message % (name, error.message, error.hint or ERROR_CODES[error.code].hint))
        if self.get_option("unreachable") == "fail":
            raise AnsibleError(text)
        self.display.warning(text)

    def _warn_active_twice(self, where: dict[str, list[str]]) -> None:
        for uuid, names in where.items():
            if len(names) > 1:
                message = "VM %s is active on the hypervisors %s, and each may write to its disks: stop all but one"
                self.display.warning(message % (uuid, ", ".join(names)))

    def _add_hypervisor(self, name: str, uri: str, vms: list[Vm], where: dict[str, list[str]]) -> None:
        everything = self.inventory.add_group("zstack_vms")
        group = self._add_group("zstack_hypervisor", name)
        for vm in vms:
            if name not in where[vm["uuid"]]:
                continue
            host = self.inventory.add_host(self._hostname(vm, name, where[vm["uuid"]]), group=group)
            self.inventory.add_child(everything, host)
            for warning in vm["warnings"]:
                self.display.warning("VM %s (%s) on %s: %s" % (vm["name"], vm["uuid"], name, warning))
            variables = {"zstack_vm_" + key: value for key, value in vm.items() if key not in _LEFT_OUT}
            variables.update(zstack_vm_hypervisor=name, zstack_vm_hypervisor_uri=uri)
            for key, value in variables.items():
                self.inventory.set_variable(host, key, value)
            self.inventory.add_child(self._add_group("zstack_state", vm["state"]), host)
            self._add_to_groups_of_metadata(host, vm.get("metadata") or {})
            self._construct(host, {"inventory_hostname": host, **variables})

    def _hostname(self, vm: Vm, hypervisor: str, where: list[str]) -> str:
        if len(where) > 1:
            return "%s.%s" % (vm["uuid"], _safe(hypervisor))
        if self.get_option("inventory_hostname") == "uuid":
            return vm["uuid"]
        name = vm["name"]
        # A host of that name may be anything, a hypervisor included: its variables must not become those of a VM.
        taken = name in self.inventory.hosts or name in self.inventory.groups or name in C.LOCALHOST
        if not taken and _PLAIN_NAME.fullmatch(name):
            return name
        reason = "is taken" if taken else "cannot be that of a host"
        self.display.warning("VM %s is named by its UUID, because its name %s: %r" % (vm["uuid"], reason, name))
        return vm["uuid"]

    def _add_group(self, prefix: str, value: str) -> str:
        return self.inventory.add_group(_safe("%s_%s" % (prefix, value)))

    def _add_to_groups_of_metadata(self, host: str, metadata: dict[str, Optional[Union[int, str]]]) -> None:
        if any(value is not None for value in metadata.values()):
            self.inventory.add_child(self.inventory.add_group("zstack_made"), host)
        address = metadata.get("host_management_ip")
        if address:
            self.inventory.add_child(self._add_group("zstack_management_ip", str(address)), host)

    def _construct(self, host: str, variables: dict[str, Any]) -> None:
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict=strict)


def _checked(hypervisors: dict[Any, Any]) -> dict[str, str]:
    """Return the URIs by the names of the hypervisors."""
    for name, uri in hypervisors.items():
        if not (isinstance(name, str) and isinstance(uri, str) and urlsplit(uri).scheme):
            raise AnsibleParserError("hypervisors: %r must have a libvirt URI, but has %r" % (name, uri))
    return {str(name): str(uri) for name, uri in hypervisors.items()}


def _require_libraries() -> None:
    if LIBVIRT_IMPORT_ERROR is not None:
        raise AnsibleError(missing_required_lib("libvirt-python (package python3-libvirt)"))
    if lxml is None:
        raise AnsibleError(missing_required_lib("lxml (package python3-lxml)"))


def _safe(name: str) -> str:
    return to_safe_group_name(name, force=True, silent=True)


def _vms_of(uri: str, connect_seconds: int, seconds: int) -> Union[list[Vm], VmError]:
    """Return the VMs of a hypervisor, or an error if it does not connect and answer in time."""
    try:
        with internal_errors():
            hypervisor = Hypervisor.connect(without_questions(uri), connect_seconds)
            try:
                return clean_all(call_with_deadline(partial(_look, hypervisor, uri), seconds))
            except TimeoutError as error:
                message = "libvirt at %s has not reported its VMs within %d seconds" % (uri, seconds)
                raise VmError("libvirt_hangs", message) from error
    except VmError as error:
        return error


def _look(hypervisor: Hypervisor, uri: str) -> list[Vm]:
    try:
        return vm_information(hypervisor, system_of(uri), [], others=True)
    finally:
        hypervisor.close()


def without_questions(uri: str) -> str:
    """Return the URI by which ssh, of which many run at once, asks nobody for a password."""
    parts = urlsplit(uri)
    if not parts.scheme.endswith("+ssh") or "no_tty" in parse_qs(parts.query):
        return uri
    return uri + ("&" if parts.query else "?") + "no_tty=1"
