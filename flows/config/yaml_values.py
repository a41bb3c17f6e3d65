"""YAML as a study file may use it: texts, numbers, true and false, null, lists and maps, within bounds.

YAML 1.1 and 1.2 read some bare words differently: `no` is false or a text, `012` is ten or twelve, `1:30` is ninety or
a text. Those are refused with their line. So are keys given twice, aliases inside themselves, and files that are too
large, too deep, or hold too much once their aliases are written out.
"""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from data.errors import InputError, shown

LARGEST = 500_000
"""Bytes of a file."""
DEEPEST = 40
"""Lists and maps inside one another."""
LONGEST_NUMBER = 40
"""Characters of a whole number; the values' own check then refuses those beyond 64 bits."""
MOST = 20_000
"""Values, those of an alias counted wherever it stands."""
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)\Z")
FLOAT = re.compile(r"(?=.*[.eE])[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\Z")
"""Also `2e-4`, `1.0e3` and `-.5`, which PyYAML reads as texts."""
TAG = "tag:yaml.org,2002:"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str, what: str) -> Any:
    """What a YAML text says: dict, list, str, int, float, bool or None.

    Args:
        what: where the text stands, for errors.

    Raises:
        InputError: one line with the line, the key and what is allowed.
    """
    if len(text) > LARGEST:
        raise InputError(f"{what}: is {len(text):,} characters long; allowed: at most {LARGEST:,}")
    try:
        _check_depth(text, what)
        root = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        where = _line(error.problem_mark or error.context_mark)
        raise InputError(f"{what}{where}: not valid YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        raise InputError(f"{what}: not valid YAML: character {error.position + 1}: {error.reason}") from None
    return None if root is None else _Reading(what).value(root, "")


def _check_depth(text: str, what: str) -> None:
    """Look at the text as a stream first: what composes it goes as deep as it does."""
    depth = count = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        count += isinstance(event, yaml.NodeEvent)
        if depth > DEEPEST or count > MOST:
            why = f"more than {DEEPEST} lists and maps inside one another" if depth > DEEPEST else _TOO_MUCH
            raise InputError(f"{what}{_line(event.start_mark)}: {why}")


def _line(mark: Any) -> str:
    """Where a mark stands, as errors say it after the file's name; nothing where there is none."""
    return "" if mark is None else f", line {mark.line + 1}"


_BOOLEAN = "some read this as a text, some as true or false; allowed: true or false, or the word in quotes"
_NUMBER = "some read this as another number; allowed: decimal digits without leading zeros, or a text in quotes"
_TOO_MUCH = f"more than {MOST:,} values, those of aliases included"


class _Reading:
    """Turns the nodes of one text into values."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0
        self._inside: list[yaml.Node] = []

    def value(self, node: yaml.Node, where: str) -> Any:
        """The value of a node; `where` is its place, as `origins.self`."""
        self._count += 1
        if self._count > MOST:
            self._refuse(node, where, _TOO_MUCH)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        if any(node is outer for outer in self._inside):
            self._refuse(node, where, "an alias of what it stands in")
        if node.tag not in (f"{TAG}map", f"{TAG}seq"):
            self._refuse(node, where, f"the tag {node.tag.replace(TAG, '!!')} is not allowed")
        if len(self._inside) >= DEEPEST:
            self._refuse(node, where, f"more than {DEEPEST} lists and maps inside one another")
        self._inside.append(node)
        found: Any
        if isinstance(node, yaml.MappingNode):
            found = self._mapping(node, where)
        else:
            found = [self.value(each, f"{where}.{at}".lstrip(".")) for at, each in enumerate(node.value)]
        self._inside.pop()
        return found

    def _mapping(self, node: yaml.MappingNode, where: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{TAG}merge":
                merged.append(value_node)
                continue
            key = self._key(key_node, where)
            inner = f"{where}.{key}".lstrip(".")
            if key in found:
                self._refuse(key_node, inner, f"given twice, first on line {lines[key]}; allowed: each key once")
            lines[key] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, inner)
        for value in (each for one in merged for each in self._merged(one, where)):
            found = {**value, **found}
        return found

    def _merged(self, node: yaml.Node, where: str) -> Iterator[dict[str, Any]]:
        """The maps that `<<` brings in, the first of which counts."""
        for each in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self.value(each, where)
            if not isinstance(value, dict):
                self._refuse(each, where, f"<<: {shown(value)} is not allowed: a map is")
            yield value

    def _key(self, node: yaml.Node, where: str) -> str:
        """A key as it is written; `on` is one, though YAML 1.1 reads it as true."""
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, where, "a list or a map as a key; allowed: texts")
        text = str(node.value)
        if node.tag == f"{TAG}null" or (node.tag == f"{TAG}bool" and text != "on"):
            read = "nothing" if node.tag == f"{TAG}null" else "true or false"
            self._refuse(node, where, f"the key {shown(text)} is read as {read}; allowed: a text, this one in quotes")
        return text

    def _scalar(self, node: yaml.ScalarNode, where: str) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(TAG):
            case "null":
                return None
            case "bool":
                if text.lower() not in ("true", "false"):
                    self._refuse(node, where, f"{text}: {_BOOLEAN}")
                return text.lower() == "true"
            case "int" if DECIMAL.match(text):
                if len(text) > LONGEST_NUMBER:
                    self._refuse(node, where, f"a number of {len(text):,} digits; allowed: at most 64 bits")
                return int(text)
            case "int" | "float" if ":" in text or "." not in text:
                self._refuse(node, where, f"{shown(text)}: {_NUMBER}")
            case "float":
                return self._float(node, where)
            case "str" if not node.style:
                return float(text) if FLOAT.match(text) else text
            case "str" | "timestamp" | "value" | "merge":
                return text
        self._refuse(node, where, f"the tag {node.tag.replace(TAG, '!!')} is not allowed")

    def _float(self, node: yaml.ScalarNode, where: str) -> float:
        text = node.value.replace("_", "").lower()
        sign = -1.0 if text.startswith("-") else 1.0
        if text.lstrip("+-") in (".inf", ".nan"):
            return sign * float(text.lstrip("+-")[1:])
        try:
            return float(text)
        except ValueError:
            self._refuse(node, where, f"{shown(node.value)} is no number")

    def _refuse(self, node: yaml.Node, where: str, why: str) -> NoReturn:
        raise InputError(f"{self._what}{_line(node.start_mark)}: {f'{where}: ' if where else ''}{why}")
