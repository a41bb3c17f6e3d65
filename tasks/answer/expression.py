r"""LaTeX of one expression as sympy's exact value: fractions for decimals, nothing dropped, nothing guessed.

    `\frac{1}{3}\sqrt{2}x^{2}`   sqrt(2)*x**2/3        `0.1\overline{6}`   1/6        `\gcd(12,144)`   12

A text with a sign, a word or an order that is not known here, or that can be read in two ways (`1/2x`, `\sin x/2`), is
unreadable. The text is normal LaTeX (`tasks.answer.latex`) without units, lists and relations (`tasks.answer.structure`
parts those). `\log` without a base is the natural logarithm over the symbol `LOG_BASE`, since the base is not said.
"""

import functools
import re
from typing import Any

import sympy
from sympy import Expr, I, Integer, Rational, Symbol, oo, pi

from tasks.answer import arithmetic, notation
from tasks.answer.errors import Unreadable
from tasks.answer.number_in_formula import number
from tasks.answer.reader import Reader
from tasks.answer.vocabulary import (
    DECORATIONS,
    FUNCTIONS,
    GREEK,
    INVERSE,
    LONG_STARTS,
    OF_LIST,
    PAIRS,
    STARTS,
    UNKNOWN_FUNCTIONS,
)

DEEPEST = 60
"""Brackets that may stand within each other."""


@functools.lru_cache(maxsize=4096)
def expression(text: str) -> Any:
    r"""The value of all of a normal text: a sympy expression, or a matrix of them.

    Raises:
        Unreadable: it is no expression, can be read in two ways, or is too large to compute.
    """
    parser = _Parser(text)
    try:
        value = parser.sum()
    except RecursionError:
        raise Unreadable(f"brackets too deep: {text[:60]}") from None
    if parser.next:
        raise Unreadable(f"can't read {parser.next[:20]} in {text[:60]}")
    if value is sympy.nan or (isinstance(value, Expr) and value.has(sympy.nan)):
        raise Unreadable(f"no value: {text[:60]}")
    return value


class _Parser(Reader):
    """A recursive-descent parser: a method for each rule of the grammar, which gives the rule's value."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        """Sums that are being read within each other."""
        self.bars = 0
        """1 between the bars of an absolute value: the next bar closes it."""

    def sum(self) -> Any:
        """Terms between plus and minus signs."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"brackets too deep: {self.text[:60]}")
        terms = [self.signed_term()]
        while self.next in ("+", "-"):
            terms.append(self.signed_term())
        self.depth -= 1
        return arithmetic.sum(terms)

    def signed_term(self) -> Any:
        negative = False
        while self.next in ("+", "-", " "):
            negative ^= self.take() == "-"
        value = self.term()
        return -value if negative else value

    def term(self) -> Any:
        """Factors with multiplication, division or nothing between them."""
        value = self.power()
        divided = False
        while True:
            spaced = self.took(" ")
            if self.took("*", "\\cdot", "\\times"):
                value, divided = arithmetic.product(value, self.factor()), False
            elif self.took("/", "\\div"):
                value, divided = arithmetic.quotient(value, self.factor()), True
            elif self.starts_factor():
                if (divided and not spaced) or self.next[:1] in "0123456789.":
                    raise Unreadable(f"can be read in two ways: {self.text[:60]}")
                bracket = self.next in ("(", "[")
                factor = self.power()
                if (
                    bracket and isinstance(factor, Rational) and isinstance(value, Rational)
                ):  # 18 (20) may be a number and an aside
                    raise Unreadable(f"can be read in two ways: {self.text[:60]}")
                value = arithmetic.product(value, factor)
            else:
                return value

    def factor(self) -> Any:
        """What stands after an operator: a sign may come first."""
        self.took(" ")
        if self.took("-"):
            return -self.power()
        self.took("+")
        return self.power()

    def starts_factor(self) -> bool:
        token = self.next
        if token == "|":
            return not self.bars
        plain = token[:1].isalnum() or token[:1] == "." or token in PAIRS
        return plain or (token.startswith("\\") and (token[1:] in STARTS or token.startswith(LONG_STARTS)))

    def power(self) -> Any:
        self.took(" ")
        value, function = self.atom()
        while self.next in ("!", "^"):
            if self.took("!"):
                value = arithmetic.factorial(value)
                if self.next == "!":
                    raise Unreadable(f"can be read in two ways: {self.text[:60]}")
                continue
            self.take()
            if function:
                raise Unreadable(f"can be read in two ways: {self.text[:60]}")
            if self.next == "{" and self.tokens[self.at + 1 : self.at + 3] == ["\\circ", "}"]:
                self.at += 3
                value = value * pi / 180
                continue
            if self.took("\\circ"):
                value = value * pi / 180
                continue
            exponent = self.argument()
            value = arithmetic.power(value, exponent)
            if self.next == "^":
                raise Unreadable(f"can be read in two ways: {self.text[:60]}")
        return value

    def argument(self) -> Any:
        """What a command takes: a group in braces, or one digit, letter or command, as TeX reads it."""
        self.took(" ")
        token = self.next
        if token == "{":
            return self.bracketed()
        if token[:1].isdigit() and len(token) > 1:
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
        if not (token[:1].isalnum() or token.startswith("\\")):
            raise Unreadable(f"can't read {token or 'the end'} in {self.text[:60]}")
        return self.atom()[0]

    def bracketed(self) -> Any:
        """All between a bracket and the one that closes it."""
        opened = self.take()
        outer, self.bars = self.bars, int(opened == "|")
        value = self.sum()
        self.took(" ")
        self.expect(PAIRS[opened])
        self.bars = outer
        return value

    def atom(self) -> tuple[Any, bool]:
        """One factor, and whether it is a function with its argument in brackets."""
        token = self.next
        if token[:1].isdigit() or token[:1] == ".":
            return number(self), False
        if token in PAIRS:
            return self.enclosed(), False
        if token.startswith("\\text{"):
            letter = token[6:-1].strip()
            if not re.fullmatch(r"[A-Za-z]", letter):
                raise Unreadable(f"words in a formula: {letter[:60]}")
            self.tokens[self.at] = token = letter
        name = token[1:] if token.startswith("\\") else token
        if token.startswith("\\operatorname{"):
            name = token[14:-1]
        if name in FUNCTIONS or name in OF_LIST:
            self.take()
            return self.function(name)
        if token.startswith("\\begin{"):
            return notation.matrix(self), False
        if token.startswith("\\"):
            self.take()
            return self.command(name), False
        if re.fullmatch("[A-Za-z]", token):
            self.take()
            return self.letter(token)
        raise Unreadable(f"can't read {token or 'the end'} in {self.text[:60]}")

    def enclosed(self) -> Any:
        token = self.next
        value = self.bracketed()
        if token in ("|", "\\lvert"):
            return value.det() if isinstance(value, sympy.MatrixBase) else sympy.Abs(value)
        if token == "\\lfloor":
            return sympy.floor(value)
        return sympy.ceiling(value) if token == "\\lceil" else value

    def letter(self, token: str) -> tuple[Any, bool]:
        if token == "e" and self.next != "_":
            return sympy.E, False
        if token == "i" and self.next != "_":
            return I, False
        name = self.subscripted(token)
        if token in UNKNOWN_FUNCTIONS and self.next == "(":
            self.take()
            values = self.arguments(")")
            return sympy.Function(name)(*values), True
        return Symbol(name), False

    def subscripted(self, name: str) -> str:
        """A name with its index and primes."""
        while self.next in ("_", "'"):
            if self.take() == "'":
                name += "'"
                continue
            index = self.group_text() if self.next == "{" else self.take()
            name += f"_{index}"
        return name

    def arguments(self, close: str) -> list[Any]:
        """Values between commas up to a bracket."""
        values = []
        while True:
            self.part_number()
            values.append(self.sum())
            self.took(" ")
            if self.took(close):
                return values
            self.expect(",")

    def function(self, name: str) -> tuple[Any, bool]:
        """A function's value; its argument is in brackets, or all factors up to the next sign or function."""
        if name in OF_LIST:
            close = PAIRS.get(self.take(), "")
            if close not in (")", "}"):
                raise Unreadable(f"can't read {name} in {self.text[:60]}")
            return OF_LIST[name](*self.arguments(close)), True
        made = FUNCTIONS[name]
        exponent = None
        while self.next in ("^", "_"):
            if self.take() == "_":
                base = self.argument()
                if name != "log":
                    raise Unreadable(f"can't read the index of {name}")
                made = functools.partial(arithmetic.logarithm, base)
            else:
                exponent = self.argument()
        if exponent == -1:
            if name not in INVERSE:
                raise Unreadable(f"can be read in two ways: {self.text[:60]}")
            made, exponent = INVERSE[name], None
        self.took(" ")
        bracket = self.next in PAIRS
        value = made(self.enclosed() if bracket else self.product_of_factors())
        return (value if exponent is None else arithmetic.power(value, exponent)), bracket

    def product_of_factors(self) -> Any:
        value: Any = None
        while self.starts_factor() and self.next not in PAIRS and self.next.lstrip("\\") not in FUNCTIONS:
            value = self.power() if value is None else arithmetic.product(value, self.power())
        if value is None or self.next in ("(", "[", "/"):
            raise Unreadable(f"can be read in two ways: {self.text[:60]}")
        return value

    def command(self, name: str) -> Any:
        if name == "frac":
            upper = self.argument()
            return arithmetic.quotient(upper, self.argument())
        if name == "sqrt":
            root = Integer(2)
            if self.took("["):
                root = self.sum()
                self.expect("]")
            return arithmetic.root(self.bracketed() if self.next == "(" else self.argument(), root)
        if name == "binom":
            upper = self.argument()
            return arithmetic.binomial(upper, self.argument())
        if name in ("sum", "prod"):
            return notation.series(self, sympy.Sum if name == "sum" else sympy.Product)
        if name == "int":
            return notation.integral(self)
        if name == "infty":
            return oo
        if name == "pi":
            return pi
        if name in GREEK:
            return Symbol(self.subscripted(name))
        if name in DECORATIONS:
            return Symbol(self.subscripted(f"{name}({self.group_text() if self.next == '{' else self.take()})"))
        raise Unreadable(f"can't read \\{name} in {self.text[:60]}")
