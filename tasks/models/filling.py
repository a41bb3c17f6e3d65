"""Prompt templates filled in with a row's columns: Jinja in a sandbox, the same text in every run."""

import functools
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, Undefined, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from data.errors import InputError
from data.row_values import Row


def fill(template: str, row: Row) -> str:
    """The text that a row makes of a Jinja prompt template.

    Raises:
        InputError: the template is no Jinja, or names a column that the row lacks or has no value for.
    """
    compiled = _compiled(template)
    try:
        return compiled.render(row)
    except TimeoutError:
        raise
    except Exception as error:  # a template is a program, and can go wrong as any can
        columns = meta.find_undeclared_variables(_prompts().parse(template))
        bad = sorted(name for name in columns if row.get(name) is None)
        known = isinstance(error, TemplateError)
        what = f"fails on row {row.get('id', '?')}: {error if known else f'{type(error).__name__}: {error}'}"
        if known and bad:
            what = f"needs {', '.join(bad)}, which row {row.get('id', '?')} lacks"
        raise InputError(f"prompt template {_short(template)}: it {what}; columns: {', '.join(row)}") from error


def columns_read(template: str) -> frozenset[str]:
    """The columns that a template reads.

    Raises:
        InputError: the template is no Jinja.
    """
    _compiled(template)
    return frozenset(meta.find_undeclared_variables(_prompts().parse(template)))


def _present(value: Any) -> Any:
    """What a template prints, of what a row's columns hold.

    A function or an object of jinja's own shows an address in memory, which would make another prompt in every run.
    """
    if value is None:
        raise TemplateError("a column it prints has no value")
    if isinstance(value, Undefined):
        return value  # says itself what is wrong once it is printed
    if callable(value) or type(value).__module__.startswith("jinja2"):
        raise TemplateError(f"it prints a {type(value).__name__}, which is no value of a column")
    return value


@functools.cache
def _prompts() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, finalize=_present)
    del made.globals["lipsum"], made.filters["random"]  # another text each time
    return made


@functools.lru_cache(maxsize=256)
def _compiled(template: str) -> Template:
    try:
        return _prompts().from_string(template)
    except TimeoutError:
        raise
    except Exception as error:  # not only what it is no template for: one can be nested too deep
        known = isinstance(error, TemplateError)
        why = error if known else f"{type(error).__name__}: {error}"
        raise InputError(f"prompt template {_short(template)}: {why}") from error


def _short(template: str) -> str:
    return repr(template if len(template) <= 60 else template[:59] + "…")
