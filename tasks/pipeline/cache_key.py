"""What makes a result what it is, as JSON: the exact encoding that keys are hashed from.

Raises on anything it cannot encode exactly; it never falls back to `str()`, since two different values that print
alike would then share a key.
"""

import dataclasses
import enum
import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Protocol

from pydantic import BaseModel


class Identified(Protocol):
    """An object that says itself what of it changes a result (a model: its content, not its folder)."""

    def identity(self) -> Any: ...


def encode(value: Any, code: Callable[[FunctionType | type], str], where: str = "value") -> Any:
    """Encode `value` as JSON-able data.

    Functions and classes are handed to `code`, which says what stands for them: a name, or a digest of their source.

    Raises:
        TypeError: naming `where` in the value the thing that has no exact encoding stands.
    """
    match value:
        case None | bool() | str():
            return value
        case enum.Enum():
            return encode(value.value, code, where)
        case int():
            return value
        case float():
            if not math.isfinite(value):
                raise TypeError(f"{where} is {value}: only finite numbers can be part of a key")
            return value
        case FunctionType() | type():
            return code(value)
        case functools.partial():
            bound = {"args": value.args, "keywords": value.keywords}
            return {"function": encode(value.func, code, where), **encode(bound, code, where)}
        case _ if hasattr(type(value), "identity"):  # an `Identified`; to ask the protocol takes ten times as long
            return encode(value.identity(), code, where)
        case BaseModel():
            fields = {name: getattr(value, name) for name in type(value).model_fields}
            return {"type": type(value).__name__, **encode(fields, code, where)}
        case Mapping():
            for key in value:
                if not isinstance(key, str):
                    raise TypeError(f"{where} has the key {key!r}: keys must be text")
            return {key: encode(value[key], code, f"{where}.{key}") for key in sorted(value)}
        case list() | tuple():
            return [encode(item, code, f"{where}[{index}]") for index, item in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **encode(fields, code, where)}
    raise TypeError(f"{where} is a {type(value).__qualname__}, which has no exact encoding for a key")


def digest(data: Any) -> str:
    """SHA-256 of JSON-able data in canonical form, as 32 hexadecimal characters."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
