# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print for each directory the pattern by which semanage knows it and all below it.

The arguments are the directory of SELinux's policy, such as /etc/selinux/targeted, and the paths.
"""

import re
import sys
from pathlib import Path

# Prefixes of paths that have the labels of others, one pair a line.
_EQUIVALENTS = ("contexts/files/file_contexts.subs", "contexts/files/file_contexts.subs_dist")


def equivalents(policy):
    """Return the pairs of a prefix and of what it stands for; not every host has both files."""
    files = [policy / name for name in _EQUIVALENTS]
    lines = [line.split() for file in files if file.exists() for line in file.read_text().splitlines()]
    return [(words[0], words[1]) for words in lines if len(words) > 1 and not words[0].startswith("#")]


def pattern(path, pairs):
    """Return the pattern of a directory. semanage accepts only the prefix that others stand for."""
    for prefix, target in pairs:
        if path.startswith(prefix + "/"):
            path = target + path[len(prefix) :]
            break
    return re.sub(r"([][.*+?^$(){}|\\])", r"\\\1", path) + "(/.*)?"


if __name__ == "__main__":
    found = equivalents(Path(sys.argv[1]))
    print("\n".join(pattern(path, found) for path in sys.argv[2:]))
