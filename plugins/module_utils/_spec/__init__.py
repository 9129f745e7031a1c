# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a playbook, or a StartVmCmd, says about VMs to C(vm.Vm), or to every problem with its path. Pure.

Everything may import the model, C(vm); the rest of the package is for the modules and filters that read descriptions.
"""
