"""The code fingerprint follows every change that can change a result, and no other."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.pipeline import fingerprint

BASE = {
    "judge.py": '''
from room.numbers import LIMIT, plus

def judge(x: int) -> int:
    """Doc."""
    return plus(x, LIMIT)  # why
''',
    "numbers.py": """
LIMIT = 3
UNUSED = 1

def plus(a, b):
    return a + b + _hidden()

def _hidden():
    from room.deep import depth
    return depth()

def unused():
    return 9
""",
    "deep.py": "def depth():\n    return 0\n",
}

Write = Callable[[dict[str, str]], dict[str, str]]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a small project and gives the fingerprint of `room.judge.judge`."""
    monkeypatch.setattr(fingerprint, "PROJECT", ("room",))
    monkeypatch.syspath_prepend(str(tmp_path))

    def of(files: dict[str, str]) -> dict[str, str]:
        (tmp_path / "room").mkdir(exist_ok=True)
        (tmp_path / "room" / "__init__.py").touch()
        for name, text in files.items():
            (tmp_path / "room" / name).write_text(text)
        for cached in (
            fingerprint._module,
            fingerprint._reached_from,
            fingerprint._digest,
            fingerprint.by_file,
            fingerprint.content,
        ):
            cached.cache_clear()
        return fingerprint.by_file(("room.judge", "judge"))

    yield of
    for name in [name for name in sys.modules if name.split(".")[0] == "room"]:
        del sys.modules[name]
    for cached in (
        *(fingerprint._module, fingerprint._reached_from, fingerprint._digest),
        *(fingerprint.by_file, fingerprint.content),
    ):
        cached.cache_clear()


def test_reaches_other_files_and_imports_inside_functions(write: Write) -> None:
    assert set(write(BASE)) == {"room/judge.py", "room/numbers.py", "room/deep.py"}


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("judge.py", "# why", "# another reason", None),
        ("judge.py", '"""Doc."""', '"""Other."""', None),
        ("judge.py", "x: int) -> int", "x: float) -> float", None),
        ("judge.py", "plus(x, LIMIT)", "plus( x,\n LIMIT )", None),
        ("numbers.py", "return 9", "return 8", None),
        ("numbers.py", "UNUSED = 1", "UNUSED = 2", None),
        ("judge.py", "plus(x, LIMIT)", "plus(LIMIT, x)", "room/judge.py"),
        ("numbers.py", "LIMIT = 3", "LIMIT = 4", "room/numbers.py"),
        ("numbers.py", "a + b", "a - b", "room/numbers.py"),
        ("deep.py", "return 0", "return 1", "room/deep.py"),
    ],
)
def test_changes_with_what_matters(write: Write, file: str, old: str, new: str, changed: str | None) -> None:
    before = write(BASE)
    assert old in BASE[file]
    after = write({**BASE, file: BASE[file].replace(old, new)})
    assert {name for name in before if before[name] != after[name]} == ({changed} if changed else set())


def test_content_is_the_same_wherever_code_lies(write: Write) -> None:
    write(BASE)
    judged = fingerprint.content(("room.judge", "judge"))
    hidden, rest = "def _hidden():\n    from room.deep import depth\n    return depth()\n", BASE["numbers.py"]
    moved = {
        "ruling.py": BASE["judge.py"].replace("room.numbers", "room.sums"),
        "sums.py": "from room.depths import _hidden\n" + rest.replace(hidden, ""),
        "depths.py": hidden.replace("room.deep", "room.deeper"),
        "deeper.py": BASE["deep.py"],
    }
    assert hidden in rest
    write({**BASE, **moved})
    assert fingerprint.content(("room.ruling", "judge")) == judged
    assert set(fingerprint.by_file(("room.ruling", "judge"))) == {f"room/{name}" for name in moved}
    write({**BASE, **moved, "deeper.py": "def depth():\n    return 1\n"})
    assert fingerprint.content(("room.ruling", "judge")) != judged


def test_two_roots_in_one_file_both_count(write: Write) -> None:
    write(BASE)
    plus, both = (("room.numbers", "plus"),), (("room.numbers", "plus"), ("room.numbers", "unused"))
    before = fingerprint.by_file(*plus), fingerprint.by_file(*both)
    write({**BASE, "numbers.py": BASE["numbers.py"].replace("return 9", "return 8")})
    after = fingerprint.by_file(*plus), fingerprint.by_file(*both)
    assert before[0] == after[0]
    assert before[1]["room/numbers.py"] != after[1]["room/numbers.py"]


def test_the_engine_code_is_part_of_what_engines_answer() -> None:
    from tasks.generate import generate
    from tasks.verify import verify

    reached = fingerprint.by_file(*generate.roots)
    assert {
        "tasks/generate.py",
        "tasks/engine/process.py",
        "tasks/engine/adapters.py",
        "tasks/models/sampling.py",
    } <= set(reached)
    assert "tasks/engine/process.py" not in fingerprint.by_file(*verify.roots)


def test_two_definitions_of_one_name_are_told_apart(write: Write) -> None:
    both = {
        "one.py": "LIMITS = (1, 2)\n",
        "other.py": "LIMITS = (3, 4)\n",
        "judge.py": "from room import one, other\n\ndef judge(x):\n    return x in one.LIMITS and x in other.LIMITS\n",
    }
    write({**BASE, **both})
    first = fingerprint.content(("room.judge", "judge"))
    write({**BASE, **both, "judge.py": both["judge.py"].replace("x in other.", "x in one.")})
    without_other = fingerprint.content(("room.judge", "judge"))
    swapped = {
        "judge.py": both["judge.py"].replace("x in one.LIMITS and x in other.", "x in other.LIMITS and x in one.")
    }
    write({**BASE, **both, **swapped})
    assert len({first, without_other, fingerprint.content(("room.judge", "judge"))}) == 3
