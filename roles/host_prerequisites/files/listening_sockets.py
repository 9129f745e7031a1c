# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints those of the unix sockets named on the command line behind which a process listens."""

import socket
import sys

for path in sys.argv[1:]:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    try:
        connection.connect(path)
    except OSError:
        continue
    finally:
        connection.close()
    print(path)
