# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of QEMU for which libvirt has no element."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._domain.metadata import NAMESPACES
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import DeviceSupport
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, parsed_vm

GIB = 1 << 30
QMP = ["-qmp", "unix:/var/lib/libvirt/qemu/zstack/%s.sock,server=on,wait=off" % UUID.replace("-", "")]
TSEG = ["-global", "mch.extended-tseg-mbytes=288"]


def arguments(gpu_bar: int = 0, **options: Any) -> list[str]:
    """Return the arguments for a VM on a host whose graphics card has a memory region of this size."""
    host = recorded_host("debian-12")._replace(device_support=DeviceSupport(largest_gpu_bar=gpu_bar))
    domain = build(parsed_vm(**options), host, StorageFacts({})).element
    assert schema_errors(domain) == []
    return [each.get("value") for each in domain.iterfind("qemu:commandline/qemu:arg", NAMESPACES)]


def test_a_vm_has_none_of_itself() -> None:
    assert arguments() == []


def test_the_additional_qmp_socket_has_the_name_of_the_domain() -> None:
    assert arguments(additional_qmp=True) == QMP


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        ({"machine": "q35", "firmware": "uefi"}, TSEG),
        ({"machine": "q35"}, []),
        ({"firmware": "uefi"}, []),
    ],
)
def test_uefi_of_q35_has_more_memory_for_smm_beside_the_socket(options: dict[str, Any], extra: list[str]) -> None:
    assert arguments(additional_qmp=True, **options) == QMP + extra
    assert arguments(**options) == []


@pytest.mark.parametrize(
    ("gpu_bar", "mib"),
    [(0, None), (4 * GIB, None), (4 * GIB + 1, 32768), (32 * GIB, 32768), (64 * GIB, 65536), (64 * GIB + 1, 65537)],
)
def test_the_64_bit_window_is_for_cards_whose_memory_needs_it(gpu_bar: int, mib: Any) -> None:
    window = [] if mib is None else ["-fw_cfg", f"opt/ovmf/X-PciMmio64Mb,string={mib}"]
    assert arguments(gpu_bar, pci_64bit_window=True) == window
    assert arguments(gpu_bar) == []
