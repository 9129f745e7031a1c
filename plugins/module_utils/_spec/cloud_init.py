# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of a NoCloud seed from the option C(cloud_init): checked, and written as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ansible.module_utils.common.yaml import HAS_YAML, yaml_load

from .._errors.errors import Problem
from .option_reader import Part

# How cloud-init recognises the kinds of user data; it ignores text that begins otherwise.
_BEGINNINGS = ("#cloud-", "#!", "#include", "#part-handler", "## template:", "Content-Type:", "MIME-Version:", "From ")
_CLOUD_CONFIG = "#cloud-config"
# cloud-init takes no more.
_MAX_BYTES = 1 << 20
_SECRET_NAME = re.compile("pass|secret|token|key|cred|hash|content", re.IGNORECASE)
_SECRET_LINE = re.compile(r"^[\s-]*[\"']?[\w-]*(?:pass|secret|token|key|cred|hash)[\w-]*[\"']?\s*:\s*(\S.*?)\s*$", re.I)
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
# Characters that JSON leaves as they are, and that YAML does not allow or reads as line breaks.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def problems_of_cloud_init(part: Part) -> Iterator[Problem]:
    """Yield what cloud-init would reject or ignore. No message repeats any of the content: it may be secret."""
    for name, check in (
        ("user_data", _user_data_problem),
        ("meta_data", _meta_data_problem),
        ("network_config", _network_config_problem),
    ):
        value = part.get(name)
        problem = None if value is None else check(value)
        if problem is None and value is not None:
            problem = _text_problem(value) if isinstance(value, str) else _document_problem(value)
        if problem is not None:
            yield Problem("%s.%s" % (part.option_path, name), *problem)


def _user_data_problem(value: Any) -> Optional[tuple[str, str, str]]:
    if isinstance(value, Mapping):
        return None
    if not isinstance(value, str):
        return _invalid("must be text or a mapping")
    if not value.startswith(_BEGINNINGS):
        hint = 'begin it with "#cloud-config", or with another header that cloud-init knows, such as "#!/bin/sh"'
        return _invalid("begins with no header of user data, so that cloud-init would ignore it", hint)
    return _cloud_config_problem(value) if value.split("\n", 1)[0].strip() == _CLOUD_CONFIG else None


def _cloud_config_problem(value: str) -> Optional[tuple[str, str, str]]:
    """Check a cloud-config text as far as the target's Python has a YAML parser."""
    if not HAS_YAML:
        return None
    try:
        content = yaml_load(value)
    except RecursionError:
        return _invalid("is nested too deeply")
    except Exception as error:  # whatever PyYAML raises, its message would show a part of the content
        mark = getattr(error, "problem_mark", None)
        return _invalid("is not YAML%s" % ("" if mark is None else " (line %d)" % (mark.line + 1)))
    if content is not None and not isinstance(content, Mapping):
        return _invalid("is not a mapping, as a cloud-config must be")
    return None


def _meta_data_problem(value: Any) -> Optional[tuple[str, str, str]]:
    return None if isinstance(value, Mapping) else _invalid("must be a mapping")


def _network_config_problem(value: Any) -> Optional[tuple[str, str, str]]:
    if not isinstance(value, Mapping):
        return _invalid("must be a mapping")
    if value.get("version") != 2:
        return _invalid("has no version 2", 'write "version: 2", and the devices below "ethernets"')
    return None


def _text_problem(value: str) -> Optional[tuple[str, str, str]]:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return _invalid("has characters that UTF-8 cannot represent")
    return None


def _document_problem(value: Any) -> Optional[tuple[str, str, str]]:
    try:
        size = len(_as_yaml(value).encode("utf-8"))
    except (TypeError, ValueError, RecursionError):
        return _invalid("has values that YAML cannot represent")
    return _invalid("is larger than 1 MiB") if size > _MAX_BYTES else None


def _invalid(message: str, hint: str = "") -> tuple[str, str, str]:
    return message, "invalid_input", hint


def seed_documents(
    uuid: str, name: str, user_data: Any, meta_data: Optional[Mapping[str, Any]], network: Optional[Mapping[str, Any]]
) -> dict[str, str]:
    """Return the files of a VM's NoCloud seed by name. The same options give the same text on every host."""
    identity = {"instance-id": uuid}
    if _HOST_NAME.fullmatch(name):
        identity["local-hostname"] = name
    user = user_data if isinstance(user_data, str) else "%s\n%s" % (_CLOUD_CONFIG, _as_yaml(user_data or {}))
    documents = {"meta-data": _as_yaml({**identity, **(meta_data or {})}), "user-data": user}
    if network is not None:
        documents["network-config"] = _as_yaml(network)
    return documents


def _as_yaml(value: Any) -> str:
    """Return a document as JSON, which is YAML."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return _NOT_IN_YAML.sub(lambda found: "\\u%04x" % ord(found.group()), text) + "\n"


def secret_texts(value: Any) -> Iterator[str]:
    """Yield the texts in the content of a seed that look like secrets, by the names that they have."""
    if isinstance(value, str):
        for line in value.splitlines():
            found = _SECRET_LINE.match(line)
            if found:
                yield found[1].strip("\"'")
        return
    pending = [(value, False)]
    while pending:
        item, is_secret = pending.pop()
        if isinstance(item, Mapping):
            pending += [(each, is_secret or bool(_SECRET_NAME.search(str(name)))) for name, each in item.items()]
        elif isinstance(item, (list, tuple)):
            pending += [(each, is_secret) for each in item]
        elif is_secret and isinstance(item, str):
            for line in item.splitlines():
                yield line
                # The list of chpasswd: USER:PASSWORD.
                yield line.partition(":")[2]
