# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every field of today's StartVmCmd is known, and becomes options that exist."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VM_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.module_utils._spec.document_fields import (
    DocumentReader,
    Fields,
    Nested,
    Option,
    Used,
)
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import converted
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd_today_fields import (
    ADDONS,
    CD_DRIVE,
    NIC,
    SCSI_LUN,
    VM,
    VOLUME,
)
from ansible_collections.zstack.kvm.tests.support.todays_cases import ALL_OF_TODAY


@pytest.mark.parametrize("case", ALL_OF_TODAY, ids=lambda case: "%s.%s" % (case.name, case.arch))
def test_no_field_of_a_recorded_document_is_unknown(case: Any) -> None:
    reader = DocumentReader()
    converted(case.document, reader)
    assert reader.unknown == []


def options_of(fields: Fields) -> list[str]:
    """Return the options of a VM that the fields become."""
    rows = fields.values()
    used = [option.partition(".")[0] for row in rows if isinstance(row, Used) for option in row.options]
    nested = [row.option for row in rows if isinstance(row, Nested) and row.option]
    return [*used, *nested, *(row.name for row in rows if isinstance(row, Option))]


@pytest.mark.parametrize("fields", [VM, ADDONS], ids=["VM", "addons"])
def test_a_field_becomes_options_that_exist(fields: Fields) -> None:
    assert set(options_of(fields)) - set(VM_ARGUMENT_SPEC) == set()


@pytest.mark.parametrize(
    ("fields", "names"),
    [(VOLUME, "root_volume"), (CD_DRIVE, "cd_roms"), (SCSI_LUN, "scsi_luns"), (NIC, "nics")],
    ids=["volume", "drive", "LUN", "NIC"],
)
def test_a_field_of_a_device_becomes_an_option_of_the_device(fields: Fields, names: str) -> None:
    options = VM_ARGUMENT_SPEC[names]["options"]
    assert {row.name for row in fields.values() if isinstance(row, Option)} - set(options) == set()


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("bootMode", {"Legacy": "bios", "UEFI": "uefi", "UEFI_WITH_CSM": "uefi_with_csm"}),
        ("consoleMode", {"vnc": "vnc", "spice": "spice", "vncAndSpice": "vnc_and_spice"}),
        ("imageArchitecture", {"x86_64": "x86_64", "aarch64": "aarch64"}),
    ],
)
def test_words_are_those_of_the_options(field: str, words: dict[str, str]) -> None:
    row = VM[field]
    assert isinstance(row, Option)
    assert row.words == words
    assert set(words.values()) <= set(VM_ARGUMENT_SPEC[row.name]["choices"])
