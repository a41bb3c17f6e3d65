"""Options from a study file: which model of them a `kind` says, checked, and each error as one line."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from data import kinds
from data.errors import InputError, shown

UNION_MEMBER = re.compile(r"str|int|float|bool|[a-z-]+\[.*\]")
"""What pydantic calls one of the types that a value may have: no key of the file."""


class OptionError(ValueError):
    """A value that has a message of its own, which names its place."""


def of_kind(known: Mapping[str, type[BaseModel]], options: Any, default: str, where: str, what: str) -> Any:
    """Options whose `kind` says which model they follow; a bare name is a kind without options."""
    if isinstance(options, BaseModel):
        return options
    options = {"kind": options} if isinstance(options, str) else {} if options is None else options
    if not isinstance(options, Mapping):
        raise OptionError(f"{where}: {shown(options)} is not allowed: a map of options is")
    kind = options.get("kind", default)
    if not isinstance(kind, str):
        raise OptionError(f"{where}.kind: {shown(kind)} is not allowed: the name of a kind is")
    if kind not in known:
        raise OptionError(f"{where}{'.kind' if 'kind' in options else ''}: {kinds.unknown(what, kind, known)}")
    return checked(known[kind], {**options, "kind": kind}, where)


def checked(model: type[BaseModel], options: Mapping[str, Any], where: str) -> BaseModel:
    try:
        return model.model_validate(options)
    except ValidationError as error:
        raise OptionError(explain(error, model, where)) from None


def explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """A validation error as one line: the key, the value, and what is allowed."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, OptionError | InputError):
        return str(cause)
    location = first["loc"]
    if location and first["type"] not in ("missing", "extra_forbidden") and UNION_MEMBER.fullmatch(str(location[-1])):
        location = location[:-1]
    where = ".".join(str(part) for part in (*filter(None, [prefix]), *location)) or "the file"
    match first["type"]:
        case "extra_forbidden":
            allowed = ", ".join(sorted(_fields(model, first["loc"][:-1])))
            return f"{where}: unknown key; allowed: {allowed}"
        case "missing":
            return f"{where}: missing; it is required"
        case "value_error":
            return f"{where}: {shown(first['input'])} is not allowed: {cause}"
    return f"{where}: {shown(first['input'])} is not allowed: {first['msg'][0].lower()}{first['msg'][1:]}"


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields allowed at a place inside a model."""
    here: Any = model
    for part in location:
        field = getattr(here, "model_fields", {}).get(part)
        if field is not None:
            here = field.annotation
        for inner in (here, *getattr(here, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                here = inner
                break
    return list(getattr(here, "model_fields", {}))
