# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(video): the graphics cards."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._host.capabilities import offers
from .._spec.vm import QxlMemory
from .context import BuildContext
from .elements import add
from .offers import not_offered

_DEFAULT_VIDEO = "cirrus"


# Fallbacks for a VM that names no video type, on a host without cirrus.
_OTHER_VIDEOS = ("vga", "virtio", "bochs")


def add_video(devices: etree._Element, context: BuildContext) -> None:
    """Add the graphics card, with qxl one for each monitor."""
    model = _video_model(context)
    for _monitor in range(context.vm.vdi_monitor_number if model == "qxl" else 1):
        element = add(add(devices, "video"), "model", type=model)
        if model == "qxl" and context.vm.qxl_memory:
            _set_memory(element, context.vm.qxl_memory)


def _set_memory(model: etree._Element, memory: QxlMemory) -> None:
    """Set the sizes; libvirt rounds those that need not be powers of two up to one."""
    for name, kib in (("ram", memory.ram), ("vram", memory.vram), ("vgamem", memory.vgamem)):
        if kib:
            model.set(name, str(1 << (kib - 1).bit_length()))


def _video_model(context: BuildContext) -> str:
    offered = context.capabilities.videos
    if context.is_aarch64:
        model = context.vm.aarch64_video_type
    elif context.vm.video_type:
        model = context.vm.video_type
    elif offers(offered, _DEFAULT_VIDEO):
        return _DEFAULT_VIDEO
    else:
        model = next((other for other in _OTHER_VIDEOS if offers(offered, other)), _DEFAULT_VIDEO)
        context.warnings.append("the host has no video type %s: the VM gets %s" % (_DEFAULT_VIDEO, model))
    if not offers(offered, model):
        option = "aarch64_video_type" if context.is_aarch64 else "video_type"
        context.missing.append(not_offered(context, option, model, offered))
    return model
