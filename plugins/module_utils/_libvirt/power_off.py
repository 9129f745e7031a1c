# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to power a VM off: its guest shuts down, or it is forced off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from .._errors.errors import VmError
from ..waiting import wait_until
from .hypervisor import Hypervisor

# States of a VM without a QEMU.
OFF = ("shutoff", "absent")
# A guest that is booting ignores a request; ZStack's agent repeats it, too.
_REPEAT_SECONDS = 5


def current_state(hypervisor: Hypervisor, uuid: str) -> tuple[str, str]:
    """Return the state of a VM and libvirt's reason for it; one that libvirt no longer has is absent."""
    try:
        return hypervisor.state(uuid)
    except VmError as error:
        if error.code != "domain_gone":
            raise
        return "absent", "unknown"


def shut_down(
    hypervisor: Hypervisor, uuid: str, is_off: Callable[[], bool], seconds: int, cancelled: threading.Event
) -> bool:
    """Request a shutdown from the guest, and return whether the VM is off within C(seconds).

    Raise libvirt's error if the request can't be sent, and C(interrupted) when C(cancelled) is set.
    """
    for part in _parts(seconds):
        try:
            hypervisor.shutdown(uuid, part)
        except VmError:
            if is_off():
                return True
            raise
        if wait_until(is_off, part, cancelled):
            return True
    return False


def force_off(hypervisor: Hypervisor, uuid: str, is_off: Callable[[], bool]) -> None:
    """End the VM's QEMU; one that has ended by itself is fine."""
    try:
        hypervisor.destroy(uuid)
    except VmError:
        if not is_off():
            raise


def _parts(seconds: int) -> Iterator[int]:
    """Yield the parts of a time; at the beginning of each, the request is sent."""
    for passed in range(0, seconds, _REPEAT_SECONDS):
        yield min(_REPEAT_SECONDS, seconds - passed)
