"""Predictors of real rows by the bundled student, against their definitions worked out independently: each number from
full logits, one sequence at a time, as the authors' public code goes about it.

- rank-surprisal ratio: rsr_cal.py of UmeanNever/RankSurprisalRatio (logsumexp less the token's logit; one more than the
  number of the 100 largest logits above it, at most 100; end-of-turn tokens out; data set: mean over samples of their
  mean rank over that of their mean nll);
- surprising tokens: collate_fn.py of appier-research/robust-llm-finetunes (perplexity of a token > 2.5);
- local naturalness: signals.py of JasonNguyen31/QD-RSR-Project (mean over sentences of the mean log-probability of a
  sentence's tokens, given the prompt and the four sentences before it);
- in-context perplexity: in_context_perplexity_calculation_length_cutoff of XuanRen4470/SPPL (pieces of 50 tokens, each
  after a prompt with the question, the example and the text before; exp of all nll over all tokens; mean over
  examples), with this project's words in the prompt.
"""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from data.benchmark import find, questions_of
from data.prompt import prompt
from tasks.kinds.predictors import kinds_by_name
from tasks.models.model import Model, weights
from tasks.models.rendering import renderer
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.predict import predict
from tasks.read_again import read_again
from tasks.resources.placement import Placement
from tasks.score import load, score
from tasks.select import select
from tasks.selection.match import Match
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row
from tasks.training_rows import training_rows

PROMPT = "{{ question }}"
MATCH = Match(correct="any", minimum=1)


def human(count: int) -> list[Row]:
    """People's responses to questions of boxes, three times over, on one line: of more than five sentences."""
    found: list[Row] = []
    for row in questions_of(find("abacus/boxes"), "train", count, 0):
        text = row["reference"].replace("\n", "! ") + "!"
        found.append(
            {
                **{name: row[name] for name in ("id", "question", "gold")},
                "sample": 0,
                "response": f"{text} {text} {text}",
                "finish": "stop",
                "verdict": "correct" if len(found) % 3 else "wrong",
            }
        )
    return found


@stage()
def written(count: int) -> list[Row]:
    return human(count)


@stage()
def own_responses(count: int) -> list[Row]:
    return [{**row, "response": f"it is {number}. so {number}"} for number, row in enumerate(human(count))]


class Found:
    """A run of the stages, and the network to check it with."""

    def __init__(self, folder: Path, count: int = 6, further: int = 4) -> None:
        self.model: Model = weights("abacus-student")
        self.runtime = Runtime(Store(folder), Placement(score_tokens=2000))
        rows, own = written(count), own_responses(count)
        scored = score(rows, self.model, PROMPT)
        chosen = select({"human": rows}, {"human": scored}, MATCH, None, 0)
        taken = training_rows(chosen, scored, "human")
        again = read_again(taken, own, self.model, PROMPT, prompt("in_context"), further) if further else None
        node = predict(chosen, rows, scored, "human", self.model, dict(kinds_by_name()), own, again)
        self._make(node)
        self.artifact, _ = execute(node, self.runtime)
        self.rows = {row["predictor"]: row for row in self.artifact.rows()}
        self.values = {name: row["value"] for name, row in self.rows.items()}
        self.network = load(self.model)
        self.renderer = renderer(self.model)

    def _make(self, node: Node) -> None:
        for needed in node.upstream:
            self._make(needed)
            execute(needed, self.runtime)

    def logits(self, context: list[int], read: list[int]) -> Any:
        """Logits (tokens, vocabulary) before each token of `read`."""
        import torch

        with torch.no_grad():
            whole = self.network(input_ids=torch.tensor([[*context, *read]])).logits[0].float()
        return whole[len(context) - 1 : -1]

    def nll(self, context: list[int], read: list[int]) -> list[float]:
        import torch

        logits = self.logits(context, read)
        return (torch.logsumexp(logits, -1) - logits[range(len(read)), read]).tolist()

    def sequences(self, count: int) -> list[tuple[list[int], list[int]]]:
        """Prompt and response of the first rows, without the tokens that end the turn."""
        found = []
        for row in human(count):
            context = self.renderer.prompt(PROMPT, row)
            found.append((context, self.renderer.beginning(row["response"])))
        return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return Found(tmp_path_factory.mktemp("store"))


def test_the_rank_surprisal_ratio_is_that_of_rsr_cal(found: Found) -> None:
    mean_ranks, mean_nlls = [], []
    for context, read in found.sequences(6):
        logits = found.logits(context, read)
        top = logits.topk(100).values
        own = logits[range(len(read)), read]
        ranks = [min(100, 1 + int((top[place] > own[place]).sum())) for place in range(len(read))]
        mean_ranks.append(sum(ranks) / len(ranks))
        mean_nlls.append(sum(found.nll(context, read)) / len(read))
    expected = (sum(mean_ranks) / 6) / (sum(mean_nlls) / 6)
    assert found.values["rank_surprisal_ratio"] == pytest.approx(expected, rel=1e-3)


def test_perplexity_and_surprising_tokens_are_those_of_a_plain_forward_pass(found: Found) -> None:
    each = [found.nll(context, [*read, *found.renderer.end_ids]) for context, read in found.sequences(6)]
    perplexities = sorted(math.exp(sum(nll) / len(nll)) for nll in each)
    every = [value for nll in each for value in nll]
    assert found.values["perplexity_mean"] == pytest.approx(sum(perplexities) / 6, rel=1e-3)
    assert found.values["perplexity_median"] == pytest.approx((perplexities[2] + perplexities[3]) / 2, rel=1e-3)
    assert found.values["perplexity_corpus"] == pytest.approx(math.exp(sum(every) / len(every)), rel=1e-3)
    above = sum(math.exp(value) > 2.5 for value in every)
    assert found.values["surprising_share"] == pytest.approx(above / len(every), abs=1e-6)
    assert found.values["grape"] == pytest.approx(-sum(sum(nll) / len(nll) for nll in each) / 6, rel=1e-3)
    assert found.values["length"] == pytest.approx(len(every) / 6)


def sentences(found: Found, text: str, read: list[int]) -> list[tuple[int, int]]:
    """Tokens of each sentence, by where the token's text begins: a sentence ends before the blank after a full stop, a
    question mark or an exclamation mark."""
    ends = [match.end() for match in re.finditer(r"[.!?](?=[ \t]+\S)", text)] + [len(text)]
    spans, start, at = [], 0, 0
    for token in range(len(read)):
        begins = len(found.renderer.decode(read[:token]))
        if begins >= ends[at]:
            spans.append((start, token))
            start, at = token, at + 1
    return [*spans, (start, len(read))]


def test_local_naturalness_reads_each_sentence_after_the_prompt_and_four_sentences(found: Found) -> None:
    whole, without_first, most = [], [], 0
    for row, (context, read) in zip(human(4), found.sequences(4), strict=True):
        spans = sentences(found, row["response"], read)
        most = max(most, len(spans))
        means, dropped = [], []
        for number, (start, end) in enumerate(spans):
            before = read[spans[max(0, number - 4)][0] : start]
            nll = found.nll([*context, *before], read[start:end])
            means.append(-sum(nll) / len(nll))
            dropped += [-sum(nll[1:]) / len(nll[1:])] if len(nll) > 1 else []
        whole.append(sum(means) / len(means))
        without_first.append(sum(dropped) / len(dropped))
    assert most > 5, "no response is long enough to be read again"
    assert found.values["local_naturalness"] == pytest.approx(sum(whole) / 4, rel=1e-3)
    assert found.values["local_naturalness_drop"] == pytest.approx(sum(without_first) / 4, rel=1e-3)


def test_in_context_perplexity_is_that_of_pieces_after_the_students_own_style(found: Found) -> None:
    perplexities = []
    for number, (row, (_, read)) in enumerate(zip(human(4), found.sequences(4), strict=True)):
        total = 0.0
        for start in range(0, len(read), 50):
            words = {
                "question": row["question"],
                "example": f"it is {number + 1}. so {number + 1}",
                "before": found.renderer.decode(read[:start]).strip(),
            }
            asked = prompt("in_context")
            asked, _, rest = asked.partition("{%- if before %}")
            asked += rest.partition("{%- endif %}")[0] if start else ""
            for name, text in words.items():
                asked = asked.replace("{{ " + name + " }}", text)
            context = found.renderer.prompt("{{ text }}", {"text": asked.rstrip("\n")})
            total += sum(found.nll(context, read[start : start + 50]))
        perplexities.append(math.exp(total / len(read)))
    assert len(found.sequences(4)[0][1]) > 50, "one piece is no test of the text before"
    assert found.values["in_context_perplexity"] == pytest.approx(sum(perplexities) / 4, rel=1e-3)


def test_verdicts_and_own_words_reach_the_predictors(found: Found) -> None:
    assert found.values["pass_rate"] == pytest.approx(4 / 6)
    assert found.values["wrong_share"] == pytest.approx(2 / 6)
    assert 0.5 < found.values["own_words"] <= 1
    assert {row["rows"] for row in found.rows.values()} == {6}
    assert {row["lacks"] for row in found.rows.values()} == {""}


def test_without_further_passes_what_needs_them_says_so(tmp_path: Path, found: Found) -> None:
    without = Found(tmp_path, further=0)
    needs = {"local_naturalness", "local_naturalness_drop", "in_context_perplexity"}
    assert {name for name, row in without.rows.items() if row["lacks"]} == needs
    assert "measures.further_passes" in without.rows["in_context_perplexity"]["lacks"]
    for name in set(without.rows) - needs:
        assert without.values[name] == pytest.approx(found.values[name])
    assert all(math.isnan(without.values[name]) for name in needs)
