# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of the project's files, for tools that accept no symlink or would walk through every cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .checkout import Checkout
from .lock import alone

# The copy's own: the caches of ansible-test, and the site that is built there.
KEPT = ("tests/output", ".cache", ".git")


def project_files(root: Path) -> list[str]:
    """Return the files that belong to the project, whether already added to git or not."""
    # The clone may belong to another user than the one who runs the tests.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE).stdout
    names = {name.decode() for name in listing.split(b"\0") if name}
    return sorted(name for name in names if (root / name).is_file() or (root / name).is_symlink())


def staged(checkout: Checkout) -> Path:
    """Make the copy equal to the checkout, and return its directory.

    Only what differs is written, so that tools that run side by side do not see it change.
    """
    with alone(checkout, "stage"):
        _refresh(checkout, checkout.stage)
    return checkout.stage


def _refresh(checkout: Checkout, stage: Path) -> None:
    stage.mkdir(parents=True, exist_ok=True)
    # Without its own repository, ansible-test would query the outer one, in which the copy is ignored.
    if not (stage / ".git").exists():
        subprocess.run(["git", "init", "--quiet", "--template=", str(stage)], check=True)
    names = set(project_files(checkout.root))
    for path in sorted(stage.rglob("*"), reverse=True):
        name = path.relative_to(stage).as_posix()
        if f"{name}/".startswith(tuple(f"{kept}/" for kept in KEPT)):
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif name not in names:
            path.unlink()
    for name in names:
        _copy(checkout.root / name, stage / name)


def _copy(source: Path, target: Path) -> None:
    """Copy the file, or the symlink itself, with its time and mode, unless the target is such a copy already."""
    if os.path.lexists(target):
        here, there = source.lstat(), target.lstat()
        if (here.st_mode, here.st_size, here.st_mtime_ns) == (there.st_mode, there.st_size, there.st_mtime_ns):
            return
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
