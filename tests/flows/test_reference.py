"""docs/study-file.md is what the schema of the study file says, whole and in words."""

import re
from pathlib import Path
from typing import Any

import pytest

from flows.config.reference import allowed, page
from flows.config.schema import Study
from tasks.kinds import methods, origins, verifiers

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "study-file.md"


def test_the_committed_page_is_the_schemas() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == page(), "run `make reference`"


def test_every_key_is_there_with_its_meaning() -> None:
    text = page()
    keys = re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE)
    assert [key for key, meaning in keys if not meaning] == []
    assert [key for key, _ in keys[: len(Study.model_fields)]] == list(Study.model_fields)
    titles = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert titles == [*methods.kinds_by_name(), *origins.kinds_by_name()]
    assert {key for key, _ in keys} >= {*verifiers.names(), "learning_rate", "agreement", "budget_usd"}


def test_links_lead_to_headings() -> None:
    text = page()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {"".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_") for title in headings}
    assert set(re.findall(r"\(#(.*?)\)", text)) <= anchors


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 65536}, "a whole number above 0, at most 65,536"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "a number from 0, below 1"),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": 0, "maximum": 0.5}, "a number above 0, at most 0.5"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "`true`, `false` or `null`"),
        ({"enum": ["first", "on"]}, "`first`, `'on'`"),
        ({"type": "array", "minItems": 1, "maxItems": 9, "items": {"type": "string"}}, "a list of 1 to 9 of: text"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "a map from names to: a whole number"),
        ({"$ref": "#/$defs/Match"}, "a map: see [match](#match)"),
    ],
)
def test_what_a_schema_allows_in_words(schema: dict[str, Any], said: str) -> None:
    assert allowed(schema) == said
