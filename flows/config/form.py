"""A study as a form: what its JSON Schema says, from which the Prefect UI draws fields and its server refuses values.

The UI draws lists of equal things, but neither a map from names of one's own nor a list of different things. So what a
study file gives by name, a form gives as a list whose items have a `name`; and origins as a list for each kind, whose
items are called as their kind where they have no name: `{teacher: [{model: ...}, {name: tutor, model: ...}]}`.
"""

import copy
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema

from data import benchmark
from data.errors import InputError

JsonSchema = dict[str, Any]
BY_NAME = ("benchmarks", "controls", "arms", "endpoints")
"""What a study gives by name."""
BY_KIND = "origins"
"""What it gives by name too; its kind, of many, is its name where the study file says no other."""


@dataclass(frozen=True)
class Kinds:
    """One of several kinds with the options of each; which kinds there are is asked when the schema is made."""

    known: Callable[[], Mapping[str, type[BaseModel]]]
    title: str

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        known = tuple(self.known().values())
        adapter: TypeAdapter[Any] = TypeAdapter(typing.Union[known])  # type: ignore[arg-type]  # noqa: UP007
        schema = {**handler.resolve_ref_schema(handler(adapter.core_schema)), "title": self.title}
        if len(known) == 1:
            return schema
        # What is wrong is said by the kind that is named. The conditions are negated, so that a value without a kind,
        # which is of the usual one, passes all of them.
        names = list(self.known())
        chain: JsonSchema = {"properties": {"kind": {"enum": names}}}
        for name, option in zip(names, schema["anyOf"], strict=True):
            chain = {"if": {"properties": {"kind": {"not": {"const": name}}}}, "then": chain, "else": option}
        return {**schema, **chain}


@dataclass(frozen=True)
class ByName:
    """A map by name, which the form draws as a list, or as a list for each kind."""

    example: Any
    """A map as a study file gives it."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        by_name = handler(core)
        inner = by_name["additionalProperties"]
        least = by_name.get("minProperties", 0)
        options = [copy.deepcopy(handler.resolve_ref_schema(option)) for option in inner.get("anyOf", [inner])]
        kinds = {option["properties"]["kind"]["const"]: option for option in options if "kind" in option["properties"]}
        in_map = [_with_name(option, required=False, shown=False) for option in options]
        if kinds:
            drawn = _by_kind(kinds, least)
            in_map += [{"type": "string", "enum": list(kinds)}, {"type": "null"}]
        else:
            drawn = {"type": "array", "title": "list", "items": _one_of(options), "minItems": least}
        # The form draws one of two. The second takes anything here, so that what is refused is said by the one that is
        # meant, at the field that is wrong.
        as_in_file = {"title": "as in a study file", "examples": [self.example]}
        by_name_alone = {
            "type": "object",
            "additionalProperties": {"anyOf": in_map} if len(in_map) > 1 else in_map[0],
            "minProperties": least,
        }
        lists = {"additionalProperties": {"type": "array"}} if kinds else {"type": "array"}
        return {"anyOf": [drawn, as_in_file], "if": lists, "then": drawn, "else": by_name_alone}


@dataclass(frozen=True)
class Choice:
    """A list of texts that are most often some of those that come with the project."""

    bundled: Callable[[], Iterable[str]]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        given = handler(core)
        chosen = {**given, "title": "bundled", "items": {"type": "string", "enum": list(self.bundled())}}
        return {"anyOf": [chosen, {**given, "title": "any"}]}


def only_known_benchmarks(schema: JsonSchema) -> None:
    """Let a study's schema refuse names that are no benchmark's, where the study has no benchmarks of its own."""
    own = {"anyOf": [{"type": "object", "maxProperties": 0}, {"type": "array", "maxItems": 0}]}
    name = {"if": {"pattern": r"[*?$\[]"}, "else": {"enum": list(benchmark.names())}}
    schema["if"] = {"properties": {"benchmarks": own}}
    schema["then"] = {"properties": {key: {"items": name} for key in ("train", "evaluate")}}


def families() -> list[str]:
    """The bundled benchmarks, after patterns that stand for several of them."""
    names = benchmark.names()
    patterns = {f"{name.partition('/')[0]}/*" for name in names if "/" in name}
    return [*sorted(patterns), *names]


def as_form(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a study file as the form draws them: lists in place of maps by name, a method with its options."""
    found = dict(given)
    for key in BY_NAME:
        if isinstance(given.get(key), Mapping):
            found[key] = [_with_method({"name": name, **(options or {})}) for name, options in given[key].items()]
    if isinstance(given.get(BY_KIND), Mapping):
        lists: dict[str, list[Any]] = {}
        for name, options in given[BY_KIND].items():
            if isinstance(options, list):
                lists.setdefault(name, []).extend(options)
                continue
            rest = {"kind": options} if isinstance(options, str) else dict(options or {})
            kind = rest.pop("kind", name)
            lists.setdefault(kind, []).append({**({"name": name} if name != kind else {}), **rest})
        found[BY_KIND] = lists
    if given.get("method", "") is None:
        del found["method"]
    return _with_method(found)


def _with_method(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a study, or of an arm, whose method has its kind as an option where the study file has it bare."""
    method = options.get("method")
    return {**options, "method": {"kind": method}} if isinstance(method, str) else options


def as_study(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a form as a study file gives them.

    Raises:
        InputError: an item of a list has no name, or two have the same.
    """
    found = dict(given)
    for key in BY_NAME:
        if isinstance(given.get(key), list):
            found[key] = _mapped(key, [(f"{key}.{at}", None, item) for at, item in enumerate(given[key])])
    if isinstance(given.get(BY_KIND), Mapping):
        items: list[tuple[str, str | None, Any]] = []
        for kind, value in given[BY_KIND].items():
            if isinstance(value, list):
                items += [(f"{BY_KIND}.{kind}.{at}", kind, item) for at, item in enumerate(value)]
            else:
                items.append((f"{BY_KIND}.{kind}", None, {"name": kind, "": value}))
        found[BY_KIND] = _mapped(BY_KIND, items)
    return found


def _mapped(key: str, items: Iterable[tuple[str, str | None, Any]]) -> dict[str, Any]:
    """Items, with their place and what they are called without a name, as a map by name."""
    found: dict[str, Any] = {}
    for where, kind, item in items:
        if not isinstance(item, Mapping) and (item is not None or kind is None):
            raise InputError(f"{where}: {item!r} is not allowed: a map of options is")
        options = dict(item or {})
        name = options.pop("name", None) or kind
        if not name:
            raise InputError(f"{where}.name: missing; it is required")
        if name in found:
            raise InputError(f"{where}.name: {name!r} is not allowed: another one of the {key} is called so")
        found[name] = options.pop("") if "" in options else {**options, **({"kind": kind} if kind else {})}
    return found


def _by_kind(kinds: Mapping[str, JsonSchema], least: int) -> JsonSchema:
    """A list for each kind."""
    lists = {
        kind: {
            "type": "array",
            "title": kind,
            "description": option.get("description", ""),
            "items": _with_name(option, required=False, shown=True),
        }
        for kind, option in kinds.items()
    }
    return {
        "type": "object",
        "title": "by kind",
        "properties": lists,
        "additionalProperties": False,
        "minProperties": least,
    }


def _with_name(option: JsonSchema, required: bool, shown: bool) -> JsonSchema:
    """The options of an item: with a name in place of a kind where they are drawn, else only not with a needed name."""
    hidden = ("kind", "name") if shown else ()
    fields = {key: value for key, value in option["properties"].items() if key not in hidden}
    name = {"name": {"type": "string", "title": "Name", "description": "what the study calls it", "position": 0}}
    needed = [key for key in option.get("required", []) if key != "name"]
    return {
        **option,
        "properties": {**name, **fields} if shown else fields,
        "required": ["name", *needed] if required else needed,
    }


def _one_of(options: list[JsonSchema]) -> JsonSchema:
    """The options of an item, with its name. Of two kinds the form draws the one that the item is of.

    What is wrong with an item is said by the kind it is of: the second if it has the field that only that one needs.
    The condition asks for a field's absence by `false`, and for nothing by `required`: Prefect's server takes every
    `required` out of a schema before it looks at a deployment's values.
    """
    drawn = [_with_name(option, required=True, shown=True) for option in options]
    if len(drawn) == 1:
        return drawn[0]
    first, second = drawn
    (own, *_) = [key for key in second["required"] if key not in first["properties"]]
    return {"anyOf": drawn, "if": {"properties": {own: False}}, "then": first, "else": second}
