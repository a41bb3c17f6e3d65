"""`python -m flows.config.reference` prints docs/study-file.md: every key of a study file, as its schema has it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from data import kinds
from data.user_benchmark import Columns, Example, LocatedBenchmark, UserBenchmark
from flows.config.arms import ArmOptions
from flows.config.form import ByName
from flows.config.schema import Study
from flows.config.study_parts import Control, Measures, Questions
from tasks.comparison.contrast import Contrast
from tasks.kinds import methods, origins, verifiers
from tasks.models.endpoint import EndpointSettings
from tasks.models.sampling import Sampling
from tasks.selection.match import Match

SECTIONS: Mapping[str, type[BaseModel]] = {
    "questions": Questions,
    "benchmarks.NAME, of your own": UserBenchmark,
    "benchmarks.NAME.columns": Columns,
    "benchmarks.NAME.examples": Example,
    "benchmarks.NAME, a bundled one": LocatedBenchmark,
    "match": Match,
    "controls.NAME": Control,
    "arms.NAME": ArmOptions,
    "contrasts": Contrast,
    "decoding": Sampling,
    "measures": Measures,
    "endpoints.MODEL": EndpointSettings,
    **{
        f"origins.NAME.{name}": field.annotation
        for origin in origins.kinds_by_name().values()
        for name, field in origin.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    },
}
BY_NAME = {
    "benchmarks": "benchmarks.NAME, of your own",
    "origins": "Origins",
    "controls": "controls.NAME",
    "arms": "arms.NAME",
    "endpoints": "endpoints.MODEL",
}
"""Keys that hold maps by name, and where the options of a name are told."""
FILLED_IN = ("kind", "name")
"""Options that the study file gives as the name itself."""
HEADER = """# The study file

Every key, as the schema has it; `make reference` writes this page anew. The keys that a study must have are `name`,
`student`, `train`, `evaluate` and `origins`. `mothertongue init` writes a study file for data of your own, and
`mothertongue plan` checks one. Numbers are decimal, `null` is nothing.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [HEADER, "## Keys", *_table(Study, skipped=())]
    for title, model in SECTIONS.items():
        parts += [f"## {title}", *_table(model)]
    parts += ["## Methods", "`method: {kind: KIND, …}`, or `method: KIND` where all options are the usual ones."]
    parts += _kinds("tasks.methods", methods.kinds_by_name())
    parts += ["## Origins", "`origins: {NAME: {kind: KIND, …}}`; a name that is a kind's needs no `kind`."]
    parts += _kinds("tasks.origins", origins.kinds_by_name())
    parts += ["## Verifiers", "`benchmarks: {NAME: {verifier: KIND, …}}`", _verifiers()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _kinds(package: str, known: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    for name, model in known.items():
        yield f"### {name}"
        yield kinds.about(package, name, "kind")
        yield from _table(model)


def _verifiers() -> str:
    rows = []
    for name in verifiers.names():
        column = verifiers.column(name)
        reads = "" if column is None else f"`{column.name}`" + (f": {column.holds}" if column.holds else "")
        rows.append((f"`{name}`", kinds.about("tasks.verifiers", name, "verifier"), reads))
    return _rows(("verifier", "right is", "list that it reads of a row beside `gold`"), rows)


def _table(model: type[BaseModel], skipped: tuple[str, ...] = FILLED_IN) -> Iterator[str]:
    schema = model.model_json_schema()["properties"]
    rows = [
        (f"`{name}`", field.description or "", _default(field), _allowed_for(field, name, schema[name]))
        for name, field in model.model_fields.items()
        if name not in skipped
    ]
    if rows:
        yield _rows(("key", "meaning", "default", "allowed"), rows)


def _rows(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line).rstrip() + " |" for line in lines)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "" if isinstance(value, BaseModel) else f"`{_inline(list(value) if isinstance(value, tuple) else value)}`"


def _inline(value: Any) -> str:
    """A value as a study file has it, on one line."""
    if isinstance(value, float):
        return f"{value:g}"
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...").replace("'on': ", "on: ")  # here `on` is a key like any


def _allowed_for(field: FieldInfo, name: str, schema: Mapping[str, Any]) -> str:
    by_name = next((each for each in field.metadata if isinstance(each, ByName)), None)
    if by_name is not None:
        return f"a map by name, each as [{BY_NAME[name]}]({_anchor(BY_NAME[name])}); `{_inline(by_name.example)}`"
    examples = f"; such as `{_inline(schema['examples'][0])}`" if schema.get("examples") else ""
    return allowed(schema) + examples


def allowed(schema: Mapping[str, Any]) -> str:
    """What a value's JSON Schema allows, in words."""
    if "$ref" in schema:
        return _of_model(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f"`{_inline(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{_inline(each)}`" for each in schema["enum"])
    if schema.get("title") == "Method":
        return f"the name of a kind, or a map: see [Methods]({_anchor('Methods')})"
    if "anyOf" in schema:
        named = [option for option in schema["anyOf"] if option.get("title") == "any"]  # beside a choice for the form
        return " or ".join(dict.fromkeys(map(allowed, named or schema["anyOf"])))
    match schema.get("type"):
        case "null":
            return "`null`"
        case "boolean":
            return "`true`, `false`"
        case "integer":
            return f"a whole number{_bounds(schema)}"
        case "number":
            return f"a number{_bounds(schema)}"
        case "array":
            return f"a list{_count(schema)} of: {allowed(schema['items'])}"
        case "object":
            inner = schema.get("additionalProperties")
            return f"a map from names to: {allowed(inner)}" if isinstance(inner, Mapping) else "a map"
        case "string":
            most = f" of at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""
            return f"text{most}"
    raise AssertionError(f"the page has no words for {schema}")


def _of_model(name: str) -> str:
    title = next(title for title, model in SECTIONS.items() if model.__name__ == name)
    return f"a map: see [{title}]({_anchor(title)})"


def _bounds(schema: Mapping[str, Any]) -> str:
    words = {"exclusiveMinimum": "above", "minimum": "from", "maximum": "at most", "exclusiveMaximum": "below"}
    said = [f"{word} {_number(schema[key])}" for key, word in words.items() if key in schema]
    if "exclusiveMinimum" in schema and "minimum" in schema:
        del said[1]
    return f" {', '.join(said)}" if said else ""


def _number(bound: float) -> str:
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"


def _count(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if most is not None:
        return f" of {least or 0} to {most:,}"
    return f" of at least {least}" if least else ""


def _anchor(title: str) -> str:
    """The address of a heading, as GitHub makes it."""
    return "#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


if __name__ == "__main__":
    print(page(), end="")
