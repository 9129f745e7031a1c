# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module class that all modules of the collection share."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .foreign_text import clean, clean_all


class CleanModule(AnsibleModule):
    """A module that returns, and warns of, nothing that a terminal or a log would obey."""

    def exit_json(self, **kwargs: Any) -> None:
        """End the module well."""
        super().exit_json(**clean_all(kwargs))

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        """End the module with a failure."""
        super().fail_json(clean(msg), **clean_all(kwargs))

    def warn(self, warning: str) -> None:
        """Add a warning to the result."""
        super().warn(clean(warning))
