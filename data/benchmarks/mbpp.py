r"""MBPP: mostly basic Python problems, each a sentence, a solution written by a person, and three assertions.

    {"task_id": 2, "text": "Write a function to find the similar elements from the given two tuple lists.",
     "code": "def similar_elements(test_tup1, test_tup2):\r\n  res = tuple(set(test_tup1) & set(test_tup2))\r\n  …",
     "test_list": ["assert similar_elements((3, 4, 5, 6),(5, 7, 4, 10)) == (4, 5)",
                   "assert similar_elements((1, 2, 3, 4),(5, 4, 3, 7)) == (3, 4)", …],
     "test_setup_code": "", "challenge_test_list": []}

A response is right when all assertions of `test_list` hold after `test_setup_code` (Austin et al. 2021, arXiv
2108.07732, section 3.1; `challenge_test_list` is no part of the score). The gold answer is these tests as the verifier
`code` takes them; what they take from the response is what the person's solution defines of the names they use (in task
126 that is `sum`). The prompt is the official one without its examples (mbpp/README.md): it shows the assertions and
ends in `[BEGIN]`. The reference is the solution up to `[DONE]`.
Splits by task id, as in the paper: 601 to 974 train, 511 to 600 validation, 11 to 510 test, 1 to 10 for examples in
prompts. All 974 solutions are judged correct.
Licence CC BY 4.0. Hub google-research-datasets/mbpp, config full, 374 training and 500 test problems; or mbpp.jsonl of
github.com/google-research/google-research (mbpp/).
"""

import ast

from data.benchmark import Benchmark
from data.prompt import prompt
from data.row_values import Row
from data.source import Hub

IDS = {"train": range(601, 975), "validation": range(511, 601), "test": range(11, 511), "prompt": range(1, 11)}
"""The task ids of each split (mbpp/README.md; Austin et al. 2021, section 3.1)."""
_FILE = ("mbpp.jsonl",)


def row(raw: Row) -> Row:
    code = raw["code"].replace("\r\n", "\n").strip()
    return {
        "id": str(raw["task_id"]),
        "question": raw["text"],
        "gold": tests(code, raw["test_setup_code"], raw["test_list"]),
        "reference": f"{code}\n[DONE]",
        "test_list": list(raw["test_list"]),
    }


def tests(code: str, setup: str, assertions: list[str]) -> str:
    """The assertions as a module that imports from `program` what the solution defines of the names they use."""
    body = "\n".join([setup.replace("\r\n", "\n").strip(), *(one.strip() for one in assertions)]).strip()
    try:
        used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
        solution = ast.parse(code)
    except SyntaxError as error:
        raise ValueError(f"column 'test_list', 'test_setup_code' or 'code' is no Python: {error}") from error
    taken, imports = [], []
    for statement in solution.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name in used:
            taken.append(statement.name)
        elif isinstance(statement, ast.Import):
            imports += [f"import {name.name}" for name in statement.names if not name.asname and name.name in used]
    if not taken:
        raise ValueError("the assertions use nothing that column 'code' defines")
    return "\n".join([*imports, f"from program import {', '.join(dict.fromkeys(taken))}", body, ""])


def in_split(row: Row, split: str) -> bool:
    return int(row["id"]) in IDS[split]


BENCHMARKS = (
    Benchmark(
        name="mbpp",
        source=Hub("google-research-datasets/mbpp", "full", revision="4bb6404fdc6cacfda99d4ac4205087b89d32030c"),
        row=row,
        keep=in_split,
        id="id",
        prompt=prompt("code_mbpp"),
        verifier="code",
        licence="CC BY 4.0",
        splits=tuple(IDS),
        layouts=dict.fromkeys(IDS, _FILE),
    ),
)
