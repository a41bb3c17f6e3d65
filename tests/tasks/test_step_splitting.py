"""Splitting responses into steps: they join to the response, and a model goes on from their ends as from its own."""

import pytest

from tasks.models.model import Model, resolve
from tasks.models.rendering import Renderer, renderer
from tasks.resources.errors import StageFailed
from tasks.steps.splitting import split

GSM8K = "Natalia sold 48/2 = <<48/2=24>>24 clips.\nIn all 48+24 = 72 (3.5 a day!).\n\n#### 72"


@pytest.fixture(scope="module")
def rendering() -> Renderer:
    return renderer(resolve("abacus-student"))


@pytest.mark.parametrize(
    ("text", "way", "steps"),
    [
        (
            "34 + 17 = 51. 51 - 8 = 43. Final answer: 43",
            "sentences",
            ["34 + 17 = 51.", " 51 - 8 = 43.", " Final answer: 43"],
        ),
        (GSM8K, "lines", [*GSM8K.splitlines(keepends=True)[:2], "\n#### 72"]),
        (GSM8K, "sentences", [GSM8K.splitlines()[0], "\n" + GSM8K.splitlines()[1], "\n\n#### 72"]),
        ('It is 3.5. No more!  Then "x." So 4.', "sentences", ["It is 3.5.", " No more!", '  Then "x."', " So 4."]),
        ("a; b; c", ";", ["a;", " b;", " c"]),
        ("no end", "sentences", ["no end"]),
        ("one line\n", "lines", ["one line\n"]),
        ("\n\nwell", "lines", ["\n\nwell"]),
        ("", "lines", [""]),
    ],
)
def test_steps(rendering: Renderer, text: str, way: str, steps: list[str]) -> None:
    found = split(text, way, rendering)
    assert found.texts == steps
    assert "".join(found.texts) == text


@pytest.mark.parametrize("model", ["abacus-student", "tiny"])
@pytest.mark.parametrize("way", ["sentences", "lines", "[.;]"])
def test_each_step_ends_where_a_token_ends(model: str, way: str, tiny: Model) -> None:
    rendering = renderer(tiny if model == "tiny" else resolve(model))
    for text in (GSM8K, "So 1 + 2 = 3;then 4.5.Next 6. 7!", "über 漢字. \t😀. Then. "):
        whole = rendering.beginning(text)
        found = split(text, way, rendering)
        assert found.ends[-1] == len(whole)
        for number, end in enumerate(found.ends[:-1], 1):
            assert rendering.beginning("".join(found.texts[:number])) == whole[:end]
            assert rendering.decode(whole[:end]) == "".join(found.texts[:number])


def test_a_way_that_is_no_expression_is_refused(rendering: Renderer) -> None:
    with pytest.raises(StageFailed, match=r"steps: \( is no regular expression: missing \)"):
        split("a (b)", "(", rendering)
