# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a request of the agent API into arguments of zstack_vm_start, or into all its problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.utils.vars import merge_hash
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import (
    StartVmCmdError,
    parsed_document,
    read_document,
)
from ansible_collections.zstack.kvm.plugins.modules.zstack_vm_start import ARGUMENT_SPEC, POLICY_OPTIONS
from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import problems_of_values

# Neither uri nor authfile: the inventory says where libvirt is. A uri can name other hypervisors, and run programs
# (qemu+ext).
_MODULE_OPTIONS = {name: ARGUMENT_SPEC[name] for name in POLICY_OPTIONS}
# By these the agent API finds the host and keeps two documents for one VM apart.
_FIXED = ("uuid", "host_management_ip")

_MAX_MESSAGE = 300  # characters: Ansible repeats values


class RequestError(ValueError):
    """An invalid request. C(problems) has all problems, without secrets."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class VmRequest(NamedTuple):
    """A VM to start: its UUID with dashes, its timeout in seconds, the request of its playbook, what to warn of."""

    vm: str
    timeout: int
    arguments: Mapping[str, Any]
    warnings: tuple[str, ...]


def read_request(text: str, host_uuid: str = "") -> VmRequest:
    """Return the request in a StartVmCmd, whose field C(options) holds what goes beyond a StartVmCmd.

    Options of a VM are merged over what the document says, other options are those of the module. Fields of the
    document that are not known are warned of, options that are not known are errors. C(host_uuid) is ZStack's UUID of
    the host, if the sender names it. Raises C(RequestError).
    """
    try:
        document = dict(parsed_document(text))
        options = document.pop("options", None) or {}
        read = read_document(document, unknown="warn")
    except StartVmCmdError as error:
        raise RequestError(error.problems) from None
    if not isinstance(options, Mapping):
        raise RequestError(["options must be a mapping"])
    module_options = {name: value for name, value in options.items() if name in _MODULE_OPTIONS}
    vm_options = {name: value for name, value in options.items() if name not in _MODULE_OPTIONS}
    problems = [*read.problems]
    problems += [
        "options.%s: cannot be set here, because the document itself sets it" % name
        for name in _FIXED
        if name in vm_options
    ]
    wrong = ArgumentSpecValidator(_MODULE_OPTIONS).validate(module_options).error_messages
    problems += [message[:_MAX_MESSAGE] for message in wrong]
    vm = _without_nulls(merge_hash(read.vm, vm_options))
    problems += problems_of_values(vm, read.unread)
    if not vm.get("host_management_ip") and "host_management_ip" not in read.unread:
        problems.append("hostManagementIp is required: it identifies the host in the inventory")
    if problems:
        raise RequestError(problems)
    (parsed,), _no_problems = parse_vms([vm])
    # The inventory is searched for the address as it is usually written.
    vm["host_management_ip"] = parsed.host_management_ip
    arguments = {"vms": [vm], **module_options, **({"host_uuid": host_uuid} if host_uuid else {})}
    return VmRequest(parsed.uuid, parsed.timeout, arguments, tuple(read.warnings))


def _without_nulls(value: Any) -> Any:
    """Return options without those that are null, which count as left out, whatever their names mean to Ansible."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
