# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test without containers, and without downloading anything from outside of the package index."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .checkout import Checkout

# ansible-test fetches this script from a server of its own to bring pip into an empty virtual environment, unless its
# cache has the script. Python comes with pip.
GET_PIP = '''\
"""Install pip and the packages named in the arguments, from what Python brings and the package index."""
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip"])
packages = [argument for argument in sys.argv[1:] if not argument.startswith("--no-")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *packages]))
'''
GET_PIP_VERSIONS = ("24_2", "25_2", "25_3")


def environment(checkout: Checkout) -> dict[str, str]:
    """Return the environment of ansible-test, whose caches are in the checkout."""
    cache = checkout.home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in GET_PIP_VERSIONS:
        (cache / f"get_pip_{version}.py").write_text(GET_PIP)
    return checkout.environment(HOME=str(checkout.home), **_pip_configuration())


@contextmanager
def reports(checkout: Checkout, name: str) -> Iterator[None]:
    """Collect the JUnit reports of the ansible-test that runs meanwhile in the copy of the project."""
    directory = checkout.stage / "tests" / "output" / "junit"
    shutil.rmtree(directory, ignore_errors=True)
    try:
        yield
    finally:
        for number, report in enumerate(sorted(directory.glob("*.xml"))):
            shutil.copyfile(report, checkout.result(f"{name}-{number}"))


def _pip_configuration() -> dict[str, str]:
    """Return the user's own settings for pip, which another HOME would hide."""
    for path in (Path.home() / ".config" / "pip" / "pip.conf", Path.home() / ".pip" / "pip.conf"):
        if path.exists():
            return {"PIP_CONFIG_FILE": str(path)}
    return {}
