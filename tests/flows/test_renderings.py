"""A student whose chat template leaves a choice: refused before any work in one line, and done once it is made."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from flows.cli import plan_page, run, score_file
from flows.config.schema import Study
from flows.config.study_file import load
from flows.planning import rendering_checks
from flows.planning.plan import expand
from tasks.models.model import BUNDLED, Model, weights
from tasks.score import load as network_of

THINKING = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}<|user|>{{ m['content'] }}"
    "{% else %}<|assistant|><think>\n\n</think>\n\n{{ m['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
COLUMNS = {"question": "question", "response": "response", "id": "id"}
ROWS = [{"question": "Ann has 7 apples.", "response": "She has 7."}, {"question": "And Bo?", "response": "He has 12."}]


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """The bundled student with a template of a model that thinks."""
    folder = tmp_path / "thinker"
    shutil.copytree(BUNDLED / "abacus-student", folder)
    (folder / "chat_template.jinja").write_text(THINKING)
    return folder


def study(model: Path | str, **more: Any) -> Study:
    sets = [
        "questions.train=4",
        "match.minimum=2",
        "questions.evaluate=2",
        "train=[abacus/ledger]",
        "evaluate=[abacus/ledger]",
    ]
    given = {"student": str(model), **more}
    return load("abacus", [*sets, *(f"{name}={json.dumps(value)}" for name, value in given.items())])


def test_a_plan_and_a_run_refuse_what_is_not_chosen(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    for command in (lambda: plan_page.show(study(student), False), lambda: run.run(study(student), False, False)):
        with pytest.raises(InputError) as error:
            command()
        line = str(error.value)
        assert "\n" not in line
        assert line.startswith(f"abacus: student: {student}: its generation prompt ends in '<|assistant|>'")
        assert "thinking off (a response follows '<|assistant|><think>\\n\\n</think>\\n\\n'" in line
        assert "thinking on (a response follows '<|assistant|>' and holds its thoughts" in line
        assert f"In a study file: thinking: {{{student}: false}}; in score: --thinking off" in line
    assert not list((tmp_path / "store").glob("*/*/manifest.json")), "no stage has run"
    for thinking, word in ((False, "off"), (True, "on")):
        plan_page.show(study(student, thinking={str(student): thinking}), False)
        assert f"thinker: thinking {word} (a response follows" in capsys.readouterr().out


def test_a_choice_changes_the_keys_of_what_the_model_does_and_of_nothing_else(student: Path) -> None:
    off, on = (
        {node.run_name: node.recipe for node in expand(study(student, thinking={str(student): thinking})).nodes}
        for thinking in (False, True)
    )
    changed = {name.split()[0] for name in off if off[name] != on[name]}
    same = {name.split()[0] for name in off if off[name] == on[name]}
    assert {"score", "finetune", "evaluate"} <= changed
    assert {"questions", "references", "leak"} <= same


def test_a_teacher_only_generates_and_may_be_told_too(student: Path) -> None:
    origins = {"teacher": {"model": str(student), "kind": "teacher"}}
    assert rendering_checks.check(study("abacus-student", origins=origins)) == ()
    plan = expand(study("abacus-student", origins=origins, thinking={str(student): False}))
    generated = next(node for node in plan.nodes if node.run_name.startswith("generate teacher/"))
    assert generated.values["model"] == weights(str(student)).choosing(False)
    assert {node.values["model"].thinking for node in plan.nodes if node.stage.name == "score"} == {None}


@pytest.mark.parametrize(
    ("thinking", "message"),
    [
        ({"abacus-studnet": False}, "thinking.abacus-studnet"),
        ({"api:gpt": False}, "behind an endpoint, whose server decides this"),
        ({"abacus-student": "maybe"}, "thinking.abacus-student"),
    ],
)
def test_a_choice_for_no_model_of_the_study_is_refused(thinking: dict[str, Any], message: str) -> None:
    teacher = {"human": {}, "teacher": {"model": "api:gpt"}}
    with pytest.raises(InputError, match=message) as error:
        study("abacus-student", origins=teacher, thinking=thinking)
    assert "\n" not in str(error.value)


def test_a_model_that_is_not_downloaded_yet_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert rendering_checks.check(load("abacus", [f"student=owner/model@{'0' * 40}"])) == ()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ messages", "the chat template of .* does not take these turns: unexpected end of template"),
        ("", "the chat template of .* drops the assistant's turn"),
        ("{{ raise_exception('not me') }}", "the chat template of .* does not take these turns: not me"),
        ("{{ messages[0].content }}{{ x.y }}", "the chat template of .* does not take these turns: 'x' is undefined"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "it needs more than 1 s"),
    ],
)
@pytest.mark.parametrize("key", ["student", "origins.t.model"])
def test_a_template_that_cannot_be_used_is_refused_before_any_work(
    student: Path, key: str, template: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering_checks, "SECONDS", 1)
    (student / "chat_template.jinja").write_text(template)
    given = (
        study(student)
        if key == "student"
        else study("abacus-student", origins={"t": {"kind": "teacher", "model": str(student)}})
    )
    with pytest.raises(InputError, match=rf"^abacus: {key}: .*{said}") as error:
        rendering_checks.check(given)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "nosuch"}, "config.json names the model_type 'nosuch'; allowed: one that this version of"),
        ({"model_type": "t5"}, "config.json names the model_type 't5'; allowed: .* a causal language model"),
        ({"max_position_embeddings": "many"}, "cannot be loaded: .*max_position_embeddings"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_before_any_work(
    student: Path, changes: dict[str, Any], said: str
) -> None:
    path = student / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    (student / "chat_template.jinja").write_text((BUNDLED / "abacus-student" / "chat_template.jinja").read_text())
    with pytest.raises(InputError, match=rf"^abacus: student: .*{said}"):
        rendering_checks.check(study(student))


def by_hand(model: Model, prompt: str, response: str) -> float:
    """Nats of a response's text and the end of its turn after a prompt's text, by transformers alone."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.path)
    start, ids = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, prompt + response))
    with torch.no_grad():
        known = network_of(model)(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    each = known.gather(1, torch.tensor(ids[1:])[:, None])[len(start) - 1 :]
    return -float(each.sum())


@pytest.mark.parametrize("thinking", [False, True])
def test_a_score_is_of_the_templates_own_text(
    student: Path, tmp_path: Path, thinking: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    with pytest.raises(InputError, match="Choose how it is asked, scored and trained"):
        score_file.score(file, str(student), COLUMNS, None, None, None, True)
    assert not file.with_name("answers.scored.jsonl").exists()
    score_file.score(file, str(student), COLUMNS, None, None, None, True, thinking)
    printed = json.loads(capsys.readouterr().out)
    assert f"thinking {'on' if thinking else 'off'}" in printed["rendering"][0]
    for row in map(json.loads, Path(printed["file"]).read_text().splitlines()):
        prompt, block = f"<|bos|><|user|>{row['question']}<|assistant|>", "<think>\n\n</think>\n\n"
        said = f"{row['response']}<|end|>"
        nats = by_hand(weights(str(student)), *((prompt, block + said) if thinking else (prompt + block, said)))
        assert row["nll"] == pytest.approx(nats, abs=1e-3)
        assert row["perplexity"] == pytest.approx(math.exp(nats / row["tokens"]), rel=1e-4)


def test_thoughts_that_do_not_count_are_said(student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "answers.jsonl"
    thought = {**ROWS[0], "response": f"<think>\n3 + 4\n</think>\n\n{ROWS[0]['response']}"}
    file.write_text("".join(json.dumps(row) + "\n" for row in (ROWS[0], thought)))
    score_file.score(file, str(student), COLUMNS, None, None, None, False, False)
    assert "1 response has thoughts: thinking is off, and only what follows them counts" in capsys.readouterr().out
    one, other = map(json.loads, file.with_name("answers.scored.jsonl").read_text().splitlines())
    assert one["nll"] == pytest.approx(other["nll"], abs=1e-4)
    assert other["response"] == thought["response"]


def test_a_model_that_wrote_imported_responses_is_none_to_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"question": "q", "response": "a", "model": "someone"}\n')
    study = {
        "name": "imported",
        "student": "abacus-student",
        "train": ["abacus/boxes"],
        "evaluate": ["abacus/boxes"],
        "origins": {"theirs": {"kind": "imported", "path": "r.jsonl", "model": "someone"}},
    }
    (tmp_path / "s.yaml").write_text(json.dumps(study))
    assert rendering_checks.check(load(str(tmp_path / "s.yaml"))) == ()
    (tmp_path / "s.yaml").write_text(json.dumps({**study, "thinking": {"someone": True}}))
    with pytest.raises(InputError, match=r"thinking\.someone: no model of this study is called 'someone'"):
        load(str(tmp_path / "s.yaml"))
