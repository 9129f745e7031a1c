# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a job as AWX does.

The controller transmits a directory, a worker of ansible-runner runs the job in the execution environment, and the
controller processes what the worker sends back.

AWX's containers are PID namespaces here, so that all of a job's processes end with its worker.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .laboratory import CHECKOUT
from .playbook import COLLECTIONS

RUNNER = Path(sys.executable).with_name("ansible-runner")
SECONDS = 240
# As in AWX, except that connections are kept for less time; pipelining halves the duration of a job.
SETTINGS = {
    "ANSIBLE_FORCE_COLOR": "True",
    "ANSIBLE_HOST_KEY_CHECKING": "False",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_PIPELINING": "True",
    "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=2s -o UserKnownHostsFile=/dev/null",
}


class Job:
    """One job: a playbook, an inventory, a private key, the answers of a survey, and extra variables."""

    def __init__(
        self,
        directory: Path,
        inventory: Mapping[str, Any],
        key: str,
        playbook: str,
        answers: Mapping[str, Any],
        extra_variables: Mapping[str, Any] | None = None,
        options: str = "",
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="job-", dir=directory))
        self.playbook = playbook
        self.private_data, self.worker_data, self.returned = (
            self.directory / name for name in ("private-data", "worker-data", "returned")
        )
        # A socket's path must be short.
        self.sockets = Path(tempfile.mkdtemp(prefix="cp-"))
        shutil.copytree(CHECKOUT / "playbooks", self.private_data / "project" / "playbooks")
        files = {
            "inventory/hosts": f"#!/usr/bin/env python3\nprint({json.dumps(inventory)!r})\n",
            "env/extravars": _variables(answers, extra_variables or {}),
            "env/envvars": json.dumps({**SETTINGS, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.sockets)}),
            "env/ssh_key": key,
            "env/cmdline": f"-u root {options}",
        }
        for name, content in files.items():
            path = self.private_data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            path.chmod(0o700 if name == "inventory/hosts" else 0o600)

    def begin(self) -> Job:
        """Start the job, and return while it runs."""
        transmitted = self.directory / "transmitted"
        arguments = [str(self.private_data), "--playbook", self.playbook, "--ident", "1"]
        self._runner("transmit", *arguments, into=transmitted)
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", str(RUNNER)]
        with open(transmitted, "rb") as given, open(self.directory / "streamed", "wb") as streamed:
            self.worker = subprocess.Popen(
                [*command, "worker", "--private-data-dir", str(self.worker_data)],
                stdin=given,
                stdout=streamed,
                stderr=subprocess.STDOUT,
                env=self._environment(),
            )
        return self

    def cancel(self) -> None:
        """Cancel the job like AWX: terminate the worker, and with it the container."""
        children = Path(f"/proc/{self.worker.pid}/task/{self.worker.pid}/children").read_text(encoding="utf-8")
        os.kill(int(children), signal.SIGTERM)

    def kill(self) -> None:
        """Kill the job as if its container or node had disappeared."""
        self.worker.kill()

    def finish(self) -> Job:
        """Wait until the worker has ended, and process what it sent back."""
        self.worker.wait(SECONDS)
        with open(self.directory / "streamed", "rb") as streamed:
            self._runner("process", str(self.returned), "--ident", "1", given=streamed)
        shutil.rmtree(self.sockets, ignore_errors=True)
        return self

    def run(self) -> Job:
        return self.begin().finish()

    @property
    def status(self) -> str:
        """Return the last status of the worker; empty if it ended before it reported one."""
        file = self.returned / "artifacts" / "1" / "status"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    @property
    def output(self) -> str:
        return (self.returned / "artifacts" / "1" / "stdout").read_text(encoding="utf-8")

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the job's events, in their order."""
        files = (self.returned / "artifacts" / "1" / "job_events").glob("*.json")
        events = (json.loads(file.read_text(encoding="utf-8")) for file in files)
        return sorted(events, key=lambda event: event["counter"])

    @property
    def artifacts(self) -> dict[str, Any]:
        """Return what the job passes to the next node of a workflow: set_stats."""
        (stats,) = (event for event in self.events if event["event"] == "playbook_on_stats")
        return stats["event_data"].get("artifact_data", {})

    def written(self) -> dict[str, str]:
        """Return everything that the job wrote, by path, without its own input."""
        given = [directory / "env" for directory in (self.private_data, self.worker_data)]
        files = [path for path in self.directory.rglob("*") if path.is_file() and path.name != "transmitted"]
        return {
            str(path.relative_to(self.directory)): path.read_bytes().decode(errors="replace")
            for path in files
            if not any(path.is_relative_to(directory) for directory in given)
        }

    def _runner(self, *arguments: str, into: Path | None = None, given: Any = subprocess.DEVNULL) -> None:
        log = into or self.directory / "runner.log"
        with open(log, "wb") as output:
            command = [str(RUNNER), *arguments]
            done = subprocess.run(
                command, stdin=given, stdout=output, stderr=subprocess.STDOUT, env=self._environment(), check=False
            )
        end = log.read_bytes()[-2000:].decode(errors="replace")
        assert done.returncode == 0 or arguments[0] == "process", f"ansible-runner {arguments[0]}: {end}"

    def _environment(self) -> dict[str, str]:
        """Return the environment of an image: the programs and the collection, nothing from the tests' own user."""
        return {
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "HOME": str(self.directory),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{RUNNER.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }


def _variables(answers: Mapping[str, Any], extra_variables: Mapping[str, Any]) -> str:
    """Return YAML in which, as in AWX, no text of an answer is a template."""
    lines = [f"{name}: {json.dumps(value)}" for name, value in extra_variables.items()]
    for name, value in answers.items():
        tag = "!unsafe " if isinstance(value, str) else ""
        lines.append(f"{name}: {tag}{json.dumps(value)}")
    return "\n".join(["---", *lines, ""])
