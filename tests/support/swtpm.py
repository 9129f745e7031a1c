# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of swtpm, which emulates TPMs for libvirt."""

from __future__ import annotations

import shutil
from pathlib import Path

_STATES = Path("/var/lib/libvirt/swtpm")
_AUTHORITY = Path("/var/lib/swtpm-localca")


def state_of(identity: str) -> Path:
    """Return the file with the state of a VM's TPM."""
    return _STATES / identity / "tpm2" / "tpm2-00.permall"


def give_authority_to_libvirt() -> None:
    """Give swtpm's certificate authority, which belongs to the first creator of a TPM, to libvirt's user tss."""
    for path in (_AUTHORITY, *_AUTHORITY.iterdir()):
        shutil.chown(path, "tss")


def remove_state_of(identity: str) -> None:
    """Remove the state of a VM's TPM."""
    shutil.rmtree(_STATES / identity, ignore_errors=True)
