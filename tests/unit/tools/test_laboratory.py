# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory recognises a hypervisor's first process. The rest is tested with real hypervisors."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from ansible_collections.zstack.kvm.tools.lab.laboratory.hypervisor import Hypervisor, Settings

# Executes itself again, 300 times.
AGAIN = '[ $2 -gt 0 ] && exec sh -c "$0" "$0" "$1" $(($2 - 1)); sleep 60'


def hypervisor(laboratory: Path) -> Hypervisor:
    created = Hypervisor(laboratory, Settings(1, "10.97.0.0/24", (), (), ()))
    created.save()
    return created


def test_a_first_process_that_becomes_another_program_is_there_all_the_time(tmp_path: Path) -> None:
    own = hypervisor(tmp_path)
    with subprocess.Popen(["sh", "-c", AGAIN, AGAIN, own.process_name, "300"]) as process:
        try:
            own.save_pid(process.pid)
            until = time.monotonic() + 0.5
            seen = {own.pid()}
            while time.monotonic() < until:
                seen.add(own.pid())
        finally:
            process.kill()
    assert seen == {process.pid}


def test_one_that_has_ended_is_not(tmp_path: Path) -> None:
    own = hypervisor(tmp_path)
    with subprocess.Popen(["sh", "-c", "exit", own.process_name]) as process:
        own.save_pid(process.pid)
        process.wait()
        assert own.pid() is None


def test_another_process_of_its_number_is_not(tmp_path: Path) -> None:
    own = hypervisor(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            own.save_pid(process.pid)
            assert own.pid() is None
        finally:
            process.kill()
