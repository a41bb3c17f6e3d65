r"""The words and signs of formulas: how LaTeX is parted into tokens, and which functions and letters are known."""

import re
from collections.abc import Callable
from typing import Any

import sympy
from sympy import Integer, Symbol

from tasks.answer.errors import Unreadable

LOG_BASE = Symbol("log of the base")
r"""What `\log` without a base has for it: the natural logarithm is divided by it."""

_TOKEN = re.compile(
    r"\d*\.\d*(?=\\overline\{\d+\})|(?:\d+(?:\.\d+)?|\.\d+)[eE][-+]?\d+(?![\d.])|\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?|\.\d+"
    r"|\\text\{[^{}]*\}|\\begin\{[a-zA-Z]+\}(?:\{[^{}]*\})?|\\end\{[a-zA-Z]+\}|\\operatorname\{[A-Za-z]+\}"
    r"|\\[A-Za-z]+|\\.|[A-Za-z]+|\S| "
)


def _integer(value: Any) -> Integer:
    if not isinstance(value, Integer):
        raise Unreadable("a divisor of what is no whole number")
    return value


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(sympy, name) for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "exp")
    },
    **{f"arc{name}": getattr(sympy, f"a{name}") for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
    "ln": sympy.log,
    "log": lambda x: sympy.log(x) / LOG_BASE,
    "lg": lambda x: sympy.log(x) / sympy.log(10),
    "Re": sympy.re,
    "Im": sympy.im,
}
INVERSE = {name: FUNCTIONS[f"arc{name}"] for name in ("sin", "cos", "tan", "cot", "sec", "csc")}
OF_LIST: dict[str, Callable[..., Any]] = {
    "gcd": lambda *values: sympy.gcd(list(map(_integer, values))),
    "lcm": lambda *values: sympy.lcm(list(map(_integer, values))),
    "max": sympy.Max,
    "min": sympy.Min,
}
GREEK = frozenset(
    re.findall(
        r"\w+",
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau"
        " upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar",
    )
)
UNKNOWN_FUNCTIONS = frozenset("fghFGH")
"""Letters that are functions when a bracket follows; any other letter before a bracket is a factor."""

PAIRS = {"(": ")", "[": "]", "{": "}", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil", "|": "|", "\\lvert": "\\rvert"}
_LETTERS = re.compile(r"[A-Za-z]+")


DECORATIONS = ("overline", "vec", "mathbf", "hat", "bar", "mathcal", "angle")
"""Commands that make a name of what they stand before."""

STARTS = frozenset(
    ("frac", "sqrt", "binom", "sum", "prod", "int", "infty", "pi", *DECORATIONS, *FUNCTIONS, *OF_LIST, *GREEK)
)
"""Commands that begin a factor."""

LONG_STARTS = ("\\text{", "\\begin{", "\\operatorname{")


def tokens(text: str) -> list[str]:
    """A normal text in tokens; letters that are no function's name stand alone.

    Raises:
        Unreadable: there are words in it.
    """
    return [part for token in _TOKEN.findall(text) for part in _letters(token)]


def _letters(token: str) -> list[str]:
    """A run of letters as one name of a function, or letter by letter."""
    if not _LETTERS.fullmatch(token) or token in FUNCTIONS or token in OF_LIST:
        return [token]
    if token in ("sqrt", "pi"):
        return [f"\\{token}"]
    if len(token) > 3:
        raise Unreadable(f"words in a formula: {token[:60]}")
    return list(token)
