# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles of the benchmarks: what a sampled stack belongs to."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.tests.benchmarks.profiles import (
    CATEGORIES,
    CONTROLLER,
    HYPERVISOR,
    by_category,
)
from ansible_collections.zstack.kvm.tests.benchmarks.py_spy import SAMPLES_PER_SECOND

ARCHIVE = "/tmp/payload.zip/ansible"
MODULE = f"{ARCHIVE}_collections/zstack/kvm/plugins"
LIBRARIES = "/usr/lib/python3/dist-packages"
START = f"run_module ({ARCHIVE}/module_utils/_internal/_ansiballz/_loader.py:35);<module> ({MODULE}/modules/start.py:1)"
IMPORT = f"{START};_find_and_load (<frozen importlib._bootstrap>:1178)"
FILE_NAME = "zipimporter.get_filename (<frozen zipimport>:220)"
COMPILE = "_compile_source (<frozen zipimport>:672)"
INSTALLED = "importing libvirt-python, lxml and other C libraries"
RUN = f"{START};main ({MODULE}/modules/start.py:40);_start ({MODULE}/module_utils/_start/start.py:80)"


@pytest.mark.parametrize(
    ("stack", "category"),
    [
        (f"{IMPORT};{FILE_NAME};{COMPILE}", "compiling the archive's modules for their file names"),
        (f"{IMPORT};{COMPILE}", "compiling them again to run them"),
        (f"{IMPORT};ExtensionFileLoader.create_module (<frozen importlib>:1)", INSTALLED),
        (f"{IMPORT};<module> ({LIBRARIES}/libvirt.py:3)", INSTALLED),
        (f"{IMPORT};<module> ({MODULE}/module_utils/_spec/vm.py:9)", "the rest of importing"),
        (f"{START};AnsibleModule.__init__ ({ARCHIVE}/module_utils/basic.py:440)", "Ansible's arguments and result"),
        (f"{START};parse_vms ({MODULE}/module_utils/_spec/parse.py:50)", "reading the options"),
        (f"{RUN};build ({MODULE}/module_utils/_domain/build.py:50)", "building domains"),
        (f"{RUN};reconcile ({MODULE}/module_utils/_drift/reconcile.py:50)", "comparing domains"),
        (RUN, "the rest of the module"),
        ("", "the rest of Ansible and Python"),
    ],
)
def test_on_the_hypervisor(stack: str, category: str) -> None:
    seconds = by_category(f"{stack} 12\n", CATEGORIES[HYPERVISOR])
    assert {what for what, share in seconds.items() if share} == {category}


@pytest.mark.parametrize(
    ("function", "category"),
    [
        ("_compile_module_ast (/ansible/executor/module_common.py:850)", "archive: parsing the sources"),
        ("ModuleDepFinder.visit_Import (/ansible/executor/module_common.py:228)", "archive: finding what they import"),
        ("CollectionModuleUtilLocator._find_module (/pkgutil.py:1)", "archive: finding what they import"),
        ("ZipFile.writestr (/usr/lib/python3.11/zipfile.py:1)", "archive: the rest, compressing for instance"),
    ],
)
def test_on_the_controller(function: str, category: str) -> None:
    worker = 'process 7:"ansible-playbook";WorkerProcess.run (/ansible/executor/process/worker.py:1)'
    builder = "_find_module_utils (/ansible/executor/module_common.py:978)"
    seconds = by_category(f"{worker};{builder};{function} 3\n{worker} 5\n", CATEGORIES[CONTROLLER])
    assert {what: share for what, share in seconds.items() if share} == {
        category: 3 / SAMPLES_PER_SECOND,
        "the rest of Ansible": 5 / SAMPLES_PER_SECOND,
    }


def test_samples_of_a_category_add_up() -> None:
    assert by_category("a;b 1\nc;d 2\na 4\n", [("first", "a"), ("second", ""), ("third", "z")]) == {
        "first": 5 / SAMPLES_PER_SECOND,
        "second": 2 / SAMPLES_PER_SECOND,
        "third": 0,
    }
