# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user who isn't root, and the collection's modules as that user runs them."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS, TARGET_PYTHON, TaskRun

_MODULES = "ansible_collections.zstack.kvm.plugins.modules"


@dataclass
class User:
    """A user with a home and a runtime directory. C(groups): those that commands run with besides the user's own."""

    name: str
    home: Path
    groups: Sequence[str] = ()

    @property
    def runtime(self) -> Path:
        """Return where the user's own libvirt has its sockets."""
        return self.home / "run"

    def command(self, *argv: str, **variables: str) -> tuple[list[str], dict[str, str]]:
        """Return a command that runs as the user, and its environment."""
        entry = pwd.getpwnam(self.name)
        groups = ["--groups", ",".join(self.groups)] if self.groups else ["--clear-groups"]
        start = ["setpriv", "--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), *groups]
        env = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime), "PATH": os.environ["PATH"], **variables}
        return [*start, *argv], env

    def run_module(self, name: str, arguments: Mapping[str, Any], check: bool = False) -> TaskRun:
        """Run a module as Ansible does without become."""
        file = self.home / f"{uuid.uuid4().hex}.json"
        module_arguments = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": module_arguments}), encoding="utf-8")
        file.chmod(0o644)
        path = os.pathsep.join([str(self.home / "python"), str(COLLECTIONS)])
        argv, env = self.command(TARGET_PYTHON, "-m", f"{_MODULES}.{name}", str(file), PYTHONPATH=path)
        done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, check=False)
        result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
        return TaskRun(result, done.stdout + done.stderr, done.returncode)


@contextmanager
def new_user() -> Iterator[User]:
    """Yield a new user of this hypervisor, who is removed at the end together with all processes and files."""
    name = f"u{uuid.uuid4().hex[:8]}"
    home = Path("/home") / name
    subprocess.run(["useradd", "--create-home", "--home-dir", home, name], check=True)
    user = User(name, home)
    try:
        home.chmod(0o755)
        (home / "python").mkdir()
        (home / "python" / "ansible").symlink_to(Path(ansible.__file__).parent)
        user.runtime.mkdir(mode=0o700)
        shutil.chown(user.runtime, name)
        yield user
    finally:
        _end_processes_of(pwd.getpwnam(name).pw_uid)
        subprocess.run(["userdel", "--force", "--remove", name], check=True, capture_output=True)


def _end_processes_of(uid: int) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == uid:
                os.kill(int(process.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue
