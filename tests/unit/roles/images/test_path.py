# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The path of an image, which playbooks/create_vms.yml and report.yml know before the role has run."""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from jinja2 import Environment

IMAGE = {"name": "created_vms", "checksum": "sha256:" + "0123456789abcdef" * 4}


def load(path: str) -> Any:
    return yaml.safe_load((CHECKOUT / path).read_text(encoding="utf-8"))


def test_the_playbooks_derive_the_path_that_the_role_gives() -> None:
    tasks = load("roles/images/tasks/main.yml")
    (provided,) = (task["vars"] for task in tasks if "images_path" in task.get("vars", {}))
    defaults = load("roles/images/defaults/main.yml")
    of_role = Environment().from_string(provided["images_path"]).render(images_item=IMAGE, **defaults)
    derived = load("playbooks/vars/created_vms.yml")["__zstack_image_path"]
    assert Environment().from_string(derived).render(zstack_image=IMAGE) == of_role
