# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of cloud-init in a guest, according to its agent and its console."""

from __future__ import annotations

import json
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.cloud_init import CloudInitLook, cloud_init_state

LAST_MESSAGE = (
    b"[   40.1] cloud-init[512]: Cloud-init v. 22.4.2 finished at Sun, 29 Nov 2026 07:00:00 +0000. Up 40 seconds"
)


class Guest:
    """A guest whose agent reads these files; None for one without an agent."""

    def __init__(self, files: Optional[dict[str, Any]]) -> None:
        self._files = files

    def guest_file(self, uuid: str, path: str, most: int, timeout: int) -> Optional[bytes]:
        if self._files is None:
            raise VmError("libvirt_error", "the guest agent is not connected")
        content = self._files.get(path.rpartition("/")[2])
        return content if content is None or isinstance(content, bytes) else json.dumps({"v1": content}).encode()


def look(files: Optional[dict[str, Any]]) -> CloudInitLook:
    guest: Any = Guest(files)
    return CloudInitLook(guest, "uuid")


def test_it_has_ended_when_its_result_is_there() -> None:
    look_ = look({"result.json": {"errors": [], "datasource": "DataSourceNoCloud"}})
    assert (look_(), look_.errors) == (True, [])


def test_its_errors_are_kept_for_the_message() -> None:
    look_ = look({"result.json": {"errors": ["('scripts_user', RuntimeError('exit 1'))\x1b[0m"]}})
    assert look_()
    assert look_.errors[0].startswith("('scripts_user', RuntimeError('exit 1'))")
    assert "\x1b" not in look_.errors[0]


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        (None, "its guest agent has not answered"),
        ({}, "cloud-init has not reported its end"),
        ({"status.json": {"stage": "modules-config"}}, "cloud-init is in its stage modules-config"),
        ({"status.json": b"\xff", "result.json": b"[]"}, "cloud-init has not reported its end"),
    ],
)
def test_before_that_it_says_how_far_it_was(files: Optional[dict[str, Any]], seen: str) -> None:
    look_ = look(files)
    assert (look_(), look_.progress()) == (False, seen)


@pytest.mark.parametrize(("files", "counts"), [(None, True), ({}, True), ({"status.json": {"stage": "x"}}, False)])
def test_the_console_counts_unless_the_agent_reports_more(files: Optional[dict[str, Any]], counts: bool) -> None:
    look_ = look(files)
    look_()
    assert look_.finished_on_console(LAST_MESSAGE) is counts
    assert not look_.finished_on_console(b"Cloud-init v. 22.4.2 running 'init'")


@pytest.mark.parametrize(
    ("files", "state"),
    [
        (None, None),
        ({}, None),
        ({"status.json": {"stage": "init"}}, {"state": "running", "errors": []}),
        ({"result.json": {"errors": []}}, {"state": "done", "errors": []}),
        ({"result.json": {"errors": ["no"]}}, {"state": "failed", "errors": ["no"]}),
    ],
    ids=["no agent", "no document", "running", "done", "failed"],
)
def test_the_state_is_what_the_agent_reads(files: Optional[dict[str, Any]], state: Optional[dict[str, Any]]) -> None:
    guest: Any = Guest(files)
    assert cloud_init_state(guest, "uuid") == state
