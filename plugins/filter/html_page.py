# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that renders a template with all text escaped, which Ansible's own templates can't."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional, Union

from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.module_utils.foreign_text import clean
from jinja2 import Environment, StrictUndefined, TemplateError, Undefined
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
  - Filters, tests and lookups of Ansible are not available. The filter C(human_size) shows a number of bytes, and
    C(human_duration) a number of seconds.
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

# The least size or duration that is shown in a unit.
_SIZES = ((1 << 40, "%.1f TiB"), (1 << 30, "%.1f GiB"), (1 << 20, "%.0f MiB"), (0, "%.0f KiB"))
_DURATIONS = ((2 * 86400, 86400, "%d days"), (2 * 3600, 3600, "%d h"), (2 * 60, 60, "%d min"), (0, 1, "%d s"))


def html_page(variables: Mapping[str, Any], template: str) -> str:
    """Return the template with the variables in it, escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_clean
    )
    environment.filters.update(human_size=human_size, human_duration=human_duration)
    try:
        return environment.from_string(template).render(variables)
    except TemplateError as error:
        raise AnsibleFilterError("html_page: %s" % error) from error


def human_size(size: Union[int, Undefined, None]) -> str:
    """Return a number of bytes in the largest unit that it fills, or a question mark if it is unknown."""
    if size is None or isinstance(size, Undefined):
        return "?"
    least, text = next(each for each in _SIZES if size >= each[0])
    return text % (size / (least or 1 << 10))


def human_duration(seconds: Optional[int]) -> str:
    """Return a number of seconds in the largest unit that it fills twice, or a dash if it is unknown."""
    if seconds is None:
        return "–"
    unit, text = next(each[1:] for each in _DURATIONS if seconds >= each[0])
    return text % (seconds // unit)


def _clean(value: Any) -> Any:
    """Return text without control characters; markup comes from the template, whose text was cleaned here."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"html_page": html_page}
