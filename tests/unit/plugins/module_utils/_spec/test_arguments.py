# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument spec is the only description of a VM: documentation, types and strategies must say the same."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from ansible_collections.zstack.kvm.plugins.doc_fragments.vm import ModuleDocFragment
from ansible_collections.zstack.kvm.plugins.module_utils._spec import vm as types
from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VM_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import CHECKS, parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.modules import zstack_vm_start

DOCUMENTED = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]["vms"]
EXAMPLES = yaml.safe_load(zstack_vm_start.EXAMPLES)
COMPARED = ("type", "elements", "choices", "default", "required")

CEPHX_KEY = "AQBkU2VjcmV0S2V5Rm9yVGVzdGluZ09ubHkwMDAwMA=="


def walk(spec: Mapping[str, Any], inner: str, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every option at every depth; C(inner) is the key of the options inside."""
    for name, option in spec.items():
        full = "%s.%s" % (path, name) if path else name
        yield full, option
        yield from walk(option.get(inner, {}), inner, full)


SPEC = dict(walk(VM_ARGUMENT_SPEC, "options"))
DOCS = dict(walk(DOCUMENTED["suboptions"], "suboptions"))


def test_every_option_is_documented_and_no_other() -> None:
    assert set(DOCS) == set(SPEC)


@pytest.mark.parametrize("path", SPEC)
def test_documentation_and_spec_agree(path: str) -> None:
    documented, option = DOCS[path], SPEC[path]
    assert {key: documented.get(key) for key in COMPARED} == {key: option.get(key) for key in COMPARED}


@pytest.mark.parametrize("path", DOCS)
def test_descriptions_are_sentences(path: str) -> None:
    for sentence in DOCS[path]["description"]:
        assert sentence[0].isupper() or sentence.startswith(("V(", "C(", "O("))
        assert sentence.endswith(".")


def test_vms_accepts_any_type_so_that_every_problem_gets_its_path() -> None:
    assert (DOCUMENTED["type"], DOCUMENTED["elements"], DOCUMENTED["required"]) == ("list", "raw", True)


@pytest.mark.parametrize(
    ("type_", "path"),
    [
        (types.Vm, ""),
        (types.Volume, "root_volume"),
        (types.Volume, "data_volumes"),
        (types.Monitor, "root_volume.mon_info"),
        (types.VolumeQos, "root_volume.qos"),
        (types.VolumeCreation, "root_volume.create"),
        (types.Cdrom, "boot_iso"),
        (types.Nic, "nics"),
        (types.NicQos, "nics.qos"),
        (types.Channel, "channels"),
        (types.CephSecret, "ceph_secret"),
        (types.DomainPatch, "domain_patches"),
    ],
)
def test_types_have_a_field_for_every_option(type_: type, path: str) -> None:
    options = SPEC[path]["options"] if path else VM_ARGUMENT_SPEC
    fields = set(inspect.signature(type_).parameters)
    assert fields - {"option_path", "omitted"} == set(options)


def test_only_what_zstack_always_sends_is_required() -> None:
    required = {path for path, option in SPEC.items() if option.get("required") and "." not in path}
    assert required == {"uuid", "name", "memory", "cpu_num", "root_volume"}
    assert {name for name, option in SPEC["root_volume"]["options"].items() if option.get("required")} == {
        "install_path"
    }


def test_checks_are_for_existing_options() -> None:
    assert set(CHECKS) <= set(SPEC)


def test_every_text_and_number_has_a_check() -> None:
    """A value other than a choice or a boolean can be wrong in more ways than its type."""
    free = {
        path
        for path, option in SPEC.items()
        if "options" not in option and "choices" not in option and option["type"] not in ("bool", "raw", "dict")
    }
    assert free - set(CHECKS) == set()


@pytest.mark.parametrize("path", [path for path, option in SPEC.items() if "password" in path or path.endswith(".key")])
def test_secrets_are_marked(path: str) -> None:
    assert SPEC[path]["no_log"] is True


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["name"] for example in EXAMPLES])
def test_examples_are_valid(example: dict[str, Any]) -> None:
    vms = example["zstack.kvm.zstack_vm_start"]["vms"]
    if isinstance(vms, str) or isinstance(vms[0], str):
        assert "from_start_vm_cmd" in vms[0] or vms == "{{ hypervisor_vms }}"
        return
    filled = yaml.safe_load(
        yaml.safe_dump(vms)
        .replace("{{ vault_console_password }}", "secret")
        .replace("{{ vault_cephx_key }}", CEPHX_KEY)
    )
    assert parse_vms(filled)[1] == []
    assert secrets_of(filled) <= {"secret", CEPHX_KEY}
