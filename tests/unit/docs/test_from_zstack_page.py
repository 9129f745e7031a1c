# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page for users of ZStack's agent describes what the filter does."""

from __future__ import annotations

import re

from ansible_collections.zstack.kvm.plugins.module_utils._spec import start_vm_cmd
from ansible_collections.zstack.kvm.tests.unit.docs.pages import CHECKOUT

_ROW = re.compile(r"^\| `(\w+)` \| (?:`(\w+)`)?.* \|$", re.MULTILINE)


def test_its_table_has_every_field_and_its_option() -> None:
    page = (CHECKOUT / "docs" / "from-zstack.md").read_text(encoding="utf-8")
    table = page[page.index("| field | option |") : page.index("Inside `rootVolume`")]
    fields = {
        field: option if option is None or isinstance(option, str) else option.option
        for field, option in start_vm_cmd._VM.items()
    }
    assert {field: option or None for field, option in _ROW.findall(table)} == fields
