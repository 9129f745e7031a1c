# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions that the collection supports, and which of them a machine can try."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Supported:
    """The Pythons on which an ansible-core runs, and those of the targets that it manages."""

    controllers: tuple[str, ...]
    targets: tuple[str, ...]


# What meta/runtime.yml and tests/config.yml promise, and what the developers of ansible-core support.
CORES = {
    "2.19": Supported(("3.11", "3.12", "3.13"), ("3.9", "3.10", "3.11", "3.12", "3.13")),
    "2.20": Supported(("3.12", "3.13", "3.14"), ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")),
    "2.21": Supported(("3.12", "3.13", "3.14"), ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")),
}
TARGETS = CORES["2.21"].targets

# What runs on them: VMs start, boot, and are left alone by the next run; in addition, the playbooks and the roles with
# each ansible-core, and the other modules with each target's Python.
_VMS = "tests/integration/test_start_vm.py"
_MACHINES = "tests/integration/test_other_machines.py"
TESTS_OF_CORES = (
    _VMS,
    "tests/integration/test_host_query.py",
    "tests/integration/test_playbook_check_mode.py",
    "tests/integration/test_stop_playbook.py",
    "tests/integration/test_host_prerequisites.py",
    "tests/integration/test_storage_roles.py",
)
# What extensions/eda/requirements.txt promises
LOWEST_AIOHTTP = "3.9"
TESTS_OF_AIOHTTP = ("tests/integration/test_agent_api_source.py", "tests/integration/test_agent_api_tls.py")
# With the newest Python, whose parsers may fail in other ways, and which is stricter about certificates
TESTS_OF_RULEBOOK = (
    "tests/integration/test_agent_api.py::TestARequestIsRefused",
    "tests/integration/test_agent_api_source.py::TestWhatIsMalformed",
    "tests/integration/test_agent_api_tls.py",
)
TESTS_OF_TARGETS = (
    _VMS,
    "tests/integration/test_host_info.py",
    "tests/integration/test_vm_info.py",
    "tests/integration/test_stop_vm.py",
)
# On hypervisors that run another system than this machine: something of everything that depends on libvirt and QEMU
CHOSEN = {
    "start": (
        f"{_VMS}::test_a_new_vm_boots_from_its_disk",
        f"{_VMS}::test_the_second_run_changes_nothing",
        f"{_VMS}::test_a_changed_document_redefines_a_vm_that_is_shut_off",
        f"{_VMS}::test_a_qemu_that_hangs_is_an_error_of_its_vm_at_most_and_the_others_start",
        "tests/integration/test_domain_definition.py",
        f"{_MACHINES}::test_q35_boots_by_uefi_with_sata_and_a_patch",
        f"{_MACHINES}::test_aarch64_boots_by_uefi",
        f"{_MACHINES}::test_what_libvirt_adds_goes_with_the_board_and_the_bus_that_it_belongs_to",
    ),
    "drift": (
        "tests/integration/test_drift_walk.py::test_all_are_defined_and_then_in_sync_and_every_change_is_repaired",
        "tests/integration/test_missing_machine.py",
    ),
    "live changes": (
        "tests/integration/test_live_changes.py::TestCd",
        "tests/integration/test_live_changes.py::TestConsolePassword",
        "tests/integration/test_live_changes.py::TestNics::test_come_and_go",
        "tests/integration/test_live_changes.py::TestNics::test_get_other_limits",
    ),
    "storage": ("tests/integration/test_storage_iscsi.py::test_a_guest_boots_from_a_lun_with_chap",),
    "secrets": (
        "tests/integration/test_storage_iscsi.py::TestSecret::test_one_with_a_wrong_password_is_repaired",
        "tests/integration/test_secret_module.py::test_a_secret_is_created_with_its_definition_and_value",
        "tests/integration/test_storage_roles.py"
        "::test_keys_that_no_secret_can_have_are_reported_all_at_once_before_anything_changes",
    ),
    "faults": ("tests/integration/test_faults.py::test_qemu_is_killed_when_it_has_started",),
    "errors": ("tests/integration/test_errors.py",),
    "stop": ("tests/integration/test_stop_vm.py::test_a_hanging_qemu_is_forced_off_and_delays_no_other_vm",),
    "information": (
        "tests/integration/test_vm_info.py::test_a_qemu_that_hangs_is_waited_for_once_and_the_others_reported_completely",
    ),
    "inventory": ("tests/integration/test_inventory_of_one.py",),
    "role": (
        "tests/integration/test_host_prerequisites.py"
        "::test_settings_that_the_host_cannot_have_are_refused_and_nothing_is_written",
    ),
}
TESTS_OF_SYSTEMS = tuple(test for tests in CHOSEN.values() for test in tests)
# Runs on this machine only: the other systems' Python lacks Selenium, without which it cannot even be collected.
IN_A_BROWSER = "tests/integration/test_report.py"
# In addition, when all versions are tried
FURTHER_TESTS_OF_SYSTEMS = (
    _VMS,
    _MACHINES,
    "tests/integration/test_access.py",
    "tests/integration/test_host_info.py",
    "tests/integration/test_libvirt_language.py",
    "tests/integration/test_live_changes.py",
    "tests/integration/test_network_nics.py",
    "tests/integration/test_secret_module.py",
    "tests/integration/test_storage_files.py",
    "tests/integration/test_storage_iscsi.py",
    "tests/integration/test_storage_roles.py",
    "tests/integration/test_undefine.py",
    "tests/integration/test_vm_info.py",
)
# Of the documents of the drift walk, these systems try one in so many.
DRIFT_SAMPLE = {"ZSTACK_KVM_DRIFT_SAMPLE": "24"}
# In addition, on hypervisors with modular daemons
TESTS_OF_MODULAR_DAEMONS = (
    "tests/integration/test_modular_daemons.py",
    "tests/integration/test_host_prerequisites.py::test_what_is_missing_is_created_and_the_vm_runs_on",
)


def controllers(found: Collection[str]) -> dict[str, str]:
    """Return the Python that runs each ansible-core, of those that the machine has."""
    chosen = {
        core: next((version for version in supported.controllers if version in found), "")
        for core, supported in CORES.items()
    }
    return {core: python for core, python in chosen.items() if python}


def newest_controller(found: Collection[str]) -> str:
    """Return the newest Python for an ansible-core, of those that the machine has."""
    fitting = {version for supported in CORES.values() for version in supported.controllers if version in found}
    return max(fitting, key=lambda version: [int(number) for number in version.split(".")])


def pythons_of_unit_tests(core: str, found: Collection[str]) -> list[str]:
    """Return the Pythons of the unit tests with an ansible-core: with the newest all, else that of its controller."""
    runnable = controllers(found)
    if core != list(runnable)[-1]:
        return [runnable[core]]
    return [version for version in CORES[core].targets if version in found]


def left_out(found: Collection[str]) -> list[str]:
    """Return what cannot be tried with the Pythons that the machine has."""
    pythons = [f"Python {version}" for version in TARGETS if version not in found]
    runnable = controllers(found)
    cores = [
        f"ansible-core {core}, which needs Python {' or '.join(supported.controllers)}"
        for core, supported in CORES.items()
        if core not in runnable
    ]
    return pythons + cores
