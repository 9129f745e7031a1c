#!/usr/bin/python
# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage secrets of libvirt for ceph and iSCSI."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zstack_libvirt_secret
short_description: Manage libvirt's secrets for ceph and iSCSI
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Ensures that libvirt has a secret with a given UUID, definition and value, or that it has none.
  - A secret whose definition is correct but whose value is missing or wrong gets the right value.
  - The role R(zstack.kvm.ceph_secrets,ansible_collections.zstack.kvm.ceph_secrets_role) does this for a group of
    hypervisors. M(zstack.kvm.zstack_vm_start) creates the secrets of the VMs that it starts, if their keys are given.
extends_documentation_fragment:
  - zstack.kvm.attributes
  - zstack.kvm.attributes.action_group
  - zstack.kvm.libvirt
options:
  uuid:
    description:
      - The UUID of the secret, 32 hexadecimal digits with or without dashes. Domains refer to the secret by it, so it
        must be the same on all hypervisors of a cluster.
    type: str
    required: true
  type:
    description:
      - The storage that the secret is for.
    type: str
    choices: [ceph, iscsi]
    default: ceph
  usage:
    description:
      - The name under which libvirt lists the secret. There can be one secret for each type and name.
      - For V(iscsi) it is the name of the target (IQN) and required. For V(ceph) it defaults to the UUID.
    type: str
  value:
    description:
      - For O(type=ceph) the user's key in Base64, as C(ceph auth get-key) prints it. For O(type=iscsi) the CHAP
        password in plain text.
      - It must be text. Quote a password that consists of digits in YAML, which reads 0123 as 83.
      - If omitted, the secret keeps its value.
    type: raw
  update_value:
    description:
      - V(always) sets the value whenever it differs. The value of a private secret cannot be read, so it is set on
        every run, which then reports a change.
      - V(on_create) sets it when the secret has none; for a private secret only when the secret is created.
    type: str
    choices: [always, on_create]
    default: always
  ephemeral:
    description:
      - Whether libvirt keeps the secret in memory only, so that it is lost when libvirt or the hypervisor is restarted.
    type: bool
    default: false
  private:
    description:
      - Whether libvirt reveals the value to nobody, not even to root.
    type: bool
    default: false
  state:
    description:
      - Whether the secret should exist.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The definition before and after, and whether there is a value; never the value itself.
  idempotent:
    support: partial
    details:
      - The value of a private secret can't be compared, see O(update_value).
seealso:
  - module: zstack.kvm.zstack_vm_start
"""

EXAMPLES = r"""
- name: Create the secret with the key of a ceph cluster
  zstack.kvm.zstack_libvirt_secret:
    uuid: 7f2e0b9c-3a51-4c7e-9d2e-0123456789ab
    value: "{{ vault_ceph_key }}"

- name: Create the secret with the CHAP password of an iSCSI target
  zstack.kvm.zstack_libvirt_secret:
    uuid: 0a3f5c1e-90d1-4a7c-8d55-8f5a3c6c2e44
    type: iscsi
    usage: iqn.2015-01.com.example:target1
    value: "{{ vault_chap_password }}"
    private: true
    update_value: on_create

- name: Remove a secret that is no longer used
  zstack.kvm.zstack_libvirt_secret:
    uuid: 7f2e0b9c-3a51-4c7e-9d2e-0123456789ab
    state: absent
"""

RETURN = r"""
uuid:
  description: The UUID of the secret, with dashes.
  type: str
  returned: success
  sample: 7f2e0b9c-3a51-4c7e-9d2e-0123456789ab
actions:
  description: The names of the actions that were done, or would be done in check mode, in order.
  type: list
  elements: str
  returned: success
  sample: [define, set_value]
error:
  description: What failed, with C(code), C(message), C(hint), C(phase), C(libvirt) and C(rollback), as in
    RV(zstack.kvm.zstack_vm_start#module:vms[].error).
  type: dict
  returned: on failure, unless the input is invalid
"""

import base64
from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.secret_definition import (
    ExistingSecret,
    SecretDefinition,
    SecretPlan,
    ValueNeededError,
    parse_secret,
    plan_secret,
)
from ansible_collections.zstack.kvm.plugins.module_utils._spec import values
from ansible_collections.zstack.kvm.plugins.module_utils.connect import CONNECTION_ARGUMENTS, connect
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import KvmModule
from ansible_collections.zstack.kvm.plugins.module_utils.vm_module import (
    fail_for_error,
    fail_for_input,
    require_libraries,
)

ARGUMENT_SPEC = {
    "uuid": {"type": "str", "required": True},
    "type": {"type": "str", "choices": ["ceph", "iscsi"], "default": "ceph"},
    "usage": {"type": "str"},
    "value": {"type": "raw", "no_log": True},
    "update_value": {"type": "str", "choices": ["always", "on_create"], "default": "always", "no_log": False},
    "ephemeral": {"type": "bool", "default": False},
    "private": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    **CONNECTION_ARGUMENTS,
}


def main() -> None:
    """Run the module."""
    module = KvmModule(ARGUMENT_SPEC, supports_check_mode=True)
    require_libraries(module)
    desired, value = _read(module)
    try:
        hypervisor = connect(module.params)
        existing = _look_up(hypervisor, desired.uuid)
        plan = _plan(module.params, desired, value, existing)
        if plan.define:
            _check_usage(hypervisor, desired)
        if plan.changes and not module.check_mode:
            _apply(hypervisor, plan, desired, existing)
        hypervisor.close()
    except VmError as error:
        fail_for_error(module, error)
    except ValueNeededError:
        module.fail_json(
            "the secret %s is private and has to be recreated, because libvirt changes neither the type nor the usage "
            "of a secret, nor a private one into one that is not, nor a persistent one into an ephemeral one: give its "
            "value" % desired.uuid
        )
    else:
        _finish(module, plan, desired, existing)


def _read(module: KvmModule) -> tuple[SecretDefinition, Optional[bytes]]:
    """Return the desired secret and its value; fail with all problems of the input."""
    params = module.params
    problems: list[Problem] = []
    uuid, value = "", None
    try:
        uuid = values.uuid(params["uuid"])
    except ValueError as error:
        problems.append(Problem("uuid", "%r %s" % (params["uuid"], error)))
    usage = params["usage"] or (uuid if params["type"] == "ceph" else "")
    if params["state"] == "present":
        if not usage:
            problems.append(Problem("usage", "is required for type iscsi: the name of the target (IQN)"))
        try:
            values.line(usage)
        except ValueError as error:
            problems.append(Problem("usage", str(error)))
        try:
            value = _bytes_of(params["value"], params["type"])
        except ValueError as error:
            problems.append(Problem("value", str(error)))
    if problems:
        fail_for_input(module, problems)
    return SecretDefinition(uuid, params["type"], usage, params["ephemeral"], params["private"]), value


def _bytes_of(value: Any, kind: str) -> Optional[bytes]:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("must be text: YAML reads digits as a number, and 0123 as 83; put quotes around it")
    if kind == "ceph":
        return base64.b64decode(values.ceph_key(value.strip()))
    if not value:
        raise ValueError("is empty")
    return value.encode("utf-8")


def _look_up(hypervisor: Hypervisor, uuid: str) -> Optional[ExistingSecret]:
    xml = hypervisor.secret_xml(uuid)
    if xml is None:
        return None
    definition = parse_secret(xml)
    value = None if definition.private else hypervisor.secret_value(uuid)
    return ExistingSecret(xml, definition, value, readable=not definition.private)


def _plan(
    params: Mapping[str, Any], desired: SecretDefinition, value: Optional[bytes], existing: Optional[ExistingSecret]
) -> SecretPlan:
    if params["state"] == "absent":
        return SecretPlan(undefine=existing is not None)
    return plan_secret(desired, value, existing, params["update_value"] == "always")


def _check_usage(hypervisor: Hypervisor, desired: SecretDefinition) -> None:
    for secret in hypervisor.known_secrets().values():
        if (secret.kind, secret.usage) == (desired.kind, desired.usage) and secret.uuid != desired.uuid:
            raise VmError(
                "secret_conflict",
                "the secret for %s %s is %s already, and there can be one only"
                % (desired.kind, desired.usage, secret.uuid),
            )


def _apply(
    hypervisor: Hypervisor, plan: SecretPlan, desired: SecretDefinition, existing: Optional[ExistingSecret]
) -> None:
    """Apply the plan; on failure restore the secret, as far as its value was readable."""
    try:
        if plan.undefine:
            hypervisor.undefine_secret(desired.uuid)
        if plan.define:
            hypervisor.define_secret(desired.to_xml(), desired.private)
        if plan.value is not None:
            hypervisor.set_secret_value(desired.uuid, plan.value)
    except VmError:
        if existing is None or plan.undefine:
            hypervisor.undefine_secret(desired.uuid)
        if existing is not None:
            hypervisor.define_secret(existing.xml, existing.definition.private)
            if existing.value is not None:
                hypervisor.set_secret_value(desired.uuid, existing.value)
        raise


def _finish(module: KvmModule, plan: SecretPlan, desired: SecretDefinition, existing: Optional[ExistingSecret]) -> None:
    steps = {"undefine": plan.undefine, "define": plan.define, "set_value": plan.value is not None}
    returned: dict[str, Any] = {
        "changed": plan.changes,
        "uuid": desired.uuid,
        "actions": [step for step, is_done in steps.items() if is_done],
    }
    if module._diff:
        returned["diff"] = {"before": _shown(existing), "after": _shown_after(module, plan, desired, existing)}
    module.exit_json(**returned)


def _shown(existing: Optional[ExistingSecret]) -> str:
    if existing is None:
        return ""
    value = "private" if not existing.readable else "none" if existing.value is None else "set"
    return "%svalue: %s\n" % (existing.definition.to_xml(), value)


def _shown_after(
    module: KvmModule, plan: SecretPlan, desired: SecretDefinition, existing: Optional[ExistingSecret]
) -> str:
    if module.params["state"] == "absent":
        return ""
    if not plan.changes:
        return _shown(existing)
    if plan.value is not None:
        value = "set" if existing is None or existing.value is None else "replaced"
    else:
        value = "none" if existing is None or existing.readable and existing.value is None else "as before"
    return "%svalue: %s\n" % (desired.to_xml(), value)


if __name__ == "__main__":
    main()
