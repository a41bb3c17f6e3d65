r"""Character LCS: what the code of SELF-GUIDE calls ROUGE-L: the longest common subsequence of characters.

    {"gold": "the cats sat", "response": "Final answer: cat sitting"}                                      wrong, 0.5217

`partial` is the F-measure of the longest common subsequence of the characters of the answer and of the gold answer, as
they stand, from 0 to 1 (Zhao et al. 2024, arXiv 2407.12874; github zhaochenyang20/Prompt2Model-Self-Guide). It lies
well above ROUGE-L over words, the official score of Natural Instructions (`rouge_l`): copying the input scores 0.65 in
task1562, and 0.52 there. The verdict is correct where both texts are the same.

The answer is what follows `Final answer:`, all lines of it, or else the whole response (`final_passage`).
"""

from typing import Any

from tasks.answer.final_answer import final_passage
from tasks.kinds.verifiers import Verdict

GRADED = True
"""Its `wrong` only says that an answer has other letters than the gold answer: it may be right all the same."""


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Score by the common subsequence of characters. Needs `gold`, and fails when it is empty."""
    gold = row["gold"]
    if not isinstance(gold, str) or not gold.strip():
        raise ValueError(f"the gold answer is a text, not {gold!r}")
    answer = final_passage(response)
    if not answer:
        return Verdict("unparseable", None, "the final answer is empty")
    score = character_lcs(answer, gold.strip())
    return Verdict("correct" if score == 1 else "wrong", answer, partial=score)


def character_lcs(answer: str, gold: str) -> float:
    """Twice the length of the longest common subsequence of characters, as a share of both lengths, 0 to 1."""
    from rapidfuzz.distance import LCSseq

    return 2 * LCSseq.similarity(answer, gold) / (len(answer) + len(gold))
