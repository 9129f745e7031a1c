# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that an earlier release defined show no drift: the definitions are stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile
from ansible_collections.zstack.kvm.tests.support.stored_definitions import CASES, STORED, desired_domain
from lxml import etree

DEFINITIONS = sorted(STORED.glob("*/*.xml"))


def test_every_release_has_stored_all_documents() -> None:
    assert DEFINITIONS
    for release in STORED.iterdir():
        if release.is_dir():
            assert {path.stem for path in release.glob("*.xml")} == set(CASES)


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: "%s-%s" % (path.parent.name, path.stem))
def test_no_drift_after_an_upgrade(path: Path) -> None:
    defined = etree.fromstring(path.read_text(encoding="utf-8"))
    assert reconcile(desired_domain(CASES[path.stem]), defined).differences == ()
