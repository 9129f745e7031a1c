# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs of a fleet as an Ansible inventory, also while some hypervisors don't respond."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import MARKUP, TEMPLATE
from ansible_collections.zstack.kvm.tests.support.watched_fleet import (
    DRIFTED,
    FIRST,
    FOREIGN,
    OFF,
    PAUSED,
    SECOND,
    SWITCHED_OFF,
    WITHOUT_LIBVIRTD,
    WatchedFleet,
    uuid_of,
)

pytestmark = pytest.mark.outside

Inventory = dict[str, Any]


def configured(fleet: WatchedFleet, name: str, *hypervisors: str, **options: Any) -> str:
    """Return a configuration file for some of the hypervisors."""
    uris = fleet.uris()
    content = {"plugin": "zstack.kvm.zstack_vms", "hypervisors": {each: uris[each] for each in hypervisors}, **options}
    path = fleet.directory / f"{name}.zstack_vms.yml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def listed(fleet: WatchedFleet, *arguments: str, environment: Optional[dict[str, str]] = None) -> tuple[Inventory, str]:
    """Return the output of ansible-inventory, and its warnings."""
    done = fleet.try_run("ansible-inventory", "--list", *arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def plain(value: Any) -> Any:
    """Return a value without the tag that marks it as no template."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if "__ansible_unsafe" in value else {key: plain(value[key]) for key in value}
    return [plain(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def everything(fleet: WatchedFleet) -> tuple[Inventory, str]:
    """Return the inventory of all hypervisors, two of which don't answer."""
    path = configured(
        fleet,
        "everything",
        FIRST,
        SECOND,
        WITHOUT_LIBVIRTD,
        SWITCHED_OFF,
        strict=True,
        compose={
            "console": "zstack_vm_console.type ~ ':' ~ zstack_vm_console.port if zstack_vm_console else 'none'",
            "ansible_host": "zstack_vm_address | default(inventory_hostname, true)",
        },
        groups={"due": "zstack_vm_restart_required"},
        keyed_groups=[{"key": "zstack_vm_nics | map(attribute='bridge') | select", "prefix": "bridge"}],
    )
    return listed(fleet, "-i", path)


@pytest.fixture(scope="module")
def inventory(everything: tuple[Inventory, str]) -> Inventory:
    return everything[0]


def variables(inventory: Inventory, name: str) -> dict[str, Any]:
    return plain(inventory["_meta"]["hostvars"][name])


def hosts(inventory: Inventory, group: str) -> set[str]:
    return set(inventory[group]["hosts"])


def test_every_vm_of_those_that_answer_is_a_host(inventory: Inventory) -> None:
    answering = {uuid_of(name) for name in ("web-01", DRIFTED, PAUSED, OFF)} | {FOREIGN}
    assert hosts(inventory, "zstack_vms") == answering


def test_those_that_do_not_answer_are_named_with_the_reason(everything: tuple[Inventory, str]) -> None:
    _inventory, warnings = everything
    message = "the VMs of hypervisor %s are not in the inventory: "
    assert message % WITHOUT_LIBVIRTD in warnings
    assert message % SWITCHED_OFF in warnings
    assert message % FIRST not in warnings and message % SECOND not in warnings


def test_vms_are_grouped_by_state_hypervisor_and_metadata(inventory: Inventory) -> None:
    web, drifted, database, batch = (uuid_of(name) for name in ("web-01", DRIFTED, PAUSED, OFF))
    assert hosts(inventory, "zstack_state_running") == {web, drifted, FOREIGN}
    assert hosts(inventory, "zstack_state_paused") == {database}
    assert hosts(inventory, "zstack_state_shutoff") == {batch}
    assert hosts(inventory, f"zstack_hypervisor_{FIRST}") == {web, drifted}
    assert hosts(inventory, f"zstack_hypervisor_{SECOND}") == {database, batch, FOREIGN}
    address = variables(inventory, web)["zstack_vm_metadata"]["host_management_ip"]
    assert hosts(inventory, "zstack_management_ip_" + address.replace(".", "_")) == {web}
    assert web in hosts(inventory, "zstack_made")
    assert FOREIGN not in hosts(inventory, "zstack_made")


def test_a_host_has_the_console_and_the_hypervisor_of_its_vm(inventory: Inventory, fleet: WatchedFleet) -> None:
    web = variables(inventory, uuid_of("web-01"))
    assert (web["zstack_vm_name"], web["zstack_vm_state"], web["zstack_vm_reason"]) == ("web-01", "running", "booted")
    console = web["zstack_vm_console"]
    display = fleet.laboratory.execute(FIRST, "virsh", "vncdisplay", uuid_of("web-01"))
    assert (console["type"], console["port"]) == ("vnc", 5900 + int(display.strip().rpartition(":")[2]))
    assert console["host"] == web["zstack_vm_metadata"]["host_management_ip"]
    assert (web["zstack_vm_hypervisor"], web["zstack_vm_metadata"]["internal_id"]) == (FIRST, 42)


def test_constructed_variables_and_groups(inventory: Inventory) -> None:
    assert variables(inventory, uuid_of("web-01"))["console"].startswith("vnc:59")
    assert variables(inventory, uuid_of(OFF))["console"] == "none"
    # Although the inventory is strict, it is not harmed by a VM that is off or whose guest reports no address.
    assert variables(inventory, uuid_of(OFF))["ansible_host"] == uuid_of(OFF)
    assert hosts(inventory, "due") == {uuid_of(DRIFTED)}
    assert hosts(inventory, "bridge_br_eth0") == {uuid_of("web-01")}


def test_the_name_of_a_vm_is_no_template_and_becomes_no_host_that_it_should_not(fleet: WatchedFleet) -> None:
    path = configured(fleet, "names", FIRST, SECOND, inventory_hostname="name")
    done = fleet.try_run("ansible", "-i", path, "all", "-c", "local", "-m", "debug", "-a", "msg={{ zstack_vm_name }}")
    assert done.returncode == 0, done.stderr
    assert 'web-01 | SUCCESS => {\n    "msg": "web-01"\n}' in done.stdout
    for uuid, name in ((FOREIGN, TEMPLATE), (uuid_of(DRIFTED), MARKUP)):
        assert f'{uuid} | SUCCESS => {{\n    "msg": {json.dumps(name)}\n}}' in done.stdout
        assert f"VM {uuid} is named by its UUID, because its name cannot be that of a host" in done.stderr


def test_a_hypervisor_that_does_not_answer_can_be_an_error(fleet: WatchedFleet) -> None:
    path = configured(fleet, "failing", SECOND, WITHOUT_LIBVIRTD, unreachable="fail")
    settings = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    done = fleet.try_run("ansible-inventory", "--list", "-i", path, environment=settings)
    assert done.returncode != 0
    assert f"the VMs of hypervisor {WITHOUT_LIBVIRTD} are not in the inventory: " in done.stderr


def test_a_vm_on_two_hypervisors_is_the_active_one_or_both_where_both_are(fleet: WatchedFleet) -> None:
    # Under two names, one hypervisor counts as two with the same VMs.
    uri = fleet.uris()[SECOND]
    path = configured(fleet, "twice", hypervisors={SECOND: uri, "other": uri}, inventory_hostname="name")
    inventory, warnings = listed(fleet, "-i", path)
    active, off = uuid_of(PAUSED), variables(inventory, OFF)
    assert off["zstack_vm_hypervisor"] == SECOND
    for hypervisor in (SECOND, "other"):
        called = f"{active}.{hypervisor}"
        assert variables(inventory, called)["zstack_vm_hypervisor"] == hypervisor
        assert called in hosts(inventory, f"zstack_hypervisor_{hypervisor}")
    assert OFF not in hosts(inventory, "zstack_hypervisor_other")
    assert active not in inventory["_meta"]["hostvars"] and PAUSED not in inventory["_meta"]["hostvars"]
    assert f"VM {active} is active on the hypervisors {SECOND}, other" in warnings


def cache_in(directory: Path) -> dict[str, Any]:
    return {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(directory)}


@pytest.fixture
def without_libvirt(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a Python that has no libvirt."""
    (tmp_path / "libvirt.py").write_text("raise ImportError('libvirt')\n", encoding="utf-8")
    return {"PYTHONPATH": str(tmp_path)}


def test_the_cache_spares_the_hypervisors_that_have_answered(
    fleet: WatchedFleet, without_libvirt: dict[str, str]
) -> None:
    path = configured(fleet, "cached", FIRST, SECOND, **cache_in(fleet.directory / "cache"))
    first, _warnings = listed(fleet, "-i", path)
    again, _warnings = listed(fleet, "-i", path, environment=without_libvirt)
    assert again == first
    _nothing, warnings = listed(fleet, "-i", path, "--flush-cache", environment=without_libvirt)
    assert "libvirt-python (package python3-libvirt)" in warnings


def test_one_that_was_silent_is_queried_again(fleet: WatchedFleet) -> None:
    path = configured(fleet, "again", SECOND, WITHOUT_LIBVIRTD, **cache_in(fleet.directory / "again"))
    for _time in range(2):
        inventory, warnings = listed(fleet, "-i", path)
        assert f"the VMs of hypervisor {WITHOUT_LIBVIRTD} are not in the inventory: " in warnings
        assert f"zstack_hypervisor_{SECOND}" in inventory
