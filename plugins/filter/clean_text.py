# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that makes text of others fit to be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils.foreign_text import clean, clean_line

DOCUMENTATION = r"""
name: clean_text
short_description: Replace in a text what a terminal would obey
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Replaces control characters, terminal sequences and characters that turn the direction of writing by U+FFFD. Names
    of VMs, and what QEMU, libvirt and guests say, may have such in them.
positional: _input
options:
  _input:
    description:
      - The text.
    type: str
    required: true
  one_line:
    description:
      - Whether line ends and tabs become blanks, as for a cell of a table.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the name of a VM
  ansible.builtin.debug:
    msg: "{{ vm.name | zstack.kvm.clean_text(one_line=true) }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""


def clean_text(text: Any, one_line: bool = False) -> str:
    """Return the text without anything that a terminal would obey."""
    return clean_line(str(text)) if one_line else clean(str(text))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"clean_text": clean_text}
