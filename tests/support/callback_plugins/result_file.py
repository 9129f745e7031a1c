# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what tasks return to a file, one JSON line a task, so that tests need not read it from the screen."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: result_file
type: aggregate
short_description: Writes what tasks return to the file that RESULT_FILE names
description: For tests.
"""


class CallbackModule(CallbackBase):
    """Takes results as they come from the module."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "result_file"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._rounds: list[Any] = []

    def _note(self, result: Any, **state: bool) -> None:
        self._rounds.append({**result._result, **state})

    def _write(self, result: Any) -> None:
        returned = dict(result._result)
        if self._rounds:
            # Since ansible-core 2.21 those in a loop's result do not say that they failed.
            returned["results"] = self._rounds
            self._rounds = []
        with open(os.environ["RESULT_FILE"], "a", encoding="utf-8") as file:
            file.write(json.dumps(returned, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._rounds = []

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._note(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._note(result, failed=True)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._note(result, skipped=True)
