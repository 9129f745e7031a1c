# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor whose kernel has an iSCSI initiator and VLAN devices, for machines whose own kernel has none.

Debian's kernel, emulated, with the machine's own installed Debian as its root (read only; changes are kept in memory):
udev, open-iscsi, libvirt and QEMU are the real ones. It is reached over ssh, and reaches servers on the machine's
loopback as C(MACHINE) (or C(MACHINE_IPV6)). VMs in it are emulated within an emulation: they boot, but slowly.
"""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ansible
from ansible_collections.zstack.kvm.tests.support.module_run import finished
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS, TaskRun
from ansible_collections.zstack.kvm.tests.support.servers.process import Daemon, free_port, wait_for
from ansible_collections.zstack.kvm.tools.guest import initramfs
from ansible_collections.zstack.kvm.tools.guest.debian_packages import PackageDirectory

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent.parent / ".cache" / "emulated-hypervisor"
MACHINE = "10.0.2.2"
MACHINE_IPV6 = "fec0::2"
KERNEL_METAPACKAGE = "linux-image-amd64"
KERNEL_MODULES = ["virtio_pci", "virtio_net", "9pnet_virtio", "9p", "overlay", "iscsi_tcp", "sd_mod", "crc32c_generic"]
KERNEL_MODULES += ["veth", "bridge", "8021q"]
ANSIBLE_MODULES = "ansible_collections.zstack.kvm.plugins.modules"
BOOT_SECONDS = 300
COMMAND_SECONDS = 240


class EmulatedHypervisor:
    """A context manager: the hypervisor is up within the C(with) block."""

    def __init__(self) -> None:
        self._cleanup = ExitStack()
        self._directory = Path()
        self._master = Path()  # short enough for a socket's name, wherever the checkout is
        self._port = 0

    def __enter__(self) -> EmulatedHypervisor:
        kernel = _kernel()
        with ExitStack() as cleanup:
            self._directory = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
            cleanup.callback(shutil.rmtree, self._directory)
            self._master = Path(tempfile.mkdtemp(prefix="ssh-"))
            cleanup.callback(shutil.rmtree, self._master)
            self._write_files(kernel)
            self._port = free_port("127.0.0.1")
            daemon = Daemon(self._directory / "qemu.log", *self._command(kernel))
            cleanup.callback(daemon.stop)
            self._wait_until_ready(daemon)
            cleanup.callback(self._end_master)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._cleanup.close()

    def _write_files(self, kernel: Path) -> None:
        for name in ("key", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._directory / name], check=True)
        shutil.copyfile(self._directory / "key.pub", self._directory / "authorized_keys")
        shutil.copy(HERE / "start", self._directory)
        root = self._directory / "root"
        for directory in ("bin", "etc", "proc", "sys", "dev", "lower", "changes", "root"):
            (root / directory).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin")
        (root / "bin" / "sh").symlink_to("busybox")
        shutil.copy(HERE / "init", root)
        initramfs.write_modules(KERNEL_MODULES, kernel, root)
        (self._directory / "initrd").write_bytes(gzip.compress(initramfs.cpio(root), 1))

    def _command(self, kernel: Path) -> list[str]:
        machine = ["qemu-system-x86_64", "-M", "pc", "-cpu", "max", "-m", "1024", "-smp", "2", "-no-reboot"]
        output = ["-display", "none", "-serial", "file:%s" % (self._directory / "serial")]
        # QEMU need not translate programs again that are always loaded at the same addresses.
        lean = "norandmaps nokaslr init_on_alloc=0 mitigations=off audit=0 apparmor=0"
        parameters = "console=ttyS0 quiet panic=-1 %s start=%s" % (lean, self._directory / "start")
        (image,) = (kernel / "boot").glob("vmlinuz-*")
        boot = ["-kernel", str(image), "-initrd", str(self._directory / "initrd"), "-append", parameters]
        root = "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"
        files = ["-fsdev", root, "-device", "virtio-9p-pci,fsdev=root,mount_tag=machine"]
        forward = "user,id=net,hostfwd=tcp:127.0.0.1:%d-:22" % self._port
        return [*machine, *output, *boot, *files, "-netdev", forward, "-device", "virtio-net-pci,netdev=net"]

    def _wait_until_ready(self, daemon: Daemon) -> None:
        serial = self._directory / "serial"

        def is_up() -> bool:
            return serial.exists() and "ready" in serial.read_text(errors="replace").split()

        wait_for("the kernel and the daemons are up; see %s" % serial, is_up, daemon, BOOT_SECONDS)
        # sshd goes into the background before it listens.
        wait_for("ssh answers", lambda: self.try_run("true").returncode == 0, daemon, BOOT_SECONDS)

    @property
    def inventory(self) -> str:
        """Return the hypervisor as an inventory for Ansible."""
        variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self._port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self._directory / "key"),
            "ansible_ssh_common_args": " ".join(self._ssh_options()),
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        path = self._directory / "inventory.json"
        path.write_text(json.dumps({"all": {"hosts": {"emulated": variables}}}), encoding="utf-8")
        return str(path)

    def _ssh_options(self) -> list[str]:
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        # Key exchange takes an emulated machine many seconds: once is enough.
        options += ["ControlMaster=auto", "ControlPersist=yes", "ControlPath=%s" % (self._master / "ssh")]
        return ["-F", "/dev/null", *(word for option in options for word in ("-o", option))]

    def _end_master(self) -> None:
        subprocess.run(["ssh", *self._ssh_options(), "-O", "exit", "127.0.0.1"], capture_output=True, check=False)

    def try_run(self, command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a shell command that may fail."""
        ssh = ["ssh", *self._ssh_options(), "-i", str(self._directory / "key"), "-p", str(self._port), "root@127.0.0.1"]
        return subprocess.run(
            [*ssh, command], input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )

    def run(self, command: str, stdin: str = "") -> str:
        """Return the output of a shell command; raise AssertionError if it fails."""
        done = self.try_run(command, stdin)
        assert done.returncode == 0, "%s: %s%s" % (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def start(self, *vms: Any, **options: Any) -> TaskRun:
        """Run zstack_vm_start on the hypervisor with these VMs, without ansible-playbook."""
        return self._run_module("zstack_vm_start", {"vms": list(vms), **options})

    def stop(self, *uuids: str, **options: Any) -> TaskRun:
        """Run zstack_vm_stop on the hypervisor with these VMs, without ansible-playbook."""
        return self._run_module("zstack_vm_stop", {"vms": list(uuids), **options})

    def _run_module(self, name: str, arguments: dict[str, Any]) -> TaskRun:
        path = ":".join(["/run/python", str(COLLECTIONS)])
        link = "mkdir -p /run/python; ln -sfn %s /run/python/ansible" % shlex.quote(str(Path(ansible.__file__).parent))
        python = "PYTHONPATH=%s /usr/bin/python3 -m %s.%s" % (shlex.quote(path), ANSIBLE_MODULES, name)
        # ssh itself does not report the signal that killed a program.
        command = "%s; %s 2>&1; exit $?" % (link, python)
        done = self.try_run(command, json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_diff": True}}))
        if done.returncode == 128 + signal.SIGKILL:
            return TaskRun({}, done.stdout, -signal.SIGKILL)
        return finished(done, done.stdout, name)


def _kernel() -> Path:
    """Return Debian's kernel, unpacked."""
    packages = PackageDirectory(CACHE / "packages")
    name = packages.real_name(KERNEL_METAPACKAGE)
    unpacked = CACHE / name
    if not unpacked.exists():
        packages.download([name])
        partial = CACHE / (name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        packages.extract([name], partial)
        partial.rename(unpacked)
    return unpacked
