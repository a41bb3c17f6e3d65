"""A fingerprint of the code a stage runs: the normalised syntax trees of its function and what it reaches.

Comments, formatting, docstrings and type annotations are left out, so that only a change that can change a result
changes a key; where a definition lies, and by which name it is imported, is left out too. Code that decides where a
stage runs, not what it computes, says so where it stands (`MARK`) and is not followed.
"""

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FunctionType

PROJECT = ("data", "tasks", "flows", "deployments")
MARK = "DECIDES_NO_RESULT"
"""A module, or the `__init__` of a room, that sets this moves, keeps or schedules rows and never decides what is in
them: its code is in no fingerprint."""

Definition = tuple[str, str]
"""A module and the name of something at its top level."""


class UnresolvedName(LookupError):
    """Project code that a stage runs refers to a name that cannot be found in any source file."""


class _Bare(ast.NodeTransformer):
    """Strips what cannot change a result: docstrings, annotations of functions, decorators of stages."""

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        node.decorator_list = [d for d in node.decorator_list if "stage" not in ast.dump(d)]
        node.body = _without_docstring(node.body)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = _without_docstring(node.body)
        return node


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    kept = [
        s
        for s in body
        if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str))
    ]
    return kept or [ast.Pass()]


class _Module:
    """The top level of one source file: what it defines, and what its names refer to in other project files."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, tuple[str, str | None]] = {}
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for statement in tree.body:
            self._add(statement)

    def _add(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self.imports.update(imported(statement, self.name, self.path))
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.definitions.setdefault(statement.name, []).append(_Bare().visit(statement))
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if isinstance(statement, ast.AnnAssign):
                statement.annotation = ast.Constant(None)
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        self.definitions.setdefault(name.id, []).append(_Bare().visit(statement))
        elif isinstance(statement, ast.If | ast.Try):
            for inner in ast.iter_child_nodes(statement):
                if isinstance(inner, ast.stmt):
                    self._add(inner)


def imported(statement: ast.Import | ast.ImportFrom, module: str, path: Path) -> dict[str, tuple[str, str | None]]:
    """Names an import statement binds, each to a project module and, for `from … import`, the name taken from it."""
    found: dict[str, tuple[str, str | None]] = {}
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if alias.name.split(".")[0] in PROJECT:
                bound = alias.asname or alias.name.split(".")[0]
                found[bound] = (alias.name if alias.asname else bound, None)
        return found
    origin = statement.module or ""
    if statement.level:
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for _ in range(statement.level - 1):
            package = package.rpartition(".")[0]
        origin = f"{package}.{origin}".rstrip(".")
    if origin.split(".")[0] in PROJECT:
        for alias in statement.names:
            found[alias.asname or alias.name] = (origin, alias.name)
    return found


@functools.cache
def _module(name: str) -> _Module | None:
    loaded = sys.modules.get(name)
    file = getattr(loaded, "__file__", None)
    if file is None:
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            return None
        file = spec.origin if spec else None
    return _Module(name, Path(file)) if file and file.endswith(".py") else None


@functools.cache
def _reached_from(definition: Definition) -> tuple[Definition, ...]:
    """What one definition refers to directly in project code."""
    module = _module(definition[0])
    if module is None:
        return ()
    found: dict[Definition, None] = {}
    for tree in module.definitions.get(definition[1], []):
        names, nodes = dict(module.imports), list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names.update(imported(node, module.name, module.path))
        for node in nodes:
            if isinstance(node, ast.Name):
                if node.id in module.definitions:
                    found[(module.name, node.id)] = None
                elif node.id in names and names[node.id][1] is not None:
                    origin, attribute = names[node.id]
                    found[(origin, str(attribute))] = None
            elif isinstance(node, ast.Attribute):
                dotted = _dotted(node)
                head, _, rest = dotted.partition(".")
                if head in names and rest:
                    origin, attribute = names[head]
                    base = origin if attribute is None else f"{origin}.{attribute}"
                    found[_split(f"{base}.{rest}")] = None
    return tuple(found)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        head = _dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return node.id if isinstance(node, ast.Name) else ""


def _split(dotted: str) -> Definition:
    """The longest prefix that is a module, and the first name inside it."""
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        if _module(".".join(parts[:cut])) is not None:
            return ".".join(parts[:cut]), parts[cut]
    return parts[0], parts[-1]


def _resolve(definition: Definition) -> Definition:
    """Follow re-exports (`from x import y` in a package) to where the name is defined."""
    for _ in range(8):
        module = _module(definition[0])
        if module is None or definition[1] in module.definitions or definition[1] not in module.imports:
            return definition
        origin, attribute = module.imports[definition[1]]
        if attribute is None:
            return definition
        definition = (origin, attribute)
    return definition


def _unplaced(part: object, names: Mapping[str, tuple[str, str | None]], said: Callable[[Definition], str]) -> str:
    """What `ast.dump` says of a tree in which `pass` stands for each import, and a definition's own name for what it
    is called where it is imported (`formatting.points`, `points as shown`).

    What imports bring in is followed, and counts itself. The tree stays as it is: to copy it first takes half the time
    of a plan.
    """
    if isinstance(part, ast.Import | ast.ImportFrom):
        return "Pass()"
    if isinstance(part, ast.Attribute) and (definition := _referred(_dotted(part), names)) is not None:
        return said(definition)
    loaded = part.id if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) else ""
    if loaded and (definition := _referred(loaded, names)) is not None:
        return said(definition)
    if isinstance(part, ast.AST):
        kind, fields = type(part), []
        for name, value in ast.iter_fields(part):
            if value is not None or getattr(kind, name, ...) is not None:
                fields.append(f"{name}={_unplaced(value, names, said)}")
        return f"{kind.__name__}({', '.join(fields)})"
    if isinstance(part, list):
        return f"[{', '.join(_unplaced(item, names, said) for item in part)}]"
    return repr(part)


def _referred(dotted: str, names: Mapping[str, tuple[str, str | None]]) -> Definition | None:
    """The project definition that a name, or an attribute of an imported module, stands for."""
    head, _, rest = dotted.partition(".")
    if head not in names:
        return None
    origin, attribute = names[head]
    base = origin if attribute is None else f"{origin}.{attribute}"
    if attribute is not None and not _is_module(
        origin, attribute
    ):  # of an object's attributes, the object is a name of its own
        return None if rest else (origin, attribute)
    if not rest:
        return None
    module, name = _split(f"{base}.{rest}")
    return (module, name) if f"{module}.{name}" == f"{base}.{rest}" else None


@functools.cache
def _is_module(package: str, name: str) -> bool:
    """Whether a name in a package is a module of it. Nothing is imported to find out."""
    within = _module(package)
    if within is None or within.path.name != "__init__.py" or name in within.definitions or name in within.imports:
        return False
    folder = within.path.parent
    return (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists()


def _by_name(definition: Definition) -> str:
    return f"Project({definition[1]})"


def _by_content(definition: Definition) -> str:
    """Two definitions of one name in different modules are told apart by what they say themselves."""
    found = _resolve(definition)
    module = _module(found[0])
    known = module is not None and found[1] in module.definitions and not _is_marked(found[0])
    return f"Project({found[1]} {_digest(found, _by_name) if known else ''})"


@functools.cache
def _digest(definition: Definition, said: Callable[[Definition], str]) -> str:
    module = _module(definition[0])
    assert module is not None
    lines = []
    for tree in module.definitions[definition[1]]:
        own: dict[str, tuple[str, str | None]] = {name: (module.name, name) for name in module.definitions}
        names = own | module.imports
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names.update(imported(node, module.name, module.path))
        lines.append(_unplaced(tree, names, said))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@functools.cache
def by_file(*roots: Definition) -> dict[str, str]:
    """Digests of the code that top-level definitions reach together, by source file relative to the project: for
    people, who want to know where a change is. Keys are of `content`."""
    by_file: dict[str, list[str]] = {}
    for definition in _reached(roots):
        source = _module(definition[0])
        assert source is not None
        package = "/".join(definition[0].split("."))
        file = f"{package}/__init__.py" if source.path.name == "__init__.py" else f"{package}.py"
        by_file.setdefault(file, []).append(_line(definition, _by_name))
    return {file: hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] for file, lines in by_file.items()}


@functools.cache
def content(*roots: Definition) -> str:
    """A digest of the same code wherever it lies: moving a definition, or renaming its module, changes nothing."""
    lines = sorted({_line(definition, _by_content) for definition in _reached(roots)})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _line(definition: Definition, said: Callable[[Definition], str]) -> str:
    return f"{definition[1]} {_digest(definition, said)}"


def _reached(roots: Sequence[Definition]) -> list[Definition]:
    """All definitions that code in the project reaches from some, themselves among them, placement aside."""
    reached: dict[Definition, None] = {}
    queue = [_resolve(root) for root in roots]
    while queue:
        definition = queue.pop()
        module, name = definition
        if definition in reached or module.split(".")[0] not in PROJECT or _is_marked(module):
            continue
        source = _module(module)
        if source is None or name not in source.definitions:
            if _is_module(module, name):
                continue  # a module as a value: what is taken from it counts where it is taken
            raise UnresolvedName(f"{module}.{name}: a key is made of its code, and it is defined nowhere")
        reached[definition] = None
        queue.extend(_resolve(other) for other in _reached_from(definition))
    return sorted(reached)


@functools.cache
def _is_marked(module: str) -> bool:
    """Whether a module, or a room it lies in, says that it decides no result."""
    parts = module.split(".")
    rooms = (_module(".".join(parts[:length])) for length in range(1, len(parts) + 1))
    return any(room is not None and MARK in room.definitions for room in rooms)


def root(code: FunctionType | type) -> Definition:
    """Where a function or class is defined; a nested one counts with the top-level one it stands in."""
    return code.__module__, code.__qualname__.split(".")[0]
