# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets between hypervisor and guest, and the channels of spice."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain

AGENT = {"socket_path": "/run/agent", "target_name": "org.qemu.guest_agent.0"}
OTHER = {"socket_path": "/run/other", "target_name": "org.example.0"}
WEBDAV = "org.spice-space.webdav.0"


def channels(host: str = "debian-12", **options: Any) -> list[tuple[str, str]]:
    """Return type and name of each channel."""
    found = domain(host, **options).iterfind("devices/channel")
    return [(channel.get("type"), channel.find("target").get("name")) for channel in found]


def test_qemu_listens_on_the_socket_of_each_channel() -> None:
    devices = domain(channels=[AGENT, OTHER])

    assert attributes(devices, "devices/channel/source") == [
        {"mode": "bind", "path": "/run/agent"},
        {"mode": "bind", "path": "/run/other"},
    ]


def test_the_guest_finds_each_channel_by_its_name() -> None:
    devices = domain(channels=[AGENT, OTHER])

    assert attributes(devices, "devices/channel/target") == [
        {"type": "virtio", "name": "org.qemu.guest_agent.0"},
        {"type": "virtio", "name": "org.example.0"},
    ]


@pytest.mark.parametrize(
    ("host", "options", "expected"),
    [
        pytest.param("debian-12", {}, [], id="without redirection"),
        pytest.param(
            "debian-12",
            {"console_mode": "spice", "usb_redirect": True},
            [("spicevmc", "com.redhat.spice.0")],
            id="with redirection",
        ),
        pytest.param(
            "el-7-aarch64",
            {"console_mode": "spice", "usb_redirect": True, "separate_usb_redirection": True},
            [],
            id="where redirection has no port",
        ),
    ],
)
def test_the_agent_of_spice_has_a_channel_where_usb_devices_are_redirected(
    host: str, options: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert channels(host, **options) == expected


@pytest.mark.parametrize(
    ("host", "mode", "expected"),
    [
        ("debian-12", "spice", [("spiceport", WEBDAV)]),
        ("debian-12", "vnc_and_spice", [("spiceport", WEBDAV)]),
        ("debian-12", "vnc", []),
        ("el-7-aarch64", "spice", []),
    ],
)
def test_x86_guests_with_spice_may_share_a_directory(host: str, mode: str, expected: list[tuple[str, str]]) -> None:
    assert channels(host, console_mode=mode, spice_webdav=True) == expected
    assert channels(host, console_mode=mode) == []


def test_spice_finds_the_directory_by_the_name_that_the_guest_has() -> None:
    (source,) = attributes(domain(console_mode="spice", spice_webdav=True), "devices/channel/source")

    assert source == {"channel": WEBDAV}
