# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that writes a VM's cloud-init seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from .._errors.errors import VmError
from .._host.seed_image import build_seed_image
from .._storage.seed import SEED_DIRECTORY, SEED_LABEL, mark_of
from .action import Action, Outcome

if TYPE_CHECKING:
    from .context import ActionContext

# QEMU's user opens a file in it by its name, and nobody lists it.
_DIRECTORY_MODE = 0o711
_SEED_MODE = 0o400


@dataclass(frozen=True, repr=False)
class WriteSeed(Action):
    """Write the seed; undone, it is removed. C(outdated): earlier seeds of the VM that nothing uses any more."""

    name = "write_cloud_init_seed"
    path: str
    documents: Mapping[str, str]
    owner: Optional[tuple[int, int]]
    outdated: Sequence[str] = ()

    def do(self, context: ActionContext) -> Outcome:
        files = context.system.files
        image = build_seed_image(context.system.processes, self.documents, SEED_LABEL)
        files.make_directory(SEED_DIRECTORY, _DIRECTORY_MODE)
        files.write_owned_file(self.path, image + mark_of(self.documents).encode("ascii"), _SEED_MODE, self.owner)
        for path in self.outdated:
            try:
                files.remove_file(path)
            except VmError as error:
                context.warnings.append("an earlier cloud-init seed stays: %s" % error.message)
        return Outcome(lambda: files.remove_file(self.path))
