"""The leak check: no evaluation question may stand among the training questions.

Two questions are the same when their normalised texts are equal, or when one training question has at least half of
the evaluation question's 13-word sequences (13 as in Brown et al. 2020, appendix C) and all of its numbers, in their
order. A question of 8 to 12 words is one sequence as a whole; shorter ones are only compared as whole texts. One shared
sequence alone would be too strict: in real GSM8K, 3 test questions share one with a training question, one of them more
than half (a plane of 1200 miles, a train of 270), all with other numbers, and generated questions of one template are
like that.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from data.errors import InputError
from tasks.questions import normalised
from tasks.rows import Row, Rows
from tasks.stage import Work, stage

NGRAM = 13
SHORTEST = 8
"""Words; a shorter question is compared as a whole text only."""
SHARE = 0.5
"""Share of a question's n-grams that must stand in one training question for the two to count as the same."""
NAMED = 3
"""Overlaps an error names."""

_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[+*/=%$<>^-]")


@dataclass(frozen=True)
class Overlap:
    """An evaluation question that a training question gives away, by their ids."""

    evaluation: str
    train: str
    kind: Literal["exact", "ngram"]
    share: float
    """Share of the evaluation question's n-grams that stand in the training question."""
    numbers: bool
    """Whether the training question has all of its numbers, in their order."""

    @property
    def what(self) -> str:
        return "same text" if self.kind == "exact" else f"{self.share:.0%} shared"


@stage()
def leak(
    train: dict[str, Rows],
    evaluation: dict[str, Rows],
    ngram: int = NGRAM,
    share: float = SHARE,
    *,
    work: Work | None = None,
) -> list[Row]:
    """Compare the questions of each training benchmark with those of each evaluation benchmark.

    Rows: `train`, `evaluation` (names), `train_questions`, `evaluation_questions` (how many), `nearest` (the largest
    share of n-grams that an evaluation question has in common with one training question, 0 to 1).

    Raises:
        InputError: questions overlap; names the benchmarks, how many, and the first few rows.
    """
    made: list[Row] = []
    for eval_name, eval_rows in evaluation.items():
        eval_side = list(zip(eval_rows.column("id"), eval_rows.column("question"), strict=True))
        for train_name, train_rows in train.items():
            train_side = list(zip(train_rows.column("id"), train_rows.column("question"), strict=True))
            found = list(overlaps(train_side, eval_side, ngram))
            same = [overlap for overlap in found if overlap.share >= share and overlap.numbers]
            if same:
                raise InputError(_error(train_name, eval_name, same, len(eval_side)))
            made.append(
                {
                    "train": train_name,
                    "evaluation": eval_name,
                    "train_questions": len(train_side),
                    "evaluation_questions": len(eval_side),
                    "nearest": max((overlap.share for overlap in found), default=0.0),
                }
            )
    if work:
        work.facts.update(ngram=ngram, share=share, pairs=len(made), nearest=max(row["nearest"] for row in made))
    return made


def overlaps(
    train: Sequence[tuple[str, str]], evaluation: Sequence[tuple[str, str]], ngram: int = NGRAM
) -> Iterator[Overlap]:
    """For each evaluation question (id, text) that shares a sequence with training ones, the nearest of those.

    One with all of its numbers is nearer than any without.

    An inverted index over the evaluation questions' n-grams, through which the training questions pass once: time
    grows with the number of words, not of pairs.
    """
    texts: dict[str, str] = {}
    sequences = [_sequences(text, ngram) for _, text in evaluation]
    index: dict[int, list[int]] = defaultdict(list)
    for place, of in enumerate(sequences):
        for sequence in of:
            index[sequence].append(place)
    lengths = sorted({min(ngram, len(_words(text))) for _, text in evaluation} - set(range(min(SHORTEST, ngram))))
    hits: list[Counter[int]] = [Counter() for _ in evaluation]
    for at, (id, text) in enumerate(train):
        texts.setdefault(normalised(text), id)
        words = _words(text)
        for length in lengths:
            for sequence in index.keys() & set(_hashes(words, length)):
                for place in index[sequence]:
                    hits[place][at] += 1
    for (id, text), of, shared in zip(evaluation, sequences, hits, strict=True):
        if (same := texts.get(normalised(text))) is not None:
            yield Overlap(id, same, "exact", 1.0, numbers=True)
        elif shared:
            numbers = _numbers(text)
            whole = {at: count for at, count in shared.items() if _in_order(numbers, _numbers(train[at][1]))}
            nearest, count = min((whole or shared).items(), key=lambda hit: (-hit[1], hit[0]))
            yield Overlap(id, train[nearest][0], "ngram", count / len(of), numbers=bool(whole))


def _words(text: str) -> list[str]:
    return _WORD.findall(_ungrouped(normalised(text)))


def _numbers(text: str) -> list[str]:
    return _NUMBER.findall(_ungrouped(text))


def _ungrouped(text: str) -> str:
    """1,080 as 1080."""
    return _GROUPED.sub("", text)


def _in_order(wanted: Sequence[str], given: Sequence[str]) -> bool:
    rest = iter(given)
    return all(number in rest for number in wanted)


def _sequences(text: str, ngram: int) -> set[int]:
    """The question's sequences of words, hashed: as a whole where it has fewer than `ngram`, none where it is short."""
    words = _words(text)
    length = min(ngram, len(words))
    return set(_hashes(words, length)) if length >= min(SHORTEST, ngram) else set()


def _hashes(words: Sequence[str], length: int) -> Iterator[int]:
    """Each run of `length` words as a number; of one process only, and never kept."""
    return (hash(tuple(words[at : at + length])) for at in range(len(words) - length + 1))


def _error(train: str, evaluation: str, same: Sequence[Overlap], questions: int) -> str:
    exact = sum(overlap.kind == "exact" for overlap in same)
    rows = "; ".join(f"{overlap.evaluation} = {overlap.train} ({overlap.what})" for overlap in same[:NAMED])
    more = f"; and {len(same) - NAMED} more" if len(same) > NAMED else ""
    return (
        f"leak: {len(same)} of {questions} evaluation questions of {evaluation} stand among the training questions of "
        f"{train} ({exact} with the same text): {rows}{more}. Allowed: none; leave them out of one side"
    )
