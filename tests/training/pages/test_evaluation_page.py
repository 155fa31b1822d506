"""The page of an evaluation: all of it is there, what models wrote is text only, and what is missing is left out."""

from typing import Any

import pytest

from tests.synth.test_report import Page
from tests.training.summarized import HOSTILE
from training.evaluating.record import EvaluationSummary
from training.evaluating.results import Evaluated, GridCell, Item, ModelResults, Score
from training.pages.evaluation_page import ITEMS_SHOWN, render

UNITS = [1.0, 0.0] * 10


def benchmark(value: float, units: list[float], **more: Any) -> Evaluated:
    score = Score(value=value, low=value - 0.1, high=value + 0.1, n=len(units))
    groups = {"Law": Score(value=value, n=10), HOSTILE: Score(value=0.25, n=10)}
    return Evaluated(
        name="kmmlu",
        kind="benchmark",
        main="acc",
        scores={"acc": score, "acc_norm": score},
        groups=groups,
        units=units,
        settings={"shots": 5, "task": "kmmlu", "source": "Kanana, Table 1"},
        **more,
    )


GRID = Evaluated(
    name="needle",
    kind="needle",
    main="found",
    scores={"found": Score(value=0.75, n=4)},
    cells=[
        GridCell(language=language, length=1024, depth=depth, n=2, score=score)
        for language, depth, score in (
            ("ko", 0.0, 1.0),
            ("ko", 1.0, 0.5),
            ("en", 0.0, 1.0),
            ("en", 1.0, float("nan")),
        )
    ],
)
FAILED = Evaluated(name="logickor", kind="judged", side="chat", why="the judge answers rubbish", notes=[HOSTILE])
ITEMS = [
    Item(id=f"q{n}", group="Law", prompt=HOSTILE, answer=f"{HOSTILE}{n}", expected="B", score=float(n % 2))
    for n in range(20)
]


@pytest.fixture(scope="module")
def page() -> Page:
    models = [
        ModelResults(name="base", folder="/m/base", results=[benchmark(0.5, UNITS), GRID, FAILED]),
        ModelResults(name="dna", folder="/m/dna", results=[benchmark(1.0, [1.0] * 20), GRID]),
    ]
    record = {"created": "2026-12-01T00:00:00+00:00", "folder": HOSTILE, "environment": {"torch": "2.13"}}
    summary = EvaluationSummary(name="law", compare_with="base", models=models)
    return Page(render(summary, {("dna", "kmmlu"): ITEMS}, record))


def test_everything_is_there(page: Page) -> None:
    assert page.open == []
    for words in (
        "kmmlu acc, 5 shots",
        "40 to 60",
        "+50",
        "acc_norm",
        "Law 50 100",
        "Kanana, Table 1",
        "Found in Korean",
        "Not measured. base: the judge answers rubbish",
        f"{ITEMS_SHOWN} questions, those that went worst first",
        "q0 · Law · score 0",
        "torch 2.13",
    ):
        assert words in page.text, words


def test_what_models_wrote_is_text(page: Page) -> None:
    assert not {"script", "img"} & set(page.tags)
    assert "onerror" not in {name for name, _ in page.attributes}
    assert "alert(1)" in page.text and "{{ 7 * 7 }}" in page.text


def test_the_policy_of_the_page_lets_its_styles_stand(page: Page) -> None:
    """It forbids styles that stand in tags."""
    assert "style" not in {name for name, _ in page.attributes}


def test_a_page_without_items_grid_or_record() -> None:
    models = [ModelResults(name="a", folder="a", results=[FAILED])]
    shown = Page(render(EvaluationSummary(name="x", compare_with="a", models=models), {}, {}))
    assert shown.open == [] and "the judge answers rubbish" in shown.text and "The manifest" not in shown.text
