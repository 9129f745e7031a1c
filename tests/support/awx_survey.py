# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX's rules for surveys, reimplemented.

Their source is AWX 24: for a specification JobTemplateSurveySpec._validate_spec_data in awx/api/views/__init__.py,
for answers SurveyJobTemplateMixin._survey_element_validation in awx/main/models/mixins.py.
"""

from __future__ import annotations

from typing import Any, Optional

DEFAULTS = {
    "text": (str,),
    "textarea": (str,),
    "password": (str,),
    "multiplechoice": (str,),
    "multiselect": (str, list),
    "integer": (int,),
    "float": (float, int),
}
CHOICES = ("multiplechoice", "multiselect")
TEXTS = ("text", "textarea", "password")
ENCRYPTED = "$encrypted$"


def specification_problems(specification: Any, before: Optional[dict[str, Any]] = None) -> list[str]:
    """Return AWX's objections to a specification; `before` is the one that it replaces."""
    if not isinstance(specification, dict):
        return ["the specification is not a mapping"]
    problems = [
        f"{key} must be a {kind.__name__}"
        for key, kind in (("name", str), ("description", str), ("spec", list))
        if not isinstance(specification.get(key), kind)
    ]
    questions = specification.get("spec")
    if problems or not questions:
        return problems or ["there is no question"]
    variables = [question.get("variable") for question in questions if isinstance(question, dict)]
    twice = sorted({name for name in variables if name and variables.count(name) > 1})
    problems += [f"variable {name} has two questions" for name in twice]
    old = {question["variable"]: question for question in (before or {}).get("spec", [])}
    for number, question in enumerate(questions):
        problems += [f"question {number}: {problem}" for problem in _question_problems(question, old)]
    return problems


def _question_problems(question: Any, old: dict[str, Any]) -> list[str]:
    if not isinstance(question, dict):
        return ["is not a mapping"]
    types = {"type": str, "question_name": str, "variable": str, "required": bool}
    wrong = [(key, kind) for key, kind in types.items() if not isinstance(question.get(key), kind)]
    problems = [f"{key} must be a {kind.__name__}" for key, kind in wrong]
    if problems:
        return problems
    kind = question["type"]
    if kind not in DEFAULTS:
        return [f"type {kind} is not one of {', '.join(DEFAULTS)}"]
    for key in ("min", "max"):
        if question.get(key) is not None and not _is(question[key], (int,)):
            problems.append(f"{key} must be a whole number")
    if kind in CHOICES and "choices" not in question:
        return [*problems, "there are no choices"]
    return problems + _default_problems(question, old)


def _default_problems(question: dict[str, Any], old: dict[str, Any]) -> list[str]:
    kind, default = question["type"], question.get("default", "")
    if default == "":
        return []
    if not _is(default, DEFAULTS[kind]):
        return [f"the default must be of type {kind}"]
    if isinstance(default, str) and default.startswith(ENCRYPTED):
        if kind != "password":
            return [f"{ENCRYPTED} is for passwords only"]
        return [] if "default" in old.get(question["variable"], {}) else [f"{ENCRYPTED} stands for no earlier default"]
    if kind in CHOICES:
        chosen = lines(default)
        if kind == "multiplechoice" and len(chosen) > 1:
            return ["there is more than one default"]
        if set(chosen) - set(lines(question["choices"])):
            return ["the default is not one of the choices"]
    return []


def answer_problems(question: dict[str, Any], answer: Any) -> list[str]:
    """Return AWX's objections to an answer, given at the launch of a job or taken from a default."""
    kind = question["type"]
    if kind in TEXTS:
        if not isinstance(answer, str):
            return ["must be a string"]
        return _out_of_bounds(question, len(answer))
    if kind in ("integer", "float"):
        return _out_of_bounds(question, answer) if _is(answer, DEFAULTS[kind]) else [f"must be of type {kind}"]
    if kind == "multiselect" and not isinstance(answer, list):
        return ["must be a list"]
    chosen = answer if kind == "multiselect" else [answer]
    return [f"{choice} is not one of the choices" for choice in chosen if choice not in lines(question["choices"])]


def _out_of_bounds(question: dict[str, Any], size: float) -> list[str]:
    least, most = question.get("min"), question.get("max")
    if least not in ("", None) and size < least:
        return [f"is less than {least}"]
    return [f"is more than {most}"] if most not in ("", None) and size > most else []


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def lines(choices: Any) -> list[str]:
    """Return choices as a list: AWX also accepts a text with one per line."""
    return [line for line in choices.splitlines() if line.strip()] if isinstance(choices, str) else list(choices)
