# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a libvirt secret, depending on its actual state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.secret_definition import (
    ExistingSecret,
    SecretDefinition,
    SecretPlan,
    ValueNeededError,
    parse_secret,
    plan_secret,
)
from lxml import etree

DESIRED = SecretDefinition("7f2e0b9c-3a51-4c7e-9d2e-0123456789ab", "ceph", "zstack", ephemeral=False, private=False)
VALUE, OTHER = b"\x00key", b"other"


def existing(value: Optional[bytes] = VALUE, **changes: Any) -> ExistingSecret:
    definition = replace(DESIRED, **changes)
    value = None if definition.private else value
    return ExistingSecret(definition.to_xml(), definition, value, readable=not definition.private)


@pytest.mark.parametrize("kind", ["ceph", "iscsi"])
@pytest.mark.parametrize("flag", [True, False])
def test_what_is_written_is_valid_and_reads_back(kind, flag):
    definition = replace(DESIRED, kind=kind, usage="iqn.x:<&'1", ephemeral=flag, private=not flag)
    etree.RelaxNG(file="/usr/share/libvirt/schemas/secret.rng").assertValid(etree.fromstring(definition.to_xml()))
    assert parse_secret(definition.to_xml()) == definition


def test_a_secret_for_nothing_in_particular_is_read_too():
    xml = "<secret ephemeral='no' private='yes'><uuid>%s</uuid></secret>" % DESIRED.uuid
    assert parse_secret(xml) == SecretDefinition(DESIRED.uuid, "", "", ephemeral=False, private=True)


@pytest.mark.parametrize(
    ("found", "plan"),
    [
        (None, SecretPlan(define=True, value=VALUE)),
        (existing(), SecretPlan()),
        (existing(None), SecretPlan(value=VALUE)),
        (existing(OTHER), SecretPlan(value=VALUE)),
        (existing(ephemeral=True), SecretPlan(define=True)),
        (existing(OTHER, ephemeral=True), SecretPlan(define=True, value=VALUE)),
        (existing(usage="other"), SecretPlan(undefine=True, define=True, value=VALUE)),
        (existing(kind="iscsi"), SecretPlan(undefine=True, define=True, value=VALUE)),
        (existing(private=True), SecretPlan(undefine=True, define=True, value=VALUE)),
    ],
)
def test_with_a_value_everything_becomes_right(found, plan):
    assert plan_secret(DESIRED, VALUE, found, overwrite=True) == plan


@pytest.mark.parametrize(
    ("found", "plan"),
    [
        (None, SecretPlan(define=True)),
        (existing(OTHER), SecretPlan()),
        (existing(None), SecretPlan()),
        (existing(OTHER, usage="other"), SecretPlan(undefine=True, define=True, value=OTHER)),
    ],
)
def test_without_a_value_the_secret_keeps_its_own(found, plan):
    assert plan_secret(DESIRED, None, found, overwrite=True) == plan


def test_a_persistent_secret_that_becomes_ephemeral_is_recreated_or_its_file_would_stay():
    definition = replace(DESIRED, ephemeral=True)
    plan = plan_secret(definition, None, existing(OTHER), overwrite=True)
    assert plan == SecretPlan(undefine=True, define=True, value=OTHER)


def test_a_private_secret_is_not_recreated_without_its_value():
    with pytest.raises(ValueNeededError):
        plan_secret(DESIRED, None, existing(private=True), overwrite=True)


def test_a_secret_becomes_private_and_keeps_its_value():
    definition = replace(DESIRED, private=True)
    assert plan_secret(definition, VALUE, existing(), overwrite=True) == SecretPlan(define=True)


@pytest.mark.parametrize(("overwrite", "plan"), [(True, SecretPlan(value=VALUE)), (False, SecretPlan())])
def test_the_value_of_a_private_secret_is_set_when_it_may_be_overwritten(overwrite, plan):
    definition = replace(DESIRED, private=True)
    assert plan_secret(definition, VALUE, existing(private=True), overwrite) == plan


@pytest.mark.parametrize(
    ("found", "plan"), [(existing(OTHER), SecretPlan()), (existing(None), SecretPlan(value=VALUE))]
)
def test_a_value_that_may_not_be_overwritten_is_set_where_there_is_none(found, plan):
    assert plan_secret(DESIRED, VALUE, found, overwrite=False) == plan


def test_only_a_plan_that_does_something_is_a_change():
    assert not SecretPlan().changes
    assert all(plan.changes for plan in (SecretPlan(undefine=True), SecretPlan(define=True), SecretPlan(value=b"x")))
