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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from data.errors import InputError
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.questions import normalised
from tasks.storage.rows import Row, Rows

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
    indices = {name: Index(pairs_of(rows), ngram) for name, rows in evaluation.items()}
    asked: dict[str, int] = {}
    found: dict[tuple[str, str], list[Overlap]] = {}
    for train_name, train_rows in train.items():
        asked[train_name] = 0
        for id, text in pairs_of(train_rows):
            asked[train_name] += 1
            training = Training(id, text)
            for index in indices.values():
                index.compare(training)
        for eval_name, index in indices.items():
            found[train_name, eval_name] = list(index.overlaps())
            index.forget()
    made: list[Row] = []
    for eval_name, index in indices.items():
        for train_name in train:
            overlaps = found[train_name, eval_name]
            same = [overlap for overlap in overlaps if overlap.share >= share and overlap.numbers]
            if same:
                raise InputError(_error(train_name, eval_name, same, len(index)))
            made.append(
                {
                    "train": train_name,
                    "evaluation": eval_name,
                    "train_questions": asked[train_name],
                    "evaluation_questions": len(index),
                    "nearest": max((overlap.share for overlap in overlaps), default=0.0),
                }
            )
    if work:
        work.facts.update(ngram=ngram, share=share, pairs=len(made), nearest=max(row["nearest"] for row in made))
    return made


def overlaps(
    train: Iterable[tuple[str, str]], evaluation: Iterable[tuple[str, str]], ngram: int = NGRAM
) -> Iterator[Overlap]:
    """For each evaluation question (id, text) that shares a sequence with training ones, the nearest of those.

    One with all of its numbers is nearer than any without.
    """
    index = Index(evaluation, ngram)
    for id, text in train:
        index.compare(Training(id, text))
    return index.overlaps()


class Training:
    """A training question, taken apart once however many benchmarks it is compared with."""

    def __init__(self, id: str, text: str) -> None:
        self.id = id
        self.text = text
        self.normalised = normalised(text)
        self._words = _WORD.findall(_ungrouped(self.normalised))
        self._hashes: dict[int, set[int]] = {}

    def sequences(self, length: int) -> set[int]:
        if length not in self._hashes:
            self._hashes[length] = set(_hashes(self._words, length))
        return self._hashes[length]

    @cached_property
    def numbers(self) -> list[str]:
        return _numbers(self.text)


class Index:
    """The evaluation questions (id, text) by their n-grams; training questions pass by it one after the other.

    Time grows with the number of words, not of pairs; memory with the evaluation side alone.
    """

    def __init__(self, evaluation: Iterable[tuple[str, str]], ngram: int) -> None:
        self._ids: list[str] = []
        self._numbers: list[list[str]] = []
        self._sizes: list[int] = []
        self._texts: dict[str, list[int]] = defaultdict(list)
        self._places: dict[int, list[int]] = defaultdict(list)
        lengths: set[int] = set()
        for place, (id, text) in enumerate(evaluation):
            sequences = _sequences(text, ngram)
            self._ids.append(id)
            self._numbers.append(_numbers(text))
            self._sizes.append(len(sequences))
            self._texts[normalised(text)].append(place)
            for sequence in sequences:
                self._places[sequence].append(place)
            lengths.add(min(ngram, len(_words(text))))
        self._lengths = sorted(lengths - set(range(min(SHORTEST, ngram))))
        self.forget()

    def __len__(self) -> int:
        return len(self._ids)

    def forget(self) -> None:
        """Begin anew with other training questions."""
        self._same: dict[int, str] = {}
        self._nearest: dict[int, tuple[int, str]] = {}
        self._whole: dict[int, tuple[int, str]] = {}

    def compare(self, training: Training) -> None:
        """Note of which evaluation questions this training question is the nearest so far; the first among equals."""
        for place in self._texts.get(training.normalised, ()):
            self._same.setdefault(place, training.id)
        for place, count in self._shared(training).items():
            if count > self._nearest.get(place, _NONE)[0]:
                self._nearest[place] = count, training.id
            if count > self._whole.get(place, _NONE)[0] and _in_order(self._numbers[place], training.numbers):
                self._whole[place] = count, training.id

    def is_given_away(self, training: Training, share: float) -> bool:
        """Whether any evaluation question counts as the same as this training question, by the rule of `leak`."""
        return training.normalised in self._texts or any(
            count / self._sizes[place] >= share and _in_order(self._numbers[place], training.numbers)
            for place, count in self._shared(training).items()
        )

    def _shared(self, training: Training) -> Counter[int]:
        """How many sequences each evaluation question has in common with a training question, where it has any."""
        shared: Counter[int] = Counter()
        for length in self._lengths:
            for sequence in self._places.keys() & training.sequences(length):
                shared.update(self._places[sequence])
        return shared

    def overlaps(self) -> Iterator[Overlap]:
        for place, id in enumerate(self._ids):
            if (same := self._same.get(place)) is not None:
                yield Overlap(id, same, "exact", 1.0, numbers=True)
            elif place in self._nearest:
                count, train = self._whole.get(place) or self._nearest[place]
                yield Overlap(id, train, "ngram", count / self._sizes[place], numbers=place in self._whole)


_NONE = (0, "")


def pairs_of(rows: Rows) -> Iterator[tuple[str, str]]:
    """Id and text of each question."""
    for batch in rows.batches(["id", "question"]):
        yield from zip(batch.column("id").to_pylist(), batch.column("question").to_pylist(), strict=True)


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
