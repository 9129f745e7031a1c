# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings appended to the conf.py that C(antsibull-docs sphinx-init) writes."""

from __future__ import annotations

from typing import Any, Optional

from docutils import nodes
from sphinx.application import Sphinx

extensions = ["sphinx_antsibull_ext", "myst_parser"]
root_doc = "README"
# The last one lists variables that plugins read; those of Ansible are in Ansible's documentation.
exclude_patterns = [".github", "tests", "tools/docs", "collection/environment_variables.rst"]
# The anchors that GitHub gives headings.
myst_heading_anchors = 3
highlight_language = "text"
default_role = None
html_theme_options: dict[str, Any] = {"topbar_links": {}}

# References to Ansible's own documentation become links without a look at it: no network is needed.
intersphinx_mapping: dict[str, Any] = {}
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest"


def ansible_reference(_app: Sphinx, _env: Any, node: nodes.Element, content: nodes.Node) -> Optional[nodes.reference]:
    """Return the link for a reference that only Ansible's own documentation can resolve."""
    target = node["reftarget"]
    if node.get("reftype") == "envvar" and target.startswith("ANSIBLE_"):
        page = f"{ANSIBLE}/reference_appendices/config.html#envvar-{target}"
    elif target == "common_return_values":
        page = f"{ANSIBLE}/reference_appendices/common_return_values.html"
    elif target == "action_plugins":
        page = f"{ANSIBLE}/plugins/action.html"
    elif target.startswith("ansible_collections.ansible.builtin."):
        page = f"{ANSIBLE}/collections/{target.split('.', 1)[1].replace('.', '/')}.html"
    else:
        return None
    return nodes.reference("", "", content, internal=False, refuri=page)


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("missing-reference", ansible_reference)
