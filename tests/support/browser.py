# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headless Chromium, and the report's page in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
# Runs as root in a container, and looks for no updates.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@contextmanager
def browser(directory: Path, width: int = 1440, height: int = 1000, dark: bool = False) -> Iterator[Chrome]:
    """Yield a window of a browser that keeps its files in a directory."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    colours = ["--blink-settings=preferredColorScheme=0"] if dark else []
    for flag in (*FLAGS, *colours, f"--user-data-dir={directory}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    window = Chrome(options=options, service=Service(DRIVER))
    try:
        yield window
    finally:
        window.quit()


class Page:
    """The report in a window, as a person sees and uses it."""

    def __init__(self, window: Chrome, file: Path) -> None:
        self.window = window
        window.get_log("browser")
        window.get(file.as_uri())

    def texts(self, selector: str) -> list[str]:
        """Return the texts of the elements that a selector finds."""
        return [element.text for element in self.window.find_elements(By.CSS_SELECTOR, selector)]

    def count(self, selector: str) -> int:
        """Return the number of elements that a selector finds."""
        return len(self.window.find_elements(By.CSS_SELECTOR, selector))

    def rows(self) -> list[WebElement]:
        """Return the rows of the VMs that are shown."""
        rows = self.window.find_elements(By.CSS_SELECTOR, "#vms > tbody > tr")
        return [row for row in rows if row.is_displayed()]

    def shown(self, selector: str) -> list[str]:
        """Return the text of a cell of each row that is shown."""
        return [row.find_element(By.CSS_SELECTOR, selector).text for row in self.rows()]

    def shown_names(self) -> list[str]:
        """Return the names of the VMs that are shown, in order."""
        return self.shown(".name b")

    def row(self, name: str) -> WebElement:
        """Return the row of a VM."""
        return self.rows()[self.shown_names().index(name)]

    def badges(self, name: str) -> list[str]:
        """Return the badges of a VM."""
        return [badge.text for badge in self.row(name).find_elements(By.CSS_SELECTOR, ".badge")]

    def click(self, where: Union[Chrome, WebElement], selector: str) -> None:
        """Click on the first element that a selector finds."""
        element = where.find_element(By.CSS_SELECTOR, selector)
        self.window.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def type(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        field = self.window.find_element(By.CSS_SELECTOR, selector)
        self.window.execute_script("arguments[0].select()", field)
        field.send_keys(text or "\ue003")

    def choose(self, selector: str, text: str) -> None:
        """Choose from a list."""
        Select(self.window.find_element(By.CSS_SELECTOR, selector)).select_by_visible_text(text)

    def is_open(self, selector: str) -> bool:
        """Return whether a dialog is open."""
        return self.window.find_element(By.CSS_SELECTOR, selector).is_displayed()

    def picture(self, name: str) -> dict[str, Any]:
        """Return the thumbnail of a VM's screen, decoded by the browser: its size and its number of colours."""
        image = self.row(name).find_element(By.CSS_SELECTOR, ".screen img")
        self.window.execute_script("arguments[0].scrollIntoView({block: 'center'})", image)
        return self.window.execute_async_script(
            """
            const [image, done] = arguments;
            image.decode().then(() => {
              const canvas = document.createElement('canvas');
              [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
              const context = canvas.getContext('2d');
              context.drawImage(image, 0, 0);
              const data = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
              const box = image.getBoundingClientRect();
              done({width: image.naturalWidth, shown_width: box.width, colours: new Set(data).size,
                    visible: image.checkVisibility() && box.height > 0});
            });
            """,
            image,
        )

    def requests(self) -> list[str]:
        """Return the URLs that the page has requested."""
        entries = self.window.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
        return [entry for entry in entries if not entry.startswith("data:")]

    def browser_messages(self) -> list[str]:
        """Return the browser's messages about the page."""
        return [entry["message"] for entry in self.window.get_log("browser")]
