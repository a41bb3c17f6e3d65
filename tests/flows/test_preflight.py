"""What would stop a study once it runs is said by `plan`, in one line with the file and the key."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.errors import InputError
from flows.config.study_file import load
from flows.planning import preflight
from flows.planning.plan import expand
from tasks.models.model import BUNDLED
from tasks.models.template_trial import LONGEST, Trial, check
from tests import commands

STUDENT = BUNDLED / "abacus-student"
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    write("train.jsonl", [row(n) for n in range(60)])
    write("test.jsonl", [row(n) for n in range(1000, 1040)])
    return tmp_path


def row(n: int, **more: Any) -> dict[str, Any]:
    return {"question": f"What is {n} + 1?", "gold": str(n + 1), "reference": f"Final answer: {n + 1}", **more}


def write(name: str, rows: list[dict[str, Any]]) -> None:
    Path(name).write_text("\n".join(map(json.dumps, rows)))


def study(tickets: dict[str, Any] | None = None, **changes: Any) -> None:
    """Write s.yaml: a study of a benchmark of one's own."""
    own = {"train": "train.jsonl", "test": "test.jsonl", "verifier": "number", **(tickets or {})}
    given = {
        "name": "small",
        "student": "abacus-student",
        "benchmarks": {"tickets": own},
        "train": ["tickets"],
        "evaluate": ["tickets"],
        "questions": {"train": 60, "evaluate": 40},
        "origins": {"human": {}, "self": {"samples": 2}},
        **changes,
    }
    Path("s.yaml").write_text(yaml.safe_dump(given))


def planned() -> None:
    found = load("s.yaml")
    expand(found)
    preflight.check(found)


def refused(said: str) -> None:
    with pytest.raises(InputError, match=rf"^s\.yaml: {said}") as caught:
        planned()
    assert str(caught.value).isprintable()


def test_what_is_right_is_taken() -> None:
    study()
    planned()


TEMPLATES = [
    ("{{ question", r"prompt template '\{\{ question': unexpected end of template"),
    ("{{ nosuch }}", r"prompt template '\{\{ nosuch \}\}': it needs nosuch, which row .* lacks; columns: id, question"),
    ("{% include '/etc/passwd' %}{{ question }}", "prompt template .*: it fails on row .*: TypeError: no loader"),
    ("{% import 'os' as os %}{{ question }}", "prompt template .*: it fails on row .*: TypeError: no loader"),
    ("{{ 1/0 }}", "prompt template .*: it fails on row .*: ZeroDivisionError: division by zero"),
    ("{% for i in range(10**9) %}x{% endfor %}", "prompt template .*: OverflowError: Range too big"),
    ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "the template needs more time"),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "prompt template .*: it fails on row .*: RecursionError"),
    ("{{ 'a' * 10**11 }}", "prompt template .*: it fails on row .*: MemoryError"),
    ("{{ 'a' * 10**9 }}", "prompt template .*: it fails on row .*: MemoryError"),
    ("{{ 'a' * 10**7 }}", "the template makes 10,000,000 characters of one row; allowed: at most 1,000,000"),
    ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "prompt template .*: RecursionError"),
    ("{{ question.__class__ }}", "prompt template .*: access to attribute '__class__' of 'str' object is unsafe"),
    ("{{ question | nofilter }}", "prompt template .*: No filter named 'nofilter'"),
    ("{{ question.upper }}", "prompt template .*: it fails on row .*: it prints a builtin_function_or_method"),
    ("{{ question }}{{ self }}", "prompt template .*: it fails on row .*: it prints a TemplateReference"),
    ("{{ question }}{{ range }}", "prompt template .*: it fails on row .*: it prints a function"),
    ("{{ question }}{{ lipsum() }}", "prompt template .*: it needs lipsum, which row .* lacks"),
    ("{{ [question, 'b'] | random }}", "prompt template .*: No filter named 'random'"),
    ("nosuch", "no prompt is called 'nosuch'"),
    ("nosuch.jinja", "nosuch.jinja: there is no such file"),
    ("latin.jinja", r".*latin\.jinja: is not UTF-8 \(byte 1\)"),
]


@pytest.mark.parametrize(("template", "said"), TEMPLATES, ids=[template[:30] for template, _ in TEMPLATES])
def test_a_broken_prompt_is_named(template: str, said: str) -> None:
    Path("latin.jinja").write_bytes(b"\xe9 {{ question }}")
    study({"prompt": template})
    refused(rf"benchmarks\.tickets\.prompt: {said}")


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({"kind": "gold_only", "response": "{{ nosuch }}"}, r"origins\.o\.response: .* it needs nosuch"),
        ({"kind": "gold_only", "response": "{{ gold * 10**11 }}"}, r"origins\.o\.response: .*MemoryError"),
        (
            {"kind": "rewrite", "model": "abacus-teacher", "prompt": "{{ drafft }}"},
            r"origins\.o\.prompt: .*needs drafft",
        ),
        ({"kind": "rewrite", "model": "abacus-teacher", "of": "nope"}, r"origins\.o\.of: no origin is called 'nope'"),
        ({"kind": "rewrite", "model": "./nowhere"}, r"origins\.o\.model: \./nowhere: there is no such file"),
        ({"kind": "teacher", "model": ""}, r"origins\.o\.model: '' is not allowed"),
        ({"kind": "teacher", "model": "api:"}, r"origins\.o\.model: api:.*no model id follows"),
        (
            {"kind": "human", "column": "nosuch"},
            r"origins\.o\.column: .*no column is called 'nosuch'. Allowed: reference",
        ),
        ({"kind": "human", "column": "empty"}, r"origins\.o\.column: .*column 'empty' is empty in all 60 questions"),
        ({"kind": "imported", "path": "none.csv"}, r"origins\.o\.path: none\.csv: there is no such file"),
        ({"kind": "imported", "path": "train.jsonl"}, r"origins\.o\.path: .*row 1: column 'response' is missing"),
        (
            {"kind": "imported", "path": "said.jsonl", "model": "nobody"},
            r"origins\.o: .*no responses of 'nobody'. Allow",
        ),
        ({"kind": "imported", "path": "other.jsonl"}, r"origins\.o: .*none of its 9 responses answers one of the 60"),
    ],
)
def test_an_origin_that_finds_nothing_is_named(origin: dict[str, Any], said: str) -> None:
    write("train.jsonl", [row(n, empty=None) for n in range(60)])
    write("said.jsonl", [{**row(n), "response": "4", "model": "m"} for n in range(60)])
    write("other.jsonl", [{"question": f"Who is {n}?", "response": "4"} for n in range(9)])
    study(origins={"o": origin, "human": {}})
    refused(said)


def test_an_origin_that_answers_some_benchmarks_is_an_arm_less_in_the_others() -> None:
    write("some.jsonl", [{"question": row(n)["question"], "response": "4"} for n in range(60)])
    own = {"train": "train.jsonl", "test": "test.jsonl", "verifier": "number"}
    other = {**own, "train": "test.jsonl", "test": "train.jsonl"}
    study(
        origins={"some": {"kind": "imported", "path": "some.jsonl"}, "human": {}},
        benchmarks={"tickets": own, "others": other},
        train=["tickets", "others"],
        questions={"train": 40, "evaluate": 40},
        match={"minimum": 1},
    )
    planned()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"questions": {}},
            r"questions\.train: 300 questions are asked for, tickets/train has 60; allowed: at most 60, or",
        ),
        ({"questions": {"train": 60}}, r"questions\.evaluate: 100 questions are asked for, tickets/test has 40"),
        (
            {"questions": {"train": 9, "train_each": {"tickets": 61}}},
            r"questions\.train_each\.tickets: 61 questions are asked for, tickets/train has 60",
        ),
        (
            {"questions": {"train": 60, "evaluate": 40, "keep": 4000}},
            r"questions\.keep: 4,000 is not allowed: tickets has 60",
        ),
        (
            {"questions": {"train": None, "evaluate": None, "keep": 61}},
            r"questions\.keep: 61 is not allowed: tickets has 60",
        ),
        ({"match": {"minimum": 61}}, r"match\.minimum: 61 is not allowed: tickets has 60 training questions"),
        (
            {"method": {"targets": ["nosuchlayer"]}},
            r"method\.targets: no layer is called 'nosuchlayer'. Allowed: all-linear, down_proj, .*v_proj",
        ),
        (
            {"method": {"targets": ["q_proj", "v_prj"]}},
            r"method\.targets: no layer is called 'v_prj' .did you mean v_p",
        ),
        ({"method": {"targets": ["layers"]}}, r"method\.targets: no layer is called 'layers'"),
        ({"method": {"targets": ["input_layernorm"]}}, r"method\.targets: no layer is called 'input_layernorm'"),
        ({"questions": {"train_split": "dev"}}, r"questions\.train_split: tickets: no split is called 'dev'"),
    ],
)
def test_what_the_data_cannot_give_is_named(changes: dict[str, Any], said: str) -> None:
    study(**changes)
    refused(said)


@pytest.mark.parametrize(
    ("rows", "tickets", "said"),
    [
        (
            [row(4, gold="billing")],
            {},
            "1 of 60 gold answers of train cannot be used by the verifier number, the first in ",
        ),
        ([row(4, gold="")], {}, "bad.jsonl, row 60: column 'gold' is empty"),
        ([row(4, size=2**70)], {}, "tickets/train: question train/000059: column 'size' is 1180591620717411303424,"),
        ([row(4, size="\ud83d")], {}, r"tickets/train: question train/000059: column 'size' is '\\ud83d', which n"),
        (
            [row(4, id="q3")],
            {"columns": {"id": "id"}, "test": "bad.jsonl"},
            "bad.jsonl, row 60: id 'q3' stands already at bad.jsonl, row 4",
        ),
        (
            [],
            {"verifier": "choice"},
            "59 of 59 gold answers of train cannot be used by the verifier choice, the first in",
        ),
        ([], {"verifier": "code"}, "59 of 59 gold answers of train cannot be used by the verifier code, .* assert and"),
        ([], {"verifier": "label"}, "bad.jsonl, row 1: the verifier label needs a column 'labels'"),
        ([], {"verifier": "judge"}, "no verifier is called 'judge'"),
        ([], {"columns": {"gold": "goal"}}, "bad.jsonl, row 1: column 'goal' is missing .*did you mean 'gold'"),
        ([], {"train": "bad.txt"}, "bad.txt: there is no such file|bad.txt: not a format"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(rows: list[dict[str, Any]], tickets: dict[str, Any], said: str) -> None:
    write("bad.jsonl", [row(n, id=f"q{n}") for n in range(59)] + rows)
    study({"train": "bad.jsonl", **tickets}, questions={"train": None, "evaluate": 40})
    refused(rf"benchmarks\.tickets(\.\w+)?: (.*/)?({said})")


def test_bytes_of_another_encoding_are_named_wherever_they_stand() -> None:
    lines = "".join(f"{n},What is {n}?,{n},Jos\u00e9\n" for n in range(60))
    Path("latin.csv").write_bytes(f"id,question,gold,author\n{lines}".encode("latin-1"))
    study({"train": "latin.csv"})
    refused(r"benchmarks\.tickets: latin\.csv, row 1: column 'author' is not UTF-8: b'Jos\\xe9'")


def test_a_few_golds_that_cannot_be_used_are_put_up_with_as_the_run_does() -> None:
    write("train.jsonl", [row(n) for n in range(200)] + [row(500, gold="billing")])
    study(questions={"train": None, "evaluate": 40})
    planned()


def test_the_column_of_references_is_found_by_its_name() -> None:
    study()
    planned()
    write("train.jsonl", [{"question": f"What is {n}?", "gold": str(n)} for n in range(60)])
    refused(r"origins\.human\.column: origin human: column 'reference' is empty in all 60 questions")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.safetensors", b"x" * 100, "model.safetensors cannot be read as safetensors: its header is longer than"),
        (
            "model.safetensors",
            b"",
            "model.safetensors cannot be read as safetensors: its header is longer than the file",
        ),
        (
            "model.safetensors",
            b"\x02\0\0\0\0\0\0\0[]",
            "model.safetensors cannot be read as safetensors: its header is not",
        ),
        (
            "model.safetensors",
            -1000,
            r"model.safetensors cannot be read as safetensors: its tensors need [\d,]+ bytes, and",
        ),
        ("model.safetensors", b"\x02\0\0\0\0\0\0\0{}", "hold no weights"),
        ("config.json", {"num_hidden_layers": 5}, "config.json speaks of 5 layers, its weights have 4"),
        ("config.json", {"vocab_size": 9}, "config.json speaks of 9 tokens of 128 numbers, .* holds 768 of 128"),
        ("config.json", {"hidden_size": 64}, "config.json speaks of 768 tokens of 64 numbers, .* holds 768 of 128"),
        ("config.json", b"{", "config.json cannot be read as JSON"),
        ("config.json", b"{}", "config.json names no model_type"),
        ("config.json", b"[" * 100_000, "config.json cannot be read as JSON"),
        ("tokenizer.json", None, "this folder has no tokenizer"),
        ("tokenizer.json", b"{", "tokenizer.json cannot be read as JSON"),
        ("tokenizer.json", b"{}", "tokenizer.json is no tokenizer: "),
        (
            "model.safetensors.index.json",
            b'{"weight_map": {"a": "b.safetensors"}}',
            "names b.safetensors, which is not there",
        ),
    ],
)
@pytest.mark.parametrize("key", ["student", r"origins\.t\.model"])
def test_a_model_that_cannot_be_loaded_is_named(
    key: str, file: str, content: bytes | int | dict[str, Any] | None, said: str
) -> None:
    shutil.copytree(STUDENT, "model")
    path = Path("model") / file
    match content:
        case None:
            path.unlink()
        case int():
            path.write_bytes(path.read_bytes()[:content])
        case bytes():
            path.write_bytes(content)
        case dict():
            path.write_text(json.dumps({**json.loads(path.read_text()), **content}))
    if key == "student":
        study(student="model")
    else:
        study(origins={"t": {"kind": "teacher", "model": "model"}, "human": {}})
    refused(rf"{key}: model: .*{said}")


ON_HUMAN = {"on": "human"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"questions": {"train": None}, "arms": {"a": ON_HUMAN}, "sizes": [50, 61]},
            "sizes: 61 is not allowed: tickets has 60 training questions; allowed: at most so many",
        ),
        (
            {"arms": {"a": ON_HUMAN, "b": {**ON_HUMAN, "match": {"minimum": 61}}}},
            r"arms\.b\.match\.minimum: 61 is not allowed: tickets has 60 training questions",
        ),
        (
            {"arms": {"a": ON_HUMAN, "b": {**ON_HUMAN, "method": {"targets": ["q_prj"]}}}},
            r"arms\.b\.method\.targets: no layer is called 'q_prj' \(did you mean q_proj",
        ),
    ],
)
def test_what_an_arm_cannot_have_is_named(changes: dict[str, Any], said: str) -> None:
    study(**changes)
    refused(said)


def test_layers_by_the_end_of_their_names_can_be_targets() -> None:
    study(method={"targets": ["q_proj", "self_attn.v_proj", "model.layers.0.mlp.up_proj"]})
    planned()


def test_files_that_are_not_small_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "SMALL", 100)
    monkeypatch.setattr(preflight, "FEW", 5)
    write("train.jsonl", [row(n, gold="x" if n > 10 else str(n)) for n in range(60)])
    study()
    planned()
    write("train.jsonl", [row(n, gold="x") for n in range(60)])
    refused(r"benchmarks\.tickets: 5 of 5 gold answers of train cannot be used")


def test_a_template_is_tried_on_a_row() -> None:
    check(
        [
            Trial("a", "{% for n in numbers %}{{ n }}{% endfor %}", {"numbers": [1, 2]}),
            Trial("b", "{{ x }}", {"x": "y"}),
        ]
    )
    with pytest.raises(InputError, match=r"^c: the template makes 2,000,000 characters"):
        check([Trial("a", "{{ x }}", {"x": 1}), Trial("c", "{{ x * 2 }}", {"x": "y" * LONGEST})])


@pytest.mark.parametrize("command", [["plan"], ["run"]])
def test_the_command_line_says_it_in_one_line(command: list[str], here: Path) -> None:
    study({"prompt": "{{ nosuch }}"})
    environment = {"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin", "HOME": str(here)}
    ended = commands.run(here, environment, *command, "s.yaml")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: s.yaml: benchmarks.tickets.prompt: prompt template '{{ nosuch }}': it needs")
    assert ended.stderr.count("\n") == 1
    assert not (here / "store").exists()


def test_a_model_that_is_called_as_its_key_is_named_with_it() -> None:
    shutil.copytree(STUDENT, "student.v2")
    Path("student.v2/tokenizer.json").unlink()
    study(student="student.v2")
    refused(r"student: student\.v2: this folder has no tokenizer")


def test_rows_without_a_gold_answer_are_counted_and_may_be_left_out() -> None:
    rows = [row(n, gold=" " if n % 7 == 3 else str(n + 1)) for n in range(60)]  # 3, 10, … 59: 9 rows
    write("train.jsonl", [*rows, {"question": "How many?"}])
    study(questions={"train": None, "evaluate": 40})
    refused(
        r"benchmarks\.tickets: train\.jsonl, row 4: column 'gold' is empty \(rows without a question or a gold answer: "
        r"9 of 61\); allowed: a value, or `empty: leave_out`"
    )
    study({"empty": "leave_out"}, questions={"train": 51, "evaluate": 40})
    assert preflight.check(load("s.yaml")) == (
        "tickets/train: 10 of 61 rows have no question or no gold answer and are left out.",
    )
    study({"empty": "leave_out"}, questions={"train": 52, "evaluate": 40})
    refused(r"questions\.train: 52 questions are asked for, tickets/train has 51")


def test_questions_that_stand_twice_are_counted_and_those_with_two_gold_answers_too() -> None:
    again = [row(n, question=f"what is  {n} + 1?", gold=str(n + 1 + n % 2)) for n in range(30)]
    write("train.jsonl", [row(n) for n in range(30)] + again)
    study(questions={"train": None, "evaluate": 40})
    said = "tickets/train: 30 questions stand more than once, 15 of them with different gold answers."
    assert preflight.check(load("s.yaml")) == (said,)
    write("train.jsonl", [row(n, note=str(n)) for n in range(30)] + [{**each, "note": "b"} for each in again])
    study({"prompt": "{{ note }}: {{ question }}"}, questions={"train": None, "evaluate": 40})
    write("test.jsonl", [row(n, note="") for n in range(1000, 1040)])
    assert preflight.check(load("s.yaml")) == ()


def test_the_gold_column_can_be_an_origins_too() -> None:
    rows = [
        {"question": f"{n}?", "first": f"Final answer: {n}", "second": f"It is. Final answer: {n}"} for n in range(60)
    ]
    write("train.jsonl", rows)
    write("test.jsonl", rows)
    origins = {name: {"kind": "human", "column": name} for name in ("first", "second")}
    study({"columns": {"gold": "first"}, "verifier": "exact"}, origins=origins)
    planned()


def test_a_study_that_can_have_no_verdict_is_told_so() -> None:
    study(evaluate=["abacus/boxes"], questions={"train": 60, "evaluate": 10})
    (said,) = preflight.check(load("s.yaml"))
    assert said.startswith("No benchmark that is trained on is evaluated: there will be scores, and no verdict")
    study(evaluate=["abacus/boxes", "tickets"], questions={"train": 60, "evaluate": 10})
    assert preflight.check(load("s.yaml")) == ()
