r"""Exact match as Natural Instructions scores it: the final answer is one of the references.

    {"references": ["Yes.", "It is"], "gold": "Yes.", "response": "Final answer: yes"}                           correct

Text is compared as in eval/automatic/evaluation.py of allenai/natural-instructions (8540acd; Wang et al. 2022, arXiv
2204.07705): in lower case, without ASCII punctuation, with single spaces; articles stay, unlike in SQuAD. An answer of
nothing but punctuation therefore equals a reference of nothing but punctuation. An empty answer is unparseable.

The answer is what follows `Final answer:`, all lines of it, or else the whole response (`final_passage`), as the script
takes the whole prediction; sentences at its end that speak to the reader ("I hope this helps!") do not count against
it. Rows without `references` have one, `gold`.
"""

import string
from typing import Any

from data.row_contract import ListColumn
from tasks.answer.final_answer import final_passage, without_courtesy
from tasks.kinds.verifiers import Verdict
from tasks.verifiers.rouge_l import references

COLUMN = ListColumn("references", "the right outputs")

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Judge by exact match. Needs `references` (a list) or `gold`, and fails when they are empty."""
    wanted = {normal(text) for text in references(row)}
    answer = final_passage(response)
    if not answer:
        return Verdict("unparseable", None, "the final answer is empty")
    for text in (answer, without_courtesy(answer)):
        if (said := normal(text)) in wanted:
            return Verdict("correct", said)
    return Verdict("wrong", normal(answer))


def normal(text: str) -> str:
    """The text as the official script compares it."""
    return " ".join(text.lower().translate(_PUNCTUATION).split())
