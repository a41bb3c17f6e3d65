"""Responses of a model behind an endpoint, as the stage `generate` yields them."""

from collections import Counter
from collections.abc import Iterator

from tasks.answer.turn import ended
from tasks.endpoint.budget import described
from tasks.endpoint.client import Client, OverBudget, Request, connect
from tasks.endpoint.facts import api_facts
from tasks.endpoint.reply import Answer, body, read
from tasks.models.endpoint import Endpoint
from tasks.models.filling import fill
from tasks.models.sampling import Gathered, Sampling, seed_of
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows


def answered(
    questions: Rows, model: Endpoint, prompt: str, sampling: Sampling, seed: int, work: Work
) -> Iterator[list[Row]]:
    """Each question's responses as they are complete: the question's columns and `sample`, `response`, `finish`.

    A reply that is refused, filtered or unusable, and stays so when the request is sent again, becomes a missing
    response (null) with the finish "error", which no arm trains on. Questions with one are yielded last, when it is
    known that they are few: a stage that fails over too many of them sends them again on the next try.

    Facts: what this try has done (prompts, tokens, cut_off), unusable responses, and what the artifact has cost in all
    tries together (api_requests, api_retries, api_input_tokens, api_output_tokens, api_usd; what a lost reply may have
    cost is counted in full). api_kept: responses that the cache had from an earlier request with the same body.

    Raises:
        StageFailed: the server refuses requests (key, model, a value); the budget is reached; too many responses are
            unusable. One line each.
        Transient: the server does not answer.
        InputError: the environment does not say where the endpoint is.
    """
    gathered = Gathered(sampling, questions.columns)
    client = connect(model, work.runtime.store)
    total = max(work.total, len(questions))
    pending: dict[int, Row] = {}
    prompts = made = tokens = cut = from_cache = with_end = 0
    with_errors: list[list[Row]] = []
    unusable: Counter[str] = Counter()

    def requests() -> Iterator[Request]:
        position = 0
        for row in questions:
            text = fill(prompt, row)
            numbers = work.missing_samples(row, sampling.n)
            gathered.expect(row["id"], len(numbers))
            for number in numbers:
                sample = row.get("sample", number)
                pending[position] = {**row, "sample": sample}
                position += 1
                request = body(model, text, sampling, seed_of(seed, row["id"], sample))
                yield Request(request, len(text.encode()), sampling.max_tokens, str(row["id"]))

    try:
        for position, response, cached in client.stream(requests(), work.folder.name, read, work.note):
            row = pending.pop(position)
            made += 1
            from_cache += cached
            if isinstance(response, Answer):
                text, had_end = ended(response.text)
                row |= {"response": text, "finish": response.finish}
                with_end += had_end
                cut += response.finish == "length"
                tokens += response.output or 0
            else:
                row |= {"response": None, "finish": "error"}
                unusable[response.why] += 1
                _check_share(model, unusable, total * sampling.n)
            if (whole := gathered.add(row)) is None:
                continue
            if any(one["finish"] == "error" for one in whole):
                with_errors.append(whole)
            else:
                prompts += 1
                yield whole
    except OverBudget:
        raise StageFailed(_budget_reached(client, total - len(questions) + prompts, total)) from None
    if made and unusable.total() == made == total * sampling.n:
        raise StageFailed(f"{model.name}: not one usable response: {_most_common(unusable)}")
    if not work.partial:
        yield from with_errors
        prompts += len(with_errors)
    if with_end:
        work.note(f"{model.name}: responses with a token that ends a turn, each taken up to it: {with_end}")
    facts = {"prompts": prompts, "tokens": tokens, "cut_off": cut / max(1, made)}
    work.facts |= facts | {"unusable": unusable.total(), "api_kept": from_cache}
    work.facts |= api_facts(client.budget.of_stage(work.folder.name))


def _check_share(model: Endpoint, unusable: Counter[str], total: int) -> None:
    """Fail when more responses are unusable than the study allows; one alone always may be."""
    if unusable.total() > max(1.0, model.settings.unusable * total):
        raise StageFailed(
            f"{model.name}: {unusable.total()} of {total} responses are unusable, more than the "
            f"{model.settings.unusable:.1%} allowed (endpoints.{model.id}.unusable): {_most_common(unusable)}"
        )


def _most_common(unusable: Counter[str]) -> str:
    return "; ".join(f"{count} x {why}" for why, count in unusable.most_common(3))


def _budget_reached(client: Client, done: int, total: int) -> str:
    model = client.endpoint
    return (
        f"{model.name}: the budget is reached: {described(client.budget.total(), model.settings)} spent; the next "
        f"request could exceed it. {done:,} of {total:,} questions are answered and kept. Raise the budget in "
        f"endpoints.{model.id}, or ask fewer questions (questions.train), and run again: it goes on from there"
    )
