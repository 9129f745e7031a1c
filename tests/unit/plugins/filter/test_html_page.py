# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages in which all text is escaped; the report's is tested with markup in every text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.filter.fleet_report import fleet_report
from ansible_collections.zstack.kvm.plugins.filter.html_page import html_page
from lxml import html

TEMPLATE = Path(__file__).parents[4] / "playbooks" / "templates" / "report.html.j2"
HOSTILE = """</td></script><script>alert(1)</script><img src=x onerror=alert(1)>"' onload='alert(1) {{ 6 * 7 }}"""


def test_values_are_escaped() -> None:
    assert html_page({"name": '<b a="\'">&'}, "<p>{{ name }}</p>") == "<p>&lt;b a=&#34;&#39;&#34;&gt;&amp;</p>"


def test_a_page_has_clean_text_in_the_markup_of_its_template() -> None:
    page = html_page({"name": "<b>\x1b[2J\u202e"}, "{% macro m(t) %}<p>{{ t }}</p>{% endmacro %}{{ m(name) }}")
    assert page == "<p>&lt;b&gt;\ufffd\ufffd</p>"


@pytest.mark.parametrize("template", ["{{ missing }}", "{% if %}"])
def test_an_invalid_template_is_an_error(template: str) -> None:
    with pytest.raises(AnsibleFilterError, match="html_page: "):
        html_page({}, template)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "?"),
        (0, "0 KiB"),
        (2**20 - 1024, "1023 KiB"),
        (2**20, "1 MiB"),
        (3 * 2**29, "1.5 GiB"),
        (2**40, "1.0 TiB"),
        (2**51, "2048.0 TiB"),
    ],
)
def test_a_size_is_shown_in_the_largest_unit_that_it_fills(size: Optional[int], text: str) -> None:
    assert html_page({"size": size}, "{{ size | human_size }}") == text


def test_a_size_that_is_not_defined_is_unknown() -> None:
    assert html_page({"disk": {}}, "{{ disk.size | human_size }}") == "?"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172800, "2 days")],
)
def test_a_duration_is_shown_in_the_largest_unit_that_it_fills_twice(seconds: Optional[int], text: str) -> None:
    assert html_page({"seconds": seconds}, "{{ seconds | human_duration }}") == text


def hostile(value: Any) -> Any:
    """Return the same, with markup for every text."""
    if isinstance(value, dict):
        return {key: hostile(each) for key, each in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return HOSTILE if isinstance(value, str) else value


def page(report: dict[str, Any]) -> html.HtmlElement:
    text = html_page({"title": HOSTILE, "time": HOSTILE, "nonce": 12345, "report": report}, TEMPLATE.read_text("utf-8"))
    return html.document_fromstring(text)


VM = {
    'uuid': 'u', 'name': 'n', 'state': 'running', 'reason': 'booted', 'cpus': 1, 'memory': 2**30, 'uptime': 7200,
    'console': {'type': 'vnc', 'host': 'h', 'port': 5900},
    'addresses': [{'address': 'a', 'source': 'agent'}],
    'disks': [{'target': 'vda', 'source': 's', 'size': 2**40, 'allocated': 2**20}],
    'nics': [{'device': 'vnet0', 'mac': 'm', 'bridge': 'b', 'type': 'bridge'}],
    'differences': [{'path': 'p', 'before': 'x', 'after': None}],
    'error': {'code': 'c', 'message': 'm', 'hint': 'h'}, 'warnings': ['w'],
    'in_sync': False, 'restart_required': True,
}  # fmt: skip
HOST = {
    'uuid': 'h', 'hostname': 'n', 'arch': 'a', 'libvirt_version': 'l', 'qemu_version': 'q', 'cpus': 2,
    'memory': {'total': 2**34, 'free': 2**33}, 'load_average': [1.0, 1.0, 1.0], 'domain_types': ['qemu'],
}  # fmt: skip


def test_all_text_of_the_report_is_escaped() -> None:
    hosts = [
        {"name": HOSTILE, "hypervisor": hostile(HOST), "vms": {"vms": [hostile(VM)]}, "problem": HOSTILE},
        {"name": HOSTILE + "2", "hypervisor": {"failed": True, "msg": HOSTILE}, "wanted": {HOSTILE: HOSTILE}},
    ]
    found = page(fleet_report(hosts, [{"uuid": HOSTILE, "host": HOSTILE, "error": HOSTILE}]))
    (script,) = found.iter("script")
    assert script.get("nonce") == "12345" and "alert" not in script.text
    assert [image.get("src") for image in found.iter("img")] == [None]
    attributes = {name for element in found.iter(html.etree.Element) for name in element.attrib}
    assert not {name for name in attributes if name.startswith("on")}
    assert found.findtext(".//h1") == HOSTILE
    assert HOSTILE in {element.text for element in found.iterfind(".//tbody//b")}


def test_an_empty_report_is_a_page() -> None:
    assert "No VM to show." in page(fleet_report([])).text_content()
