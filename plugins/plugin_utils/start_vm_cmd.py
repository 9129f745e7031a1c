# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a StartVmCmd on the controller, with the problems of its fields and of its values in one list."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import StartVmCmdError, read_document
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import SecretMask


def vm_of_document(document: Any, unknown: str) -> tuple[dict[str, Any], list[str]]:
    """Return the VM that a document describes, and warnings. Raises C(StartVmCmdError).

    The module validates values. Only if there are problems of fields, the module is not run, and these come with them.
    """
    read = read_document(document, unknown)
    if read.problems:
        raise StartVmCmdError([*read.problems, *problems_of_values(read.vm, read.unread)])
    return read.vm, read.warnings


def problems_of_values(vm: Mapping[str, Any], unread: Collection[str]) -> list[str]:
    """Return the problems of a VM's options, without secrets. C(unread): options whose fields have problems."""
    _parsed, found = parse_vms([vm])
    mask = SecretMask(secrets_of([vm]))
    problems = [mask.text(str(problem)).replace("vms[0].", "", 1) for problem in found]
    return [problem for problem in problems if re.split(r"\W", problem)[0] not in unread]
