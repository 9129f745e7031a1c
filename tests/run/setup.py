# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the machine ready for the tests: Debian packages, a virtual environment, a collection tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from . import ansible_test, cloud_image, fresh_systems, systems
from .checkout import Checkout
from .lock import alone_in
from .process import Outcome, run
from .screen import Screen
from .stage import staged

MINIMUM_PYTHON = (3, 11)  # of ansible-core 2.19
APT = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
APT_SECONDS = 1800
PIP_SECONDS = 900
SYSTEM_SECONDS = 3600  # libvirt is built for one of them

# The Python that runs this, not that of an environment that it runs in.
PYTHON = str(getattr(sys, "_base_executable", sys.executable))

SOURCES_HINT = "Do the package sources answer?"
INDEX_HINT = "pip needs a Python package index: is the machine offline? See: pip config list"

# Bindings to C libraries that fit Debian's own Python and no other; the virtual environment is of that Python.
DEBIAN_MODULES = ("libvirt*", "rados*", "rbd*")
DEBIAN_MODULES_PATH = Path("/usr/lib/python3/dist-packages")


class SetupError(Exception):
    """The machine can't be made ready; the text says why, and what to do."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show a step of the set-up while it runs, and its time."""
    started = time.monotonic()
    print(f"  {what} ...", end="", flush=True)
    try:
        yield
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - started:.1f} s", flush=True)


class Setup:
    """The steps that make a machine ready; each does nothing if nothing is to be done."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.log = checkout.log("setup")

    def prepare(self, needs: set[str]) -> None:
        """Prepare what every part needs, and what the selected parts need beyond it."""
        self.log.unlink(missing_ok=True)
        self._check_machine()
        if "hypervisor" in needs and os.geteuid() != 0:
            raise SetupError("The parts that start hypervisors need root, for namespaces, bridges and mounts.")
        files = ["tests/run/packages.txt"]
        if "hypervisor" in needs:
            files += ["tests/run/packages-hypervisor.txt", "tests/support/packages.txt"]
        if "fresh_hosts" in needs:
            files += ["tests/run/packages-fresh-hosts.txt"]
        if "versions" in needs:
            files += ["tests/run/packages-versions.txt"]
        self._packages(files)
        self.environment()
        if "community" in needs:
            self._community()
        if "sanity" in needs:
            self._sanity_environments()
        if "hypervisor" in needs:
            self._hypervisor()
            self._guest()
        if "cloud_image" in needs:
            self._cloud_image()
        for name in systems.SYSTEMS:
            if name in needs:
                self._try_system(name)
        if "fresh_hosts" in needs:
            self._fresh_systems()

    def _run(
        self, command: list[str], seconds: float, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> Outcome:
        env, cwd = env or self.checkout.environment(DEBIAN_FRONTEND="noninteractive"), cwd or self.checkout.root
        return run(command, cwd=cwd, env=env, log=self.log, seconds=seconds, screen=Screen(), quiet=True)

    def _run_or_fail(
        self,
        what: str,
        command: list[str],
        seconds: float = APT_SECONDS,
        hint: str = SOURCES_HINT,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        outcome = self._run(command, seconds, env, cwd)
        if not outcome.ok:
            raise self._fail(what, outcome, hint)

    def _fail(self, what: str, outcome: Outcome, hint: str) -> SetupError:
        last_lines = "\n".join(f"    {line}" for line in outcome.output.strip().splitlines()[-12:])
        return SetupError(f"{what}: {outcome.reason}\n{last_lines}\n  {hint}\n  All of it is in {self.log}")

    def _check_machine(self) -> None:
        if sys.version_info < MINIMUM_PYTHON:
            raise SetupError(
                f"{sys.executable} is Python {sys.version.split()[0]}; the tests need 3.11 (Debian 12's own) or newer."
            )
        if ":" in str(self.checkout.root):
            raise SetupError(
                f"The path {self.checkout.root} has a colon in it, which separates the paths in PATH and in Ansible's "
                "settings. Rename the directory."
            )
        if not (self.checkout.root / ".git").exists():
            raise SetupError(f"{self.checkout.root} is no git clone; git says which files belong to the project.")

    def _packages(self, files: list[str]) -> None:
        with step("Debian packages"):
            missing = missing_packages([name for file in files for name in listed_packages(self.checkout.root / file)])
            if not missing:
                return
            names = " ".join(missing)
            if not shutil.which("apt-get"):
                raise SetupError(f"These packages are missing, and there is no apt-get to install them: {names}")
            if os.geteuid() != 0:
                raise SetupError(f"These packages are missing; run as root:\n  apt-get install {names}")
            # A source that doesn't answer is no reason to stop if the others have what is needed.
            update = self._run([*APT, "update"], APT_SECONDS)
            install = self._run([*APT, "install", "--yes", "--no-install-recommends", *missing], APT_SECONDS)
            if not install.ok:
                hint = "Look at the lines above; an interrupted installation is repaired by: dpkg --configure -a"
                if not update.ok or "Failed to fetch" in update.output + install.output:
                    hint = "The package sources don't answer: is the machine offline? See /etc/apt/sources.list.d"
                raise self._fail(f"Installing {names}", install, hint)

    def environment(self) -> None:
        """Create the development environment and the tree in which this checkout is a collection, unless they exist."""
        requirements = ["-r", "tests/requirements.txt"]
        self._virtual_environment("virtual environment", self.checkout.venv, PYTHON, requirements)
        self._debian_modules()
        self.checkout.link_collection()

    def _community(self) -> None:
        directory, requirements = self.checkout.cache / "ansible-package", "tests/requirements-community.txt"
        # Nearly none of its thousands of modules is ever imported; compiling them takes longer than the rest.
        arguments = ["--no-compile", "-r", requirements]
        self._virtual_environment("collections of others, from the package ansible", directory, PYTHON, arguments)

    def _virtual_environment(self, what: str, directory: Path, python: str, requirements: list[str]) -> None:
        """Create a virtual environment, unless it exists; the requirements are arguments of pip install."""
        # A virtual environment is bound to its path and its Python. The requirements files name each other.
        files = sorted(self.checkout.root.glob("tests/requirements*.txt"))
        own = [str(directory), os.path.realpath(python), sys.version]
        state = json.dumps([own, requirements, [path.read_text(encoding="utf-8") for path in files]])
        stamp = directory / "stamp"
        with step(what):
            existing = stamp.read_text() if stamp.exists() else ""
            if existing == state:
                return
            # One that lacks only packages is not removed: this may be run by nox from within it.
            if not existing.startswith(json.dumps([own])[:-1]):
                shutil.rmtree(directory, ignore_errors=True)
                command = [python, "-m", "venv", str(directory)]
                hint = "Debian's package for it is python3-venv."
                self._run_or_fail(f"Creating {directory}", command, PIP_SECONDS, hint)
            pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
            what = f"Installing {' '.join(requirements)}"
            self._run_or_fail(what, [*pip, *requirements], PIP_SECONDS, INDEX_HINT)
            stamp.write_text(state)

    def _sanity_environments(self) -> None:
        """Create the environments of ansible-test; they are reused while our own environment stays the same."""
        stamp = self.checkout.home / "stamp"
        ours = (self.checkout.venv / "stamp").read_text()
        with step("environments of ansible-test"):
            if stamp.exists() and stamp.read_text() == ours:
                return
            env, command = ansible_test.environment(self.checkout), ["ansible-test", "sanity", "--prime-venvs"]
            what = "Creating the environments of ansible-test"
            self._run_or_fail(what, command, PIP_SECONDS, INDEX_HINT, env, staged(self.checkout))
            stamp.write_text(ours)

    def _hypervisor(self) -> None:
        playbook = ["ansible-playbook", "--connection", "local", "--inventory", "localhost,"]
        with step("libvirt and QEMU, by the role host_prerequisites"):
            variables = {"ansible_python_interpreter": "/usr/bin/python3", "zstack_hosts": "localhost"}
            command = [*playbook, "--extra-vars", json.dumps(variables), "playbooks/prepare_hypervisors.yml"]
            hint = "The failed task above says why."
            self._run_or_fail("Making this machine a hypervisor", command, hint=hint)

    def _guest(self) -> None:
        with step("a guest to boot, from Debian's packages"):
            hint = "The last line above says why."
            self._run_or_fail(
                "Building the guest", ["tools/guest/build", "--output", str(self.checkout.guest)], hint=hint
            )

    def _cloud_image(self) -> None:
        with step("a cloud image of Debian, from its packages"):
            cloud_image.ensure(self.checkout.root, partial(self._run_or_fail, "Building the cloud image"))

    def _fresh_systems(self) -> None:
        with step("the files of minimal systems"), alone_in(systems.CACHE):
            for name in fresh_systems.SUITES:
                fresh_systems.create(name, partial(self._run_or_fail, "Creating the files of minimal systems"))

    def _try_system(self, name: str) -> None:
        """Create the files of a system. If Debian's packages of today don't allow it, only its own tests fail."""
        try:
            self._system(name)
        except SetupError as error:
            print(error, flush=True)

    def _system(self, name: str) -> None:
        run_or_fail = partial(self._run_or_fail, f"Creating the files of {name}", seconds=SYSTEM_SECONDS)
        packages = listed_packages(self.checkout.root / systems.PACKAGES)
        with step(f"the files of a hypervisor that runs {name}"):
            # Whoever has the files need not wait for another clone that creates others.
            if not systems.directory(self.checkout.root, name).is_dir():
                with alone_in(systems.CACHE):
                    systems.create(self.checkout.root, name, packages, run_or_fail)

    def _debian_modules(self) -> None:
        site_packages = next(self.checkout.venv.glob("lib/python3*/site-packages"))
        for pattern in DEBIAN_MODULES:
            for module in DEBIAN_MODULES_PATH.glob(pattern):
                link = site_packages / module.name
                if not link.is_symlink():
                    link.symlink_to(module)


def listed_packages(path: Path) -> list[str]:
    """Return the Debian packages that the file names, one a line."""
    names = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [name for name in names if name]


def missing_packages(names: list[str]) -> list[str]:
    """Return those of the Debian packages that are not installed."""
    if not names or not shutil.which("dpkg-query"):
        return names
    query = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${binary:Package} ${db:Status-Status}\n", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    state = (line.split() for line in query.stdout.splitlines())
    installed = {words[0].split(":")[0] for words in state if words[1:] == ["installed"]}
    return [name for name in names if name not in installed]
