r"""LaTeX of one expression as sympy's exact value: fractions for decimals, nothing dropped, nothing guessed.

    `\frac{1}{3}\sqrt{2}x^{2}`   sqrt(2)*x**2/3        `0.1\overline{6}`   1/6        `\gcd(12,144)`   12

A text with a sign, a word or an order that is not known here, or that can be read in two ways (`1/2x`, `\sin x/2`), is
unreadable. The text is normal LaTeX (`tasks.answer.latex`) without units, lists and relations (`tasks.answer.structure`
parts those). `\log` without a base is the natural logarithm over the symbol `LOG_BASE`, since the base is not said.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import sympy
from sympy import Expr, I, Integer, Rational, Symbol, oo, pi

from tasks.answer.errors import Unreadable
from tasks.answer.limits import check_binomial, check_factorial, check_power
from tasks.answer.quantity import quantity

LOG_BASE = Symbol("log of the base")

DEEPEST = 60
"""Brackets that may stand within each other."""

LONGEST = 100
"""Digits a number may have."""

TERMS = 10_000
"""Terms that a sum or product may have."""

_TOKEN = re.compile(
    r"\d*\.\d*(?=\\overline\{\d+\})|(?:\d+(?:\.\d+)?|\.\d+)[eE][-+]?\d+(?![\d.])|\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?|\.\d+"
    r"|\\text\{[^{}]*\}|\\begin\{[a-zA-Z]+\}(?:\{[^{}]*\})?|\\end\{[a-zA-Z]+\}|\\operatorname\{[A-Za-z]+\}"
    r"|\\[A-Za-z]+|\\.|[A-Za-z]+|\S| "
)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(sympy, name) for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "exp")},
    **{f"arc{name}": getattr(sympy, f"a{name}") for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
    "ln": sympy.log,
    "log": lambda x: sympy.log(x) / LOG_BASE,
    "lg": lambda x: sympy.log(x) / sympy.log(10),
    "Re": sympy.re,
    "Im": sympy.im,
}
_INVERSE = {name: _FUNCTIONS[f"arc{name}"] for name in ("sin", "cos", "tan", "cot", "sec", "csc")}
_OF_LIST: dict[str, Callable[..., Any]] = {
    "gcd": lambda *values: sympy.gcd(list(map(_integer, values))),
    "lcm": lambda *values: sympy.lcm(list(map(_integer, values))),
    "max": sympy.Max,
    "min": sympy.Min,
}
_GREEK = frozenset(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon"
    " phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar".split()
)
_UNKNOWN_FUNCTIONS = frozenset("fghFGH")
"""Letters that are functions when a bracket follows; any other letter before a bracket is a factor."""

_PAIRS = {"(": ")", "[": "]", "{": "}", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil", "|": "|", "\\lvert": "\\rvert"}
_MATRICES = frozenset(("matrix", "pmatrix", "bmatrix", "vmatrix", "array", "smallmatrix"))
_LETTERS = re.compile(r"[A-Za-z]+")
_DIGIT = re.compile(r"[\d.]")


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


class _Parser:
    """Reads by recursive descent; `next` is the token that comes, "" at the end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [part for token in _TOKEN.findall(text) for part in _letters(token)]
        self.at = 0
        self.depth = 0
        self.bars = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.next
        self.at += 1
        return token

    def took(self, *tokens: str) -> bool:
        if self.next not in tokens or not self.next:
            return False
        self.at += 1
        return True

    def expect(self, token: str) -> None:
        if not self.took(token):
            raise Unreadable(f"{token} is missing in {self.text[:60]}")

    def sum(self) -> Any:
        """Terms between plus and minus signs."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"brackets too deep: {self.text[:60]}")
        terms = [self.signed_term()]
        while self.next in ("+", "-"):
            terms.append(self.signed_term())
        self.depth -= 1
        return _sum(terms)

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
                value, divided = _product(value, self.factor()), False
            elif self.took("/", "\\div"):
                value, divided = _quotient(value, self.factor()), True
            elif self.starts_factor():
                if (divided and not spaced) or _DIGIT.match(self.next):
                    raise Unreadable(f"can be read in two ways: {self.text[:60]}")
                value = _product(value, self.power())
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
        plain = token[:1].isalnum() or token[:1] == "." or token in _PAIRS
        return plain or (token.startswith("\\") and (token[1:] in _STARTS or token.startswith(_LONG_STARTS)))

    def power(self) -> Any:
        self.took(" ")
        value, function = self.atom()
        while self.next in ("!", "^"):
            if self.took("!"):
                check_factorial(value)
                value = sympy.factorial(value)
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
            value = _power(value, exponent)
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
        self.expect(_PAIRS[opened])
        self.bars = outer
        return value

    def atom(self) -> tuple[Any, bool]:
        """One factor, and whether it is a function with its argument in brackets."""
        token = self.next
        if token[:1].isdigit() or token[:1] == ".":
            return self.number(), False
        if token in _PAIRS:
            return self.enclosed(), False
        if token.startswith("\\text{"):
            letter = token[6:-1].strip()
            if not re.fullmatch(r"[A-Za-z]", letter):
                raise Unreadable(f"words in a formula: {letter[:60]}")
            self.tokens[self.at] = token = letter
        name = token[1:] if token.startswith("\\") else token
        if token.startswith("\\operatorname{"):
            name = token[14:-1]
        if name in _FUNCTIONS or name in _OF_LIST:
            self.take()
            return self.function(name)
        if token.startswith("\\begin{"):
            return self.matrix(), False
        if token.startswith("\\"):
            self.take()
            return self.command(name), False
        if re.fullmatch("[A-Za-z]", token):
            self.take()
            return self.letter(token)
        raise Unreadable(f"can't read {token or 'the end'} in {self.text[:60]}")

    def number(self) -> Any:
        token = self.take().replace(",", "")
        if len(token) > LONGEST:
            raise Unreadable(f"a number of more than {LONGEST} digits")
        if self.next == "\\overline" and "." in token:
            self.take()
            return self.repeating(token)
        if "e" in token.lower():
            return self.scientific(token)
        value = Rational(token)
        if self.next == "\\frac" and "." not in token:
            start = self.at
            self.take()
            upper, lower = self.argument(), self.argument()
            if upper.is_Integer and lower.is_Integer and upper > 0 and lower > 0:
                if upper >= lower:
                    raise Unreadable(f"can be read in two ways: {self.text[:60]}")
                return value + _quotient(upper, lower)
            self.at = start
        return value

    def scientific(self, token: str) -> Any:
        found = quantity(token)
        if found is None or self.next[:1].isalnum():
            raise Unreadable(f"can be read in two ways: {self.text[:60]}")
        return Rational(found.value.numerator, found.value.denominator)

    def repeating(self, token: str) -> Any:
        r"""`0.1\overline{6}` as 1/6: its digits over nines."""
        self.expect("{")
        digits = self.take()
        self.expect("}")
        whole, _, fixed = token.partition(".")
        nines = Integer(10 ** len(digits) - 1) * 10 ** len(fixed)
        return Rational(int(f"{whole}{fixed}" or "0"), 10 ** len(fixed)) + Rational(int(digits), 1) / nines

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
        if token in _UNKNOWN_FUNCTIONS and self.next == "(":
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

    def group_text(self) -> str:
        """What stands in braces, as it is written."""
        start, depth = self.at, 0
        while self.next:
            depth += (self.next == "{") - (self.next == "}")
            self.take()
            if depth == 0:
                return "".join(self.tokens[start + 1 : self.at - 1])
        raise Unreadable(f"}} is missing in {self.text[:60]}")

    def arguments(self, close: str) -> list[Any]:
        """Values between commas up to a bracket."""
        values = []
        while True:
            for part in self.parted():
                self.tokens[self.at : self.at + 1] = part
            values.append(self.sum())
            self.took(" ")
            if self.took(close):
                return values
            self.expect(",")

    def parted(self) -> list[list[str]]:
        """The coming number that the commas between arguments were taken into, in its parts; none where there is none."""
        if "," not in self.next or self.next == ",":
            return []
        first, *rest = self.next.split(",")
        return [[first, *(part for number in rest for part in (",", number))]]

    def function(self, name: str) -> tuple[Any, bool]:
        """A function's value; its argument is in brackets, or all factors up to the next sign or function."""
        if name in _OF_LIST:
            close = _PAIRS.get(self.take(), "")
            if close not in (")", "}"):
                raise Unreadable(f"can't read {name} in {self.text[:60]}")
            return _OF_LIST[name](*self.arguments(close)), True
        made = _FUNCTIONS[name]
        exponent = None
        while self.next in ("^", "_"):
            if self.take() == "_":
                base = self.argument()
                if name != "log":
                    raise Unreadable(f"can't read the index of {name}")
                made = functools.partial(_logarithm, base)
            else:
                exponent = self.argument()
        if exponent == -1:
            if name not in _INVERSE:
                raise Unreadable(f"can be read in two ways: {self.text[:60]}")
            made, exponent = _INVERSE[name], None
        self.took(" ")
        bracket = self.next in _PAIRS
        value = made(self.enclosed() if bracket else self.product_of_factors())
        return (value if exponent is None else _power(value, exponent)), bracket

    def product_of_factors(self) -> Any:
        value: Any = None
        while self.starts_factor() and self.next not in _PAIRS and self.next.lstrip("\\") not in _FUNCTIONS:
            value = self.power() if value is None else _product(value, self.power())
        if value is None or self.next in ("(", "[", "/"):
            raise Unreadable(f"can be read in two ways: {self.text[:60]}")
        return value

    def command(self, name: str) -> Any:
        if name == "frac":
            upper = self.argument()
            return _quotient(upper, self.argument())
        if name == "sqrt":
            root = Integer(2)
            if self.took("["):
                root = self.sum()
                self.expect("]")
            return _root(self.bracketed() if self.next == "(" else self.argument(), root)
        if name == "binom":
            upper, lower = self.argument(), self.argument()
            check_binomial(upper, lower)
            return sympy.binomial(upper, lower)
        if name in ("sum", "prod"):
            return self.series(sympy.Sum if name == "sum" else sympy.Product)
        if name == "int":
            return self.integral()
        if name == "infty":
            return oo
        if name == "pi":
            return pi
        if name in _GREEK:
            return Symbol(self.subscripted(name))
        if name in ("overline", "vec", "mathbf", "hat", "bar", "mathcal", "angle"):
            return Symbol(self.subscripted(f"{name}({self.group_text() if self.next == '{' else self.take()})"))
        raise Unreadable(f"can't read \\{name} in {self.text[:60]}")

    def series(self, made: Callable[..., Any]) -> Any:
        r"""`\sum_{k=1}^{10} k`, summed where both ends are numbers."""
        self.expect("_")
        self.expect("{")
        variable = self.atom()[0]
        self.expect("=")
        start = self.sum()
        self.expect("}")
        self.expect("^")
        end = self.argument()
        body = self.term()
        if not isinstance(variable, Symbol):
            raise Unreadable(f"can't read the index of a sum in {self.text[:60]}")
        whole = made(body, (variable, start, end))
        if not (start.is_Integer and end.is_Integer):
            return whole
        if abs(end - start) > TERMS:
            raise Unreadable(f"a sum of more than {TERMS:,} terms")
        return whole.doit()

    def integral(self) -> Any:
        r"""`\int_{0}^{1} x dx`, solved where sympy can."""
        ends: list[Any] = []
        if self.took("_"):
            ends.append(self.argument())
            self.expect("^")
            ends.append(self.argument())
        rest = self.tokens[self.at :]
        places = [at for at in range(len(rest) - 1) if rest[at] == "d" and re.fullmatch("[A-Za-z]", rest[at + 1])]
        if len(places) != 1:
            raise Unreadable(f"can't read an integral in {self.text[:60]}")
        inner = _Parser("")
        inner.tokens, inner.text = rest[: places[0]], self.text
        body = inner.sum() if rest[: places[0]] else Integer(1)
        if inner.took(" ") or inner.next:
            inner.took(" ")
            if inner.next:
                raise Unreadable(f"can't read an integral in {self.text[:60]}")
        variable = Symbol(rest[places[0] + 1])
        self.at += places[0] + 2
        return sympy.Integral(body, (variable, *ends) if ends else variable).doit()

    def matrix(self) -> Any:
        kind = self.take()[7:].split("}")[0]
        if kind not in _MATRICES:
            raise Unreadable(f"can't read {kind} in {self.text[:60]}")
        rows: list[list[Any]] = [[]]
        while True:
            self.took(" ")
            rows[-1].append(self.sum())
            self.took(" ")
            if self.took("\\\\"):
                self.took(" ")
                if not self.next.startswith("\\end{"):
                    rows.append([])
                    continue
            if self.took(f"\\end{{{kind}}}"):
                break
            self.expect("&")
        if len({len(row) for row in rows}) != 1:
            raise Unreadable(f"a matrix with rows of different length: {self.text[:60]}")
        value = sympy.ImmutableMatrix(rows)
        return value.det() if kind == "vmatrix" else value


_STARTS = frozenset(
    ("frac", "sqrt", "binom", "sum", "prod", "int", "infty", "pi", "overline", "vec", "mathbf", "hat", "bar", "mathcal")
    + ("angle", *_FUNCTIONS, *_OF_LIST, *_GREEK)
)
"""Commands that begin a factor."""

_LONG_STARTS = ("\\text{", "\\begin{", "\\operatorname{")


def _letters(token: str) -> list[str]:
    """A run of letters as one name of a function, or letter by letter."""
    if not _LETTERS.fullmatch(token) or token in _FUNCTIONS or token in _OF_LIST:
        return [token]
    if token in ("sqrt", "pi"):
        return [f"\\{token}"]
    if len(token) > 3:
        raise Unreadable(f"words in a formula: {token[:60]}")
    return list(token)


def _integer(value: Any) -> Integer:
    if not isinstance(value, Integer):
        raise Unreadable("a divisor of what is no whole number")
    return value


def _sum(terms: list[Any]) -> Any:
    value = terms[0]
    for term in terms[1:]:
        if isinstance(value, sympy.MatrixBase) != isinstance(term, sympy.MatrixBase):
            raise Unreadable("a sum of a matrix and a number")
        if isinstance(value, sympy.MatrixBase) and value.shape != term.shape:
            raise Unreadable("a sum of matrices of different shape")
        value = value + term
    return value


def _product(one: Any, two: Any) -> Any:
    if isinstance(one, sympy.MatrixBase) and isinstance(two, sympy.MatrixBase) and one.shape[1] != two.shape[0]:
        raise Unreadable("a product of matrices that do not fit")
    return one * two


def _quotient(one: Any, two: Any) -> Any:
    if isinstance(two, sympy.MatrixBase):
        raise Unreadable("a division by a matrix")
    return one / two


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, sympy.MatrixBase) or isinstance(exponent, sympy.MatrixBase):
        raise Unreadable("a power of a matrix")
    check_power(base, exponent)
    if base.is_negative and exponent.is_Rational and exponent.q % 2 and exponent.q > 1:
        raise Unreadable("a fractional power of a negative number can be read in two ways")
    return base**exponent


def _root(value: Any, degree: Any) -> Any:
    """A root; an odd one of a negative number is the negative one, as in school."""
    if isinstance(value, Expr) and value.is_negative and degree.is_Integer and degree.is_odd:
        return -(_root(-value, degree))
    return _power(value, 1 / degree)


def _logarithm(base: Any, value: Any) -> Any:
    return sympy.log(value) / sympy.log(base)
