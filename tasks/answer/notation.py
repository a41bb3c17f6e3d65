r"""Sums over an index, integrals and matrices: `\sum_{k=1}^{10} k`, `\int_{0}^{1} x dx`, `\begin{pmatrix}…`."""

import re
from collections.abc import Callable
from typing import Any

import sympy
from sympy import Symbol

from tasks.answer.errors import Unreadable
from tasks.answer.reader import Reader

TERMS = 10_000
"""Terms that a sum or product may have."""

_MATRICES = frozenset(("matrix", "pmatrix", "bmatrix", "vmatrix", "array", "smallmatrix"))


def series(reader: Reader, made: Callable[..., Any]) -> Any:
    r"""`\sum_{k=1}^{10} k`, summed where both ends are numbers."""
    reader.expect("_")
    reader.expect("{")
    variable = reader.atom()[0]
    reader.expect("=")
    start = reader.sum()
    reader.expect("}")
    reader.expect("^")
    end = reader.argument()
    body = reader.term()
    if reader.next in ("+", "-"):
        raise Unreadable(f"can be read in two ways: {reader.text[:60]}")
    if not isinstance(variable, Symbol):
        raise Unreadable(f"can't read the index of a sum in {reader.text[:60]}")
    whole = made(body, (variable, start, end))
    if not (start.is_Integer and end.is_Integer):
        return whole
    if abs(end - start) > TERMS:
        raise Unreadable(f"a sum of more than {TERMS:,} terms")
    return whole.doit()


def integral(reader: Reader) -> Any:
    r"""`\int_{0}^{1} x dx`, solved where sympy can."""
    ends: list[Any] = []
    if reader.took("_"):
        ends.append(reader.argument())
        reader.expect("^")
        ends.append(reader.argument())
    rest = reader.tokens[reader.at :]
    places = [at for at in range(len(rest) - 1) if rest[at] == "d" and re.fullmatch("[A-Za-z]", rest[at + 1])]
    if len(places) != 1:
        raise Unreadable(f"can't read an integral in {reader.text[:60]}")
    end = reader.at + places[0]
    variable = Symbol(reader.tokens[end + 1])
    reader.tokens[end : end + 2] = ["\\end of the integrand"]
    body = reader.sum() if places[0] else sympy.Integer(1)
    reader.took(" ")
    reader.expect("\\end of the integrand")
    return sympy.Integral(body, (variable, *ends) if ends else variable).doit()


def matrix(reader: Reader) -> Any:
    kind = reader.take()[7:].split("}")[0]
    if kind not in _MATRICES:
        raise Unreadable(f"can't read {kind} in {reader.text[:60]}")
    rows: list[list[Any]] = [[]]
    while True:
        reader.took(" ")
        rows[-1].append(reader.sum())
        reader.took(" ")
        if reader.took("\\\\"):
            reader.took(" ")
            if not reader.next.startswith("\\end{"):
                rows.append([])
                continue
        if reader.took(f"\\end{{{kind}}}"):
            break
        reader.expect("&")
    if len({len(row) for row in rows}) != 1:
        raise Unreadable(f"a matrix with rows of different length: {reader.text[:60]}")
    value = sympy.ImmutableMatrix(rows)
    return value.det() if kind == "vmatrix" else value
