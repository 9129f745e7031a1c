# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs run as AWX runs them, by ansible-runner on a laboratory hypervisor: launched, launched twice, cancelled."""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.awx_job import Job
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT, Laboratory
from ansible_collections.zstack.kvm.tests.support.playbook import TARGET_PYTHON
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

pytestmark = [pytest.mark.outside, pytest.mark.timeout(900)]

HYPERVISOR = "hv1"
IMAGES = "/var/lib/libvirt/images"
CONSOLE, CHAP, CEPHX = "hG4rJk8s", "bN6tXq2vLw9zYc", base64.b64encode(b"pM3sQf7dKx5vTn").decode()
CEPH_SECRET = "8c0e7d52-3c1f-4d6e-9d0c-7a4b1f2e5a60"
START, REPORT, PREPARE = (f"playbooks/{name}.yml" for name in ("start_vms", "report", "prepare_hypervisors"))
SURVEYS = yaml.safe_load((CHECKOUT / "playbooks" / "vars" / "awx.yml").read_text(encoding="utf-8"))


def unanswered(kind: str) -> dict[str, str]:
    """Return the answers of a survey that nobody fills in: the defaults, or empty text."""
    questions = [SURVEYS["__zstack_awx_hosts"], SURVEYS["__zstack_awx_serial"]]
    questions += SURVEYS[f"__zstack_awx_{kind}_questions"]
    return {question["variable"]: question.get("default", "") for question in questions}


# These guests need no KVM and little memory.
ANSWERS = {**unanswered("start"), "zstack_vm_defaults": "domain_type: qemu\nmemory: 32MiB", "zstack_parallel": "1"}


class Site:
    """A laboratory with one hypervisor, as AWX knows it."""

    def __init__(self, laboratory: Laboratory, directory: Path) -> None:
        self.laboratory = laboratory
        self.directory = directory
        hosts = yaml.safe_load(laboratory.inventory.read_text(encoding="utf-8"))["hypervisors"]["hosts"]
        self.address = hosts[HYPERVISOR]["ansible_host"]
        self.key = (laboratory.directory / "key").read_text(encoding="utf-8")

    def job(self, playbook: str, *arguments: Any, host: Any = None, **options: Any) -> Job:
        host = {"ansible_host": self.address, "ansible_python_interpreter": TARGET_PYTHON, **(host or {})}
        inventory = {"hypervisors": {"hosts": [HYPERVISOR]}, "_meta": {"hostvars": {HYPERVISOR: host}}}
        return Job(self.directory, inventory, self.key, playbook, *arguments, **options)

    def start(self, **answers: str) -> Job:
        return self.job(START, {**ANSWERS, **answers})

    def virsh(self, *arguments: str) -> str:
        return self.laboratory.execute(HYPERVISOR, "virsh", *arguments).strip()

    def uuids(self) -> set[str]:
        """Return the UUIDs of the running VMs."""
        return set(self.virsh("list", "--uuid").split())

    def running(self) -> dict[str, str]:
        """Return the IDs of the running VMs by their UUIDs; a VM that was restarted has another ID."""
        return {identity: self.virsh("domid", identity) for identity in self.uuids()}

    def document(self, name: str, **fields: Any) -> dict[str, Any]:
        """Return a StartVmCmd for a VM of its own."""
        identity = str(uuid.uuid4())
        disks = self.laboratory.directory / HYPERVISOR / f"disk{IMAGES}"
        media.write_raw(disks / identity, f"I am {name}")
        return {
            "vmInstanceUuid": identity,
            "vmName": name,
            "memory": 32 << 20,
            "cpuNum": 1,
            "rootVolume": {"installPath": f"{IMAGES}/{identity}", "deviceType": "file"},
            **fields,
        }

    def documents(self, number: int) -> list[dict[str, Any]]:
        return [self.document(f"vm{index}") for index in range(number)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("awx")
    with Laboratory(directory / "laboratory", 1, "free") as laboratory:
        laboratory.up(1, f"--bind={directory}")
        yield Site(laboratory, directory)


def states(job: Job) -> dict[str, tuple[str, list[str]]]:
    return {vm["name"]: (vm["state"], vm["actions"]) for vm in job.artifacts["zstack_vms_of_workflow"]}


class Workflow:
    """prepare, start, report, as AWX runs a workflow: the artifacts of a job are extra variables of the next."""

    def __init__(self, site: Site) -> None:
        self.site = site
        ceph_volume = {"installPath": "ceph://pool/image", "deviceType": "ceph", "deviceId": 1,
                       "secretUuid": CEPH_SECRET, "monInfo": [{"hostname": "127.0.0.1", "port": 9}]}  # fmt: skip
        iscsi_volume = {"installPath": "iscsi://127.0.0.1:9/iqn.2026-01.org.example:x/1", "deviceType": "iscsi",
                        "deviceId": 2, "chapUsername": "operator", "chapPassword": CHAP}  # fmt: skip
        self.good = site.document("good", consolePassword=CONSOLE, newField="of a newer ZStack")
        self.plain = site.document("plain")
        self.bad = site.document("bad", dataVolumes=[ceph_volume, iscsi_volume], addons={
            "ceph_secret_key": CEPHX, "ceph_secret_uuid": CEPH_SECRET})  # fmt: skip
        loud = "-vvv --diff"
        needs = {
            "host_prerequisites_bridges": "br_eth0, br_eth1",
            "zstack_ceph_secret_uuid": CEPH_SECRET,
            "zstack_ceph_secret_key": CEPHX,
        }
        self.prepare = site.job(PREPARE, {**unanswered("prepare"), **needs}, options=loud).run()
        answers = {
            **ANSWERS,
            "zstack_start_vm_cmds": json.dumps(self.plain, indent=2),
            "zstack_secret_start_vm_cmds": json.dumps(self.good) + "\n" + json.dumps(self.bad),
            "zstack_console_password": CONSOLE,
        }
        self.before = site.uuids()
        self.start = site.job(START, answers, options=loud).run()
        self.started = site.uuids() - self.before
        page = {**unanswered("report"), "zstack_report_file": str(site.directory / "report.html")}
        self.report = site.job(REPORT, {**answers, **page}, self.start.artifacts, options=loud).run()


@pytest.fixture(scope="module")
def workflow(site: Site) -> Workflow:
    return Workflow(site)


class TestWorkflow:
    def test_preparing_lets_libvirt_know_the_key(self, workflow):
        assert workflow.prepare.status == "successful", workflow.prepare.output
        assert "br_eth0, br_eth1" in workflow.prepare.output
        assert workflow.site.virsh("secret-get-value", CEPH_SECRET) == CEPHX

    def test_what_can_be_started_is_started_and_the_job_says_what_failed(self, workflow):
        assert workflow.start.status == "failed"
        assert {name: state for name, (state, _actions) in states(workflow.start).items()} == {
            "plain": "running", "good": "running", "bad": "absent",
        }, workflow.start.output  # fmt: skip
        assert states(workflow.start)["good"][1] == ["define", "start"]
        identities = {workflow.plain["vmInstanceUuid"], workflow.good["vmInstanceUuid"]}
        assert identities == workflow.started

    def test_the_passwords_of_the_consoles_are_those_of_the_document_and_of_the_survey(self, workflow):
        for document in (workflow.good, workflow.plain):
            assert f"passwd='{CONSOLE}'" in workflow.site.virsh(
                "dumpxml", "--security-info", document["vmInstanceUuid"]
            )

    def test_events_have_what_the_module_returned(self, workflow):
        items = (event for event in workflow.start.events if event["event"].startswith("runner_item_on_"))
        tasks = [item["event_data"] for item in items if item["event_data"]["task_action"].endswith("zstack_vm_start")]
        vms = {vm["name"]: vm for task in tasks for vm in task["res"]["vms"]}
        assert vms["good"]["console"]["type"] == "vnc"
        assert vms["bad"]["error"]["code"] and vms["bad"]["error"]["message"]
        (fields,) = (event["stdout"] for event in workflow.start.events if "newField" in event["stdout"])
        assert "ignored" in fields

    def test_the_next_node_knows_what_was_started(self, workflow):
        vms = workflow.start.artifacts["zstack_vms_of_workflow"]
        assert {vm["host"] for vm in vms} == {HYPERVISOR}
        assert [vm["name"] for vm in vms if vm["error"]] == ["bad"]
        assert workflow.report.status == "successful", workflow.report.output
        assert workflow.report.artifacts["zstack_report"]["running"] == len(workflow.before) + 2

    def test_no_secret_is_in_what_any_job_wrote(self, workflow):
        for job in (workflow.prepare, workflow.start, workflow.report):
            written = job.written()
            assert HYPERVISOR in written["returned/artifacts/1/stdout"]
            assert {"returned/artifacts/1/stdout", "worker-data/artifacts/1/stdout", "streamed"} <= set(written)
            found = [(name, secret) for name in written for secret in (CONSOLE, CHAP, CEPHX) if secret in written[name]]
            assert found == []


def test_two_jobs_at_once_start_each_vm_once(site):
    documents = site.documents(4)
    text = json.dumps(documents)
    jobs = [site.start(zstack_start_vm_cmds=text).begin() for _number in range(2)]
    first, second = (job.finish() for job in jobs)
    assert (first.status, second.status) == ("successful", "successful"), first.output + second.output
    started = [sorted([*states(first)[name][1], *states(second)[name][1]]) for name in states(first)]
    assert started == [["define", "start"]] * len(documents)
    assert {document["vmInstanceUuid"] for document in documents} <= set(site.running())


@pytest.mark.parametrize(("end", "status"), [(Job.cancel, "canceled"), (Job.kill, "")])
def test_a_job_that_ends_in_the_middle_leaves_hosts_right(site, end, status):
    documents = site.documents(12)
    identities = [document["vmInstanceUuid"] for document in documents]
    text = json.dumps(documents)
    # In batches: the task that is running on the hypervisor completes, the next ones are not begun
    job = site.start(zstack_start_vm_cmds=text, zstack_batch="2").begin()
    # Not by site.running(), which takes longer than some of them take to start
    wait_until(lambda: identities[0] in site.virsh("list", "--uuid"), "the first VM runs")
    end(job)
    job.finish()
    assert job.status == status
    wait_until(lambda: "python3" not in processes(site), "the module has ended")

    before = site.running()
    assert not set(identities) <= set(before), "it ended in the middle"
    halves = {site.virsh("domstate", identity) for identity in before}
    assert halves == {"running"}
    assert processes(site).count("qemu-system") == len(before)

    again = site.start(zstack_start_vm_cmds=text).run()
    assert again.status == "successful", again.output
    after = site.running()
    assert set(identities) <= set(after)
    # VMs that ran are not touched
    assert before.items() <= after.items()


def processes(site: Site) -> str:
    return site.laboratory.execute(HYPERVISOR, "ps", "-e", "-o", "args=")


@pytest.fixture(scope="module")
def certificates(site: Site) -> Path:
    """Return a directory with a client's certificates; the hypervisor's libvirt listens for such clients."""
    directory = site.directory / "pki"
    directory.mkdir()
    settings = directory / "openssl.cnf"
    settings.write_text("[req]\ndistinguished_name = name\n[name]\n", encoding="utf-8")
    constraints = {
        "ca": ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"],
        "server": ["extendedKeyUsage=serverAuth", f"subjectAltName=IP:{site.address}"],
        "client": ["extendedKeyUsage=clientAuth"],
    }
    for name, extensions in constraints.items():
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-config", settings]
        command += ["-subj", f"/CN={name}", "-keyout", f"{name}key.pem", "-out", f"{name}cert.pem"]
        command += [] if name == "ca" else ["-CA", "cacert.pem", "-CAkey", "cakey.pem"]
        command += [word for extension in extensions for word in ("-addext", extension)]
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
    site.laboratory.execute(HYPERVISOR, "sh", "-c", f"""set -e
        install -D {directory}/cacert.pem /etc/pki/CA/cacert.pem
        install -D {directory}/servercert.pem /etc/pki/libvirt/servercert.pem
        install -D {directory}/serverkey.pem /etc/pki/libvirt/private/serverkey.pem
        kill -9 $(cat /run/libvirtd.pid)
        # Until the kernel has cleared it away, the killed one still holds the lock on its file.
        until libvirtd --daemon --listen; do sleep 0.1; done""")  # fmt: skip
    return directory


@pytest.mark.parametrize("uri", [
    "qemu+ssh://root@{address}/system?no_verify=1",
    "qemu+tls://{address}/system?pkipath={certificates}",
])  # fmt: skip
def test_a_remote_libvirt_is_driven_from_the_execution_environment(site, certificates, uri):
    document = site.document("remote")
    vm = {
        "uuid": document["vmInstanceUuid"],
        "name": "remote",
        "cpu_num": "1",
        "root_volume": {"install_path": document["rootVolume"]["installPath"], "format": "raw"},
    }
    where = {"ansible_connection": "local", "zstack_uri": uri.format(address=site.address, certificates=certificates)}
    job = site.job(START, {**ANSWERS, "zstack_vms": yaml.safe_dump([vm])}, host=where).run()
    assert job.status == "successful", job.output
    assert states(job)["remote"] == ("running", ["define", "start"])
    assert vm["uuid"] in site.running()
