# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees and hears: graphics, video cards, sound; and the serial console."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import offers
from .context import Context
from .elements import add

LOOPBACK = "127.0.0.1"
_LOCAL = frozenset({LOOPBACK, "::1", "0.0.0.0", "::"})

_DEFAULT_VIDEO = "cirrus"
# What a VM gets that asked for no card in particular, on a host without cirrus.
_OTHER_VIDEOS = ("vga", "virtio", "bochs")


def add_graphics(devices: etree._Element, context: Context) -> None:
    """graphics: the console on a port that libvirt chooses."""
    vm = context.vm
    if not offers(context.capabilities.graphics, vm.console_mode):
        context.missing.append(_not_offered(context, "console_mode", vm.console_mode, context.capabilities.graphics))
    graphics = add(devices, "graphics", type=vm.console_mode, autoport="yes")
    if vm.console_password:
        graphics.set("passwd", vm.console_password)
    add(graphics, "listen", type="address", address=_listen_address(context))
    if vm.console_mode == "spice":
        add(graphics, "image", compression="auto_glz")
        add(graphics, "jpeg", compression="always")
        add(graphics, "zlib", compression="never")
        add(graphics, "playback", compression="off")
        add(graphics, "streaming", mode=vm.spice_streaming_mode)
        add(graphics, "mouse", mode="client")
        add(graphics, "clipboard", copypaste="no")
        add(graphics, "filetransfer", enable="no")


def add_sound(devices: etree._Element, context: Context) -> None:
    """sound: spice carries it."""
    if context.vm.console_mode == "spice":
        add(devices, "sound", model="ich6")


def add_video(devices: etree._Element, context: Context) -> None:
    """video: several cards make several monitors, with qxl."""
    model = _video_model(context)
    for _monitor in range(context.vm.vdi_monitor_number if model == "qxl" else 1):
        add(add(devices, "video"), "model", type=model)


def add_serial(devices: etree._Element, context: Context) -> None:
    """serial and console: "virsh console"."""
    add(add(devices, "serial", type="pty"), "target", port="0")
    add(add(devices, "console", type="pty"), "target", type="serial", port="0")


def _listen_address(context: Context) -> str:
    vm = context.vm
    option = "console_listen" if vm.console_listen else "host_management_ip"
    address = vm.console_listen or vm.host_management_ip or LOOPBACK
    known = context.host.addresses
    if known is not None and address not in known | _LOCAL:
        context.missing.append(
            Problem(
                context.place(option),
                "the console cannot listen on %s: the host has no such address (it has: %s)"
                % (address, ", ".join(sorted(known))),
                "address_missing",
            )
        )
    return address


def _video_model(context: Context) -> str:
    offered = context.capabilities.videos
    if context.is_aarch64:
        model = "virtio"
    elif context.vm.video_type:
        model = context.vm.video_type
    elif offers(offered, _DEFAULT_VIDEO):
        return _DEFAULT_VIDEO
    else:
        model = next((other for other in _OTHER_VIDEOS if offers(offered, other)), _DEFAULT_VIDEO)
        context.warnings.append("the host has no video type %s: the VM gets %s" % (_DEFAULT_VIDEO, model))
    if not offers(offered, model):
        context.missing.append(_not_offered(context, "video_type", model, offered))
    return model


def _not_offered(context: Context, option: str, value: str, offered: Optional[tuple[str, ...]]) -> Problem:
    return Problem(
        context.place(option),
        "the host does not offer %s (it has: %s)" % (value, ", ".join(offered or ()) or "none"),
        "unsupported_device",
    )
