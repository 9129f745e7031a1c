# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, grow, examine and remove volumes: everything is examined before anything is changed."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from .._errors.errors import Failure, Problem, VmError, internal_errors
from .._host_storage.file_volumes import progress_file
from .._host_storage.volume_store import Written, volume_lock
from .._host_storage.volume_stores import VolumeStores
from .._libvirt.hypervisor import Hypervisor
from .._spec.vm import Volume, VolumeCreation
from .._storage.backends import disk as disk_of
from .._storage.base import StorageFacts, option_path_of
from .._storage.found_volume import FoundVolume, compare, explain, written_image_problem
from .._storage.image_chain import source_image
from ..deadline import side_by_side
from .result import VolumeResult
from .users import ImageUsers

if TYPE_CHECKING:
    from .._host.system import HostSystem

_PERCENT = re.compile(r"\((\d+\.\d+)/100%\)")
_PROGRESS_BYTES = 64


@dataclass(frozen=True)
class VolumeRequest:
    """The work on the volumes. C(cancelled) is set when the task is interrupted."""

    absent: bool
    check_mode: bool
    cancelled: threading.Event


class VolumeTask:
    """The work on the volumes of a task."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        system: HostSystem,
        owner: Optional[tuple[int, int]],
        request: VolumeRequest,
    ) -> None:
        self._hypervisor = hypervisor
        self._system = system
        self._stores = VolumeStores(system, hypervisor, owner)
        self._request = request
        self._users = ImageUsers(hypervisor, system)

    def run(self, volumes: Sequence[Volume]) -> list[VolumeResult]:
        """Return the results of the volumes, in their order. With any problem nothing is changed."""
        results = [self._planned(volume) for volume in volumes]
        if self._request.check_mode:
            for result in results:
                # An earlier task may not have created yet what is missing.
                result.warnings += [str(problem) for problem in result.problems]
            return results
        for result in results:
            if result.problems:
                first = result.problems[0]
                message = "; ".join(map(str, result.problems))
                result.fail(Failure(VmError(first.code, message, first.hint), "preflight"))
        if any(result.failure for result in results):
            for result in results:
                result.drop_plan()
            return results
        side_by_side(self._do, results, self._system.devices.cpu_count())
        return results

    def _planned(self, volume: Volume) -> VolumeResult:
        result = VolumeResult(volume)
        try:
            with internal_errors():
                self._plan(volume, result)
        except VmError as error:
            result.problems.append(Problem(option_path_of(volume), error.message, error.code, error.hint))
        return result

    def _plan(self, volume: Volume, result: VolumeResult) -> None:
        store = self._stores.of(volume)
        result.progress = self._progress(volume)
        result.exists = result.existed = not store.is_missing(volume)
        if result.exists:
            written = Written(volume.install_path, volume.format or "")
            result.found = result.before = store.find(volume, written)
        if self._request.absent:
            self._plan_removal(volume, result)
        elif not result.exists:
            self._plan_creation(volume, result)
        elif volume.create is not None and result.found is not None:
            self._plan_growth(volume, volume.create, result.found, result)

    def _plan_creation(self, volume: Volume, result: VolumeResult) -> None:
        if volume.create is None:
            return
        owner = self._users.domain_of(_image_of(volume))
        if owner is not None:
            message = (
                "%s does not exist, and is not created because %s has it: what its guest has written may be elsewhere"
            )
            problem = Problem(option_path_of(volume), message % (volume.install_path, owner), "image_missing")
            result.problems.append(problem)
            return
        create = volume.create
        result.problems += self._stores.of(volume).problems(volume, create)
        writer = self._users.writer_of(str(create.image)) if create.linked and volume.device_type == "file" else None
        if writer is not None:
            result.problems.append(written_image_problem(create, writer))
        if create.size is not None:
            image = create.image if create.linked else None
            found = FoundVolume(create.format, create.size, image, create.features)
            result.plan("create_volume", exists=True, found=found)
        else:
            result.plan("create_volume", exists=False, found=None)

    def _plan_growth(self, volume: Volume, create: VolumeCreation, found: FoundVolume, result: VolumeResult) -> None:
        if volume.device_type == "file" and found.format != create.format:
            message = "%s is %s, but the desired format is %s" % (volume.install_path, found.format, create.format)
            result.problems.append(Problem("%s.format" % create.option_path, message, "image_format"))
            return
        result.differences = tuple(compare(create, found, found, self._stores.of(volume).canonical))
        for difference in result.differences:
            overlay = self._users.overlay_owner(_image_of(volume)) if difference.grows else None
            if not difference.grows:
                result.warnings.append(explain(volume.install_path, difference))
            elif overlay is not None:
                message = "the volume %s is not grown: %s writes to an overlay of it"
                result.warnings.append(message % (volume.install_path, overlay))
            else:
                result.plan("grow_volume", exists=True, found=found._replace(size=int(str(difference.after))))

    def _plan_removal(self, volume: Volume, result: VolumeResult) -> None:
        if not result.exists:
            return
        try:
            self._check_unused(volume, self._users)
        except VmError as error:
            result.problems.append(Problem(option_path_of(volume), error.message, error.code, error.hint))
        result.plan("remove_volume", exists=False, found=None)

    def _check_unused(self, volume: Volume, users: ImageUsers) -> None:
        image = _image_of(volume)
        owner = users.domain_of(image)
        if owner is not None:
            raise VmError("volume_in_use", "%s is not removed: %s has it" % (volume.install_path, owner))
        users.check_chains()
        clone = users.clone_of(image)
        if clone is not None:
            message = "%s is not removed: it is the backing file of %s" % (volume.install_path, clone)
            raise VmError("volume_in_use", message)
        self._stores.of(volume).check_closed(volume)

    def _do(self, result: VolumeResult) -> None:
        volume = result.volume
        planned, result.actions = result.actions, []
        for action in planned:
            try:
                with internal_errors():
                    if self._request.cancelled.is_set():
                        raise VmError("interrupted", "the task was interrupted before this volume was changed")
                    with volume_lock(self._system, volume):
                        self._do_action(action, volume, result)
            except VmError as error:
                result.found, result.exists = result.before, result.existed
                result.fail(Failure(error, action))
                return

    def _do_action(self, action: str, volume: Volume, result: VolumeResult) -> None:
        store, create = self._stores.of(volume), volume.create
        if action == "create_volume" and create is not None:
            if store.create(volume, create, self._request.cancelled) is not None:
                result.actions = [action]
            result.found = store.find(volume, Written(volume.install_path, create.format))
            result.exists = True
        elif action == "grow_volume" and create is not None and create.size is not None:
            disk = self._users.open_disk(_image_of(volume))
            if disk is not None:
                self._hypervisor.resize_block(disk.vm_uuid, disk.target, create.size)
            else:
                written = Written(volume.install_path, create.format)
                store.grow(volume, written, create.size, self._request.cancelled)
            result.actions = [action]
        elif action == "remove_volume":
            self._check_unused(volume, ImageUsers(self._hypervisor, self._system))
            store.remove(volume)
            result.actions = [action]

    def _progress(self, volume: Volume) -> Optional[float]:
        """Return how many percent of a volume another task has copied, None if none copies it."""
        written = self._system.files.read_tail(progress_file(volume), _PROGRESS_BYTES)
        found = _PERCENT.findall(written)
        return float(found[-1]) if found else None


def _image_of(volume: Volume) -> str:
    return str(source_image(disk_of(volume._replace(format=volume.format or "raw"), StorageFacts()).source))
