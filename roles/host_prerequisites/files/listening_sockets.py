# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print those of the unix sockets named on the command line behind which a process listens, and its name after each.

The name is left out where the process is none that the kernel shows, and is systemd's where it listens for a daemon.
"""

import pathlib
import socket
import struct
import sys

CREDENTIALS = struct.Struct("3i")  # of the process that listens: its id, the user's, the group's


def listener(connection):
    """Return the name of the process behind a connection, empty if it is not known."""
    (process, _user, _group) = CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    )
    try:
        return pathlib.Path("/proc/%d/comm" % process).read_text().strip()
    except OSError:
        return ""


for path in sys.argv[1:]:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    try:
        connection.connect(path)
        name = listener(connection)
    except OSError:
        continue
    finally:
        connection.close()
    print(path)
    if name:
        print(path + " " + name)
