"""The stage `merge`: what it makes and tells; sweeps of t, their front, their words, and what they leave behind."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests.engine import silent
from manifests.errors import RequestError
from manifests.schema_training import Merge
from manifests.schema_training_gates import Validation
from tests.training import tiny
from tests.training.merging import merged
from training.jobs import Job, Made
from training.merging.arithmetic import slerp
from training.merging.charts import angle_chart, pareto_chart
from training.merging.report import TensorRecord
from training.merging.stage import run
from training.merging.sweep import Swept, sweep_table, two_sets
from training.summary_models import Measures

HEAD = "lm_head.weight"


def job(tmp_path: Path, sweep: list[float] | None = None, **rule: Any) -> Job:
    models = {name: tmp_path / name for name in ("cpt", "base")}
    for seed, folder in enumerate(models.values()):
        if not folder.exists():
            merged.model(folder, merged.arrays_of(seed))
    stage = Merge.model_validate(
        {"kind": "merge", "name": "m", "rule": {"models": list(models)} | rule, "sweep": sweep or []}
    )
    return Job(
        stage=stage,
        folder=str(tmp_path / "stages/m"),
        manifest_base=str(tmp_path),
        models={name: str(folder) for name, folder in models.items()},
        seed=3,
        threads=1,
    )


def distance(target: float) -> Any:
    """A loss that is least where the merged head is the one at t = target, and so a trade between two targets."""
    ends = [merged.arrays_of(seed)[HEAD] for seed in range(2)]

    def loss(folder: Path) -> float:
        return float(np.abs(merged.read(folder)[HEAD] - slerp(target, *ends)).mean())

    return loss


def measured(asked: list[str]) -> Any:
    korean, english = distance(0.2), distance(0.8)

    def measure(name: str, folder: Path) -> Measures:
        asked.append(name)
        return {
            "web-ko": {"loss": korean(folder), "bits_per_byte": 1.0},
            "quiz": {"accuracy": 0.5},
            "books-en": {"loss": english(folder)},
        }

    return measure


def test_a_merge_alone(tmp_path: Path) -> None:
    made = run(job(tmp_path), silent)
    assert made.counts == {"tensors": 9, "parameters": sum(of.size for of in merged.arrays_of(0).values())}
    assert made.figures["slerp_share"] > 0.9
    assert 0 < made.figures["angle_min"] <= made.figures["angle_max"] <= 180
    assert [table.title for table in made.tables] == [
        "Which path tensors took",
        "Angles between both models, by module",
        "What was settled where models differ",
    ]
    assert list(made.charts) == ["Angle between both models"]
    assert Made.model_validate_json(made.model_dump_json()) == made
    assert (tmp_path / "stages/m/model/merge.json").is_file()
    run(job(tmp_path, t=0), silent)  # a stage that was stopped after its last rename is done again
    found = merged.read(tmp_path / "stages/m/model")
    assert all(np.array_equal(found[name], of) for name, of in merged.arrays_of(0).items())


def test_a_sweep(tmp_path: Path) -> None:
    asked: list[str] = []
    made = run(job(tmp_path, [0.8, 0.2, 0.5, 0, 0.9, 0.05]), silent, measured(asked))
    assert asked == ["cpt", "t=0.05", "t=0.2", "t=0.5", "t=0.8", "t=0.9", "base"]
    assert sorted(path.name for path in (tmp_path / "stages/m").iterdir()) == ["model"]
    table = made.tables[0]
    assert table.columns == ["model", "loss on web-ko", "loss on books-en", "accuracy on quiz", "Pareto"]
    assert [row[0] for row in table.rows if row[-1] == "front"] == ["t=0.2", "t=0.5", "t=0.8"]
    assert "On web-ko, t=0.2 is best" in table.note and "no model beats t=0.2, t=0.5, t=0.8" in table.note
    svg = made.charts["What t trades: loss on web-ko against books-en"]
    texts = [element.text for element in ET.fromstring(svg).iter() if element.text]
    assert {"t=0.2", "t=0.8", "cpt", "base", "loss on web-ko", "loss on books-en"} <= set(texts)
    merge_alone = run(job(tmp_path), silent)
    assert made.tables[1:] == merge_alone.tables  # the sweep changes nothing of what the stage makes


def test_a_sweep_of_linear(tmp_path: Path) -> None:
    seen: dict[str, np.ndarray[Any, Any]] = {}

    def measure(name: str, folder: Path) -> Measures:
        seen[name] = merged.read(folder)[HEAD]
        return {"ko": {"loss": 1.0}}

    made = run(job(tmp_path, [0.25], method="linear"), silent, measure)
    first, second = (merged.arrays_of(seed)[HEAD] for seed in range(2))
    assert np.abs(seen["t=0.25"] - (0.75 * first + 0.25 * second)).max() < 1e-6
    assert next(iter(made.charts)) == "Loss on ko over t"


def test_what_fails_leaves_no_model_behind(tmp_path: Path) -> None:
    def measure(name: str, folder: Path) -> Measures:
        if name == "t=0.5":
            raise RequestError("no such set")
        return {"ko": {"loss": 1.0}}

    with pytest.raises(RequestError, match="no such set"):
        run(job(tmp_path, [0.5]), silent, measure)
    assert not list((tmp_path / "stages/m").glob("sweep/*"))


def swept(*losses: tuple[float, float], names: tuple[str, str] = ("ko", "en")) -> list[Swept]:
    last = len(losses) - 1
    return [
        Swept(f"t={n / last:g}", n / last, {name: {"loss": loss} for name, loss in zip(names, pair, strict=True)})
        for n, pair in enumerate(losses)
    ]


def test_words_of_a_ridge() -> None:
    note = sweep_table(swept((1, 2), (3, 1.5), (2, 1))).note
    assert "t=0.5 is worse there than both parents (3.0000)" in note and "ridge" in note
    assert note.count("ridge") == 1
    assert "On ko and en together, no model beats t=0, t=1." in note


def test_which_sets_are_traded() -> None:
    def pair(*names: str) -> tuple[str, str] | None:
        return two_sets([Swept("a", 0, {name: {"loss": 1.0} for name in names})])

    assert pair("mix", "wiki-en", "web_ko") == ("web_ko", "wiki-en")
    assert pair("korean", "english") == ("korean", "english")
    assert pair("broken", "token") == ("broken", "token")  # no language is part of a word
    assert pair("en") is None


def test_charts_draw_each_tensor_once() -> None:
    records = [
        TensorRecord(
            name="x",
            layer=n,
            module=module,
            shape=[2],
            dtype="F32",
            n_numbers=2,
            path=path,
            t=0.5,
            cosine=0.0,
            angle=a,
        )
        for n in (*range(80), None)
        for module, path, a in (("<mlp>.up", "slerp", 4.0), ("norm", "linear", 1.0), ("attn", "same", 0.0))
    ]
    svg = ET.fromstring(angle_chart(records))
    shapes = [element for element in svg if not element.tag.endswith("text")]
    assert len(shapes) == len(records) + 6
    assert "<mlp>.up" in [element.text for element in svg]
    equal = pareto_chart([("t=0.1", 1, 1), ("t=0.2", 1, 1), ("b", 2, 2)], "ko", "en")
    assert equal.count("t=0.1") == 1 and "b" in equal


@pytest.mark.filterwarnings("ignore")
def test_a_sweep_that_is_measured_by_the_validation_sets(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    folders = {name: tiny.save_model(tmp_path / name, seed=seed) for seed, name in enumerate(("cpt", "base"))}
    for name, texts in (("ko", tiny.KOREAN), ("en", tiny.ENGLISH)):
        tiny.write_jsonl(tmp_path / f"{name}.jsonl", [{"text": text} for text in texts])
    sets = tuple(Validation(name=name, text=f"{name}.jsonl") for name in ("ko", "en"))
    asked = job(tmp_path, [0.5]).model_copy(update={"validation": sets, "measures": str(tmp_path / "measures")})
    made = run(asked, silent)
    table = made.tables[0]
    assert [row[0] for row in table.rows] == ["cpt", "t=0.5", "base"]
    from training.measuring.jobs import MeasureJob
    from training.measuring.measures import measure

    alone = MeasureJob(
        models={"base": str(folders["base"]), "m": str(asked.model_path)}, validations=sets,
        manifest_base=str(tmp_path), cache=str(tmp_path / "other"),
    )  # fmt: skip
    found = measure(alone, silent).models
    for row, name in ((table.rows[1], "m"), (table.rows[2], "base")):  # the stage's own t is 0.5 as well
        assert row[1:3] == [round(found[name].measures[of]["loss"], 5) for of in ("ko", "en")]
    assert "What t trades: loss on ko against en" in made.charts
