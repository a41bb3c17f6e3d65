"""The code in a response: fenced blocks, text around, bare programs, and bodies that continue a function's start.

Runs inside the sandbox (see `tasks.sandbox`), because already parsing a hostile text may take a parser down.

- Blocks go before bare text: between ``` fences (one that is never closed goes to the end), `[PYTHON]` and `[/PYTHON]`,
  or `[BEGIN]` and `[DONE]` (MBPP's own format, whose prompt ends in `[BEGIN]`). Of several, the last that defines what
  is tested counts, else all Python blocks together.
- Code may begin on the line of its fence or of the mark `Final answer:`. A fence that closes what no fence opened (the
  prompt did) has the code before it.
- Where the question itself is the start of a function (HumanEval), a response may be only the rest of its body, its
  first line or all its lines without their indentation, or define the function anew; then it may use what the question
  imports and defines.
- Lines after the code that are no Python are left out, and so are lines before it.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(
    r"^[ \t]*(`{3,}|~{3,})([^\n]*)(?:\n(.*?))?(?:^[ \t]*\1[ \t]*$|\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_LANGUAGE = re.compile(r"[ \t]*([\w+.-]*)[ \t]?(.*)")
_TAGGED = re.compile(r"(\[PYTHON\]|\[BEGIN\])(.*?)(?:\[/PYTHON\]|\[DONE\]|\Z)", re.DOTALL)
_DONE = re.compile(r"\[/PYTHON\]|\[DONE\]")
_LANGUAGES = frozenset({"", "python", "python3", "py", "py3", "python2"})
_MARK = re.compile(r"(?:^|\n)[ \t>*_#]*(?:final[ \t_]+)?answer[*_ \t]*:[*_]*", re.IGNORECASE)
_END = re.compile(r"<(?:/s|\|[a-z_]+\|)>\s*\Z")
_CODE = re.compile(
    r"(?:async\s+)?def\s+\w|class\s+\w|import\s+\w|from\s+[\w.]+\s+import\b|@\w|\w[\w.\[\], ]*=[^=]|"
    r"(?:for|while|if|with|try|return|assert|print)\b[^\n]*[:()\w\]]\s*$"
)
_DEFINITION = re.compile(r"^(?:async\s+def|def|class)\b", re.MULTILINE)
_INDENTED = re.compile(r"^[ \t]+(?:async\s+def|def|class|from|import)\s", re.MULTILINE)
_OUTDENTED = re.compile(r"^(?=\S)", re.MULTILINE)
_MOST_CUTS = 60
"""Times a text is shortened to the line before its syntax error."""


class Found(NamedTuple):
    """The code of a response."""

    source: str | None
    """The whole program to run, with the question's start where there is one; None where there is no code."""
    code: str | None
    """The part of it that is the response's."""
    reason: str


def code_in(response: str, question: str, names: list[str]) -> Found:
    """Find the program in a response that is to define `names`. `question` may be the start of a function."""
    text = _END.sub("", response.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n").replace("\x00", ""))
    if not text.strip():
        return Found(None, None, "the response is empty")
    start = _start(question)
    found = [one for candidate in _candidates(text) for one in _programs(candidate, start)]
    for fits in (lambda one: _defines(one.code, names), lambda one: start and one.source == start + one.code):
        if (first := next(filter(fits, found), None)) is not None:
            return first
    return found[0] if found else Found(None, None, "there is no Python in the response")


def _candidates(text: str) -> Iterator[str]:
    """Texts in which the code may stand, the likeliest first."""
    tagged = [found[2] for found in _TAGGED.finditer(text)]
    fences = list(_FENCE.finditer(text))
    fenced = [block for found in fences if (block := _block(found[2], found[3] or "")) is not None]
    blocks = [_DONE.split(block)[0] for block in fenced or tagged]
    if blocks:
        yield from reversed(blocks)
        if len(blocks) > 1:
            yield "\n\n".join(blocks)
        if fences and not _LANGUAGE.fullmatch(fences[0][2])[0].strip():  # type: ignore[index]
            yield text[: fences[0].start()]
        return
    text = _DONE.split(text)[0]
    *_, marked = [None, *_MARK.finditer(text)]
    if marked is not None and text[marked.end() :].strip():
        yield text[marked.end() :]
    yield text
    if text.strip()[:1] == "`":
        yield text.strip().strip("`")


def _block(behind_fence: str, lines: str) -> str | None:
    """The code of a block, or None where it is of another language. `behind_fence` may be its language or its start."""
    named = _LANGUAGE.fullmatch(behind_fence)
    assert named is not None
    language, rest = named[1], named[2]
    if language.lower() in _LANGUAGES:
        return f"{rest}\n{lines}" if _CODE.match(rest) else lines
    return f"{behind_fence}\n{lines}" if _CODE.match(behind_fence.strip()) else None


def _programs(text: str, start: str) -> Iterator[Found]:
    """Programs that a text can be read as: the body of the function that was begun, or a definition of its own."""
    text = text.strip("\n")
    lines = textwrap.dedent(text).split("\n")
    first = next((at for at, line in enumerate(lines) if _CODE.match(line)), None)
    if first is None and (indented := _INDENTED.search(text)):
        lines, first = textwrap.dedent(_OUTDENTED.split(text[indented.start() :])[0]).split("\n"), 0
    own = _longest(lines[first:], "") if first is not None else None
    body = _body(text, start) if start else None
    if body and (own is None or not _DEFINITION.search(own) or _lines(body) > _lines(own)):
        yield Found(start + body, body, "")
        if own and _lines(body) > _lines(own):
            return
    if own:
        whole = f"{_whole(start)}\n\n{own}" if start else own
        yield Found(whole if compiles(whole) else own, own, "")


def _body(text: str, start: str) -> str | None:
    """The longest body of the function that was begun, in all of a text or behind lines of prose in it."""
    indented = re.search(r"^[ \t]+\S", text, re.MULTILINE)
    if indented and any(_CODE.match(line) for line in text[: indented.start()].split("\n")):
        indented = None
    for part in (text, text[indented.start() :] if indented else ""):
        bodies = [kept for body in _bodies(part) if (kept := _longest(body.split("\n"), start))]
        if bodies:
            return max(bodies, key=_lines)
    return None


def _bodies(text: str) -> Iterator[str]:
    """A body as it is, or with what it lacks: its first line's indentation, or that of all its lines."""
    if text[:1] in " \t":
        yield text
        yield textwrap.indent(textwrap.dedent(text), "    ")
    first, _, rest = text.lstrip(" \t").partition("\n")
    rest = re.split(r"^(?=[^\s])", rest, maxsplit=1, flags=re.MULTILINE)[0]
    for indent in dict.fromkeys(re.findall(r"^[ \t]+(?=\S)", rest, re.MULTILINE)[:2]):
        yield textwrap.indent(textwrap.dedent(f"{indent}{first}\n{rest.rstrip()}"), "    ")
    yield textwrap.indent(text.lstrip(" \t"), "    ")


def _lines(text: str) -> int:
    """How many lines of a text say something."""
    return sum(bool(line.strip()) for line in text.split("\n"))


def _start(question: str) -> str:
    """The question when it is Python that ends in a function still without a body, else "". Ends in a new line."""
    start = question.rstrip() + "\n"
    try:
        tree = ast.parse(_whole(start))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return start if tree.body and isinstance(tree.body[-1], ast.FunctionDef | ast.AsyncFunctionDef) else ""


def _whole(start: str) -> str:
    """A function's start as a function that does nothing."""
    return start + "    pass\n" if start else ""


def _longest(lines: list[str], start: str) -> str | None:
    """The most of the lines, from the first on, that is Python behind `start`; None where that is nothing."""
    before = start.count("\n")
    end = len(lines)
    for _ in range(_MOST_CUTS):
        text = "\n".join(lines[:end]) + "\n"
        if not text.strip():
            return None
        try:
            compile(start + text, "<response>", "exec", dont_inherit=True)
        except SyntaxError as error:
            end = max(0, min(end - 1, (error.lineno or 1) - 1 - before))
            continue
        except (ValueError, RecursionError, MemoryError):
            return None
        return text if _says_something(text) else None
    return None


def compiles(source: str) -> bool:
    """Whether a text is Python."""
    try:
        compile(source, "<response>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _says_something(text: str) -> bool:
    """Whether Python text is more than a word of prose that happens to be a name, or a comment."""
    statements = ast.parse(textwrap.dedent(text)).body if compiles(textwrap.dedent(text)) else [ast.Pass()]
    return any(
        not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Name | ast.Tuple | ast.Compare | ast.Starred))
        for one in statements
    )


def _defines(source: str, names: list[str]) -> bool:
    """Whether all names are bound at the top of a source."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    bound: set[str] = set()
    for statement in tree.body:
        for node in [statement, *([] if hasattr(statement, "body") else ast.walk(statement))]:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                bound.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                bound.update(name.asname or name.name for name in node.names)
            elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                bound.add(node.id)
    return bound >= set(names)
