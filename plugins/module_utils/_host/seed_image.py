# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the ISO 9660 image of a cloud-init seed with a program of the distribution."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Optional

from .._errors.errors import VmError
from ..foreign_text import shorten
from .processes import Processes

# In the packages xorriso and genisoimage; both understand mkisofs' options.
PROGRAMS = ("xorrisofs", "genisoimage", "mkisofs")
_SECONDS = 60
# In memory, so that the content is gone with the machine even if this process is killed.
_IN_MEMORY = "/run"


def program_for_images(processes: Processes) -> Optional[str]:
    """Return the path of the first of C(PROGRAMS) that the hypervisor has, None if it has none."""
    return next(filter(None, map(processes.find_program, PROGRAMS)), None)


def build_seed_image(processes: Processes, documents: Mapping[str, str], label: str) -> bytes:
    """Return an ISO 9660 image with the documents as its files.

    They may be secret: they are in no argument of the program, and in a directory that only this user can enter.
    """
    program = program_for_images(processes)
    if program is None:
        raise VmError("command_missing", "none of %s is installed" % ", ".join(PROGRAMS))
    parent = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="zstack-kvm-seed-", dir=parent) as directory:
        for name, text in documents.items():
            with open(os.path.join(directory, name), "x", encoding="utf-8", newline="") as file:
                file.write(text)
        command = [program, "-quiet", "-V", label, "-J", "-r", "-no-pad", "-o", "-", directory]
        try:
            # Processes.run decodes output as text, and the image is binary.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                env=dict(os.environ, LC_ALL="C"),
            )
        except subprocess.TimeoutExpired as error:
            raise VmError("command_timeout", "%s did not end within %d seconds" % (program, _SECONDS)) from error
        except OSError as error:
            raise VmError("command_failed", "cannot run %s: %s" % (program, error)) from error
    if done.returncode != 0 or not done.stdout:
        reason = shorten(done.stderr.decode("utf-8", "replace")).strip().rpartition("\n")[2]
        raise VmError("command_failed", "%s: %s" % (program, reason))
    return done.stdout
