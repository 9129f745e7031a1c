# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the format of an image that neither a volume's options nor a definition state, and check its header."""

from __future__ import annotations

from typing import Optional
from urllib.parse import quote, urlencode

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import VmError
from .._host.system import HostSystem, System
from .._libvirt.hypervisor import Hypervisor
from .._spec.vm import Volume
from .._storage.backing_files import OutsideError, backing_path, path_in_storage
from .._storage.file import IMAGE_KINDS
from .._storage.fusionstor import NBD_SOCKET, export_name
from .._storage.image_chain import HEAD_BYTES, backing_of, is_encrypted

FORMATS = ("raw", "qcow2")
_NOT_STATED = "the format of the volume is not set"


def format_of_file(volume: Volume, system: System, hypervisor: Hypervisor) -> Optional[str]:
    """Return the format of a file or block device, None if it is missing."""
    path = volume.install_path
    if system.is_remote or system.files.is_hidden(path):
        found = _ask_libvirt(path, system, hypervisor)
    elif system.files.path_kind(path) not in IMAGE_KINDS:
        # A missing file is reported before the VM starts.
        return None
    else:
        check_backing_files(path, system)
        if volume.luks_secret_uuid:
            check_encryption(volume, system)
        found = str(system.processes.image_info(path)["format"])
    if found == "luks" and volume.luks_secret_uuid:
        # Encrypted as a whole.
        found = "raw"
    if found not in FORMATS:
        raise VmError("image_format", "%s is a %s image: a volume must be raw or qcow2" % (path, found))
    return found


def _ask_libvirt(path: str, system: System, hypervisor: Hypervisor) -> str:
    xml = hypervisor.storage_volume_xml(path)
    image_format = etree.fromstring(xml).find("target/format") if xml is not None else None
    if image_format is None:
        message = "the format of %s is unknown, and no storage pool of libvirt contains the file" % path
        if system.is_remote:
            hint = "Set the format of the volume, or run the task on the hypervisor."
            raise VmError("needs_hypervisor", message, hint)
        raise VmError("needs_root", message, "Set the format of the volume, or run the task as root (become: true).")
    backing = etree.fromstring(xml).findtext("backingStore/path")
    if backing:
        try:
            path_in_storage(path, backing, str)
        except OutsideError as error:
            raise _outside(path, path, str(error)) from error
    return str(image_format.get("type"))


def check_backing_files(path: str, system: HostSystem, reason: str = _NOT_STATED) -> None:
    """Raise an error if a header leads outside the storage: without a stated format, a guest may have written it.

    C(reason): why this matters, for the message.
    """
    image, seen = path, set[str]()
    while image not in seen and system.files.path_kind(image) in IMAGE_KINDS:
        seen.add(image)
        head = system.files.read_head(image, HEAD_BYTES)
        try:
            below = backing_path(image, head or b"", system.files.real_path)
        except OutsideError as error:
            raise _outside(path, image, str(error), reason) from error
        if below is None:
            return
        image = below


def _outside(path: str, image: str, what: str, reason: str = _NOT_STATED) -> VmError:
    leads = "%s is a qcow2 image" % path if image == path else "%s, which %s leads to, is a qcow2 image" % (image, path)
    return VmError("backing_file_outside", "%s with %s, which is outside its storage; %s" % (leads, what, reason))


def check_encryption(volume: Volume, system: System) -> None:
    """Raise C(image_format) if a backing file of a LUKS volume is encrypted too: libvirt has the key of one image."""
    image, seen = volume.install_path, set[str]()
    while image not in seen and system.files.path_kind(image) in IMAGE_KINDS:
        seen.add(image)
        head = system.files.read_head(image, HEAD_BYTES) or b""
        if len(seen) > 1 and is_encrypted(head):
            message = "%s has the backing file %s, which is encrypted too" % (volume.install_path, image)
            raise VmError("image_format", message, "Merge the images of the volume into one with qemu-img convert.")
        below = backing_of(image, head)
        if below is None:
            return
        image = below.image


def format_of_fusionstor_image(volume: Volume, system: System) -> Optional[str]:
    """Return the format of a FusionStor image: raw, as ZStack's agent assumes, if it cannot be read."""
    url = "nbd+unix:///%s?%s" % (quote(export_name(volume)), urlencode({"socket": NBD_SOCKET}))
    try:
        info = system.processes.image_info(url)
    except VmError:
        return None
    found = str(info["format"])
    data = info.get("format-specific", {}).get("data", {})
    for what, name in (("the backing file", info.get("backing-filename")), ("the data file", data.get("data-file"))):
        if name:
            raise _outside(volume.install_path, volume.install_path, "%s %s" % (what, name))
    return found if found in FORMATS else None
