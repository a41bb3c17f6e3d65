"""Teachers behind endpoints, against a server that behaves badly: what is asked, how often, and what becomes of it."""

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from tasks.endpoint import client
from tasks.endpoint.budget import Budget, Spent
from tasks.endpoint.rate_limiter import duration, retry_after
from tasks.generate import generate
from tasks.models import model
from tasks.models.endpoint import Endpoint, EndpointSettings
from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed, Transient
from tasks.resources.placement import Placement
from tasks.storage.append_only_file import append
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Row
from tests.tasks.endpoint.server import KEY, Asked, EndpointServer, Reply, chat, error
from tests.waiting import PATIENCE, until

PROMPT = "{{ question }}"
GREEDY = Sampling(max_tokens=20)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EndpointServer]:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    with EndpointServer().running() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield running


@pytest.fixture
def empty(tmp_path: Path) -> Runtime:
    return Runtime(Store(tmp_path / "store"), Placement(trainers=1))


@stage()
def asked(count: int) -> list[Row]:
    return [{"id": f"q{i}", "question": f"What is {i} and {i * 7 % 31}?", "gold": str(i)} for i in range(count)]


def node(count: int, sampling: Sampling = GREEDY, seed: int = 0, **settings: Any) -> Node:
    return generate(asked(count), teacher(**settings), PROMPT, sampling, seed)


def teacher(**settings: Any) -> Endpoint:
    return Endpoint("api:tutor-1", EndpointSettings(**settings), "a-study")


def run(made: Node, runtime: Runtime) -> Artifact:
    for needed in made.upstream:
        execute(needed, runtime)
    return execute(made, runtime)[0]


def spent(runtime: Runtime) -> Spent:
    return Budget(runtime.store, teacher()).total()


def test_what_is_sent_and_what_comes_back(server: EndpointServer, empty: Runtime) -> None:
    server.behave = lambda asked, before: chat(
        f"You asked: {asked.prompt}", "length" if "q" in asked.prompt else "stop"
    )
    sampling = Sampling(n=2, temperature=0.7, top_p=0.9, max_tokens=20)
    made = run(node(6, sampling, usd_per_million_input=2, usd_per_million_output=10), empty)
    rows = list(made.rows())
    assert [(row["id"], row["sample"]) for row in rows] == [(f"q{i}", k) for i in range(6) for k in range(2)]
    assert {row["response"] for row in rows} == {f"You asked: {row['question']}" for row in rows}
    assert {(row["model"], row["finish"], row["gold"]) for row in rows[:2]} == {("api:tutor-1", "stop", "0")}
    bodies = [one.body for one in server.asked]
    assert {(b["model"], b["temperature"], b["top_p"], b["max_tokens"]) for b in bodies} == {("tutor-1", 0.7, 0.9, 20)}
    assert len({b["seed"] for b in bodies}) == 12
    assert {one.headers["authorization"] for one in server.asked} == {f"Bearer {KEY}"}
    facts = made.facts
    assert (facts["api_requests"], facts["api_retries"], facts["prompts"], facts["tokens"]) == (12, 0, 6, 60)
    assert (facts["api_input_tokens"], facts["api_output_tokens"]) == (12 * 9, 12 * 5)
    assert facts["api_usd"] == pytest.approx((12 * 9 * 2 + 12 * 5 * 10) / 1e6)


def test_greedy_is_asked_for_and_values_can_be_left_out(server: EndpointServer, empty: Runtime) -> None:
    run(node(1), empty)
    settings = {"leave_out": ("temperature", "seed"), "extra": {"reasoning_effort": "low"}}
    run(node(1, tokens_parameter="max_completion_tokens", **settings), empty)
    first, second = (one.body for one in server.asked)
    assert (first["temperature"], first["top_p"], first["max_tokens"]) == (0.0, 1.0, 20)
    assert "seed" in first
    assert not {"temperature", "seed", "max_tokens"} & second.keys()
    assert (second["reasoning_effort"], second["max_completion_tokens"]) == ("low", 20)


def test_429_pauses_requests_as_long_as_the_server_asks(server: EndpointServer, empty: Runtime) -> None:
    refused: list[float] = []

    def behave(asked: Asked, before: int) -> Reply:
        if len(server.asked) <= 4:
            refused.append(asked.at)
            return error(429, "slow down", retry_after="1")
        return chat()

    server.behave = behave
    made = run(node(12, concurrency=4), empty)
    after = [one.at for one in server.asked[len(refused) :]]
    assert min(after) - min(refused) >= 1
    assert made.facts["api_retries"] == len(refused) > 0
    assert (made.facts["api_output_tokens"], made.facts["unusable"]) == (60, 0)


def test_what_the_server_says_is_left_is_heeded(server: EndpointServer, empty: Runtime) -> None:
    told: list[float] = []

    def behave(asked: Asked, before: int) -> Reply:
        reply = chat()
        if len(server.asked) == 3:
            told.append(asked.at)
            reply.headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "700ms"}
        return reply

    server.behave = behave
    run(node(6, concurrency=1), empty)
    assert server.asked[3].at - told[0] >= 0.7
    assert server.asked[5].at - server.asked[3].at < 0.7


@pytest.mark.parametrize("fault", ["500", "503", "half", "slow"])
def test_a_passing_fault_is_retried(server: EndpointServer, empty: Runtime, fault: str) -> None:
    def behave(asked: Asked, before: int) -> Reply:
        reply = chat("4 " * 40)
        if before < 2:
            if fault == "half":
                reply.half = True
            elif fault == "slow":
                reply.after = 600
            else:
                return error(int(fault), "oops")
        return reply

    server.behave = behave
    made = run(node(5, timeout=10 if fault == "slow" else 300), empty)
    assert [row["response"] for row in made.rows()] == ["4 " * 40] * 5
    assert (made.facts["api_retries"], made.facts["api_requests"]) == (10, 15)
    lost = {"half": 2, "slow": 2}.get(fault, 0)  # may have been paid for, so counted at the most they can cost
    assert made.facts["api_output_tokens"] == 5 * (5 + lost * 20)


def test_a_server_that_never_answers_is_a_transient_failure(
    server: EndpointServer, empty: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TRIES", 3)
    server.behave = lambda asked, before: Reply(after=600)
    with pytest.raises(Transient, match=r"api:tutor-1: no whole answer within 1 s, 3 times"):
        run(node(4, timeout=1, concurrency=2), empty)
    assert not server.answered, "an answer was waited for"
    until(lambda: max(server.times(one.prompt) for one in server.asked) == 3)


def test_no_server_at_all_names_the_variable_and_no_address(empty: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://someone:pass-word-77@127.0.0.1:9/v1")
    with pytest.raises(Transient, match="no server answers at the address in OPENAI_BASE_URL") as caught:
        run(node(1), empty)
    assert "pass-word-77" not in str(caught.value)
    assert spent(empty).tokens == 0


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, r"HTTP 400: no: \*\*\*.*row q\d"),
        (401, r"HTTP 401: no: \*\*\* \(check the key in the environment variable OPENAI_API_KEY\)"),
        (403, r"HTTP 403: .*OPENAI_API_KEY"),
        (404, r"HTTP 404: .*the model id, and the address in the environment variable OPENAI_BASE_URL"),
    ],
)
def test_a_lasting_fault_is_sent_once_and_named_in_one_line(
    server: EndpointServer, empty: Runtime, status: int, said: str
) -> None:
    server.behave = lambda asked, before: error(status, f"no:\n{asked.headers['authorization'].split()[-1]}")
    with pytest.raises(StageFailed, match=f"api:tutor-1: {said}") as caught:
        run(node(50, concurrency=3), empty)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    assert 1 <= len(server.asked) <= 6
    assert len({one.prompt for one in server.asked}) == len(server.asked)
    assert spent(empty).tokens == 0


def inside(code: Any, message: str = "Provider returned error", **more: Any) -> Reply:
    """HTTP 200 with an error in the reply, as gateways pass on what is behind them."""
    return Reply(body=json.dumps({"choices": None, "error": {"code": code, "message": message, **more}}).encode())


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            inside(429, metadata={"raw": "Too Many Requests"}),
            "error 429 in a reply of HTTP 200: Provider returned error Too",
        ),
        (inside("429"), "error 429 in a reply of HTTP 200: Provider returned error"),
        (inside("rate_limit_exceeded", "Slow down."), "error 429 in a reply of HTTP 200: Slow down."),
        (inside(502), "error 502 in a reply of HTTP 200: Provider returned error"),
        (inside(None, "busy", type="overloaded_error"), "error 503 in a reply of HTTP 200: busy"),
        (
            Reply(
                body=b'{"choices": [{"message": {"content": "Th"}, "finish_reason": "error", "error": {"code": 500}}]}'
            ),
            "error 500 in a reply of HTTP 200",
        ),
    ],
)
def test_an_error_that_passes_in_a_reply_of_200_is_waited_for(
    server: EndpointServer, empty: Runtime, monkeypatch: pytest.MonkeyPatch, reply: Reply, said: str
) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.02)
    server.behave = lambda asked, before: reply if before < 5 else chat()
    made = run(node(3), empty)
    assert [row["finish"] for row in made.rows()] == ["stop"] * 3
    assert (made.facts["api_retries"], made.facts["unusable"]) == (15, 0)
    lost = 5 if "502" in said else 0  # may have been paid for, so counted at the most they can cost
    assert made.facts["api_output_tokens"] == 3 * (5 + lost * 20)
    monkeypatch.setattr(client, "TRIES", 2)
    monkeypatch.setattr(client, "TRIES_WHEN_BUSY", 3)
    server.behave = lambda asked, before: reply
    with pytest.raises(Transient, match=rf"^api:tutor-1: {said}.*, [23] times one after another"):
        run(node(3, seed=1), empty)


def test_busy_in_a_reply_of_200_holds_back_all_requests(server: EndpointServer, empty: Runtime) -> None:
    def behave(asked: Asked, before: int) -> Reply:
        if len(server.asked) <= 2:
            return Reply(body=inside(429).body, headers={"retry-after": "1"})
        return chat()

    server.behave = behave
    run(node(6, concurrency=2), empty)
    assert server.asked[2].at - server.asked[0].at >= 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            inside(401, "No credits."),
            r"error 401 in a reply of HTTP 200: No credits. \(check the key in",
        ),
        (
            inside("model_not_found", "No such model."),
            r"error 404 in a reply of HTTP 200: No such model. \(check the",
        ),
        (inside(400, "top_k?"), r"error 400 in a reply of HTTP 200: top_k\? \(row q\d; a sampling value"),
        (inside("insufficient_quota", "Pay."), "error 429 in a reply of HTTP 200: Pay. .*has no quota left"),
    ],
)
def test_an_error_that_does_not_pass_in_a_reply_of_200_is_final(
    server: EndpointServer, empty: Runtime, reply: Reply, said: str
) -> None:
    server.behave = lambda asked, before: reply
    with pytest.raises(StageFailed, match=f"api:tutor-1: {said}"):
        run(node(3, concurrency=1), empty)
    assert {server.times(one.prompt) for one in server.asked} == {1}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"choices": None}, "the reply has no choices$"),
        ({"choices": [], "error": "It is late."}, "the reply has no choices: It is late.$"),
        ({"error": {"message": "It is late."}}, "the reply has no choices: It is late.$"),
    ],
)
def test_a_reply_without_choices_says_the_servers_words(
    server: EndpointServer, empty: Runtime, body: Any, said: str
) -> None:
    server.behave = lambda asked, before: Reply(body=json.dumps(body).encode())
    with pytest.raises(StageFailed, match=said.removesuffix("$")):
        run(node(3), empty)


UNUSABLE = {
    "no JSON": Reply(body=b"<html>busy</html>"),
    "no choices": Reply(body=b'{"choices": []}'),
    "not an object": Reply(body=b"[1]"),
    "null content": chat(None),
    "filtered": chat("Here is", "content_filter"),
    "a tool": chat(None, "tool_calls"),
    "half a letter": chat("\ud800"),
    "empty": Reply(),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_reply_is_retried_and_then_is_an_error_of_one_row(
    server: EndpointServer, empty: Runtime, kind: str
) -> None:
    server.behave = lambda asked, before: UNUSABLE[kind] if " 3 " in asked.prompt else chat()
    made = run(node(20, concurrency=4), empty)
    rows = {row["id"]: row for row in made.rows()}
    assert (rows["q3"]["response"], rows["q3"]["finish"]) == (None, "error")
    assert sum(row["finish"] == "stop" for row in rows.values()) == 19
    assert server.times(rows["q3"]["question"]) == client.TRIES_WHEN_UNUSABLE
    assert (made.facts["unusable"], made.facts["api_requests"]) == (1, 22)


def test_unusable_replies_that_pass_leave_no_trace(server: EndpointServer, empty: Runtime) -> None:
    kinds = list(UNUSABLE.values())
    server.behave = lambda asked, before: random.Random(asked.prompt).choice(kinds) if before < 2 else chat("Yes.")
    made = run(node(30, concurrency=8), empty)
    assert {row["response"] for row in made.rows()} == {"Yes."}
    assert (made.facts["unusable"], made.facts["api_retries"]) == (0, 60)


def test_too_many_unusable_replies_fail_and_only_the_rest_is_sent_again(server: EndpointServer, empty: Runtime) -> None:
    def behave(asked: Asked, before: int) -> Reply:
        return chat("no", "content_filter") if int(asked.prompt.split()[2]) >= 40 else chat()

    server.behave = behave
    with pytest.raises(
        StageFailed, match=r"4 of 60 responses are unusable, more than the 5.0% allowed .*content_filter"
    ):
        run(node(60, concurrency=1), empty)
    first = {one.prompt for one in server.asked}
    server.behave = lambda asked, before: chat("Yes.")
    server.asked.clear()
    made = run(node(60, concurrency=1), empty)
    assert [row["response"] for row in made.rows()] == ["The answer is 4."] * 40 + ["Yes."] * 20
    assert len(server.asked) == 20
    assert len(first) <= 46


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": "9", "completion_tokens": 5},
        {"prompt_tokens": 9, "completion_tokens": 0},
        {"completion_tokens": 5},
        [],
        "none",
    ],
)
def test_a_usage_that_cannot_be_is_not_believed(server: EndpointServer, empty: Runtime, usage: Any) -> None:
    server.behave = lambda asked, before: chat(usage=usage)
    made = run(node(4), empty)
    assert made.facts["api_output_tokens"] == 4 * 20
    assert made.facts["api_input_tokens"] >= 4 * 20


def test_a_usage_beyond_what_was_expected_is_counted_and_expected_from_then_on(
    server: EndpointServer, empty: Runtime
) -> None:
    server.behave = lambda asked, before: chat(usage={"prompt_tokens": 9, "completion_tokens": 500})
    with pytest.raises(StageFailed, match="the budget is reached: 1,527 tokens of 2,000"):
        run(node(9, concurrency=1, budget_tokens=2000), empty)
    assert len(server.asked) == 3


def test_a_budget_is_never_exceeded_and_what_was_spent_outlives_a_restart(
    server: EndpointServer, empty: Runtime
) -> None:
    used = {"tokens": 0, "usd": 0.0}

    def behave(asked: Asked, before: int) -> Reply:
        dice = random.Random(f"{asked.prompt} {before}")
        if dice.random() < 0.2:
            return error(500, "oops")
        into, out = len(asked.prompt) + dice.randrange(200), dice.randrange(1, 21)
        used["tokens"] += into + out
        used["usd"] += (into * 3 + out * 15) / 1e6
        reply = chat("word " * out, usage={"prompt_tokens": into, "completion_tokens": out})
        reply.after = dice.random() / 50
        return reply

    server.behave = behave
    prices = {"usd_per_million_input": 3, "usd_per_million_output": 15, "concurrency": 8}
    for budget in (5_000, 9_000):
        with pytest.raises(StageFailed, match=rf"the budget is reached: .* of {budget:,} \(budget_tokens\)") as caught:
            run(node(100, budget_tokens=budget, **prices), empty)
        assert used["tokens"] <= budget
        assert used["tokens"] == spent(empty).tokens > budget - 400
    assert f"{len(server.answered)} of 100 questions are answered and kept" in str(caught.value)
    with pytest.raises(StageFailed, match=r"\$0\.0\d+ of \$0.04 \(budget_usd\)"):
        run(node(100, budget_usd=0.04, **prices), empty)
    assert 0.035 < used["usd"] <= 0.04
    made = run(node(100, **prices), empty)
    assert len(server.answered) == len(set(server.answered)) == 100
    assert made.facts["api_usd"] == pytest.approx(used["usd"])


def test_concurrency_is_never_exceeded_by_all_stages_together(server: EndpointServer, empty: Runtime) -> None:
    import threading

    def behave(asked: Asked, before: int) -> Reply:
        reply = chat()
        reply.after = 0.02
        return reply

    server.behave = behave
    nodes = [node(40, seed=seed, concurrency=5) for seed in range(3)]
    run(asked(40), empty)
    threads = [threading.Thread(target=run, args=(one, empty)) for one in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.answered) == 120
    assert server.most_inside == 5


def test_requests_a_minute(server: EndpointServer, empty: Runtime) -> None:
    run(node(8, concurrency=8, requests_per_minute=600), empty)
    at = [one.at for one in server.asked]
    assert at[-1] - at[0] >= 7 * 0.1 * 0.9


def test_placement_changes_no_key_and_what_changes_answers_does(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = node(3).recipe
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1")
    assert node(3, concurrency=2, budget_usd=3, usd_per_million_input=1, usd_per_million_output=1).recipe == plain
    assert node(3, base_url_env="MY_URL", key_env="MY_KEY").recipe == plain
    assert node(3, leave_out=("seed",)).recipe != plain
    assert node(3, extra={"reasoning_effort": "low"}).recipe != plain
    other = Endpoint("api:tutor-2")
    assert generate(asked(3), other, PROMPT, GREEDY, 0).recipe != plain


def test_cached_responses_outlive_a_change_of_code_or_questions(server: EndpointServer, empty: Runtime) -> None:
    run(node(10), empty)
    of_other_code = node(14)
    vars(of_other_code)["code"] = "other"
    made = run(of_other_code, empty)
    assert len(server.asked) == 14
    assert (made.facts["api_kept"], made.facts["api_requests"]) == (10, 4)
    assert made.rows()[3]["response"] == "The answer is 4."
    more = run(node(16), empty)  # ten rows are taken over as they are, and four more responses are in the cache
    assert len(server.asked) == 16
    assert (list(more.manifest["taken"].values()), more.facts["api_kept"], more.facts["api_requests"]) == ([10], 4, 2)


def test_a_torn_line_and_a_second_process_do_no_harm_to_a_budget(tmp_path: Path) -> None:
    who = teacher(budget_tokens=100)
    first, second = Budget(Store(tmp_path), who), Budget(Store(tmp_path), who)
    assert first.reserve("k", first.cost(20, 10))
    path = next(tmp_path.rglob("*.jsonl"))
    with path.open("ab") as file:
        file.write(b'{"for": "k", "inp')
    assert second.reserve("k", second.cost(20, 10))
    assert not first.reserve("k", first.cost(50, 10))
    second.settle("k", second.cost(20, 10), second.cost(1, 1))
    assert first.reserve("k", first.cost(50, 10))
    assert first.total() == second.total() == Spent(71, 21)
    append(path, {"for": "other", "input": 5})
    assert first.of_stage("k") == Spent(71, 21)


def test_waits_in_all_their_spellings() -> None:
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after-ms": "300"}) == 0.3
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert [duration(text) for text in ("6m0s", "20ms", "1h2m3.5s", "7", "", "x", "5q")] == [
        *(360, 0.02, 3723.5, 7),
        *(None, None, None),
    ]


def test_a_model_id_and_no_weights() -> None:
    assert model.resolve("api:org/model:8b") == Endpoint("api:org/model:8b")
    for wrong in ("api:", "api:https://u:p@host/v1", "api:a b"):
        with pytest.raises(InputError, match="no model id") as caught:
            model.resolve(wrong)
        assert "u:p" not in str(caught.value)
    with pytest.raises(InputError, match="can be a teacher only"):
        model.weights("api:gpt-x")


def test_a_stream_left_early_sends_no_more(server: EndpointServer, empty: Runtime) -> None:
    left = threading.Event()

    def behave(asked: Asked, before: int) -> Reply:
        if len(server.asked) > 1:
            left.wait(PATIENCE)
        return chat()

    server.behave = behave
    run(asked(200), empty)
    rows = execute(asked(200), empty)[0].rows()
    work = Work(empty.store.root, empty, "generate", {})
    stream = generate.function(rows, teacher(concurrency=3), PROMPT, GREEDY, 0, work=work)
    assert next(stream)[0]["response"] == "The answer is 4."
    stream.close()
    left.set()
    time.sleep(0.3)
    assert len(server.asked) <= 1 + 3
