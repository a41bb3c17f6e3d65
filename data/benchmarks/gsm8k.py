"""GSM8K: grade-school word problems with solutions written by people.

    {"question": "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. …",
     "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\\nNatalia sold 48+24 = <<48+24=72>>72 clips altogether
                in April and May.\\n#### 72"}

The gold answer is the number after `####`; a response is right when the number after its last final-answer mark equals
it (Cobbe et al. 2021, arXiv 2110.14168; `is_correct` in the official grade_school_math/dataset.py). The reference is
the human solution as a student should see it: without calculator marks, its last line as `Final answer: 72`.
Licence MIT. Hub openai/gsm8k, 7,473 training and 1,319 test questions; the files of github.com/openai/grade-school-math
(train.jsonl, test.jsonl) have the same columns.
"""

from data.benchmark import Benchmark
from data.calculator_marks import without_calculator_marks
from data.prompt import prompt
from data.row_values import Row
from data.source import Hub

_MARK = "####"


def row(raw: Row) -> Row:
    """The gold answer as the file has it (14 test answers have a comma: 2,125), the solution in the prompt's form."""
    solution, mark, answer = str(raw["answer"]).rpartition(_MARK)
    gold = answer.strip()
    if not mark or not gold:
        raise ValueError(f"column 'answer' does not end in '{_MARK} <number>': {str(raw['answer'])[-40:]!r}")
    reference = f"{without_calculator_marks(solution.strip())}\nFinal answer: {gold}"
    return {"question": raw["question"], "gold": gold, "reference": reference}


BENCHMARKS = (
    Benchmark(
        name="gsm8k",
        source=Hub("openai/gsm8k", "main", revision="cc7b047b6e5bb11b4f1af84efc572db110a51b3c"),
        row=row,
        prompt=prompt("solve"),
        verifier="number",
        licence="MIT",
    ),
)
