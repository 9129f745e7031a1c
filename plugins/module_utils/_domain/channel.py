# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(channel): sockets between hypervisor and guest, such as the guest agent's, and spice's own channel."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add

_WEBDAV = "org.spice-space.webdav.0"


def add_channels(devices: etree._Element, context: BuildContext) -> None:
    """Add a virtio port for each channel; QEMU creates its socket and listens on it."""
    for channel in context.vm.channels:
        element = add(devices, "channel", type="unix")
        add(element, "source", mode="bind", path=channel.socket_path)
        add(element, "target", type="virtio", name=channel.target_name)


def add_spice_channel(devices: etree._Element, context: BuildContext) -> None:
    """Add the channel of the spice agent, which ZStack gives to VMs with USB redirection."""
    if context.usb.redirections:
        add(add(devices, "channel", type="spicevmc"), "target", type="virtio", name="com.redhat.spice.0")


def add_webdav_channel(devices: etree._Element, context: BuildContext) -> None:
    """Add the channel by which a spice client shares a directory, which ZStack gives to x86 guests."""
    if context.vm.spice_webdav and context.vm.has_spice and not context.is_aarch64:
        element = add(devices, "channel", type="spiceport")
        add(element, "source", channel=_WEBDAV)
        add(element, "target", type="virtio", name=_WEBDAV)
