# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.callback_url import problem_of

ALLOWED = ["https://zs.example/zstack/", "http://10.0.0.2:8080"]


@pytest.mark.parametrize(
    "url",
    [
        "https://zs.example/zstack",
        "https://zs.example:443/zstack/asyncrest/callback",
        "https://ZS.example/zstack/callback?x=1",
        "https://zs.example/zstack/a..b;c/call%20back",
        "http://10.0.0.2:8080/",
        "http://10.0.0.2:8080/anything",
    ],
)
def test_allowed(url: str) -> None:
    assert problem_of(url, ALLOWED) == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://zs.example/zstack/callback",
        "https://zs.example:8443/zstack/callback",
        "https://zs.example/zstackother",
        "https://zs.example/zstack/../admin",
        "https://zs.example/zstack/%2e%2e/admin",
        "https://zs.example/zstack/%252e%252e/admin",
        "https://zs.example/zstack/..;/admin",
        "https://zs.example/zstack/..;jsessionid=1/admin",
        "https://zs.example/zstack/..%3b/admin",
        "https://zs.example/zstack/..%5cadmin",
        "https://zs.example/zstack/..;%5c..%5cadmin",
        "https://zs.example/zstack/..%2fadmin",
        "https://zs.example/zstack/..%00/admin",
        "https://zs.example/zstack%2fcallback",
        "https://zs.example/zstack/a%2Fb",
        "https://zs.example@evil.example/zstack/callback",
        "https://zs.example.evil.example/zstack/callback",
        "http://10.0.0.2/",
        "http://10.0.0.20:8080/",
    ],
)
def test_not_allowed(url: str) -> None:
    assert problem_of(url, ALLOWED) == "it is not an allowed one"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "callback",
        "ftp://h/",
        "file:///etc/passwd",
        "http://",
        "http://h:x/",
        "http://h /",
        "http://h\\@evil/",
        "http://h:0/",
        "http://[",
        "http://[::1",
        "http://::1]/",
        "http://[10.0.0.2]/",
        "http://[zs.example]/",
        "http://10.0.0.2[::1]/",
        "http://[::1]evil/",
        "http://[::1%25eth0]/",
        "http://[v1.a]/",
        "http://a[b@h/",
    ],
)
def test_no_url(url: str) -> None:
    assert problem_of(url) == "it is not an http or https URL"


@pytest.mark.parametrize("url", ["http://[::1]/", "http://[2001:DB8::2]:8080/callback", "http://[::ffff:10.0.0.2]:80"])
def test_an_ipv6_address_in_brackets_is_a_server(url: str) -> None:
    assert problem_of(url, [url]) == ""


def test_without_a_list_any_is_allowed() -> None:
    assert problem_of("http://anywhere.example/callback") == ""


def test_an_empty_list_allows_none() -> None:
    assert problem_of("http://anywhere.example/callback", []) == "it is not an allowed one"
