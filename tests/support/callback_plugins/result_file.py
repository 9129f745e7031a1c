# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the results of tasks to a file, one line of JSON per task, so that tests need not parse the screen."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: result_file
type: aggregate
short_description: Writes the results of tasks to the file that RESULT_FILE names
description: For tests.
"""


class CallbackModule(CallbackBase):
    """Records results as the modules return them."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "result_file"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._items: list[Any] = []

    def _add_item(self, result: Any, **state: bool) -> None:
        self._items.append({**result._result, **state})

    def _write(self, result: Any) -> None:
        returned = dict(result._result)
        if self._items:
            # Since ansible-core 2.21, the results of a loop's items do not say that they failed.
            returned["results"] = self._items
            self._items = []
        with open(os.environ["RESULT_FILE"], "a", encoding="utf-8") as file:
            file.write(json.dumps(returned, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._items = []

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._add_item(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._add_item(result, failed=True)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._add_item(result, skipped=True)
