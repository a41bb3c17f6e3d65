r"""Code: the program in the response passes the tests, run in a sandbox (`tasks.sandbox`).

    {"question": "def add(a, b):\n    \"\"\"The sum.\"\"\"\n", "gold": "from program import add\nassert add(1, 2) == 3",
     "response": "```python\ndef add(a, b):\n    return a + b\n```"}                                        correct

`gold` is the tests: Python source that imports what it tests from a module `program` and fails by raising. Without such
an import, the names that nothing else defines are what is tested. `question` may be the start of a function; then a
response may be only the rest of its body (HumanEval). HumanEval's and MBPP's rows come in this form.

- Correct: every test passed. Wrong: one did not, or the program ended, crashed or took more than it may.
- Unparseable: the response is empty or has no Python in it (`tasks.sandbox.answer` says where it is looked for).
- Error: there is no sandbox, it failed, or the row's own tests are no tests. Nothing is ever run without a sandbox.

Official rule: pass@k over `exec(prompt + completion + test + check(entry_point))`, 3 seconds (Chen et al. 2021, arXiv
2107.03374; `human_eval/execution.py`). The same here but for: what is compared are plain values, taken from another
process, so that a result of a class of the program's own equals nothing; arguments are copies; the 3 seconds are
processor time.
"""

import ast
from typing import Any

from tasks.answer.turn import turn
from tasks.kinds.verifiers import Verdict
from tasks.sandbox import sandbox

PARALLEL = "threads"


def gold_problem(row: dict[str, Any]) -> str:
    """Why a row's tests cannot be tests, as far as that shows without running them; empty where nothing does."""
    try:
        parsed = ast.parse(row["gold"])
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"the tests are no Python: {error}"
    if not any(isinstance(node, ast.Assert | ast.Raise | ast.Call) for node in ast.walk(parsed)):
        return "the tests assert and call nothing"
    return ""


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Judge by running it. Needs `gold` (the tests) and `question` in the row.

    Raises:
        SandboxMissing, SandboxBroken: it could not be run where it can do no harm.
    """
    verdict, code, reason = sandbox.judge(turn(response), row.get("question") or "", row["gold"])
    assert verdict in ("correct", "wrong", "unparseable", "error")
    return Verdict(verdict, code, reason)  # type: ignore[arg-type]
