# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that renders a template with all text escaped, which Ansible's own templates can't."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.module_utils.foreign_text import clean
from jinja2 import Environment, StrictUndefined, TemplateError
from markupsafe import Markup

DOCUMENTATION = r"""
name: html_page
short_description: Render an HTML page with automatic escaping
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Renders a Jinja template with automatic escaping, which M(ansible.builtin.template) doesn't have, so that names of
    VMs and output of guests are never interpreted as HTML. Control characters are replaced.
  - Filters, tests and lookups of Ansible are not available.
positional: _input
options:
  _input:
    description:
      - The variables of the template, by name.
    type: dict
    required: true
  template:
    description:
      - The text of the template.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write an HTML page
  ansible.builtin.copy:
    content: "{{ {'name': '<b>'} | zstack.kvm.html_page(lookup('ansible.builtin.file', 'page.html.j2')) }}"
    dest: /var/www/html/page.html
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The page.
  type: str
  sample: <p>&lt;b&gt;</p>
"""


def html_page(variables: Mapping[str, Any], template: str) -> str:
    """Return the template with the variables in it, escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_clean
    )
    try:
        return environment.from_string(template).render(variables)
    except TemplateError as error:
        raise AnsibleFilterError("html_page: %s" % error) from error


def _clean(value: Any) -> Any:
    """Return text without control characters; markup comes from the template, whose text was cleaned here."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"html_page": html_page}
