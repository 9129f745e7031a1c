# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that playbooks/report.yml writes about a fleet, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.filter.fleet_report import fleet_report
from ansible_collections.zstack.kvm.plugins.filter.html_page import html_page
from ansible_collections.zstack.kvm.plugins.module_utils.foreign_text import clean_line
from ansible_collections.zstack.kvm.tests.integration.conftest import MARKUP, TEMPLATE
from ansible_collections.zstack.kvm.tests.support.browser import Page, browser
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.watched_fleet import (
    DRIFTED,
    FIRST,
    GONE,
    OFF,
    PAUSED,
    SECOND,
    SILENT,
    SWITCHED_OFF,
    WITHOUT_LIBVIRTD,
    WatchedFleet,
    uuid_of,
)

pytestmark = pytest.mark.outside

# As text, like a survey's variables.
WORKFLOW = [{"uuid": uuid_of("web-01"), "name": "web-01", "host": FIRST, "changed": True}]
VARIABLES = {"zstack_report_title": "Night <shift>", "zstack_report_pictures": "true"}


@pytest.fixture(scope="module")
def printed(fleet: WatchedFleet) -> str:
    """Return the output of the playbook."""
    variables = {
        **VARIABLES,
        "zstack_report_file": str(fleet.directory / "report.html"),
        "zstack_vms_of_workflow": json.dumps(WORKFLOW),
    }
    return fleet.play("zstack.kvm.report", "-e", json.dumps(variables))


@pytest.fixture(scope="module")
def file(fleet: WatchedFleet, printed: str) -> Path:
    return fleet.directory / "report.html"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("browser")) as window:
        yield window


@pytest.fixture
def page(window: Any, file: Path) -> Page:
    """Return the page as it is when it has just been opened."""
    return Page(window, file)


def test_the_playbook_says_what_is_wrong_and_passes_it_on(printed: str, file: Path) -> None:
    assert "3 of 7 VMs run, 5 need attention; 2 of 4 hypervisors are down" in printed
    assert str(file) in printed
    stats = json.loads(re.search(r"CUSTOM STATS: [*]+\n\s*RUN: (\{.*\})", printed)[1])["zstack_report"]
    assert (stats["file"], stats["hypervisors_down"]) == (str(file), [WITHOUT_LIBVIRTD, SWITCHED_OFF])
    assert [vm["name"] for vm in stats["not_in_sync"]] == [MARKUP]
    assert [vm["uuid"] for vm in stats["restart_due"]] == [uuid_of(DRIFTED)]


def test_the_page_is_for_its_owner(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600


def test_hypervisors_are_listed_with_what_they_have_those_that_are_down_first(page: Page) -> None:
    cards = page.texts(".card")
    assert [card.splitlines()[:2] for card in cards] == [
        [WITHOUT_LIBVIRTD, "down"], [SWITCHED_OFF, "unreachable"], [FIRST, "up"], [SECOND, "up"],
    ]  # fmt: skip
    assert "Failed to connect socket" in cards[0]
    assert re.search(r"Memory in use\n[\d.]+ [MG]iB of [\d.]+ [GT]iB", cards[2])
    assert "VMs\n2 of 2 active, with 2 CPUs" in cards[2]


def test_vms_that_need_attention_come_first(page: Page) -> None:
    names = page.shown_names()
    assert names[:3] == [OFF, SILENT, GONE]
    assert set(names[3:5]) == {MARKUP, PAUSED}
    assert set(names[5:]) == {"web-01", TEMPLATE}
    badges = {name: page.badges(name) for name in names}
    assert badges[SILENT] == badges[GONE] == ["unknown"]
    assert badges[OFF] == ["shutoff", "should run"]
    assert badges[MARKUP] == ["running", "not in sync", "restart due"]
    assert badges[PAUSED] == ["paused"]
    assert badges["web-01"] == ["running", "changed in this run"]
    assert badges[TEMPLATE] == ["running"]


def test_a_row_shows_the_console_and_the_differences(page: Page) -> None:
    row = page.row("web-01")
    assert re.search(r"vnc://10\.\d+\.\d+\.\d+:59\d\d", row.text)
    differing = page.row(MARKUP)
    assert "desired" not in differing.text
    page.click(differing, ".differences summary")
    assert re.search(r"cputune/shares is 77, desired \d+", differing.text)


def test_a_click_enlarges_a_screenshot(page: Page) -> None:
    screen = page.picture("web-01")
    assert screen["visible"] and 0 < screen["shown_width"] < 200
    # Neither black nor torn: the guest's text is on it.
    assert 100 < screen["width"] <= 320 and screen["colours"] > 2
    page.click(page.row("web-01"), ".screen")
    assert page.is_open("dialog") and page.texts("dialog b") == ["Screen of web-01"]
    page.click(page.window, "dialog button")
    assert not page.is_open("dialog")


def test_a_column_header_sorts_in_both_directions(page: Page) -> None:
    names = sorted(page.shown_names(), key=str.lower)
    page.click(page.window, "[data-sort=hypervisor]")
    assert page.shown("td:nth-child(4)") == [FIRST] * 2 + [SECOND] * 3 + [WITHOUT_LIBVIRTD, SWITCHED_OFF]
    page.click(page.window, "[data-sort=hypervisor]")
    assert page.shown("td:nth-child(4)")[:2] == [SWITCHED_OFF, WITHOUT_LIBVIRTD]
    page.click(page.window, "[data-sort=name]")
    plain = [name for name in page.shown_names() if name.replace("-", "").isalnum()]
    assert plain == [name for name in names if name.replace("-", "").isalnum()]
    page.click(page.window, "[data-sort=uptime]")
    assert page.shown("td:nth-child(8)")[:3] == ["–"] * 3


def test_search_and_filters_hide_the_other_vms(page: Page) -> None:
    page.type("#search", "WEB-01")
    assert page.shown_names() == ["web-01"]
    assert page.texts("#count") == ["1 of 7"]
    page.type("#search", uuid_of(OFF))
    assert page.shown_names() == [OFF]
    page.type("#search", "cputune")
    assert page.shown_names() == [MARKUP]
    page.type("#search", "nobody has this")
    assert page.shown_names() == [] and page.texts("#nothing") == ["No VM to show."]
    page.type("#search", "")
    page.choose("#hypervisor", SECOND)
    assert set(page.shown_names()) == {OFF, PAUSED, TEMPLATE}
    page.choose("#show", "Not running")
    assert set(page.shown_names()) == {OFF, PAUSED}


def test_a_tile_filters_for_what_it_counts(page: Page) -> None:
    tiles = page.texts("button.tile")
    assert [tile.replace("\n", " ") for tile in tiles] == [
        "5 need attention", "3 of 7 VMs running", "1 not in sync", "1 restart due",
    ]  # fmt: skip
    page.click(page.window, "[data-show=drift]")
    assert page.shown_names() == [MARKUP]
    page.click(page.window, "[data-show=drift]")
    assert len(page.shown_names()) == 7


def test_names_are_shown_as_text(page: Page) -> None:
    assert page.texts("h1") == ["Night <shift>"]
    assert page.window.title == "Night <shift>"
    assert {MARKUP, TEMPLATE} <= set(page.shown_names())
    assert page.count("script") == 1 and page.count("[onerror]") == 0
    assert page.count("#vms img:not([src^='data:image/png;base64,'])") == 0


def test_scripts_that_are_not_its_own_do_not_run(page: Page) -> None:
    page.window.execute_script(
        "const script = document.createElement('script'); script.textContent = \"document.title = 'owned'\";"
        "document.body.append(script);"
    )
    assert page.window.title == "Night <shift>"


def test_it_makes_no_network_requests_and_logs_no_errors(page: Page) -> None:
    assert page.requests() == []
    assert page.browser_messages() == []


# Names of people who want the page to do something else.
NAMES = (
    MARKUP, TEMPLATE, "<script>document.title='owned'</script>", "</td></tr></table><h1>owned</h1>", "<!--", "-->",
    "<img src=x onerror=document.title='owned'>", "<svg onload=document.title='owned'>", "<iframe src=//evil.example>",
    "<a href=javascript:document.title='owned'>x</a>", "<style>*{display:none}</style>", "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>", "<form action=//evil.example><input name=a></form>",
    "'-document.title='owned'-'", '"-document.title="owned"-"', "`${document.title='owned'}`", "\\u003cscript\\u003e",
    "&lt;script&gt;", "&#60;script&#62;", "&amp;", "{{ 6 * 7 }}", "{% raw %}", "#{7*7}", "javascript:alert(1)",
    "data:text/html,<script>", "'; document.title='owned'; //", "\u2029document.title='owned'", "<plaintext>",
)  # fmt: skip


def test_29_names_and_more_are_text_to_the_browser(window: Any, tmp_path: Path) -> None:
    """All VMs of this fleet have such names; their other texts are the same."""
    vms = [
        {
            "uuid": f"u{number}",
            "name": name,
            "state": "running",
            "reason": name,
            "cpus": 1,
            "memory": 1 << 30,
            "warnings": [name],
            "addresses": [{"address": name, "source": name}],
            "thumbnail": name,
            "console": {"type": name, "host": name, "port": 5900},
        }
        for number, name in enumerate(NAMES)
    ]
    hypervisor = {"failed": True, "msg": NAMES[2]}
    report = fleet_report([{"name": NAMES[3], "hypervisor": hypervisor, "vms": {"vms": vms}, "problem": NAMES[4]}])
    template = (CHECKOUT / "playbooks" / "templates" / "report.html.j2").read_text(encoding="utf-8")
    file = tmp_path / "report.html"
    values = {"title": NAMES[2], "time": NAMES[2], "nonce": 12345, "report": report}
    file.write_text(html_page(values, template), encoding="utf-8")
    page = Page(window, file)
    assert window.title == NAMES[2]
    # The browser shows any white space as one space.
    assert sorted(page.shown_names()) == sorted(" ".join(clean_line(name).split()) for name in NAMES)
    assert page.count("script") == 1 and page.count("iframe, svg[onload], base, #vms form, plaintext") == 0
    assert (page.requests(), page.browser_messages()) == ([], [])
