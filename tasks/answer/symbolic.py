r"""Whether two sympy values are equal: proved, or refuted by more digits than they share, and never by floats alone.

Equality is shown by exact algebra only (multiplying out, simplifying, minimal polynomials). A difference is shown by
`evalf`, which works with as many digits as it takes to leave some that are certain; where symbols are left, at points
with small fractions in their place. What neither shows is undecided, and never correct.

The time limit rings again until it is heard, since an exception that sympy or the garbage collector swallows is lost.
It is an alarm, so it needs the main thread.
"""

import functools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import sympy
from sympy import Rational, Symbol

from tasks.answer.errors import Unreadable
from tasks.answer.vocabulary import LOG_BASE

SECONDS = 5.0
"""Processor time that reading and comparing one answer may take: a verdict does not go by how busy a machine is."""

CHEAP = 20
"""The largest power of a sum that is multiplied out before the sides are tried at points."""

DIGITS = 30
"""Certain digits that a difference is asked for."""

MOST_DIGITS = 2000
"""Digits computed with to get them."""

_POINTS = (
    ("3/7", "5/11", "2/13", "8/17", "11/19", "7/23", "9/29", "10/31"),
    ("17/5", "29/7", "41/11", "53/13", "31/17", "47/19", "59/23", "61/29"),
    ("2", "3", "5", "7", "11", "13", "17", "19"),
    ("-13/6", "-19/8", "-5/9", "-7/10", "-31/12", "-11/14", "-23/16", "-3/18"),
    ("211/3", "-97/4", "151/5", "-83/9", "19/21", "-1/22", "307/25", "-113/27"),
)
"""Values that symbols are given, in the order of their names; a ninth symbol starts again."""

_WHOLE_POINTS = (("2", "3", "5", "7", "11", "13", "17", "19"), ("23", "6", "4", "8", "3", "9", "10", "12"))
"""Values of symbols where there is one of what is meant for whole numbers."""

_OF_WHOLE_NUMBERS = (sympy.factorial, sympy.binomial, sympy.Sum, sympy.Product)


class TimeIsUp(BaseException):
    """The time limit rang; no `Exception`, so that sympy, which catches many, lets it through."""


@contextmanager
def time_limit(what: str) -> Iterator[None]:
    """Raises Unreadable when the block takes longer than `SECONDS`, and for what sympy raises in it.

    Raises:
        RuntimeError: outside the main thread, where there are no alarms.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("the verifier math needs the main thread of a process: its time limit is an alarm")
    before = signal.signal(signal.SIGPROF, _ring)
    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS, 0.5)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except TimeIsUp:
        raise Unreadable(f"could not be compared in {SECONDS:g} s: {what[:60]}") from None
    except (Unreadable, NameError):  # a name that does not exist is no fault of the response
        raise
    except Exception as error:
        raise Unreadable(f"could not be compared ({type(error).__name__}): {what[:60]}") from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def equal(one: Any, two: Any) -> bool:
    """Whether two expressions or matrices are equal.

    Raises:
        Unreadable: it is not decided.
    """
    if isinstance(one, sympy.MatrixBase) or isinstance(two, sympy.MatrixBase):
        return _equal_matrices(one, two)
    logarithms = [LOG_BASE in value.free_symbols for value in (one, two)]
    if not any(logarithms):
        return _equal(one, two)
    if all(logarithms) and _equal(one, two):
        return True
    if any(_equal(*(value.subs(LOG_BASE, base) for value in (one, two))) for base in (1, sympy.log(10))):
        raise Unreadable("the base of a logarithm is not said")
    return False


def constant_ratio(one: Any, two: Any) -> Any:
    """The number that `one` is of `two`, or None where their ratio is no number."""
    ratio = sympy.cancel(one / two)
    if ratio.free_symbols:
        ratio = sympy.simplify(ratio)
    return ratio if ratio.is_number and ratio.is_finite and not ratio.is_zero else None


def _equal_matrices(one: Any, two: Any) -> bool:
    if not (isinstance(one, sympy.MatrixBase) and isinstance(two, sympy.MatrixBase)):
        raise Unreadable("a matrix beside what is none")
    if one.shape != two.shape:
        return False
    undecided = None
    for want, have in zip(one, two, strict=True):
        try:
            if not equal(want, have):
                return False
        except Unreadable as why:
            undecided = why
    if undecided:
        raise undecided
    return True


@functools.lru_cache(maxsize=4096)
def _equal(one: Any, two: Any) -> bool:
    if one == two:
        return True
    if one.is_Rational and two.is_Rational:
        return False
    if any(value.has(sympy.oo, -sympy.oo, sympy.zoo) for value in (one, two)):
        return _equal_infinite(one, two)
    difference = one - two
    if _is_cheap(difference) and difference.expand() == 0:
        return True
    if difference.free_symbols:
        return _equal_with_symbols(one, two)
    if _differs(difference, sympy.Integer(0)) if one.free_symbols else _differs(one, two):
        return False
    if _is_zero(difference):
        return True
    raise Unreadable(f"equal in {DIGITS} digits, but not shown to be equal")


def _is_cheap(value: Any) -> bool:
    """Whether no power in a formula has more terms than multiplying out is worth before anything else is tried."""
    exponents = (power.exp for power in value.atoms(sympy.Pow) if power.base.is_Add)
    return all(not exponent.is_Integer or abs(exponent) <= CHEAP for exponent in exponents)


def _equal_infinite(one: Any, two: Any) -> bool:
    if all(value.is_infinite for value in (one, two)) or any(value.is_number for value in (one, two)):
        return False
    raise Unreadable("infinity in a formula")


def _equal_with_symbols(one: Any, two: Any) -> bool:
    symbols = sorted(one.free_symbols | two.free_symbols, key=str)
    if one.atoms(sympy.core.function.AppliedUndef) or two.atoms(sympy.core.function.AppliedUndef):
        raise Unreadable("functions that are not known")
    whole = one.has(*_OF_WHOLE_NUMBERS) or two.has(*_OF_WHOLE_NUMBERS)
    for point in _WHOLE_POINTS if whole else _POINTS:
        values = {symbol: Rational(point[at % len(point)]) for at, symbol in enumerate(symbols)}
        meant = all(_in_domain(value, values) for value in (one, two))
        if meant and _differs(one.subs(values), two.subs(values), real=True):
            return False
    real = {symbol: Symbol(f"{symbol} real", real=True) for symbol in symbols}
    if _is_zero((one - two).subs(real)):
        return True
    raise Unreadable("equal where it was tried, but not shown to be equal")


def _in_domain(value: Any, point: dict[Any, Any]) -> bool:
    """Whether all roots and logarithms of a formula are of positive numbers at a point."""
    roots = [power.base for power in value.atoms(sympy.Pow) if not power.exp.is_Integer and power.base.free_symbols]
    logarithms = [logarithm.args[0] for logarithm in value.atoms(sympy.log) if logarithm.free_symbols]
    return all(bool(part.subs(point).evalf(5) > 0) for part in (*roots, *logarithms))


def _differs(one: Any, two: Any, real: bool = False) -> bool:
    """Whether two numbers differ in digits that are certain.

    Args:
        real: a number that is not real refutes nothing: it may lie where the formula is not meant to hold.
    """
    if any(value.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo) for value in (one, two)):
        return False
    size, other, difference = (value.evalf(DIGITS, maxn=MOST_DIGITS) for value in (one, two, one - two))
    if real and not all(value.is_Number and value.is_real for value in (size, other)):
        return False
    least = max(abs(size), abs(other)) * Rational(10) ** (DIGITS - MOST_DIGITS)
    return any(part.is_Number and part.is_finite and _certain(part, least) for part in difference.as_real_imag())


def _certain(value: Any, least: Any) -> bool:
    """Whether what `evalf` gave is no remainder of digits that cancelled each other."""
    return bool(value != 0 and not (value.is_Float and value._prec == 1) and abs(value) > least)


_PROOFS: tuple[Callable[[Any], Any], ...] = (
    lambda value: sympy.expand(value, complex=not value.free_symbols),
    lambda value: sympy.cancel(sympy.together(value)),
    sympy.radsimp,
    sympy.simplify,
    lambda value: sympy.simplify(value.rewrite(sympy.exp)),
    lambda value: sympy.simplify(sympy.expand_log(value, force=True)) if not value.free_symbols else value,
)


def _is_zero(difference: Any) -> bool:
    """Whether exact algebra shows that an expression is 0."""
    for proof in _PROOFS:
        if proof(difference) == 0:
            return True
    if not difference.free_symbols and difference.is_algebraic:
        unknown = Symbol("unknown")
        return bool(sympy.minimal_polynomial(difference, unknown) == unknown)
    return False


def _ring(number: int, frame: FrameType | None) -> None:
    raise TimeIsUp
