# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(tpm): the virtual TPM, and whether libvirt may lose its state."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import offers
from .context import BuildContext
from .elements import add

_MODEL = "tpm-crb"


def add_tpm(devices: etree._Element, context: BuildContext) -> None:
    """Add a TPM 2.0 that swtpm emulates."""
    tpm = context.vm.tpm
    if tpm is None:
        return
    models = context.capabilities.tpm_models
    # Machines other than PCs have only the older interface.
    model = _MODEL if offers(models, _MODEL) or not models else models[0]
    backend = add(add(devices, "tpm", model=model), "backend", type="emulator", version="2.0")
    if tpm.secret_uuid is not None:
        add(backend, "encryption", secret=tpm.secret_uuid)
    if not offers(context.capabilities.tpm_backends, "emulator"):
        message = "the host has no swtpm, which emulates a TPM"
        hint = "install swtpm and swtpm-tools on the hypervisor"
        context.missing.append(Problem(context.option_path("tpm"), message, "unsupported_device", hint))


def may_lose_tpm_state(domain: etree._Element) -> bool:
    """Return whether a domain has a virtual TPM whose state libvirt removes with the domain unless it is kept."""
    backends = domain.iterfind('devices/tpm/backend[@type="emulator"]')
    return any(backend.get("persistent_state") != "yes" for backend in backends)
