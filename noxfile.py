# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions of nox: every check of this project. C(nox --list) shows them.

C(./run-tests) runs the same sessions, after it has prepared the machine. They share one environment, .cache/venv.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Optional

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from tests.run import ansible_test, cloud_image, pythons, supported, systems  # noqa: E402
from tests.run.checkout import STANDARD_PATH, Checkout  # noqa: E402
from tests.run.lock import alone  # noqa: E402
from tests.run.result import AGAIN  # noqa: E402
from tests.run.setup import Setup, SetupError  # noqa: E402
from tests.run.side_by_side import AT_ONCE  # noqa: E402
from tests.run.stage import staged  # noqa: E402

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["unit", "types", "docs", "build", "lint", "sanity"]

CHECKOUT = Checkout(ROOT)
TYPED_PACKAGES = ("extensions", "plugins", "tests", "tools.docs", "tools.quickstart")
TYPED_DIRECTORIES = ("tools/cloud_image", "tools/guest", "tools/lab")


FRESH_HOSTS = "tests/fresh_hosts"
HYPERVISOR_OPTION = "--hypervisor="
# Marks of the integration tests that run in hypervisors with libvirtd
INSIDE = "not outside and not modular"

Inside = list[str]  # the beginning of a command that runs in a hypervisor of the laboratory


def session(function: Callable[[nox.Session], None]) -> Callable[[nox.Session], None]:
    """Register a session that runs in the environment of this checkout."""

    @functools.wraps(function)
    def prepared(session: nox.Session) -> None:
        try:
            with alone(CHECKOUT, "set-up"):
                Setup(CHECKOUT).environment()
        except SetupError as error:
            session.error(str(error))
        function(session)

    return nox.session(venv_backend="none")(prepared)


@session
def unit(session: nox.Session) -> None:
    """Run the unit tests (pytest)."""
    pytest(session, "unit", "--quiet", "--numprocesses=auto", "tests/unit", *session.posargs)


@session
def types(session: nox.Session) -> None:
    """Check types and style (mypy, ruff)."""
    packages = [word for name in TYPED_PACKAGES for word in ("-p", f"ansible_collections.zstack.kvm.{name}")]
    run_all(
        session,
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", *packages],
        ["mypy", *TYPED_DIRECTORIES],
        ["mypy", "noxfile.py"],
        env={"MYPYPATH": ":".join([str(CHECKOUT.collections), *TYPED_DIRECTORIES])},
    )


@session
def docs(session: nox.Session) -> None:
    """Check the documentation and the changelog, and build the site (antsibull, Sphinx)."""
    plugins = ["lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "--validate-collection-refs=all", "."]
    run_all(
        session,
        ["antsibull-docs", *plugins],
        ["antsibull-changelog", "lint"],
        ["python", "-m", "tools.docs.website"],
        ["codespell"],
        ["python", "-m", "tools.docs.language"],
    )


@session
def build(session: nox.Session) -> None:
    """Build the collection, install the file and look inside."""
    pytest(session, "build", "--verbose", "tests/build", *session.posargs)


@session
def lint(session: nox.Session) -> None:
    """Run ansible-lint, profile production."""
    session.chdir(staged(CHECKOUT))
    run(session, "ansible-lint", "--nocolor", *session.posargs)


@session
def sanity(session: nox.Session) -> None:
    """Run ansible-test sanity, nothing ignored."""
    run_ansible_test(session, CHECKOUT, "sanity", "sanity", "--junit", *session.posargs)


@session
def integration(session: nox.Session) -> None:
    """Run the integration tests with real libvirt and QEMU, in hypervisors of the laboratory.

    With --hypervisor=NAME first, run those that are not about this machine on hypervisors of that system.
    """
    if session.posargs and session.posargs[0].startswith(HYPERVISOR_OPTION):
        name = session.posargs[0][len(HYPERVISOR_OPTION) :]
        _try_system(session, f"{name}/integration", name, "tests/integration", *session.posargs[1:])
        return
    at_once = min(AT_ONCE, 4)
    common = ["--verbose", "--durations=40", "--dist=loadfile", "tests/integration", *session.posargs]
    python = str(CHECKOUT.venv / "bin" / "python")
    failures = Failures()
    with laboratory(session, at_once) as hypervisors, failures.noted("in hypervisors"):
        workers = [f"--tx=popen//python={shlex.join([*inside, python])}" for inside in hypervisors]
        # A hypervisor has a /tmp of its own; the checkout is the same everywhere.
        spread = [*workers, f"--basetemp={CHECKOUT.cache / 'tmp'}", "--no-loadscope-reorder", "-m", INSIDE]
        pytest_and_again(session, "integration-inside", ["pytest", *spread, *common])
    with failures.noted("on this machine"):
        spread = [f"--numprocesses={at_once}", "--no-loadscope-reorder", "-m", "outside"]
        pytest_and_again(session, "integration-outside", ["pytest", *spread, *common])
    failures.end(session)


@session
def other_systems(session: nox.Session) -> None:
    """Run chosen integration tests on hypervisors of each other system that is in the usual run.

    With --hypervisor=NAME first, run them on hypervisors of that system only.
    """
    names: Sequence[str] = systems.USUAL
    further: Sequence[str] = session.posargs
    if further and further[0].startswith(HYPERVISOR_OPTION):
        names, further = (further[0][len(HYPERVISOR_OPTION) :],), further[1:]
    failures = Failures()
    for name in names:
        with failures.noted(name):
            result = f"{name}/other_systems"
            _try_system(session, result, name, *_chosen_tests(name), *further, env=supported.DRIFT_SAMPLE)
    failures.end(session)


def _chosen_tests(name: str) -> list[str]:
    further = supported.TESTS_OF_MODULAR_DAEMONS if systems.SYSTEMS[name].base else ()
    return [*supported.TESTS_OF_SYSTEMS, *further]


def _try_system(
    session: nox.Session, result: str, name: str, *tests: str, env: Optional[Mapping[str, str]] = None
) -> None:
    """Run the tests in one hypervisor of the system, with the system's own Python."""
    if name not in systems.SYSTEMS:
        session.error(f"there is no system {name}, only {', '.join(systems.SYSTEMS)}")
    files = systems.directory(ROOT, name)
    if not files.is_dir():
        session.error(f"{files} is missing: ./run-tests other_systems --hypervisor {name} creates it, or says why not")
    python = str(systems.VENV / "bin" / "python")
    path = ":".join([str(systems.VENV / "bin"), STANDARD_PATH])
    # Another system's files do not have this machine's cache.
    images = [f"--bind={cloud_image.CACHE}"] if cloud_image.CACHE.is_dir() else []
    with laboratory(session, 1, f"--system={files}", *images, name=name) as (inside,):
        chosen = "not outside" if systems.SYSTEMS[name].base else INSIDE
        marks = ["-m", f"{chosen} and not own_system", f"--ignore={supported.IN_A_BROWSER}"]
        # Systems are tried side by side, and each has its own failures to try again.
        cache = f"--override-ini=cache_dir={CHECKOUT.cache / 'pytest'}-{name}"
        command = [*inside, python, "-m", "pytest", "--verbose", "--durations=20", cache, *marks, *tests]
        pytest_and_again(session, result, command, env={"PATH": path, **(env or {})})


@session
def molecule(session: nox.Session) -> None:
    """Run the molecule scenarios."""
    pytest(session, "molecule", "--verbose", f"--numprocesses={AT_ONCE}", "tests/molecule", *session.posargs)


@session
def mutation(session: nox.Session) -> None:
    """Check that the unit tests notice each part of a domain that is left out."""
    run(session, "python", "-m", "tests.mutation", *session.posargs, env={"PYTHONPATH": str(CHECKOUT.collections)})


@session
def fresh_hosts(session: nox.Session) -> None:
    """Apply the role host_prerequisites to minimal installations and modular daemons, and run the README's commands."""
    pytest(session, "fresh_hosts", "--verbose", FRESH_HOSTS, *session.posargs)


@session
def versions(session: nox.Session) -> None:
    """Try every ansible-core and Python of targets that the machine has of those supported, and every system."""
    found = pythons.find(supported.TARGETS)
    for missing in supported.left_out(found):
        session.warn(f"not tried: {missing}")
    failures = Failures()
    with failures.noted("minimal installations"):
        pytest(session, "versions-fresh_hosts", "--verbose", FRESH_HOSTS, *session.posargs)
    for name in systems.SYSTEMS:
        with failures.noted(name):
            tests = [*_chosen_tests(name), *supported.FURTHER_TESTS_OF_SYSTEMS, *session.posargs]
            _try_system(session, f"versions-{name}", name, *tests, env=supported.DRIFT_SAMPLE)
    with laboratory(session, 1) as hypervisors:
        for core, python in supported.controllers(found).items():
            with failures.noted(f"ansible-core {core}"):
                _try_core(session, core, found[python], found, hypervisors[0], failures)
        with failures.noted(f"aiohttp {supported.LOWEST_AIOHTTP} of the agent API"):
            _try_lowest_aiohttp(session, found, hypervisors[0])
        with failures.noted("ansible-rulebook on the newest Python"):
            _try_rulebook(session, found, hypervisors[0])
        for version, program in found.items():
            with failures.noted(f"Python {version} of a target"):
                _try_target(session, version, program, hypervisors[0])
    failures.end(session)


def _try_core(
    session: nox.Session, core: str, python: Path, found: dict[str, Path], inside: Inside, failures: Failures
) -> None:
    programs = CHECKOUT.cache / "versions" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for version, program in found.items():
        (programs / f"python{version}").unlink(missing_ok=True)
        (programs / f"python{version}").symlink_to(program)
    tools = replace(CHECKOUT, environment_name=f"versions/core-{core}", first_in_path=str(programs))
    # Some tests run modules in their own process.
    requirements = ["-r", "tests/requirements-pytest.txt", "libvirt-python", f"ansible-core=={core}.*"]
    _create_environment(session, tools.venv, python, *requirements)
    with failures.noted(f"ansible-core {core}: sanity"):
        run_ansible_test(session, tools, f"versions-sanity-{core}", "sanity", "--junit")
    for version in supported.pythons_of_unit_tests(core, found):
        with failures.noted(f"ansible-core {core}: unit tests on Python {version}"):
            units = ["units", "--venv", "--python", version]
            run_ansible_test(session, tools, f"versions-units-{core}-{version}", *units)
    tests = [*supported.TESTS_OF_CORES, *session.posargs]
    pytest(session, f"versions-core-{core}", "--verbose", *tests, checkout=tools, inside=inside)


def _try_lowest_aiohttp(session: nox.Session, found: dict[str, Path], inside: Inside) -> None:
    tools = replace(CHECKOUT, environment_name=f"versions/aiohttp-{supported.LOWEST_AIOHTTP}")
    python = found[min(supported.controllers(found).values())]
    requirements = ["-r", "tests/requirements-pytest.txt", f"aiohttp=={supported.LOWEST_AIOHTTP}"]
    _create_environment(session, tools.venv, python, *requirements)
    tests = [*supported.TESTS_OF_AIOHTTP, *session.posargs]
    pytest(session, f"versions-aiohttp-{supported.LOWEST_AIOHTTP}", "--verbose", *tests, checkout=tools, inside=inside)


def _try_rulebook(session: nox.Session, found: dict[str, Path], inside: Inside) -> None:
    version = supported.newest_controller(found)
    tools = replace(CHECKOUT, environment_name=f"versions/rulebook-{version}")
    requirements = ["-r", "tests/requirements-pytest.txt", "-r", "extensions/eda/requirements.txt"]
    _create_environment(session, tools.venv, found[version], *requirements)
    tests = [*supported.TESTS_OF_RULEBOOK, *session.posargs]
    pytest(session, f"versions-rulebook-{version}", "--verbose", *tests, checkout=tools, inside=inside)


def _try_target(session: nox.Session, version: str, python: Path, inside: Inside) -> None:
    directory = CHECKOUT.cache / "versions" / f"target-{version}"
    _create_environment(session, directory, python, "libvirt-python", "lxml")
    tests = [*supported.TESTS_OF_TARGETS, *session.posargs]
    target = {"ZSTACK_KVM_TARGET_PYTHON": str(directory / "bin" / "python")}
    pytest(session, f"versions-python-{version}", "--verbose", *tests, inside=inside, env=target)


def _create_environment(session: nox.Session, directory: Path, python: Path, *requirements: str) -> None:
    run(session, str(python), "-m", "venv", str(directory))
    run(session, str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements)


class Failures:
    """The failures of a session that continues after them."""

    def __init__(self) -> None:
        self._found: list[str] = []

    @contextlib.contextmanager
    def noted(self, what: str) -> Iterator[None]:
        """Record a failure if a command fails."""
        try:
            yield
        except CommandFailed:
            self._found.append(what)

    def end(self, session: nox.Session) -> None:
        """Fail if anything did."""
        if self._found:
            session.error(", ".join(self._found))


@contextlib.contextmanager
def laboratory(session: nox.Session, hosts: int, *options: str, name: str = "") -> Iterator[list[Inside]]:
    """Start hypervisors, and stop them afterwards. What an earlier run left when it was killed is removed first.

    Laboratories with different C(name) can be used at the same time.
    """
    lab = str(ROOT / "tools" / "lab" / "lab")
    digest = hashlib.sha256(f"{ROOT}{name}".encode()).hexdigest()[:8]
    directory = ["--dir", f"/var/lib/zstack-kvm-tests-{digest}"]
    stand_ins = str(ROOT / "tests" / "support" / "path")
    run(session, lab, "down", *directory)
    try:
        common = [f"--hosts={hosts}", "--network=free", f"--path-first={stand_ins}"]
        run(session, lab, "up", *directory, *common, *options)
        yield [[lab, "exec", *directory, f"hv{number}", "--"] for number in range(1, hosts + 1)]
    finally:
        run(session, lab, "down", *directory)


def pytest(
    session: nox.Session,
    name: str,
    *arguments: str,
    checkout: Checkout = CHECKOUT,
    inside: Sequence[str] = (),
    env: Optional[Mapping[str, str]] = None,
) -> None:
    """Run pytest, in a hypervisor if C(inside) says so, and leave its report in .cache/results."""
    command = [*inside, checkout.program("pytest"), f"--junit-xml={checkout.result(name)}", *arguments]
    run(session, *command, checkout=checkout, success_codes=_success_codes(session), env=env)


def pytest_and_again(
    session: nox.Session, name: str, command: Sequence[str], env: Optional[Mapping[str, str]] = None
) -> None:
    """Run pytest by a command, and what fails once more: emulated guests on a busy machine are slow at times."""
    again = [
        "--last-failed",
        "--last-failed-no-failures=none",
        "--maxfail=10",
        f"--junit-xml={CHECKOUT.result(name + AGAIN)}",
    ]
    first = f"--junit-xml={CHECKOUT.result(name)}"
    try:
        run(session, *command, first, success_codes=_success_codes(session), env=env)
    except CommandFailed:
        run(session, *command, *again, env=env)


def _success_codes(session: nox.Session) -> list[int]:
    # By a selection of the developer's there may be nothing to run.
    return [0, 5] if session.posargs else [0]


def run_ansible_test(session: nox.Session, checkout: Checkout, name: str, *arguments: str) -> None:
    """Run ansible-test in the copy of the project, and leave its reports in .cache/results."""
    with session.chdir(staged(checkout)), ansible_test.reports(checkout, name):
        environment = ansible_test.environment(checkout)
        run(session, "ansible-test", *arguments, "--color", "no", checkout=checkout, env=environment)


def run_all(session: nox.Session, *commands: list[str], env: Optional[Mapping[str, str]] = None) -> None:
    """Run all commands, and fail if any of them did."""
    failures = Failures()
    for command in commands:
        with failures.noted(" ".join(command[:3])):
            run(session, *command, env=env)
    failures.end(session)


def run(
    session: nox.Session,
    *command: str,
    checkout: Checkout = CHECKOUT,
    success_codes: Sequence[int] = (0,),
    env: Optional[Mapping[str, str]] = None,
) -> None:
    """Run one command in the environment of the tests; an interrupted one gets time to clean up."""
    session.run(
        checkout.program(command[0]),
        *command[1:],
        env={**checkout.environment(), **(env or {})},
        include_outer_env=False,
        external=True,
        success_codes=success_codes,
        interrupt_timeout=20,
        terminate_timeout=5,
    )
