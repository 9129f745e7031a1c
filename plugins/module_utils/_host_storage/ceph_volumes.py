# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes in ceph: created, compared and grown by rbd, which gets monitors and key through its input."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

from .._errors.errors import Problem, VmError
from .._host.processes import CommandResult
from .._spec.arguments import RBD_FEATURES
from .._spec.vm import Volume, VolumeCreation
from .._storage.base import option_path_of
from .._storage.ceph import CEPH_USER, CephBackend, RbdImage, configuration, parse_image
from .._storage.found_volume import FoundVolume
from ..foreign_text import shorten
from ..waiting import wait_until
from .reachability import CONNECT_SECONDS, SecretValues
from .volume_store import Remove, VolumeStore, Written

if TYPE_CHECKING:
    from .._host.network import ServerGreeting
    from .._host.system import HostSystem
    from .._storage.base import Address

_SECONDS = 60
# More than ceph's osd_client_watch_timeout.
_LEFTOVER_SECONDS = 45
_LEFTOVER_POLL_SECONDS = 1.0
# rbd exits with the number of the error.
_NOT_FOUND = 2
_EXISTS = 17
_BUSY = 16
_NOT_EMPTY = 39
_DENIED = (1, 13)


class CephVolumes(VolumeStore):
    """The images of ceph clusters. C(secrets): the cephx keys."""

    def __init__(self, system: HostSystem, secrets: SecretValues) -> None:
        self._system = system
        self._secrets = secrets
        self._backend = CephBackend()

    def is_missing(self, volume: Volume) -> bool:
        try:
            return self._info(volume, _spec(parse_image(volume))) is None
        except VmError:
            # It is reported with all that is wrong with the storage.
            return False

    def find(self, volume: Volume, written: Written) -> Optional[FoundVolume]:
        try:
            info = self._info(volume, _spec(parse_image(volume)))
        except VmError:
            return None
        if info is None:
            return None
        parent = info.get("parent")
        backing = None if not parent else "%s/%s@%s" % (parent["pool"], parent["image"], parent["snapshot"])
        features = tuple(sorted(set(RBD_FEATURES).intersection(info["features"])))
        return FoundVolume("raw", int(info["size"]), backing, features)

    def canonical(self, image: str) -> str:
        return image

    def problems(self, volume: Volume, create: VolumeCreation) -> list[Problem]:
        if create.image is None:
            return []
        try:
            info = self._info(volume, _source(create.image))
        except VmError as error:
            return [Problem(option_path_of(volume), error.message, error.code, error.hint)]
        option_path = "%s.%%s" % create.option_path
        if info is None:
            return [Problem(option_path % "image", "ceph has no snapshot %s" % create.image, "storage_missing")]
        if create.size is not None and create.size < int(info["size"]):
            message = "is %d bytes, less than the %s bytes of %s" % (create.size, info["size"], create.image)
            return [Problem(option_path % "size", message)]
        return []

    def create(self, volume: Volume, create: VolumeCreation, cancelled: threading.Event) -> Optional[Remove]:
        image = parse_image(volume)
        if self._info(volume, _spec(image)) is not None:
            return None
        partial = image._replace(image=_partial_name(image.image))
        self._remove_leftover(volume, partial, cancelled)
        try:
            self._write(volume, create, partial, cancelled)
            done = self._rbd(volume, ["rename", *_spec(partial), *_destination(image)])
            if done.returncode == _EXISTS:
                return None
            _check(done, "create", volume.install_path)
        finally:
            self._remove_if_there(volume, partial)
        return lambda: self._remove(volume, image)

    def check_closed(self, volume: Volume) -> None:
        # rbd itself refuses to remove an image that is open, or has snapshots.
        return

    def remove(self, volume: Volume) -> None:
        done = self._rbd(volume, ["rm", "--no-progress", *_spec(parse_image(volume))])
        if done.returncode in (_BUSY, _NOT_EMPTY):
            what = "a client has it open" if done.returncode == _BUSY else "it has snapshots"
            raise VmError("volume_in_use", "%s is not removed: %s" % (volume.install_path, what))
        if done.returncode != _NOT_FOUND:
            _check(done, "remove", volume.install_path)

    def _write(self, volume: Volume, create: VolumeCreation, partial: RbdImage, cancelled: threading.Event) -> None:
        if create.image is None:
            arguments = ["create", *_spec(partial), "--size", "%dB" % (create.size or 0)]
        else:
            command = ["clone"] if create.linked else ["cp", "--no-progress"]
            arguments = [*command, *_source(create.image), *_destination(partial)]
        for feature in create.features or ():
            arguments += ["--image-feature", feature]
        _check(self._rbd(volume, arguments, cancelled), "create", volume.install_path)
        if create.image is not None and create.size is not None:
            self._resize(volume, partial, create.size)

    def grow(self, volume: Volume, written: Written, size: int, cancelled: threading.Event) -> None:
        self._resize(volume, parse_image(volume), size)

    def _resize(self, volume: Volume, image: RbdImage, size: int) -> None:
        done = self._rbd(volume, ["resize", "--no-progress", *_spec(image), "--size", "%dB" % size])
        _check(done, "grow", volume.install_path)

    def _remove(self, volume: Volume, image: RbdImage) -> bool:
        """Remove an image unless a client has it open."""
        done = self._rbd(volume, ["rm", "--no-progress", *_spec(image)])
        return done.returncode in (0, _NOT_FOUND)

    def _remove_if_there(self, volume: Volume, image: RbdImage) -> None:
        if self._info(volume, _spec(image)) is not None:
            self._remove(volume, image)

    def _remove_leftover(self, volume: Volume, partial: RbdImage, cancelled: threading.Event) -> None:
        """Remove what a killed task has left, which ceph considers open until its watch has expired."""

        def is_gone() -> bool:
            self._remove_if_there(volume, partial)
            return self._info(volume, _spec(partial)) is None

        if not wait_until(is_gone, _LEFTOVER_SECONDS, cancelled, _LEFTOVER_POLL_SECONDS):
            message = "%s is not created: a client still has open what an earlier task has begun (%s/%s)"
            hint = "Wait until the rbd process that writes it has ended, or end it, and run the task again."
            raise VmError("volume_in_use", message % (volume.install_path, partial.pool, partial.image), hint)

    def _info(self, volume: Volume, spec: Sequence[str]) -> Optional[dict[str, Any]]:
        """Return what rbd says about an image or snapshot, None if it does not exist."""
        done = self._rbd(volume, ["info", "--format", "json", *spec])
        if done.returncode == _NOT_FOUND:
            return None
        _check(done, "examine", volume.install_path)
        info: dict[str, Any] = json.loads(done.stdout)
        return info

    def _rbd(
        self, volume: Volume, arguments: Sequence[str], cancelled: Optional[threading.Event] = None
    ) -> CommandResult:
        command = ["rbd", "--conf", "/dev/stdin", "--id", CEPH_USER, *arguments]
        stdin = self._configuration(volume)
        if cancelled is not None:
            return self._system.processes.run_long(command, cancelled, stdin=stdin)
        return self._system.processes.run(command, _SECONDS, stdin)

    def _configuration(self, volume: Volume) -> str:
        addresses = self._backend.addresses(volume)
        key = self._secrets.key(volume.secret_uuid) if volume.secret_uuid else None
        if volume.secret_uuid and key is None:
            message = "the value of the libvirt secret %s is private, and creating a volume needs it"
            raise VmError("secret_missing", message % volume.secret_uuid, "Give ceph_secret in the VM.")
        return configuration(addresses, self._greetings(addresses), key)

    def _greetings(self, addresses: Sequence[Address]) -> dict[Address, ServerGreeting]:
        greetings = {}
        for address in addresses:
            try:
                greetings[address] = self._system.network.connect(
                    address.host, int(address.port or 0), CONNECT_SECONDS, address.greeting
                )
            except VmError:
                continue
        return greetings


def _spec(image: RbdImage) -> list[str]:
    """Return the options that name an image, whatever characters it has."""
    return ["--pool", image.pool, "--image", image.image]


def _destination(image: RbdImage) -> list[str]:
    return ["--dest-pool", image.pool, "--dest", image.image]


def _source(text: str) -> list[str]:
    path, _at, snapshot = text.rpartition("@")
    pool, _slash, image = path.partition("/")
    return ["--pool", pool, "--image", image, "--snap", snapshot]


def _partial_name(name: str) -> str:
    digest = hashlib.sha256(os.fsencode("%s/%s" % (os.uname().nodename, name))).hexdigest()
    return ".%s.partial" % digest[:32]


def _check(done: CommandResult, what: str, path: str) -> None:
    if done.returncode == 0:
        return
    lines = [line for line in done.stderr.strip().split("\n") if line]
    reason = shorten(lines[-1] if lines else "rbd ended with status %d" % done.returncode)
    code = "storage_denied" if done.returncode in _DENIED else "command_failed"
    if "protected" in done.stderr:
        hint = 'Protect the snapshot ("rbd snap protect"), or set linked to false for a full copy.'
        raise VmError(code, "cannot %s %s: %s" % (what, path, reason), hint)
    raise VmError(code, "cannot %s %s: %s" % (what, path, reason))
