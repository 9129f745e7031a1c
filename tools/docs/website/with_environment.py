# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the environment of the tests, which has the tools for the documentation site, and builds the site in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.run.checkout import Checkout
from tests.run.lock import alone
from tests.run.setup import Setup, SetupError


def main() -> int:
    """Returns the exit code."""
    checkout = Checkout(Path(__file__).resolve().parents[3])
    try:
        with alone(checkout, "set-up"):
            Setup(checkout).prepare(set())
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    with alone(checkout, "docs"):
        build = [checkout.program("python"), "-m", "tools.docs.website"]
        return subprocess.run(build, cwd=checkout.root, env=checkout.environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
