# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between a running VM and the desired one, and how they are shown."""

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.module_utils._drift.live_drift import LiveDrift
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._drift.running_vm import changes


def test_what_libvirt_expands_is_no_difference() -> None:
    assert changes() == LiveDrift()


def test_a_new_description_is_no_reason_to_restart() -> None:
    assert changes(("<description>web", "<description>db")).for_guest == ()


def test_passwords_are_not_in_what_is_shown() -> None:
    assert "other" not in repr(changes(('passwd="s3cret"', 'passwd="other"')))
