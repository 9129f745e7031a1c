# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ./quickstart: turn this machine into a hypervisor and run a VM on it."""

from __future__ import annotations

import argparse
import errno
import subprocess
import sys
from pathlib import Path

from . import cleaning, guest, machine, playbooks
from .progress import Progress, StepError
from .vm import QuickstartVm

STEPS = 7
AGAIN = "Fix this and run the command again: it continues where it stopped."
HINTS = {
    errno.ENOSPC: "Free space there and run the command again.",
    errno.EROFS: "Use a clone on a file system that can be written to.",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./quickstart",
        description="Makes this machine (Debian 12 or 13, root) a hypervisor and boots a tiny VM on it.",
    )
    parser.add_argument("--clean", action="store_true", help="remove what ./quickstart created, including the VM")
    arguments = parser.parse_args()
    checkout = Path(__file__).resolve().parents[2]
    vm = QuickstartVm(checkout)
    progress = Progress(STEPS, vm.directory / "log.txt")
    try:
        machine.check(checkout)
        if arguments.clean:
            cleaning.clean(vm)
        else:
            run(vm, progress)
    except StepError as error:
        print(f"\n\nquickstart: {error}", file=sys.stderr)
        return 1
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"\n\nquickstart: {explain(error)}\nAll output is in {progress.log}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nquickstart: stopped; ./quickstart continues, ./quickstart --clean removes what it created",
            file=sys.stderr,
        )
        return 130
    return 0


def explain(error: OSError | subprocess.CalledProcessError) -> str:
    """Return what failed outside the steps that report it themselves, and what to do."""
    if isinstance(error, subprocess.CalledProcessError):
        command = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
        output = error.stderr or error.stdout or ""
        output = output.decode(errors="replace") if isinstance(output, bytes) else output
        return f"{command}\nended with exit code {error.returncode}\n{output}\n{AGAIN}"
    return f"{error}. {HINTS.get(error.errno or 0, AGAIN)}"


def run(vm: QuickstartVm, progress: Progress) -> None:
    progress.begin_log()
    with progress.step("Debian packages for the set-up"):
        machine.install_packages(progress)
    with progress.step("Ansible, in a virtual environment of its own"):
        controller = playbooks.Controller(vm.checkout, vm.directory, progress)
        controller.install()
    with progress.step("this machine becomes a hypervisor (playbooks/prepare_hypervisors.yml)"):
        controller.prepare_hypervisor()
    with progress.step("a tiny Linux guest, built from Debian's packages"):
        guest.build(vm.checkout, progress)
    with progress.step("does a guest really boot under KVM?") as outcome:
        accelerator = guest.accelerator(vm.checkout, vm.directory, progress)
        outcome.append(accelerator.reason)
    with progress.step("a VM is created from the guest's image, and boots (playbooks/start_vms.yml)") as outcome:
        vm.prepare(progress)
        controller.start_vm(vm, accelerator.domain_type)
        outcome.append(f"the serial console says: {vm.wait_until_booted()}")
        vm.take_picture()
    with progress.step("the same playbook again, which changes nothing") as outcome:
        recap = controller.start_vm(vm, accelerator.domain_type)
        outcome.append(recap)
        if "changed=0 " not in recap:
            raise StepError("The second run changed something; see " + str(progress.log))
    print(
        f"""
VM            {vm.name} ({vm.uuid})
state         {vm.state()}, by {accelerator.title}
console       {vm.console()}
screen        {vm.picture}
second run    {recap}

The VM        {controller.vms}
the command   {controller.shown_command}
from now on   ./quickstart again changes nothing; ./quickstart --clean removes what it created, including the VM"""
    )


if __name__ == "__main__":
    sys.exit(main())
