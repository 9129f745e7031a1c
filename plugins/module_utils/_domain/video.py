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
        add(add(devices, "video"), "model", type=model)


def _video_model(context: BuildContext) -> str:
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
        context.missing.append(not_offered(context, "video_type", model, offered))
    return model
