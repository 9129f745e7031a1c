# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""qemu-img: create, copy, resize and examine images. Formats are always stated, and never guessed from content."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from typing import Any, Optional

from .._errors.errors import VmError
from .new_file import NewFile
from .processes import Processes

_SECONDS = 60
_CODES = (
    ("No space left on device", "disk_full"),
    ("Disk quota exceeded", "disk_full"),
    ("Failed to get", "image_locked"),
    ("Permission denied", "image_unreadable"),
)


class QemuImg:
    """qemu-img on the hypervisor."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def examine(self, path: str, image_format: str) -> dict[str, Any]:
        """Return qemu-img's information about an image that nobody may be writing to."""
        return self._asked(path, "info", "-f", image_format)

    def measure(self, path: str, image_format: str) -> int:
        """Return how many bytes a copy of an image needs."""
        return int(self._asked(path, "measure", "-f", image_format, "-O", "qcow2")["required"])

    def _asked(self, path: str, command: str, *options: str) -> dict[str, Any]:
        done = self._processes.run(["qemu-img", command, "--output=json", *options, "--", path], _SECONDS)
        if done.returncode != 0:
            raise _failure("examine", path, done.stderr, "image_unreadable")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def create(
        self,
        file: NewFile,
        image_format: str,
        size: Optional[int],
        preallocation: str,
        cancelled: threading.Event,
        backing: Optional[tuple[str, str]] = None,
    ) -> None:
        """Create an image in a file. C(backing): path and format of its backing file."""
        options = [] if backing is None else ["-F", backing[1], "-b", backing[0]]
        options += _preallocated(preallocation)
        sizes = [] if size is None else [str(size)]
        self._written(["create", "-q", "-f", image_format, *options, "--", file.path, *sizes], file, cancelled)

    def copy(
        self,
        source: tuple[str, str],
        file: NewFile,
        image_format: str,
        preallocation: str,
        cancelled: threading.Event,
        progress_file: Optional[str] = None,
    ) -> None:
        """Copy an image, given by path and format, to a file. C(progress_file) says how far the copy is meanwhile."""
        options = ["-p", "-f", source[1], "-O", image_format, *_preallocated(preallocation)]
        self._written(["convert", *options, "--", source[0], file.path], file, cancelled, progress_file)

    def resize(
        self, file: NewFile, image_format: str, size: int, preallocation: str, cancelled: threading.Event
    ) -> None:
        """Grow the image in a new file."""
        self._written(_resize(file.path, image_format, size, preallocation), file, cancelled)

    def grow(self, path: str, image_format: str, size: int, preallocation: str, cancelled: threading.Event) -> None:
        """Grow an existing image that nobody may have open."""
        done = self._processes.run_long(["qemu-img", *_resize(path, image_format, size, preallocation)], cancelled)
        if done.returncode != 0:
            raise _failure("grow", path, done.stderr)

    def _written(
        self, arguments: Sequence[str], file: NewFile, cancelled: threading.Event, progress_file: Optional[str] = None
    ) -> None:
        done = self._processes.run_long(
            ["qemu-img", *arguments], cancelled, (file.descriptor,), progress_file=progress_file
        )
        if done.returncode != 0:
            raise _failure("create", file.final_path, done.stderr.replace(file.path, file.final_path))


def _preallocated(preallocation: str) -> list[str]:
    return [] if preallocation == "off" else ["-o", "preallocation=" + preallocation]


def _resize(path: str, image_format: str, size: int, preallocation: str) -> list[str]:
    return ["resize", "-q", "-f", image_format, "--preallocation=" + preallocation, "--", path, str(size)]


def _failure(what: str, path: str, stderr: str, code: str = "command_failed") -> VmError:
    reason = re.sub(r"^qemu-img: ", "", stderr.strip().partition("\n")[0])
    code = next((code for text, code in _CODES if text in stderr), code)
    return VmError(code, "cannot %s %s: %s" % (what, path, reason))
