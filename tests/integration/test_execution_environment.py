# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment: its requirements and the build context. No image is built: that needs containers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS

pytestmark = pytest.mark.outside

DEFINITION = CHECKOUT / "execution-environment.yml"


def program(name: str, *arguments: object, cwd: Path) -> str:
    """Return the output of a program of the tests' environment, which must succeed."""
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def needs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the requirements that ansible-builder reads from the collection, without remarks about their origin."""
    printed = program("ansible-builder", "introspect", COLLECTIONS, cwd=tmp_path_factory.mktemp("introspect"))
    lines = yaml.safe_load(printed)
    return {kind: {re.sub(r" +# from collection .*", "", line) for line in lines[kind]} for kind in lines}


def test_python_gets_what_drives_a_remote_libvirt(needs):
    assert needs["python"] == {"libvirt-python", "lxml"}


@pytest.mark.parametrize(
    ("platform", "profile", "packages"),
    [
        ("rpm", "", {"libvirt-libs", "openssh-clients"}),
        ("dpkg", "", {"libvirt0", "openssh-client"}),
        ("rpm", "compile", {"gcc", "libvirt-devel", "pkgconf-pkg-config", "python3-devel"}),
        ("dpkg", "compile", {"gcc", "libc6-dev", "libvirt-dev", "pkg-config", "python3-dev"}),
    ],
)
def test_the_system_gets_the_client_of_libvirt_and_ssh_and_what_builds_the_binding(needs, platform, profile, packages):
    chosen = set()
    for line in needs["system"]:
        name, words = re.fullmatch(r"(\S+) \[(.*)\]", line).groups()
        profiles = set(words.split()) - {f"platform:{platform}"}
        if profiles == ({profile} if profile else set()):
            chosen.add(name)
    assert chosen == packages


def test_bindep_reads_the_list(tmp_path):
    listed = program("bindep", "--file", CHECKOUT / "bindep.txt", "--list_all", "newline", "compile", cwd=tmp_path)
    assert {"gcc", "libvirt-dev", "libvirt0"} <= set(listed.split())


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the build context that ansible-builder creates from the definition and the collection's archive."""
    directory = tmp_path_factory.mktemp("image")
    shutil.copy(DEFINITION, directory)
    program("ansible-galaxy", "collection", "build", "--output-path", directory, CHECKOUT, cwd=directory)
    program("ansible-builder", "create", "--output-filename", "Containerfile", cwd=directory)
    return directory / "context"


def test_the_build_context_holds_the_collection_itself(context, tmp_path):
    build = context / "_build"
    (collection,) = yaml.safe_load((build / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert collection["type"] == "file"
    # As the image's galaxy stage does; forced, because Ansible also finds the tests' own collection
    install = ["collection", "install", "--force", "--offline", "--requirements-file", "requirements.yml"]
    program("ansible-galaxy", *install, "--collections-path", tmp_path, cwd=build)
    manifest = json.loads((tmp_path / "ansible_collections/zstack/kvm/MANIFEST.json").read_text(encoding="utf-8"))
    galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))
    assert manifest["collection_info"]["version"] == galaxy["version"]
    assert (tmp_path / "ansible_collections/zstack/kvm/meta/execution-environment.yml").exists()


def test_the_image_gets_the_ansible_that_the_tests_run_on_and_can_build_the_binding(context):
    containerfile = (context / "Containerfile").read_text(encoding="utf-8")
    tested = (CHECKOUT / "tests" / "requirements-pytest.txt").read_text(encoding="utf-8")
    core = re.search("^ansible-core.*$", tested, re.MULTILINE)[0]
    assert f'ARG ANSIBLE_INSTALL_REFS="{core} ' in containerfile
    # The repository with libvirt-devel is enabled before anything is built
    assert containerfile.index("--set-enabled crb") < containerfile.index("RUN /output/scripts/assemble")
