# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx builds the documentation site; tools/docs/build-site calls it."""

from __future__ import annotations

from typing import Any, Optional

from docutils import nodes
from sphinx.application import Sphinx

project = "zstack.kvm"
copyright = "zstack.kvm contributors"
html_title = html_short_title = "zstack.kvm"

extensions = ["sphinx_antsibull_ext", "myst_parser"]
root_doc = "README"
# The last one lists variables that plugins read; those of Ansible are in Ansible's documentation.
exclude_patterns = ["tests", "tools/docs", "collection/environment_variables.rst"]
# The anchors that GitHub gives headings.
myst_heading_anchors = 3
highlight_language = "text"
nitpicky = True

html_theme = "sphinx_ansible_theme"
html_theme_options: dict[str, Any] = {"topbar_links": {}}
html_show_sphinx = False
html_copy_source = False

# What the pages of plugins refer to in Ansible's own documentation.
ANSIBLE = "https://docs.ansible.com/ansible/latest"


def ansible_reference(_app: Sphinx, _env: Any, node: nodes.Element, content: nodes.Node) -> Optional[nodes.reference]:
    """The link for a reference that only Ansible's own documentation can resolve, made without asking it."""
    target = node["reftarget"]
    if node.get("reftype") == "envvar" and target.startswith("ANSIBLE_"):
        page = f"{ANSIBLE}/reference_appendices/config.html#envvar-{target}"
    elif target == "common_return_values":
        page = f"{ANSIBLE}/reference_appendices/common_return_values.html"
    elif target.startswith("ansible_collections.ansible.builtin."):
        page = f"{ANSIBLE}/collections/{target.split('.', 1)[1].replace('.', '/')}.html"
    else:
        return None
    return nodes.reference("", "", content, internal=False, refuri=page)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("missing-reference", ansible_reference)
