# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run on the hypervisor: real ones, and processes on simulated file trees."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.files import Files
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import Processes
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host.tree import write

UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"
NEVER = threading.Event()


@pytest.fixture
def processes() -> Processes:
    return Processes(Files())


class TestRun:
    def test_a_program_that_takes_too_long_is_ended(self, processes: Processes) -> None:
        with pytest.raises(VmError, match="sleep did not end within 0.2 seconds") as caught:
            processes.run(["sleep", "300"], timeout=0.2)
        assert caught.value.code == "command_timeout"

    def test_a_program_that_is_missing_is_an_error(self, processes: Processes) -> None:
        with pytest.raises(VmError, match="the program no-such-program is not installed") as caught:
            processes.run(["no-such-program"], timeout=1)
        assert caught.value.code == "command_missing"

    def test_a_program_reads_its_input_and_answers_in_the_c_locale(self, processes: Processes) -> None:
        done = processes.run(["sh", "-c", "cat; echo $LC_ALL"], timeout=60, stdin="secret ")
        assert (done.returncode, done.stdout) == (0, "secret C\n")

    def test_a_failure_is_a_result(self, processes: Processes) -> None:
        done = processes.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")

    def test_administrators_programs_are_found_whatever_the_path_of_the_user(
        self, processes: Processes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        assert (processes.find_program("sh") or "").endswith("/bin/sh")


class TestRunLong:
    def test_the_progress_file_has_the_output_until_the_program_has_ended(
        self, processes: Processes, tmp_path: Path
    ) -> None:
        progress = tmp_path / "progress"
        script = 'echo half; stat -c %%a "%s"; cat "%s" >&2' % (progress, progress)
        done = processes.run_long(["sh", "-c", script], NEVER, progress_file=str(progress))
        assert (done.stdout, done.stderr) == ("half\n600\n", "half\n600\n")
        assert not progress.exists()

    def test_input_and_descriptors_are_passed_on(self, processes: Processes, tmp_path: Path) -> None:
        with open(tmp_path / "file", "wb") as file:
            script = "cat > /proc/self/fd/%d" % file.fileno()
            assert processes.run_long(["sh", "-c", script], NEVER, (file.fileno(),), "text").returncode == 0
        assert (tmp_path / "file").read_text() == "text"

    def test_a_program_is_killed_when_the_task_is_interrupted(self, processes: Processes, tmp_path: Path) -> None:
        cancelled = threading.Event()
        cancelled.set()
        program = ["sh", "-c", 'echo $$ > "%s/pid"; exec sleep 300' % tmp_path]
        with pytest.raises(VmError) as caught:
            processes.run_long(program, cancelled)
        assert caught.value.code == "interrupted"
        # It may have been killed before it wrote anything.
        pid = (tmp_path / "pid").read_text().strip() if (tmp_path / "pid").exists() else ""
        assert not pid or not Path("/proc/" + pid).exists()


def test_the_age_of_a_process_is_reported_only_of_the_one_that_is_meant(tmp_path: Path) -> None:
    write(tmp_path, "/proc/uptime", "1000.50 1.00\n")
    write(tmp_path, "/proc/7/cmdline", "qemu\0-uuid\0the-uuid\0")
    write(tmp_path, "/proc/7/stat", "7 (qemu (x) y) S " + " ".join(["0"] * 18) + " 60000 0 0\n")
    processes = Processes(Files(str(tmp_path)))
    assert processes.process_age(7, "the-uuid") == 1000.5 - 60000 / os.sysconf("SC_CLK_TCK")
    assert processes.process_age(7, "another") is None
    assert processes.process_age(8, "the-uuid") is None


class TestAProcessInAPidFile:
    @pytest.fixture
    def process(self) -> Iterator[subprocess.Popen[bytes]]:
        command = ["sh", "-c", "echo; read line", UUID]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            # Before that, the kernel may not show its command line yet.
            process.stdout.readline()
            yield process
            process.kill()

    def test_is_the_one_with_the_argument(self, processes: Processes, tmp_path: Path) -> None:
        pid_file = tmp_path / "pid"
        assert processes.running(str(pid_file), UUID) is None
        write(tmp_path, "/pid", "7\n")
        write(tmp_path, "/proc/7/cmdline", "qemu\0-uuid\0" + UUID)
        simulated = Processes(Files(str(tmp_path)))
        assert (simulated.running("/pid", UUID), simulated.running("/pid", "another")) == (7, None)

    def test_is_killed_only_if_it_has_the_argument(
        self, process: subprocess.Popen[bytes], processes: Processes, tmp_path: Path
    ) -> None:
        write(tmp_path, "/pid", "%d\n" % process.pid)
        processes.kill_process(str(tmp_path / "pid"), "another")
        assert process.poll() is None
        processes.kill_process(str(tmp_path / "pid"), UUID)
        assert process.wait(60) == -signal.SIGKILL


class TestOomScore:
    def test_is_read_and_set(self, tmp_path: Path) -> None:
        write(tmp_path, "/proc/7/oom_score_adj", "-17\n")
        processes = Processes(Files(str(tmp_path)))
        assert processes.oom_score(7) == -17
        processes.set_oom_score(7, 300)
        assert processes.oom_score(7) == 300

    def test_of_a_process_that_is_gone_is_unknown_and_cannot_be_set(self, tmp_path: Path) -> None:
        processes = Processes(Files(str(tmp_path)))
        assert processes.oom_score(7) is None
        with pytest.raises(VmError, match="the OOM score of process 7 cannot be set to 300: No such file") as caught:
            processes.set_oom_score(7, 300)
        assert caught.value.code == "command_failed"


class TestImageInfo:
    def test_is_what_qemu_img_reports(self, processes: Processes, tmp_path: Path) -> None:
        (tmp_path / "a, b").write_bytes(bytes(1024))
        info = processes.image_info(str(tmp_path / "a, b"))
        assert (info["format"], info["virtual-size"]) == ("raw", 1024)

    def test_an_image_that_cannot_be_read_is_named_with_the_reason(self, processes: Processes, tmp_path: Path) -> None:
        path = tmp_path / "none"
        with pytest.raises(VmError, match=f"^qemu-img cannot read {path}: Could not open .*No such file") as caught:
            processes.image_info(str(path))
        assert caught.value.code == "image_unreadable"
