# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The USB controllers of a VM, and the port of every USB device."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.usb_layout import (
    UsbController,
    UsbLayout,
    UsbPort,
    plan_usb,
)
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm

SPICE = {"console_mode": "spice", "usb_redirect": True}
SEPARATE = {**SPICE, "separate_usb_redirection": True}


def plan(is_aarch64: bool = False, **options: Any) -> tuple[UsbLayout, list[Problem]]:
    problems: list[Problem] = []
    return plan_usb(parsed_vm(**options), is_aarch64, problems), problems


def devices(version: int, number: int) -> list[str]:
    """Return this number of USB devices of a version."""
    return ["%d:%d:0781:5567:%d.0" % (version, 1 + index, version) for index in range(number)]


def models(layout: UsbLayout) -> list[tuple[int, Optional[str], int]]:
    """Return index, model and ports of the controllers that are no companions."""
    return [(each.index, each.model, each.ports) for each in layout.controllers if each.first_port is None]


class TestControllers:
    @pytest.mark.parametrize(
        ("is_aarch64", "options", "expected"),
        [
            pytest.param(False, {}, [(0, None, 2), (1, "ehci", 6), (2, "nec-xhci", 4)], id="PC"),
            pytest.param(False, SPICE, [(0, "ich9-ehci1", 6)], id="PC with redirection"),
            pytest.param(
                False,
                {**SPICE, "usb_devices": devices(2, 1)},
                [(0, "ich9-ehci1", 6), (1, "ehci", 6)],
                id="PC with redirection and a USB 2 device",
            ),
            pytest.param(
                False,
                SEPARATE,
                [(0, None, 2), (1, "ehci", 6), (2, "nec-xhci", 4), (3, "ehci", 6), (4, "nec-xhci", 4)],
                id="PC with separate redirection",
            ),
            pytest.param(False, {"appliance": True}, [(0, "nec-xhci", 4)], id="appliance"),
            pytest.param(True, {}, [(0, None, 4)], id="aarch64"),
            pytest.param(
                True,
                {"usb_devices": devices(3, 1)},
                [(0, None, 4), (1, "qemu-xhci", 4), (2, "qemu-xhci", 4)],
                id="aarch64 with a USB 3 device: indexes have no gap",
            ),
            pytest.param(
                True, SEPARATE, [(0, None, 4), (1, None, 4), (2, None, 4)], id="aarch64 with separate redirection"
            ),
        ],
    )
    def test_follow_from_machine_redirection_and_devices(
        self, is_aarch64: bool, options: dict[str, Any], expected: list[tuple[int, Optional[str], int]]
    ) -> None:
        assert models(plan(is_aarch64, **options)[0]) == expected

    def test_of_redirection_have_companions_for_all_six_ports(self) -> None:
        companions = [each for each in plan(**SPICE)[0].controllers if each.first_port is not None]

        assert companions == [
            UsbController(0, "ich9-uhci%d" % (1 + index), 0, first_port) for index, first_port in enumerate((0, 2, 4))
        ]


class TestPorts:
    @pytest.mark.parametrize(
        ("is_aarch64", "options", "tablet", "keyboard"),
        [
            pytest.param(False, {}, UsbPort(0, 1), None, id="PC"),
            pytest.param(True, {}, UsbPort(0, 1), UsbPort(0, 2), id="aarch64"),
            pytest.param(True, SPICE, UsbPort(0, 1), UsbPort(0, 5), id="aarch64 with redirection"),
            pytest.param(True, {"appliance": True}, None, None, id="appliance"),
        ],
    )
    def test_of_tablet_and_keyboard_are_the_first_free_ones(
        self, is_aarch64: bool, options: dict[str, Any], tablet: Optional[UsbPort], keyboard: Optional[UsbPort]
    ) -> None:
        layout, _problems = plan(is_aarch64, **options)

        assert (layout.tablet, layout.keyboard) == (tablet, keyboard)

    @pytest.mark.parametrize(
        ("is_aarch64", "options", "ports"),
        [
            pytest.param(False, {}, [], id="without redirection"),
            pytest.param(False, SPICE, [(0, 2), (0, 3), (0, 4), (0, 6)], id="beside the others"),
            pytest.param(True, SPICE, [(0, 2), (0, 3), (0, 4), (0, 6)], id="aarch64"),
            pytest.param(False, SEPARATE, [(3, 1), (3, 2), (4, 1), (4, 2)], id="separate"),
            pytest.param(True, SEPARATE, [], id="separate on aarch64"),
        ],
    )
    def test_of_redirections_are_zstacks(
        self, is_aarch64: bool, options: dict[str, Any], ports: list[tuple[int, int]]
    ) -> None:
        assert plan(is_aarch64, **options)[0].redirections == tuple(UsbPort(*port) for port in ports)

    def test_of_devices_are_on_the_controller_of_their_version(self) -> None:
        given = [*devices(3, 1), *devices(1, 1), *devices(2, 2)]
        layout, _problems = plan(usb_devices=given)

        assert [(device.usb_version, port) for device, port in layout.devices] == [
            (3, UsbPort(2, 1)),
            (1, UsbPort(0, 2)),
            (2, UsbPort(1, 1)),
            (2, UsbPort(1, 2)),
        ]

    def test_of_an_appliance_are_on_its_only_controller(self) -> None:
        layout, _problems = plan(appliance=True, usb_devices=[*devices(1, 1), *devices(3, 1)])

        assert [port for _device, port in layout.devices] == [UsbPort(0, 1), UsbPort(0, 2)]


class TestTooManyDevices:
    def test_those_that_fit_are_planned_and_each_other_is_a_problem(self) -> None:
        layout, problems = plan(usb_devices=devices(2, 8))

        assert len(layout.devices) == 6
        assert [problem.option_path for problem in problems] == ["vms[0].usb_devices[6]", "vms[0].usb_devices[7]"]

    @pytest.mark.parametrize(
        ("is_aarch64", "options", "number", "message"),
        [
            pytest.param(
                False,
                {},
                2,
                "controller 0, for USB 1, has 2 ports, taken by the VM's own input devices (1), vms[0].usb_devices[0]",
                id="of the first controller",
            ),
            pytest.param(
                False,
                SPICE,
                2,
                "controller 0, for USB 1, has 6 ports, taken by the VM's own input devices and redirections (5), "
                "vms[0].usb_devices[0]",
                id="of the first controller with redirection",
            ),
            pytest.param(
                True,
                SPICE,
                1,
                "controller 0, for USB 1, has 6 ports, taken by the VM's own input devices and redirections (6)",
                id="of the first controller without a free port",
            ),
            pytest.param(
                True,
                {},
                3,
                "controller 0, for USB 1, has 4 ports, taken by the VM's own input devices (2), "
                "vms[0].usb_devices[0], vms[0].usb_devices[1]",
                id="of the first controller of aarch64",
            ),
        ],
    )
    def test_the_problem_says_who_has_the_ports(
        self, is_aarch64: bool, options: dict[str, Any], number: int, message: str
    ) -> None:
        (problem,) = plan(is_aarch64, usb_devices=devices(1, number), **options)[1]

        assert problem.message == "too many USB devices: " + message

    def test_the_problem_of_another_controller_names_the_devices_that_have_its_ports(self) -> None:
        (problem,) = plan(usb_devices=devices(3, 5))[1]

        assert problem.message == (
            "too many USB devices: controller 2, for USB 3, has 4 ports, taken by vms[0].usb_devices[0], "
            "vms[0].usb_devices[1], vms[0].usb_devices[2], vms[0].usb_devices[3]"
        )

    def test_no_host_can_run_such_a_vm_and_what_to_leave_out_is_said(self) -> None:
        (problem,) = plan(usb_devices=devices(3, 5))[1]

        assert (problem.code, problem.hint) == (
            "impossible_layout",
            "leave out one of the devices of this USB version",
        )
