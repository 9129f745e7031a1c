# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command of the tests ends in time, whatever it does, and its output is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run.process import interrupted, run
from ansible_collections.zstack.kvm.tests.run.screen import Screen
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until


@pytest.fixture(name="shell")
def _shell(tmp_path):
    """Run a line of shell."""

    def call(line: str, seconds: float = 20, name: str = ""):
        env, log = dict(os.environ), tmp_path / "log"
        return run(["sh", "-c", line], cwd=tmp_path, env=env, log=log, seconds=seconds, screen=Screen(name))

    return call


def test_what_was_printed_is_returned_shown_and_kept(shell, tmp_path, capfd):
    outcome = shell("echo said; echo complained >&2")
    assert outcome.ok
    assert outcome.output == "$ sh -c echo said; echo complained >&2\nsaid\ncomplained\n"
    assert capfd.readouterr().out == "said\ncomplained\n"
    assert (tmp_path / "log").read_text() == outcome.output


def test_only_this_commands_part_of_the_log_is_returned(shell, tmp_path):
    shell("echo first")
    assert "first" not in shell("echo second").output
    assert "first" in (tmp_path / "log").read_text()


def test_a_failure_has_its_exit_code(shell):
    assert shell("exit 3").reason == "sh ended with exit code 3"


def test_a_missing_program_is_a_failure(tmp_path):
    outcome = run(["/no/such/program"], cwd=tmp_path, env={}, log=tmp_path / "log", seconds=1, screen=Screen())
    assert outcome.reason == "/no/such/program could not be run: No such file or directory"


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(shell, tmp_path):
    outcome = shell("sleep 60 & echo $! > child; wait", seconds=0.5)
    assert outcome.reason == "took longer than 0 s and was ended"
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    wait_until(lambda: not child.exists() or child.read_text().split()[2] == "Z", "the child ends")


def test_a_daemon_that_keeps_the_output_open_is_not_waited_for(shell, tmp_path):
    started = time.monotonic()
    outcome = shell("sleep 300 & echo $! > daemon")
    os.kill(int((tmp_path / "daemon").read_text()), 9)
    assert outcome.ok
    assert time.monotonic() - started < 100


def test_there_is_nothing_to_read(shell):
    assert shell("cat").ok


def test_beside_others_each_line_has_a_name(shell, capfd):
    shell("printf 'one\\ntw'; sleep 0.3; printf 'o\\nthr'", name="lint")
    assert capfd.readouterr().out.splitlines() == ["lint       | one", "lint       | two", "lint       | thr"]


def test_an_interruption_ends_it_in_whatever_thread_it_runs(shell, tmp_path):
    interrupted.set()
    try:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            shell("sleep 60")
        assert time.monotonic() - started < 50
    finally:
        interrupted.clear()
