# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that all modules with a libvirt connection share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - libvirt-python and lxml on the hypervisor, for the Python that Ansible uses there (packages python3-libvirt and
    python3-lxml on Debian, Ubuntu and Enterprise Linux). The role
    R(zstack.kvm.host_prerequisites,ansible_collections.zstack.kvm.host_prerequisites_role) installs them.
options:
  uri:
    description:
      - The URI of the libvirt daemon to connect to.
    type: str
    default: qemu:///system
  authfile:
    description:
      - The path, on the machine that the task runs on, of a file with credentials in the format of libvirt's
        C(auth.conf), for a libvirt that requires a user name and password (SASL).
      - By default libvirt looks for C(auth.conf) in C(~/.config/libvirt) and in C(/etc/libvirt).
    type: path
notes:
  - Passwords and keys never appear in the result, the diff or the log.
  - Set O(uri) for all modules of this collection at once with C(module_defaults) and the action group
    C(group/zstack.kvm.all).
"""
