# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of cloud-init in a guest, by its guest agent or by what it writes to the serial console."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Optional

from .._errors.errors import VmError
from ..foreign_text import clean_line, shorten
from .hypervisor import Hypervisor

_STATUS = "/run/cloud-init/status.json"
_RESULT = "/run/cloud-init/result.json"
_MOST_BYTES = 65536
_SECONDS = 2
_SHOWN_ERRORS = 5
# Of the module final_message.
_LAST_MESSAGE = re.compile(rb"Cloud-init v\. \S+ finished at ")


class CloudInitLook:
    """Looks whether cloud-init has ended; then C(errors) are those that it reports."""

    def __init__(self, hypervisor: Hypervisor, uuid: str) -> None:
        self._hypervisor = hypervisor
        self._uuid = uuid
        self._seen = "its guest agent has not answered"
        self._is_readable = False
        self.errors: list[str] = []

    def __call__(self) -> bool:
        """Return whether the guest has the result of cloud-init."""
        try:
            result = self._document(_RESULT)
            status = self._document(_STATUS) if result is None else None
        except VmError as error:
            if error.lost_libvirt:
                raise
            return False
        if result is None:
            stage = None if status is None else status.get("stage")
            self._seen = (
                "cloud-init is in its stage %s" % shown(stage) if stage else "cloud-init has not reported its end"
            )
            return False
        found = result.get("errors")
        errors = found if isinstance(found, list) else []
        self.errors = [shown(each) for each in errors[:_SHOWN_ERRORS]]
        return True

    @property
    def is_readable(self) -> bool:
        """Return whether the guest agent has returned a document of cloud-init."""
        return self._is_readable

    def finished_on_console(self, output: bytes) -> bool:
        """Return whether the console has cloud-init's last message, unless the guest agent has more to tell."""
        return not self._is_readable and _LAST_MESSAGE.search(output) is not None

    def progress(self) -> str:
        """Return how far cloud-init was, for the error."""
        return self._seen

    def _document(self, path: str) -> Optional[Mapping[str, Any]]:
        content = self._hypervisor.guest_file(self._uuid, path, _MOST_BYTES, _SECONDS)
        try:
            document = None if content is None else json.loads(content)["v1"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if not isinstance(document, Mapping):
            return None
        self._is_readable = True
        return document


def cloud_init_state(hypervisor: Hypervisor, uuid: str) -> Optional[dict[str, Any]]:
    """Return C(state), which is running, done or failed, and C(errors); None if the guest agent does not tell."""
    look = CloudInitLook(hypervisor, uuid)
    ended = look()
    if not look.is_readable:
        return None
    return {"state": "failed" if look.errors else "done" if ended else "running", "errors": look.errors}


def shown(text: Any) -> str:
    """Return a text of the guest for a message."""
    return shorten(clean_line(str(text)))
