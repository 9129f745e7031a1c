# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates in documents stay text: through the playbook start_vms, and through the endpoint and its playbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.request import read_request
from ansible_collections.zstack.kvm.tests.integration.conftest import image_directory
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.agent_api import start_vm_cmd
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS, PLUGINS, TARGET_PYTHON
from ansible_collections.zstack.kvm.tests.support.virsh import definition, remove_domain
from lxml import etree

MARK = Path("/tmp/zstack-kvm-a-template-was-run")
RUN = f"lookup('ansible.builtin.pipe', 'touch {MARK}')"
TEMPLATES = (
    "{{ 6 * 7 }}", "{{6*7}}", "{{- 6 * 7 -}}", "{{ '{{' }} 6 * 7 {{ '}}' }}", "a {{ 6 * 7 }} b {{ 6 * 7 }}",
    "{{ " + RUN + " }}", "{{ q('pipe', 'touch %s') }}" % MARK, "{{ (" + RUN + ") | default('') }}",
    "{% set x = " + RUN + " %}{{ x }}", "{% if true %}42{% endif %}", "{% raw %}{{ 6 * 7 }}{% endraw %}",
    "{%- for x in [1] -%}42{%- endfor -%}", "{# gone #}", "{% include '/etc/passwd' %}", "{% unclosed", "{{ unclosed",
    "{{ undefined_variable }}", "{{ hostvars }}", "{{ vars }}", "{{ zstack_agent_api_request }}", "{{ omit }}",
    "{{ lookup('ansible.builtin.env', 'PATH') }}", "{{ ''.__class__.__mro__ }}", "!unsafe {{ 6 * 7 }}",
    "!vault | 3030", "$ANSIBLE_VAULT;1.1;AES256", "#jinja2: variable_start_string:'['", "${7*7} #{7*7} <%= 7*7 %>",
    '{"__ansible_unsafe": "{{ 6 * 7 }}"}',
)  # fmt: skip


def document(name: str, **fields: Any) -> dict[str, Any]:
    """Return a document whose patch contains the name too, for a VM without NICs and channels."""
    title = etree.Element("title")
    title.text = name
    patch = {"action": "add", "xpath": "/domain", "value": etree.tostring(title, encoding="unicode")}
    usual = {"memory": 32 << 20, "nics": [], "addons": {}, "options": {"domain_patches": [patch]}}
    found = start_vm_cmd("01-minimal", vmName=name, **{**usual, **fields})
    found["rootVolume"]["installPath"] = f"/nowhere/{found['vmInstanceUuid']} {name}"
    return found


def play(
    directory: Path, playbook: str, variables: dict[str, Any], *arguments: str
) -> tuple[list[dict[str, Any]], str]:
    """Run a playbook on this machine, and return the results of its tasks and its output."""
    inventory = directory / "hosts.json"
    here: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_host": "127.0.0.1",
        "ansible_python_interpreter": TARGET_PYTHON,
    }
    here["zstack_vm_defaults"] = {"domain_type": "qemu"}
    inventory.write_text(json.dumps({"hypervisors": {"hosts": {"here": here}}}), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), "-e", json.dumps(variables)]
    settings = {
        "ANSIBLE_CALLBACK_PLUGINS": str(PLUGINS),
        "ANSIBLE_CALLBACKS_ENABLED": "result_file",
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "RESULT_FILE": str(directory / "results"),
    }
    env = {**settings, **os.environ}
    done = subprocess.run([*command, *arguments, playbook], env=env, capture_output=True, text=True, check=False)
    lines = Path(directory, "results").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], done.stdout + done.stderr


@pytest.fixture(autouse=True)
def no_template_is_run() -> Iterator[None]:
    MARK.unlink(missing_ok=True)
    yield
    assert not MARK.exists()


def test_there_are_29_templates() -> None:
    assert len(set(TEMPLATES)) == 29


def test_in_documents_that_start_vms_reads(tmp_path: Path) -> None:
    documents = [document(template) for template in TEMPLATES]
    # Options beyond the protocol are for the agent API.
    Path(tmp_path, "documents").write_text(
        json.dumps([{**each, "options": None} for each in documents]), encoding="utf-8"
    )
    read = f"{{{{ lookup('ansible.builtin.file', '{tmp_path}/documents') }}}}"
    results, output = play(tmp_path, "zstack.kvm.start_vms", {"zstack_start_vm_cmds": read}, "--check", "--diff")
    (diffs,) = [item["diff"] for result in results for item in result.get("results", []) if "diff" in item]
    after = [etree.fromstring(diff["after"].removeprefix("state: running\n")) for diff in diffs]
    assert [domain.findtext("description") for domain in after] == list(TEMPLATES), output
    assert [path(domain) for domain in after] == [each["rootVolume"]["installPath"] for each in documents]
    (lines,) = [result["msg"] for result in results if isinstance(result.get("msg"), list)]
    assert [template for template in TEMPLATES if not any(template in line for line in lines)] == []


def test_in_documents_that_the_endpoint_takes() -> None:
    for template in TEMPLATES:
        (vm,) = read_request(json.dumps(document(template))).arguments["vms"]
        assert vm["name"] == template


class TestInADocumentThatTheEndpointCarriesOut:
    """One name contains all templates."""

    def carry_out(self, document: dict[str, Any], directory: Path) -> dict[str, Any]:
        """Return what the agent API would report."""
        request, result = directory / "request", directory / "result"
        request.write_text(json.dumps(read_request(json.dumps(document)).arguments), encoding="utf-8")
        files = {"zstack_agent_api_request": str(request), "zstack_agent_api_result": str(result)}
        play(directory, "zstack.kvm.start_vm_cmd", files)
        reported: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return reported

    def test_they_are_in_the_definition(self, tmp_path: Path) -> None:
        sent = document(" ".join(TEMPLATES))
        identity = str(uuid.UUID(sent["vmInstanceUuid"]))
        with image_directory() as images:
            disk = media.write_raw(images / "{{ 6 * 7 }}", "I am a template")
            sent["rootVolume"]["installPath"] = str(disk)
            try:
                assert self.carry_out(sent, tmp_path)["success"] is True
                domain = definition(identity)
            finally:
                remove_domain(identity)
        assert (domain.findtext("description"), domain.findtext("title")) == (sent["vmName"], sent["vmName"])
        assert path(domain) == str(disk)

    def test_they_are_in_the_message(self, tmp_path: Path) -> None:
        sent = document(" ".join(TEMPLATES))
        reported = self.carry_out(sent, tmp_path)
        assert not reported["success"]
        assert sent["rootVolume"]["installPath"] in reported["error"]


def path(domain: etree._Element) -> str:
    """Return the path of a domain's only disk."""
    return domain.find("devices/disk[@device='disk']/source").get("file")
