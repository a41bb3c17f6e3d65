"""Imports go one way: no circle among files, none among rooms, no arrow that runs back up."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
TOP = ("data", "tasks", "flows", "deployments")
"""Each may import from itself and from those before it."""


def modules() -> dict[str, Path]:
    """Every source file by its dotted name."""
    files = (file for top in TOP for file in sorted((PROJECT / top).rglob("*.py")))
    names = {".".join(file.relative_to(PROJECT).with_suffix("").parts): file for file in files}
    return {name.removesuffix(".__init__"): file for name, file in names.items()}


def imports(source: str, known: Iterable[str]) -> set[str]:
    """The project's modules that a source imports, inside functions too."""
    known = set(known)
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name the whole path"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                found.add(inside if inside in known else str(node.module))
    return found & known


def circle(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    """One circle among the arrows, its start again at its end; empty where there is none."""
    finished: set[str] = set()

    def below(path: list[str]) -> list[str]:
        for target in sorted(arrows.get(path[-1], ())):
            if target in path:
                return [*path[path.index(target) :], target]
            if target not in finished and (found := below([*path, target])):
                return found
        finished.add(path[-1])
        return []

    return next((found for start in sorted(arrows) if (found := below([start]))), [])


def room(name: str, file: Path) -> str:
    """The folder of a file inside `tasks`, `flows` or `data`; a file at the top of one is a room of its own."""
    return name if file.name == "__init__.py" or name.count(".") < 2 else name.rpartition(".")[0]


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    known = modules()
    return {name: imports(file.read_text(encoding="utf-8"), known) - {name} for name, file in known.items()}


def test_a_circle_is_found() -> None:
    assert circle({"a": ["b"], "b": ["c"], "c": ["a"]}) == ["a", "b", "c", "a"]
    assert circle({"a": ["b", "c"], "b": ["c"]}) == []


def test_an_import_inside_a_function_counts() -> None:
    assert imports("def f():\n    from tasks import verify\n    import data.kinds", ["tasks.verify", "data.kinds"]) == {
        "tasks.verify",
        "data.kinds",
    }


def test_no_circle_among_files(arrows: dict[str, set[str]]) -> None:
    assert len(arrows) > 200
    assert circle(arrows) == []


def test_no_circle_among_rooms(arrows: dict[str, set[str]]) -> None:
    known = modules()
    rooms: dict[str, set[str]] = defaultdict(set)
    for name, targets in arrows.items():
        here = room(name, known[name])
        rooms[here] |= {room(target, known[target]) for target in targets} - {here}
    assert circle(rooms) == []


def test_folders_import_only_from_those_below(arrows: dict[str, set[str]]) -> None:
    order = {top: number for number, top in enumerate(TOP)}
    upward = [
        (name, target)
        for name, targets in arrows.items()
        for target in targets
        if order[target.partition(".")[0]] > order[name.partition(".")[0]]
    ]
    assert upward == []


def named_in(docstring: str) -> set[str] | None:
    """The rooms that a room's docstring says it imports; None where it may import any."""
    sentence = docstring.partition("\nImport")[2].partition(";")[0]
    assert sentence, f"says nothing of its imports: {docstring}"
    return None if "other room" in sentence else set(re.findall(r"`([\w.]+)`", sentence))


def may_be_imported(target: str, here: str, named: set[str]) -> bool:
    """Whether a room's docstring names another room, or the whole of a folder above its own (`data`, `tasks`)."""
    top, _, inside = target.partition(".")
    if top == here.partition(".")[0]:
        return not inside or inside in named
    return top in named or (top == "data" and "tasks" in named)


@pytest.mark.parametrize("top", ["tasks", "flows"])
def test_each_room_says_what_it_imports(top: str, arrows: dict[str, set[str]]) -> None:
    known = modules()
    unsaid: list[tuple[str, str]] = []
    for file in sorted((PROJECT / top).glob("*/**/__init__.py")):
        here = ".".join(file.parent.relative_to(PROJECT).parts)
        named = named_in(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "")
        for name, targets in arrows.items():
            if named is not None and room(name, known[name]) == here:
                rooms = {target: room(target, known[target]) for target in targets}
                unsaid += [
                    (name, target)
                    for target, other in rooms.items()
                    if other != here and not may_be_imported(other, here, named)
                ]
    assert unsaid == []


def test_the_listing_of_tasks_is_the_chain() -> None:
    """Every file in tasks/ is a stage of its name; everything else lies in a room."""
    for file in sorted((PROJECT / "tasks").glob("*.py")):
        if file.name != "__init__.py":
            tree = ast.parse(file.read_text(encoding="utf-8"))
            stages = [
                node.name
                for node in tree.body
                if isinstance(node, ast.FunctionDef) and any("stage" in ast.unparse(d) for d in node.decorator_list)
            ]
            assert stages == [file.stem], f"{file.name} holds the stages {stages}"
