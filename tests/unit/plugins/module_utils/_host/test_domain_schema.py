# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's schema of domains, for definitions that libvirt is not given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host import domain_schema
from ansible_collections.zstack.kvm.plugins.module_utils._host.domain_schema import check_schema

VALID = "<domain type='qemu'><name>d</name><memory>1</memory><os><type>hvm</type></os></domain>"


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(domain_schema, "PATH", str(tmp_path / "domain.rng"))
    domain_schema._schema.cache_clear()
    yield
    domain_schema._schema.cache_clear()


def test_a_valid_definition_is_accepted() -> None:
    check_schema(VALID)


def test_an_invalid_one_has_the_error_of_libvirt() -> None:
    with pytest.raises(VmError) as caught:
        check_schema(VALID.replace("<os>", "<nonsense/><os>"))
    error = caught.value
    assert (error.code, error.libvirt_code) == ("invalid_domain", 92)
    assert error.message.startswith("cannot define the domain: XML document failed to validate against schema: ")
    assert "nonsense" in error.message


def test_errors_of_an_earlier_definition_are_not_repeated() -> None:
    for name in ("first", "second"):
        with pytest.raises(VmError) as caught:
            check_schema(VALID.replace("<os>", "<%s/><os>" % name))
    assert "second" in caught.value.message
    assert "first" not in caught.value.message


def test_a_hypervisor_without_the_schema_checks_nothing(missing: None) -> None:
    check_schema("<nonsense/>")
