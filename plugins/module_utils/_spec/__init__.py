# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a playbook's options or a StartVmCmd into C(vm.Vm), or into all problems with their paths. Pure.

Everything may import the model, C(vm); only modules and filters that read descriptions import the rest.
"""
