# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the documentation's screenshot of the report: a real page about a real fleet in a laboratory.

As root, after a run of the integration tests:

    PYTHONPATH=.cache/collections .cache/venv/bin/python -m ansible_collections.zstack.kvm.tests.support.report_picture
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ansible_collections.zstack.kvm.tests.integration.conftest import image_directory
from ansible_collections.zstack.kvm.tests.support import linux_guest
from ansible_collections.zstack.kvm.tests.support.browser import browser
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.watched_fleet import FIRST, WatchedFleet, boot_sector, watched_fleet

PICTURE = CHECKOUT / "docs" / "images" / "report.png"
WIDTH = 1440
# The height of the window without the page.
CHROME = 150
ADDRESS = "192.0.2.21/24"

# Runs inside the hypervisor, where the guests' consoles are.
GUESTS = f"""
import sys
from ansible_collections.zstack.kvm.tests.support import linux_guest
for domain in sys.argv[1:]:
    linux_guest.wait_until_booted(domain)
linux_guest.execute(sys.argv[1], 'ip address add {ADDRESS} dev eth0')
"""


def disk(path: Path, name: str) -> Path:
    """Return a disk: of the tiny guest for the web servers, with a boot sector for the rest."""
    return linux_guest.boot_disk(path) if name.startswith("web") else boot_sector(path, name)


def take(fleet: WatchedFleet, directory: Path) -> None:
    """Wait until the guests have booted, write the report, and take its screenshot."""
    paths = ":".join(path for path in sys.path if (Path(path) / "ansible_collections").is_dir())
    domains = fleet.laboratory.execute(FIRST, "virsh", "list", "--name").split()
    fleet.laboratory.execute(FIRST, "env", f"PYTHONPATH={paths}", "/usr/bin/python3", "-c", GUESTS, *sorted(domains))
    report = directory / "report.html"
    fleet.play("zstack.kvm.report", "-e", f"zstack_report_file={report}")
    with browser(directory / "browser", width=WIDTH) as window:
        window.get(report.as_uri())
        window.find_element("css selector", ".differences summary").click()
        window.set_window_size(WIDTH, window.execute_script("return document.body.scrollHeight") + CHROME)
        PICTURE.write_bytes(window.get_screenshot_as_png())


def main() -> None:
    """Take the screenshot in a laboratory that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="zstack-kvm-picture-") as directory, image_directory() as images:
        with watched_fleet(Path(directory), images, {}, disk) as fleet:
            take(fleet, Path(directory))
    print(PICTURE)


if __name__ == "__main__":
    main()
