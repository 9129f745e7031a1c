# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory: real hypervisors, isolated from each other and from this machine, and removed without residue."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT, LAB, STAND_INS, Laboratory
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

pytestmark = pytest.mark.outside

# Neither the default network of laboratories nor that of another checkout's tests, which may be up at the same time.
THIRD = hashlib.sha256(str(CHECKOUT).encode()).digest()[0] & 0xFE
PREFIX = f"10.98.{THIRD}"
NETWORK = f"{PREFIX}.0/24"
FIRST, SECOND = "hv100", "hv101"
# The namespaces that can be held open: an open mnt or net would keep mounts or network devices alive.
NAMESPACES = ("ipc", "pid", "uts")


@pytest.fixture(scope="module")
def directory() -> Path:
    """Return the same directory in each run, so that what a killed run left in it can be removed."""
    return Path(f"/var/lib/zstack-kvm-tests-laboratory-{THIRD}")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that the hypervisors share with this machine."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def up_or_down(directory: Path) -> Iterator[Laboratory]:
    """Yield the laboratory that the tests share, as the last test left it."""
    with Laboratory(directory, 100, NETWORK) as laboratory:
        laboratory.lab("down")
        yield laboratory


@pytest.fixture
def laboratory(up_or_down: Laboratory, shared: Path) -> Laboratory:
    """Return the laboratory with its two hypervisors."""
    if not up_or_down.directory.exists():
        up_or_down.up(2, f"--bind={shared}", f"--path-first={STAND_INS}")
    return up_or_down


def first_processes(laboratory: Laboratory) -> dict[str, int]:
    """Return the PID of every running hypervisor's first process."""
    return {name: int(pid) for name, pid in re.findall(r"(hv\d+) .*running, pid (\d+)", laboratory.lab("list"))}


class TestUp:
    def test_ansible_reaches_every_hypervisor_by_the_inventory(self, laboratory):
        ansible = Path(sys.executable).with_name("ansible")
        command = [ansible, "hypervisors", "-i", laboratory.inventory, "-m", "ansible.builtin.command"]
        # Host keys are checked: the laboratory knows them.
        environment = {**os.environ, "ANSIBLE_HOST_KEY_CHECKING": "true"}
        done = subprocess.run(
            [*command, "-a", "hostname"], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for name in (FIRST, SECOND):
            assert re.search(rf"^{name} \| CHANGED \| rc=0 >>\n{name}$", done.stdout, re.MULTILINE)

    def test_the_inventory_is_what_the_command_prints(self, laboratory):
        assert laboratory.inventory.read_text(encoding="utf-8") == laboratory.lab("inventory")

    def test_a_second_up_changes_nothing(self, laboratory):
        before = first_processes(laboratory)
        assert f"The laboratory is up: {FIRST}, {SECOND}." in laboratory.up(2)
        assert first_processes(laboratory) == before

    def test_a_number_that_is_taken_is_refused_and_its_owner_left_alone(self, laboratory, tmp_path):
        before = first_processes(laboratory)
        other = Laboratory(tmp_path / "other", 101, NETWORK)
        done = other.try_lab("up", "--first=101", "--hosts=2", f"--network={NETWORK}")
        assert done.returncode == 1
        owner = laboratory.directory
        assert f"{PREFIX}.111 belongs to a hypervisor of another laboratory ({owner / SECOND}): " in done.stderr
        assert done.stderr.endswith(f"remove that one: lab down --dir {owner} {SECOND}\n")
        assert not other.directory.exists()
        assert first_processes(laboratory) == before

    @pytest.mark.parametrize("network", ["10.98.0.0/16", f"{PREFIX}.0/23"])
    def test_a_network_that_holds_another_laboratorys_is_refused(self, laboratory, tmp_path, network):
        done = Laboratory(tmp_path / "other", 130).try_lab("up", "--first=130", "--hosts=1", f"--network={network}")
        assert done.returncode == 1
        assert (
            f"{network} is in use on this machine ({NETWORK} zlab0a62{THIRD:02x}01): give another --network"
            in done.stderr
        )

    def test_a_free_network_is_nobody_elses(self, laboratory, tmp_path):
        with Laboratory(tmp_path / "one", 1, "free") as one, Laboratory(tmp_path / "two", 1, "free") as two:
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda lab: lab.up(1), (one, two)))
            addresses = [lab.lab("list").split()[1] for lab in (one, two)]
            assert addresses[0] != addresses[1]
            # Hypervisors that are added later join the network of the first.
            two.lab("up", "--first=2", "--hosts=1", "--network=free")
            assert two.execute("hv2", "ssh", "hv1", "hostname") == "hv1\n"

    def test_one_that_has_ended_removes_nothing_of_the_one_that_has_its_address_now(self, laboratory, tmp_path):
        with Laboratory(tmp_path / "old", 120, NETWORK) as old, Laboratory(tmp_path / "new", 120, NETWORK) as new:
            old.up(1)
            (pid,) = first_processes(old).values()
            os.kill(pid, signal.SIGKILL)
            up = partial(new.try_lab, "up", "--first=120", "--hosts=1", f"--network={NETWORK}")
            wait_until(lambda: up().returncode == 0, "the address is free")
            old.lab("down")
            assert new.execute("hv120", "virsh", "uri") == "qemu:///system\n\n"
            assert new.execute("hv120", "cat", "/sys/class/net/eth0/carrier") == "1\n"

    def test_a_hypervisor_that_ended_comes_up_again(self, laboratory):
        before = first_processes(laboratory)
        os.kill(before[SECOND], signal.SIGKILL)
        line = f"{SECOND}  {PREFIX + '.111':15} not running"
        wait_until(lambda: line in laboratory.lab("list"), "its end is noticed")
        laboratory.up(2, f"--path-first={STAND_INS}")
        after = first_processes(laboratory)
        assert after[FIRST] == before[FIRST] and after[SECOND] != before[SECOND]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--first=240", "--hosts=2"], "hypervisors are numbered 1 to 240: hv240 to hv241 can't be"),
            (["--bind=/no/such/directory"], "argument --bind: /no/such/directory: no such directory"),
        ],
    )
    def test_what_is_impossible_is_refused_before_anything_is_created(self, tmp_path, arguments, message):
        done = Laboratory(tmp_path / "state", 1).try_lab("up", *arguments)
        assert done.returncode != 0
        assert message in done.stderr
        assert not (tmp_path / "state").exists()

    def test_a_disk_that_is_mounted_somewhere_is_there_too_and_not_written_to(self, tmp_path):
        image, point = tmp_path / "image", Path("/srv")
        subprocess.run(["truncate", "--size=16M", image], check=True)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        other = Laboratory(tmp_path / "other", 120, NETWORK)
        inside = f"cat {point}/outside && touch {point}/inside && cat {point}/inside"
        program = f"""set -e
            mount -o loop {image} {point}
            echo seen > {point}/outside
            {LAB} up --dir={other.directory} --first=120 --hosts=1 --network={NETWORK}
            {LAB} exec --dir={other.directory} hv120 -- sh -c '{inside}'
            {LAB} down --dir={other.directory}
            ls {point}"""
        with other:
            # In a mount namespace, so that the disk is unmounted whatever happens.
            command = ["unshare", "--mount", "sh", "-c", program]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "\nseen\n" in done.stdout
        assert done.stdout.endswith("\nlost+found\noutside\n")

    def test_missing_packages_are_named(self, laboratory):
        # In a hypervisor, a program can be removed without harm to this machine.
        laboratory.execute(FIRST, "mv", "/usr/sbin/sshd", "/usr/sbin/sshd.away")
        done = laboratory.try_lab("exec", FIRST, "--", str(LAB), "up", "--dir=/tmp/none")
        laboratory.execute(FIRST, "mv", "/usr/sbin/sshd.away", "/usr/sbin/sshd")
        assert done.returncode == 1
        assert "missing: sshd\nInstall them (Debian, Ubuntu): apt-get install openssh-server\n" in done.stderr


class TestHypervisor:
    def test_it_has_its_own_host_uuid(self, laboratory):
        uuids = {
            re.search("<uuid>(.*)</uuid>", laboratory.execute(name, "virsh", "capabilities"))[1]
            for name in (FIRST, SECOND)
        }
        assert len(uuids) == 2

    def test_it_has_the_bridges_of_the_documents(self, laboratory):
        links = laboratory.execute(FIRST, "ip", "-brief", "link")
        assert {"br_eth0", "br_eth1"} < {line.split()[0] for line in links.splitlines()}

    def test_it_reaches_the_others_by_name_over_ssh(self, laboratory):
        assert laboratory.execute(FIRST, "ssh", SECOND, "hostname") == f"{SECOND}\n"

    def test_it_sees_no_processes_but_its_own(self, laboratory):
        # The guest of other tests is on the first.
        names = laboratory.execute(SECOND, "ps", "-e", "-o", "comm=").split()
        # Since OpenSSH 9.8 each connection has processes of these names.
        others = {"dnsmasq", "sshd-auth", "sshd-session"}
        assert sorted(set(names) - others) == ["libvirtd", "ps", "sleep", "sshd", "virtlogd"]

    def test_orphans_are_reaped_at_once(self, laboratory):
        # libvirt waits for QEMU to vanish from the process table when it destroys a machine.
        states = laboratory.execute(FIRST, "sh", "-c", "(sleep 0.1 &); sleep 0.3; ps -e -o stat=")
        assert "Z" not in states

    def test_what_it_writes_stays_inside(self, laboratory):
        for path in (
            "/etc/libvirt/written-inside",
            "/var/lib/written-inside",
            "/tmp/written-inside",
            "/run/written-inside",
        ):
            laboratory.execute(FIRST, "touch", path)
            assert not Path(path).exists()
            assert laboratory.try_lab("exec", SECOND, "--", "test", "-e", path).returncode == 1

    def test_a_bound_directory_is_the_same_inside_and_outside(self, laboratory, shared):
        laboratory.execute(FIRST, "touch", str(shared / "from-inside"))
        assert (shared / "from-inside").exists()

    def test_the_checkout_is_bound(self, laboratory):
        inside = laboratory.execute(FIRST, "stat", "--format=%i %d", str(CHECKOUT / "galaxy.yml"))
        status = (CHECKOUT / "galaxy.yml").stat()
        assert inside == f"{status.st_ino} {status.st_dev}\n"

    def test_exec_gives_the_callers_directory_environment_and_input_and_the_commands_status(self, laboratory):
        done = laboratory.try_lab(
            "exec", FIRST, "--", "sh", "-c", 'pwd; echo "$WORD"; cat; exit 7',
            cwd=CHECKOUT / "tools", env={**os.environ, "WORD": "passed on"}, input="given\n",
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (7, f"{CHECKOUT}/tools\npassed on\ngiven\n")

    def test_libvirtd_has_the_stand_ins_first_in_its_path(self, laboratory):
        environment = laboratory.execute(FIRST, "sh", "-c", "tr '\\0' '\\n' < /proc/$(cat /run/libvirtd.pid)/environ")
        assert f"PATH={STAND_INS}:" in environment


@pytest.fixture
def domain(laboratory: Laboratory, directory: Path) -> str:
    """Return the name of a guest that runs on the first hypervisor."""
    if "guest" in laboratory.execute(FIRST, "virsh", "list", "--name").split():
        return "guest"
    media.write_raw(directory / FIRST / "disk/var/lib/libvirt/images/disk", "booted in the laboratory")
    xml = """<domain type='qemu'><name>guest</name><memory unit='MiB'>32</memory>
        <os><type arch='x86_64'>hvm</type></os><devices>
        <disk type='file'><source file='/var/lib/libvirt/images/disk'/><target dev='hda'/></disk>
        <interface type='bridge'><source bridge='br_eth0'/>
        <bandwidth><inbound average='100'/><outbound average='100'/></bandwidth></interface>
        <serial type='pty'/></devices></domain>"""
    done = laboratory.try_lab("exec", FIRST, "--", "virsh", "create", "/dev/stdin", input=xml)
    assert done.returncode == 0, done.stderr
    return "guest"


class TestGuest:
    def test_it_boots(self, laboratory, domain):
        # Run inside, the function that the tests inside a hypervisor use.
        program = f"""
            from ansible_collections.zstack.kvm.tests.support import serial_console
            print(serial_console.wait_for_text({domain!r}, 'booted in the laboratory'))"""
        program = "\n".join(line.strip() for line in program.splitlines())
        paths = os.pathsep.join(path for path in sys.path if (Path(path) / "ansible_collections").is_dir())
        assert "booted" in laboratory.execute(FIRST, "env", f"PYTHONPATH={paths}", "/usr/bin/python3", "-c", program)

    def test_no_other_hypervisor_knows_it(self, laboratory, domain):
        assert laboratory.execute(SECOND, "virsh", "list", "--all", "--name").strip() == ""

    def test_it_outlives_libvirtd(self, laboratory, domain):
        again = f"until PATH={STAND_INS}:$PATH libvirtd -d; do sleep 0.1; done"
        restart = f"kill -9 $(cat /run/libvirtd.pid); {again}; virsh domstate {domain}"
        assert laboratory.execute(FIRST, "sh", "-c", restart).strip() == "running"

    def test_its_resources_are_limited_by_a_group_inside_the_hypervisors(self, laboratory, domain):
        laboratory.execute(FIRST, "virsh", "schedinfo", domain, "cpu_shares=512")
        groups = laboratory.execute(FIRST, "sh", "-c", "cat /proc/$(cat /run/libvirt/qemu/guest.pid)/cgroup")
        assert re.search(r":/machine/qemu-.*-guest\.libvirt-qemu", groups)


class TestDown:
    def test_one_can_be_removed_and_the_others_stay(self, laboratory):
        mac = laboratory.execute(SECOND, "cat", "/sys/class/net/eth0/address")
        assert f"Removed: {SECOND}. Left: {FIRST}." in laboratory.lab("down", SECOND)
        assert SECOND not in laboratory.lab("inventory")
        assert laboratory.execute(FIRST, "hostname") == f"{FIRST}\n"
        laboratory.up(2)
        # With another MAC, those who knew the old one would not reach it for half a minute.
        assert laboratory.execute(SECOND, "cat", "/sys/class/net/eth0/address") == mac

    def test_nothing_is_left_behind(self, laboratory, directory, domain):
        guest = "sleep 1000 & setsid sleep 1000 & echo started"
        laboratory.execute(FIRST, "sh", "-c", f"({guest}) >/dev/null 2>&1")
        paths = [f"/proc/{pid}/ns/{kind}" for pid in first_processes(laboratory).values() for kind in NAMESPACES]
        namespaces = set(map(os.readlink, paths))
        assert len(namespaces) == 2 * len(NAMESPACES)
        assert links() and groups() and processes_in(namespaces)
        with ExitStack() as open_namespaces:
            for path in paths:
                # While a namespace is open, Linux does not reuse its number.
                open_namespaces.enter_context(open(path, "rb"))
            assert f"Removed: {FIRST}, {SECOND}. Left: none." in laboratory.lab("down")
            assert not processes_in(namespaces)
        assert not links()
        assert not groups()
        assert str(directory) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        assert not directory.exists()

    def test_a_second_down_is_no_error(self, up_or_down):
        up_or_down.lab("down")
        assert "There is no laboratory" in up_or_down.lab("down")


def processes_in(namespaces: set[str]) -> list[str]:
    """Return the command lines of the processes in one of the namespaces."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if command and any(os.readlink(process / "ns" / kind) in namespaces for kind in NAMESPACES):
                found.append(command)
        except OSError:
            continue
    return found


def links() -> list[str]:
    """Return the network devices of the tests' laboratories, whose names contain the address: 10.98 is 0a62."""
    return sorted(path.name for path in Path("/sys/class/net").glob(f"zlab0a62{THIRD:02x}*"))


def groups() -> list[Path]:
    """Return the control groups of the tests' laboratories."""
    return list(Path("/sys/fs/cgroup").glob(f"**/zstack-kvm-lab-{PREFIX}.*"))
