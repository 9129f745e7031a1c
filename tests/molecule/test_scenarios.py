# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every molecule scenario passes. molecule's own workers do not run a scenario's create and destroy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_scenario_passes(scenario: str) -> None:
    molecule = str(Path(sys.executable).with_name("molecule"))
    command = [molecule, "test", "--no-command-borders", "--scenario-name", scenario]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.wait() == 0
        finally:
            # When it is terminated, molecule still destroys its hypervisors.
            process.terminate()
