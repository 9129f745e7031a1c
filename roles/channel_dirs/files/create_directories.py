# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates directories of a user, or corrects their group and mode, and prints those that it changed.

The arguments are "apply" or "check" (which only prints), the mode, the user's and the group's id, and the paths.

Their parents may belong to that user, who must not get hold of anything else by exchanging a directory or a link
meanwhile: paths are walked by descriptors, links are followed in directories that are root's alone, and what is in
the user's own directories is created by a process of the user's.
"""

import os
import stat
import sys

ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_LINKS = 40


def is_roots(directory, unless_sticky=False):
    """Return whether nobody but root can put anything into a directory, or only not exchange what root put there."""
    status = os.fstat(directory)
    others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid == 0 and (not others or (unless_sticky and bool(status.st_mode & stat.S_ISVTX)))


def enter(parent, name):
    """Open a directory, or return what the link leads to that has the name, or neither where nothing has it."""
    try:
        return os.open(name, ENTER, dir_fd=parent), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        try:
            target = os.readlink(name, dir_fd=parent)
        except OSError:
            raise error from None
        if not is_roots(parent):
            sys.exit("%s is a symbolic link in a directory that is not root's alone" % name)
        return None, target


def create(parent, name, mode, owner):
    """Create a directory and open it. Without an owner it is root's, if its parent is."""
    if is_roots(parent, unless_sticky=True):
        os.mkdir(name, 0o700, dir_fd=parent)
        directory = os.open(name, ENTER, dir_fd=parent)
        if owner:
            os.fchown(directory, *owner)
        os.fchmod(directory, mode)
        return directory
    create_as(owner or OWNER, parent, name, mode)
    return os.open(name, ENTER, dir_fd=parent)


def create_as(owner, parent, name, mode):
    """Create a directory in a process of its owner's."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(owner[1])
            os.setuid(owner[0])
            os.umask(0)
            os.mkdir(name, mode, dir_fd=parent)
            os._exit(0)
        except OSError as error:
            print("cannot create %s: %s" % (name, error.strerror), file=sys.stderr, flush=True)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)


def correct(directory, path):
    """Return whether the group or the mode was, or would be, changed."""
    status = os.fstat(directory)
    if status.st_uid != OWNER[0]:
        sys.exit("%s does not belong to the user %d" % (path, OWNER[0]))
    if (status.st_gid, stat.S_IMODE(status.st_mode)) == (OWNER[1], MODE):
        return False
    if APPLY:
        os.fchown(directory, *OWNER)
        os.fchmod(directory, MODE)
    return True


def ensure(path):
    """Return whether the directory was, or would be, created or changed."""
    parts = parts_of(path)
    current, links, created = os.open("/", ENTER), 0, False
    while parts:
        name, rest = parts[0], parts[1:]
        entered, target = enter(current, name)
        if target:
            links += 1
            if links > MAX_LINKS:
                sys.exit("%s leads through too many symbolic links" % path)
            parts = parts_of(target) + rest
            current = os.open("/", ENTER) if target.startswith("/") else current
            continue
        if entered is None:
            if not APPLY:
                return True
            entered = create(current, name, 0o755 if rest else MODE, None if rest else OWNER)
            created = True
        current, parts = entered, rest
    return correct(current, path) or created


def parts_of(path):
    return [part for part in path.split("/") if part not in ("", ".")]


APPLY = sys.argv[1] == "apply"
MODE = int(sys.argv[2], 8)
OWNER = int(sys.argv[3]), int(sys.argv[4])
for argument in sys.argv[5:]:
    if ensure(argument):
        print(argument)
