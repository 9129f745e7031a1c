# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles of calls of libvirt: which call a sampled stack is in."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.tests.benchmarks.libvirt_calls import by_method
from ansible_collections.zstack.kvm.tests.benchmarks.py_spy import SAMPLES_PER_SECOND

LIBRARY = "/usr/lib/python3/dist-packages/libvirt.py"
MODULE = "main (/tmp/payload.zip/ansible_collections/zstack/kvm/plugins/modules/start.py:40)"


def test_a_call_belongs_to_the_method_that_is_called_from_outside() -> None:
    open_ = f"open ({LIBRARY}:168);_init ({LIBRARY}:1)"
    samples = [f"{MODULE};create ({LIBRARY}:1390) 7", f"{MODULE};{open_} 2", f"create ({LIBRARY}:1390) 1"]
    assert by_method("\n".join(samples)) == {"create": 8 / SAMPLES_PER_SECOND, "open": 2 / SAMPLES_PER_SECOND}


@pytest.mark.parametrize("method", ["defineXML", "defineXMLFlags"])
def test_a_method_with_flags_is_the_one_without(method: str) -> None:
    assert set(by_method(f"{MODULE};{method} ({LIBRARY}:4590) 1")) == {"defineXML"}


@pytest.mark.parametrize(
    "frame", ["result (/usr/lib/python3.11/threading.py:1)", f"virEventRunDefaultImpl ({LIBRARY}:429)"]
)
def test_other_work_and_the_event_loop_are_no_calls(frame: str) -> None:
    assert by_method(f"{MODULE};{frame} 90") == {}
