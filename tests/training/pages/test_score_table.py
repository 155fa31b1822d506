"""The table of an evaluation: what each model came to, what differs for sure, and nothing that was not measured."""

from training.evaluating.results import Evaluated, ModelResults, Score
from training.pages.score_table import is_share_score, score_table, written


def benchmark(name: str, units: list[float], side: str = "core", **settings: int) -> Evaluated:
    value = sum(units) / len(units)
    score = Score(value=value, low=value - 0.05, high=value + 0.05, n=len(units))
    return Evaluated(
        name=name, kind="benchmark", side=side, main="acc", scores={"acc": score}, units=units, settings={**settings}
    )


def judged(name: str, value: float) -> Evaluated:
    return Evaluated(name=name, kind="judged", side="chat", main="score", scores={"score": Score(value=value, n=40)})


def model(name: str, *results: Evaluated) -> ModelResults:
    return ModelResults(name=name, folder=name, results=list(results))


RIGHT, HALF = [1.0] * 40, [1.0, 0.0] * 20
BASE = model("base", benchmark("mmlu", HALF, shots=5), benchmark("kmmlu", HALF, shots=5))
SFT = model("sft", benchmark("mmlu", HALF, shots=5), benchmark("kmmlu", RIGHT, shots=5), judged("logickor", 6.514))


def test_sides_stand_beside_each_other() -> None:
    table = score_table([BASE, SFT], "base")
    assert [column.name for column in table.columns] == ["mmlu", "kmmlu", "logickor"]
    assert table.sides() == [("core", 2), ("chat", 1)]
    assert [column.shots for column in table.columns] == ["acc, 5 shots", "acc, 5 shots", "score"]
    base, sft = table.rows
    assert [cell.text for cell in base.cells] == ["50", "50", "–"]
    assert [cell.text for cell in sft.cells] == ["50", "100", "6.514"]
    assert sft.cells[0].interval == "45 to 55"


def test_only_what_is_sure_has_a_colour() -> None:
    _, sft = score_table([BASE, SFT], "base").rows
    assert (sft.cells[0].verdict, sft.cells[0].change_text) == ("", "")
    assert (sft.cells[1].verdict, sft.cells[1].change_text) == ("kept", "+50")
    assert sft.cells[2].change is None
    base, _ = score_table([BASE, SFT], "sft").rows
    assert (base.cells[1].verdict, base.cells[1].change_text) == ("dropped", "−50")


def test_means_are_of_all_shares_of_a_side_or_not_told() -> None:
    table = score_table([BASE, SFT], "base")
    assert [row.means["core"] for row in table.rows] == ["50", "75"]
    assert table.has_mean("core") and not table.has_mean("chat")
    failed = Evaluated(name="kmmlu", kind="benchmark", why="no data")
    (row,) = score_table([model("cpt", benchmark("mmlu", HALF), failed)], "cpt").rows
    assert row.means["core"] == ""
    assert row.cells[1].why == "no data"


def test_a_result_that_only_failed_has_a_column() -> None:
    failed = Evaluated(name="ifeval", kind="benchmark", side="chat", why="no chat template")
    table = score_table([model("base", failed)], "base")
    assert [(column.name, column.shots) for column in table.columns] == [("ifeval", "")]


def test_how_scores_are_written() -> None:
    assert written(0.54321, True) == "54.32"
    assert written(2.49368, False) == "2.494"
    assert written(-0.5, False) == "−0.5"
    assert written(7.3125, False) == "7.312"


def test_what_is_no_share_is_not_written_as_one() -> None:
    perplexity = Score(value=23.45, more_is_better=False)
    result = Evaluated(name="wiki", kind="benchmark", main="word_perplexity", scores={"word_perplexity": perplexity})
    wins = {name: Score(value=0.25) for name in ("win_rate", "wins", "ties", "turn_1")}
    pairs = Evaluated(name="pairs", kind="judged", side="chat", main="win_rate", scores=wins)
    (row,) = score_table([model("m", benchmark("mmlu", HALF), result, pairs)], "m").rows
    assert [cell.text for cell in row.cells] == ["50", "23.45", "25"]
    assert row.means["core"] == ""
    assert all(is_share_score(pairs, name) for name in wins)
