# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patterns by which semanage knows directories, with simulated policies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[4] / "roles/channel_dirs/files/label_patterns.py"


def patterns(policy: Path, *paths: str) -> list[str]:
    command = [sys.executable, str(SCRIPT), str(policy), *paths]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def write(policy: Path, name: str, text: str) -> None:
    files = policy / "contexts/files"
    files.mkdir(parents=True, exist_ok=True)
    (files / name).write_text(text)


def test_a_pattern_matches_the_directory_and_all_below_it(tmp_path: Path) -> None:
    assert patterns(tmp_path, "/srv/a", "/srv/b") == ["/srv/a(/.*)?", "/srv/b(/.*)?"]


def test_special_characters_are_escaped(tmp_path: Path) -> None:
    assert patterns(tmp_path, "/srv/a.b+c[1]") == [r"/srv/a\.b\+c\[1\](/.*)?"]


def test_a_prefix_is_replaced_by_what_it_stands_for(tmp_path: Path) -> None:
    write(tmp_path, "file_contexts.subs_dist", "# a comment\n\n/run /var/run\n")
    assert patterns(tmp_path, "/run/zstack", "/runs/zstack") == ["/var/run/zstack(/.*)?", "/runs/zstack(/.*)?"]


def test_the_rules_of_the_site_come_before_those_of_the_distribution(tmp_path: Path) -> None:
    write(tmp_path, "file_contexts.subs_dist", "/run /var/run\n")
    write(tmp_path, "file_contexts.subs", "/run /srv/run\n")
    assert patterns(tmp_path, "/run/zstack") == ["/srv/run/zstack(/.*)?"]
