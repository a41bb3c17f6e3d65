r"""ROUGE-L: how much of a reference the final answer has in order, as Natural Instructions scores generated text.

    {"references": ["the cats sat"], "gold": "the cats sat", "response": "Final answer: cat sitting"}       wrong, 0.4

`partial` is the ROUGE-L F-measure of rouge_score with stemming, the best over the references, as in eval/automatic/
evaluation.py of allenai/natural-instructions (8540acd; Wang et al. 2022, arXiv 2204.07705), from 0 to 1 where the
script prints 0 to 100. The verdict is correct where it is 1, that is, where the same stems stand in the same order; for
such tasks the score says more than the verdict.

That script's tokenizer keeps a-z and 0-9 only, so that any text in another script scores 0 against itself; its second
track reads such text with the tokens of GPT-2. Here references with more letters of other scripts than Latin ones are
compared by words of any script (Chinese, Japanese and Thai by characters); all others exactly as officially.

The answer is what follows `Final answer:`, all lines of it, or else the whole response (`final_passage`), as the script
takes the whole prediction; without sentences at its end that speak to the reader ("I hope this helps!") where it scores
higher so. Rows without `references` have one, `gold`.
"""

import functools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from data.row_contract import ListColumn
from tasks.answer.final_answer import final_passage, without_courtesy
from tasks.kinds.verifiers import Verdict

COLUMN = ListColumn("references", "the right outputs")
GRADED = True
"""Its `wrong` only says that an answer has other words than every reference: it may be right all the same."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+")


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Score by ROUGE-L. Needs `references` (a list) or `gold`, and fails when they are empty."""
    wanted = references(row)
    answer = final_passage(response)
    if not answer:
        return Verdict("unparseable", None, "the final answer is empty")
    best, said = max((rouge_l(text, wanted), text) for text in {answer, without_courtesy(answer)})
    return Verdict("correct" if best == 1 else "wrong", said, partial=best)


def references(row: Mapping[str, Any]) -> list[str]:
    """The gold outputs of a row.

    Raises:
        ValueError: there are none, or one of them is empty.
    """
    given = row.get("references")
    if given is None:
        given = [row["gold"]]
    if isinstance(given, str) or not len(given) or not all(isinstance(text, str) and text.strip() for text in given):
        raise ValueError(f"references are a list of texts, not {given!r}")
    return list(given)


def rouge_l(answer: str, references: Sequence[str]) -> float:
    """The best ROUGE-L F-measure of an answer over its references, 0 to 1."""
    scorer = _scorer(any_script=foreign("".join(references)))
    return max(float(scorer.score(target=text, prediction=answer)["rougeL"].fmeasure) for text in references)


@functools.lru_cache(maxsize=2)
def _scorer(any_script: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True, tokenizer=_AnyScript() if any_script else None)


class _AnyScript:
    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def foreign(text: str) -> bool:
    """Whether most letters of a text are of another script than the Latin one."""
    letters = [char for char in text if char.isalpha()]
    latin = sum(char.isascii() or unicodedata.name(char, "").startswith("LATIN") for char in letters)
    return 2 * latin < len(letters)
