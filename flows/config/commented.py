"""The text of a study file whose comments are the descriptions of its schema."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from data.kinds import first_sentence
from data.user_benchmark import UserBenchmark
from flows.config import yaml_values
from flows.config.schema import Study
from flows.config.study_parts import Questions
from tasks.kinds import origins
from tasks.selection.match import Match

WIDTH = 110
PARTS: Mapping[str, type[BaseModel]] = {"questions": Questions, "match": Match}
"""Keys whose own keys are commented too."""


def commented(study: Mapping[str, Any], more: Mapping[str, Mapping[str, Any]]) -> str:
    """A study file.

    Args:
        study: its values.
        more: values by key that stand in it as comments, to be taken in: origins, options.
    """
    lines: list[str] = []
    for key, field in Study.model_fields.items():
        if key in study:
            lines += ["", *_comment(field.description or ""), *_lines(key, study[key], more.get(key, {}))]
    return "\n".join(lines).lstrip("\n") + "\n"


def _lines(key: str, value: Any, more: Mapping[str, Any]) -> Iterator[str]:
    if key == "benchmarks":
        yield "benchmarks:"
        for name, options in value.items():
            yield f"  {_inline(name)}:"
            yield from _options(UserBenchmark, options, "    ")
    elif key == "origins":
        yield "origins:"
        for name, options in value.items():
            yield from _origin(name, options, "  ")
        for name, options in more.items():
            yield from _origin(name, options, "  # ")
    elif key in PARTS:
        yield f"{key}:"
        yield from _options(PARTS[key], value, "  ")
    else:
        yield f"{key}: {_inline(value)}"


def _options(model: type[BaseModel], options: Mapping[str, Any], before: str) -> Iterator[str]:
    for name, value in options.items():
        yield from _comment(model.model_fields[name].description or "", before)
        yield f"{before}{name}: {_inline(value)}"


def _origin(name: str, options: Mapping[str, Any], before: str) -> Iterator[str]:
    about = first_sentence(origins.find(options.get("kind", name)).__doc__ or "")
    yield from _comment(about, "  ")
    yield f"{before}{_inline(name)}: {_inline(options)}"


def _comment(text: str, before: str = "") -> list[str]:
    return [f"{before}# {line}" for line in textwrap.wrap(text, WIDTH)]


def _inline(value: Any) -> str:
    """A value on one line, in quotes where a study file would read another one without."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_inline(name)}: {_inline(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**9).strip()[1:-1]
    return text if _reads_as(text, value) else json.dumps(value)


def _reads_as(text: str, value: Any) -> bool:
    try:
        return bool(yaml_values.parse(f"[{text}]", "") == [value])
    except ValueError:
        return False
