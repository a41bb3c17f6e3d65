"""What a study's JSON Schema says of its kinds: the Prefect UI draws its form from it, the server refuses by it."""

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Kinds:
    """One of several kinds, told by its `kind`, with the options of each; the kinds are those that there are."""

    known: Callable[[], Mapping[str, type[BaseModel]]]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        known = self.known()
        union: Any = typing.Union[tuple(known.values())]  # noqa: UP007  not known before it runs
        schema = handler.resolve_ref_schema(handler(TypeAdapter(union).core_schema))
        return schema
