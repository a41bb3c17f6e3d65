r"""ECQA: CommonsenseQA questions with five options, and why one is right and the others are not, written by people.

    {"q_no": "4f1c…", "q_concept": "umbrella", "q_text": "Where would you put a wet umbrella at home?",
     "q_op1": "hall", "q_op2": "bed", "q_op3": "cinema", "q_op4": "sky", "q_op5": "oven", "q_ans": "hall",
     "taskA_pos": "A hall is near the door.\n…", "taskA_neg": "A bed must stay dry.\n…",
     "taskB": "A hall is near the door and may get wet, while a bed must stay dry, and …"}

The gold answer is the letter of `q_ans` among the options; a response is right when it names that option (accuracy, as
CommonsenseQA is scored: Talmor et al. 2019, arXiv 1811.00937; ECQA is Aggarwal et al. 2021, ACL, its columns are listed
in the ReadMe of github.com/dair-iitd/ECQA-Dataset). The reference is the free-flow explanation (`taskB`) with the last
line `Final answer: A`.

Licence CDLA-Sharing-1.0 (its card and github.com/IBM/ecqa). Hub tasksource/ecqa, 7,598 training, 1,090 validation and
2,194 test questions; or the CSV files that the authors' generate_data.py writes (cqa_data_train.csv, …_val.csv,
…_test.csv).
"""

from data.benchmark import Benchmark
from data.prompt import prompt
from data.row_values import Row
from data.source import Hub

_LETTERS = "ABCDE"


def row(raw: Row) -> Row:
    options = [str(raw[f"q_op{number}"]) for number in range(1, 6)]
    right = [letter for letter, option in zip(_LETTERS, options, strict=True) if option == str(raw["q_ans"])]
    if not right:
        raise ValueError(f"column 'q_ans' is {raw['q_ans']!r}, which is no option; there are {', '.join(options)}")
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(_LETTERS, options, strict=True))
    explanation = str(raw["taskB"] or "").strip()
    return {
        "id": raw["q_no"],
        "question": f"{raw['q_text']}\n{listed}",
        "gold": right[0],
        "reference": f"{explanation}\nFinal answer: {right[0]}" if explanation else None,
        "options": options,
    }


BENCHMARKS = (
    Benchmark(
        name="ecqa",
        source=Hub("tasksource/ecqa", "default", revision="df569fd26a7bca39042e9cb88e3a1c6791b466e7"),
        id="id",
        row=row,
        prompt=prompt("choose"),
        verifier="choice",
        licence="CDLA-Sharing-1.0",
        splits=("train", "validation", "test"),
        layouts={
            "train": ("cqa_data_train.csv",),
            "validation": ("cqa_data_val.csv",),
            "test": ("cqa_data_test.csv",),
        },
    ),
)
