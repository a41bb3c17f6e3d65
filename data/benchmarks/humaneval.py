r"""HumanEval: Python functions to complete from their signature and docstring, with unit tests.

    {"task_id": "HumanEval/53", "entry_point": "add",
     "prompt": "\n\ndef add(x: int, y: int):\n    \"\"\"Add two numbers x and y\n    >>> add(2, 3)\n    5\n    \"\"\"",
     "canonical_solution": "    return x + y\n",
     "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    import random\n\n    assert candidate(0, 1) == 1 …"}

A response is right when the function passes `check(entry_point)`: official rule, pass@k over it (Chen et al. 2021,
arXiv 2107.03374; `check_correctness` in human_eval/execution.py, 3 seconds a program). The gold answer is the tests as
the verifier `code` takes them; where they use what the prompt defines (3 of 164: HumanEval/32, 38, 50), they bring it
along, so that a response cannot change it. The reference is the canonical solution in the form that the prompt asks
for. The paper's own prompt, for models that continue a text, is the bare question (template `question`).

`humaneval` has all 164 as its test split. `humaneval/first_half` trains on HumanEval/0 to 81 and tests on 82 to 163,
`humaneval/second_half` the other way round (the two folds of Ren et al. 2024, arXiv 2402.11192).
Licence MIT. Hub openai/openai_humaneval, 164 problems; or HumanEval.jsonl.gz of github.com/openai/human-eval (data/).
"""

import ast

from data.benchmark import Benchmark
from data.prompt import prompt
from data.row_values import Row
from data.source import Hub

HALF = 82


def row(raw: Row) -> Row:
    return {
        "id": raw["task_id"],
        "question": raw["prompt"],
        "gold": tests(raw["prompt"], raw["test"], raw["entry_point"]),
        "reference": f"```python\n{raw['prompt'].strip()}\n{raw['canonical_solution'].rstrip()}\n```",
        "entry_point": raw["entry_point"],
    }


def tests(start: str, test: str, entry_point: str) -> str:
    """A problem's tests as a module that imports the function from `program`."""
    try:
        used = {node.id for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
        defined = _defined(ast.parse(start))
    except SyntaxError as error:
        raise ValueError(f"column 'test' or 'prompt' is no Python: {error}") from error
    brought = f"{start.rstrip()}\n\n" if used & (defined - {entry_point}) else ""
    return f"{brought}from program import {entry_point}\n\n{test.strip()}\n\ncheck({entry_point})\n"


def _defined(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names.update(name.asname or name.name for name in statement.names)
    return names


def first_half(row: Row, split: str) -> bool:
    return (_number(row) < HALF) == (split == "train")


def second_half(row: Row, split: str) -> bool:
    return (_number(row) < HALF) == (split == "test")


def _number(row: Row) -> int:
    return int(row["id"].rpartition("/")[2])


_HUB = Hub("openai/openai_humaneval", "openai_humaneval", revision="7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544")
_HALVES = Hub(_HUB.id, _HUB.config, _HUB.revision, splits={"train": "test"})
_FILE = ("HumanEval.jsonl.gz", "HumanEval.jsonl")

BENCHMARKS = (
    Benchmark(
        name="humaneval",
        source=_HUB,
        row=row,
        id="id",
        prompt=prompt("code"),
        verifier="code",
        licence="MIT",
        splits=("test",),
        layouts={"test": _FILE},
    ),
    *(
        Benchmark(
            name=f"humaneval/{keep.__name__}",
            source=_HALVES,
            row=row,
            keep=keep,
            id="id",
            prompt=prompt("code"),
            verifier="code",
            licence="MIT",
            layouts={"train": _FILE, "test": _FILE},
        )
        for keep in (first_half, second_half)
    ),
)
