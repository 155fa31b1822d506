"""An ablation from end to end, on models too tiny to learn: what is run, shared, missing, and told."""

import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("trl")

import torch

from manifests.errors import RequestError, RunError
from manifests.record import RECORD, read_record
from manifests.store import Folder
from tests.scenarios.training_runs import in_this_process
from tests.training import tiny
from tests.training.experiments.small_experiments import MIXTURE, ablation, cpt, lay_out, manifest, training
from training import stages
from training.evaluating import evaluation
from training.experiments.ablate import ablate, check_complete, write_experiment_report
from training.experiments.checks import planned
from training.experiments.outlook import plan_of
from training.experiments.summary_models import ExperimentSummary
from training.jobs import Job

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]
GATE = {"gate": "validation_loss", "set": "ko", "max_rise": -0.9}
STEPS = [
    {"name": "mix", "manifest": MIXTURE},
    {
        "name": "train",
        "manifest": training(
            cpt("pre", steps=1), cpt("on", gates=[GATE]), cpt("off", model="pre", learning_rate=9e-3)
        ),
    },
]
ARMS = [
    {"name": "on", "of": "train.on"},
    {"name": "off", "of": "train.off", "title": "a higher rate"},
    {"name": "large", "set": {"mix.tokens": 10_000_000}},
]
MORE: dict[str, Any] = {"steps": STEPS, "arms": ARMS, "of": "train.on"}


class Counted:
    """Instead of `launch.run`; counts the stages, and is killed before one where it is told to."""

    def __init__(self, dies_at: int = -1) -> None:
        self.stages, self.dies_at = Counter[str](), dies_at

    def __call__(self, job: Any, *others: Any) -> bytes:
        if isinstance(job, Job):
            if self.stages.total() == self.dies_at:
                raise KeyboardInterrupt
            self.stages[job.stage.name] += 1
        return in_this_process(job, *others)


def patched(monkeypatch: pytest.MonkeyPatch, run: Counted) -> Counted:
    for module in (stages, evaluation):
        monkeypatch.setattr(module, "run", run)
    torch.set_num_threads(1)
    return run


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    before = torch.get_num_threads()
    yield patched(monkeypatch, Counted())
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In a folder called as that of an experiment's runs, so that these are told apart by more than their name."""
    folder = tmp_path_factory.mktemp("ablation") / "runs" / "here"
    folder.mkdir(parents=True)
    return lay_out(folder)


@pytest.fixture(scope="module")
def finished(place: Path) -> tuple[ExperimentSummary, Counter[str]]:
    """Two arms that share a stage, one of which fails its gate, and one of whose mixture cannot be had."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        run = patched(monkeypatch, Counted())
        summary, folder = ablate(manifest(place, **MORE), str(place))
        assert folder == str(place / "out")
        return summary, run.stages


def test_stages_that_arms_share_are_trained_once(finished: tuple[ExperimentSummary, Counter[str]]) -> None:
    assert finished[1] == {"pre": 2, "on": 2, "off": 2}, "once per seed"


def test_arms_are_compared_seed_by_seed(finished: tuple[ExperimentSummary, Counter[str]], place: Path) -> None:
    """Against numpy, from the table of all figures."""
    summary, _ = finished
    assert summary.baseline == "on" and [arm.name for arm in summary.arms] == ["on", "off", "large"]
    assert [(column.name, column.better) for column in summary.columns] == [("ko.bits_per_byte", "lower")]
    table = pl.read_csv(place / "out/results.csv").filter(measure="ko.bits_per_byte").sort("seed")
    on, off = (table.filter(arm=name)["value"].to_numpy() for name in ("on", "off"))
    assert len(on) == 2 and on[0] != on[1], "mixtures have the seed, too"
    first, second, _ = summary.arms
    figure, difference = second.figures["ko.bits_per_byte"], second.differences["ko.bits_per_byte"]
    assert figure.mean == pytest.approx(np.mean(off)) and figure.values == pytest.approx(list(off))
    assert difference.mean == pytest.approx(np.mean(off - on)) and difference.values == pytest.approx(list(off - on))
    half = 12.706204736 * np.std(off - on, ddof=1) / np.sqrt(2)
    assert difference.high - difference.mean == pytest.approx(half)
    assert first.differences == {} and first.is_baseline and second.title == "a higher rate"
    assert pl.read_parquet(place / "out/results.parquet").height == pl.read_csv(place / "out/results.csv").height


def test_flops_are_those_of_all_that_a_model_goes_back_to(
    finished: tuple[ExperimentSummary, Counter[str]],
) -> None:
    point = next(one for one in finished[0].points if (one.arm, one.seed) == ("off", 1))
    assert point.flops == 6 * point.n_parameters * point.n_tokens > 0
    n_before = point.figures["counts.tokens"] - point.n_tokens
    assert n_before == 0 and point.flops < point.flops_total < 2 * point.flops, "`pre` has one step, `off` three"


def test_a_gate_that_fails_is_noted_and_its_figures_are_kept(
    finished: tuple[ExperimentSummary, Counter[str]],
) -> None:
    failed = {point.arm: point.gates_failed for point in finished[0].points}
    assert failed["off"] == [] and len(failed["on"]) == 1 and failed["on"][0].startswith("on: ko: loss")


def test_an_arm_that_fails_is_told_and_the_others_are_whole(
    finished: tuple[ExperimentSummary, Counter[str]], place: Path
) -> None:
    summary, _ = finished
    lost = [(one.step, one.arms, one.seeds, one.is_left_out) for one in summary.failed]
    assert lost == [
        ("mix", ["large"], [0], False),
        ("train", ["large"], [0], True),
        ("mix", ["large"], [1], False),
        ("train", ["large"], [1], True),
    ]
    assert summary.arms[2].figures == {}
    assert not (place / "out" / RECORD).exists(), "it is not complete"
    with pytest.raises(RunError) as raised:
        check_complete(summary, "out")
    assert "large: seed 0: mix: " in str(raised.value) and "2 runs that read them were left out" in str(raised.value)
    assert "large" in (place / "out/report.html").read_text()


def test_a_run_that_is_asked_again_does_nothing(
    finished: tuple[ExperimentSummary, Counter[str]], place: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the arm that failed it is complete; not even a process that measures is started."""
    monkeypatch.setattr(stages, "run", None)
    summary, folder = ablate(manifest(place, **MORE | {"arms": ARMS[:2]}), str(place))
    check_complete(summary, folder)
    assert all(run.is_reused for run in summary.runs)
    assert summary.arms == finished[0].arms[:2]
    record = read_record(Folder(folder), kind="ablation")
    assert record.counts == {"runs": 6, "reused": 6}
    assert {entry.path for entry in record.inputs} >= {str(place / f"data/{name}.parquet") for name in ("ko", "en")}
    made_by_it = [str(place / "out" / name) for name in ("runs", "stages")]
    assert not [entry.path for entry in record.inputs if entry.path.startswith(tuple(made_by_it))]
    train = next(one for one in summary.runs if one.step == "train")
    assert {str(place / name) for name in ("base", "ko.jsonl")} <= train.inputs.keys() and train.base == str(place)
    page = (place / "out/report.html").read_bytes()
    assert f"Relative paths start at <code>{place}</code>".encode() in page
    (place / "out/report.html").unlink()
    assert write_experiment_report(Folder(folder)) == f"{folder}/report.html"
    assert (place / "out/report.html").read_bytes() == page


def weights(folder: Path) -> list[tuple[str, str]]:
    """Of each stage its folder and the digest of what it made."""
    return sorted(
        (path.parent.parent.name, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.glob("stages/*/model/*.safetensors")
    )


def test_a_killed_run_goes_on(
    finished: tuple[ExperimentSummary, Counter[str]], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, output = manifest(place, **MORE | {"arms": ARMS[:2]}), str(place / "killed")
    patched(monkeypatch, Counted(dies_at=3))
    with pytest.raises(KeyboardInterrupt):
        ablate(wanted, str(place), output)
    run = patched(monkeypatch, Counted())
    looked = plan_of(planned(wanted, str(place), output), "small", [0, 1])
    assert (looked.n_stages, looked.n_stages_trained) == (8, 3) and looked.flops > 0
    assert next(row.there for row in looked.runs if row.step == "train") == ["pre", "on"]
    summary, _ = ablate(wanted, str(place), output)
    assert run.stages.total() == 3, "of six, three were there"
    looked = plan_of(planned(wanted, str(place), output), "small", [0, 1])
    assert (looked.n_stages, looked.n_stages_trained, looked.flops) == (8, 0, 0)
    assert weights(place / "killed") == weights(place / "out")
    assert [arm.figures for arm in summary.arms] == [arm.figures for arm in finished[0].arms[:2]]
    assert [run.is_reused for run in summary.runs] == [True, True, True, False, False, False]


def test_an_experiment_that_was_moved_trains_nothing_again(
    finished: tuple[ExperimentSummary, Counter[str]], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(place / "out", place / "moved")
    run = patched(monkeypatch, Counted())
    summary, _ = ablate(manifest(place, **MORE | {"arms": ARMS[:2]}), str(place), str(place / "moved"))
    assert run.stages.total() == 0 and weights(place / "moved") == weights(place / "out")
    assert [arm.figures for arm in summary.arms] == [arm.figures for arm in finished[0].arms[:2]]


def test_what_changed_is_done_again(place: Path, counted: Counted, tmp_path: Path) -> None:
    """Held-out text that changed is measured again, on models that stay."""
    lay_out(tmp_path)
    wanted = manifest(tmp_path, arms=[{"name": "a"}], seeds=[0])
    first, _ = ablate(wanted, str(tmp_path))
    lines = (tmp_path / "ko.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "ko.jsonl").write_bytes(b"".join(lines[:5]))
    second, _ = ablate(wanted, str(tmp_path))
    assert counted.stages == {"cpt": 1}
    assert [run.is_reused for run in second.runs] == [True, False]
    figure = [one.arms[0].figures["ko.bits_per_byte"].mean for one in (first, second)]
    assert figure[0] != figure[1]
    assert first.arms[0].figures["ko.bits_per_byte"].low == figure[0], "one seed has no interval"


def test_an_evaluation_judges(place: Path, counted: Counted) -> None:
    judged = {
        "kind": "evaluation",
        "models": [{"name": "m", "path": "step:train.on"}],
        "validation": [{"name": "held", "text": "ko.jsonl"}],
        "threads": 1,
    }
    more = MORE | {"steps": [*STEPS, {"name": "eval", "manifest": judged}], "of": "eval", "arms": ARMS[:1]}
    more["arms"] = [{"name": "on"}]
    summary, _ = ablate(manifest(place, **more, seeds=[0], measures=["held.bits_per_byte"]), str(place))
    assert list(summary.arms[0].figures) == ["held.bits_per_byte"]
    point = summary.points[0]
    own = next(one for one in ablate_points(place) if (one["arm"], one["seed"]) == ("on", 0))
    assert point.figures["held.bits_per_byte"] == pytest.approx(own["value"]), "the same text, under another name"
    assert point.n_parameters > 0 and point.flops_total > 0 and point.gates_failed


def ablate_points(place: Path) -> list[dict[str, Any]]:
    """Figures of the model, as the training measured it."""
    summary = ExperimentSummary.model_validate_json((place / "killed/summary.json").read_bytes())
    return [{"arm": one.arm, "seed": one.seed, "value": one.figures["ko.bits_per_byte"]} for one in summary.points]


def test_a_mixture_judges_by_its_counts(place: Path) -> None:
    arms = [{"name": "all"}, {"name": "ko", "set": {"mix.sources.en.where": "language = 'ko'"}}]
    arms.append({"name": "same", "set": {"mix.sequence_length": MIXTURE["sequence_length"]}})
    wanted = manifest(place, steps=[STEPS[0]], of="mix", arms=arms, measures=["counts.tokens"])
    summary, _ = ablate(wanted, str(place), str(place / "mixed"))
    assert any(note.startswith("same: its runs are those of all") for note in summary.notes)
    assert not any(note.startswith("ko: its runs") for note in summary.notes)
    both, korean, _ = (arm.figures["counts.tokens"] for arm in summary.arms)
    assert both.mean > korean.mean > 0
    assert not {"counts.tokenised_bytes", "counts.shards_written"} & {
        name for point in summary.points for name in point.figures
    }, "what was left to do is no result"
    tokenised = [run.counts["tokenised_bytes"] for run in summary.runs]
    assert tokenised[0] > 0 and tokenised[1:] == [0, 0, 0], "once for all arms and seeds"


def test_a_measure_that_nothing_has_is_told_with_those_that_are_there(place: Path) -> None:
    arms = [{"name": "all"}]
    wanted = manifest(place, steps=[STEPS[0]], of="mix", arms=arms, measures=["counts.tokens", "counts.tokns"])
    summary, folder = ablate(wanted, str(place), str(place / "misspelt"))
    assert list(summary.arms[0].figures) == ["counts.tokens"] and not (Path(folder) / RECORD).exists()
    with pytest.raises(RunError, match=r"measures\[1\]: 'counts.tokns' was not measured; valid: .*counts.tokens"):
        check_complete(summary, folder)
    assert "counts.tokns" in (Path(folder) / "report.html").read_text()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"measures": ["en.bits_per_byte"]}, r"measures\[0\]: found 'en.bits_per_byte'; valid: ko.…, figures.…"),
    ({"arms": [{"name": "x", "set": {"train.base": "nowhere"}}]}, "x, seed 0, train: .*nowhere"),
    ({"arms": [{"name": "x", "set": {"train.validation.ko.text": "no.jsonl"}}]}, "x, seed 0, train: .*no.jsonl"),
    ({"arms": [{"name": "x", "set": {"mix.sources.ko.path": "no.parquet"}}]}, "x, seed 0, mix: sources: ko: "),
]


@pytest.mark.parametrize(("more", "said"), WRONG)
def test_what_is_not_there_is_told_before_any_work(place: Path, more: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        ablate(manifest(place, **ablation() | more), str(place), str(place / "wrong"))
    assert not (place / "wrong").exists()


def test_a_step_that_reads_what_is_to_come_is_looked_at_all_the_same(place: Path) -> None:
    """Also where what it names lies in the experiment's folder, in which only the runs that it reads are to come."""
    words = {"name": "words", "tokenizer": {"text": ["data/ko.parquet"], "vocab_size": 400}}
    sources = [
        {"name": "lost", "run": "wrong/web", "category": "all"},
        {"name": "ko", "path": "data/ko.parquet", "category": "all", "where": "edu > 3"},
        {"name": "made", "path": "step:words/text/*.parquet", "category": "all"},
    ]
    mix = MIXTURE | {"tokenizer": {"path": "step:words", "engine": "library"}, "sources": sources}
    wanted = manifest(place, steps=[words, {"name": "mix", "manifest": mix}], of="mix", arms=[{"name": "a"}])
    with pytest.raises(RequestError) as raised:
        ablate(wanted, str(place), str(place / "wrong"))
    lines = str(raised.value).splitlines()
    assert len(lines) == 2 and "sources: lost: " in lines[0] and "edu" in lines[1]


@pytest.mark.slow
def test_planted_data_is_ranked_by_short_annealing(tmp_path: Path, counted: Counted) -> None:
    """Stage-2 data as Kanana and Llama 3 choose it: a short annealing on each from the same checkpoint."""
    place = lay_out(tmp_path)
    noise = [{"text": "".join(random.Random(n).choices("qxzjkvw \n", k=150))} for n in range(60)]
    tiny.write_jsonl(place / "data/noise.jsonl", noise)
    planted = MIXTURE | {"sources": [{"name": "planted", "path": "data/ko.parquet", "category": "planted"}]}
    pre = cpt("pre", steps=20, learning_rate=5e-3)
    steps = [
        {"name": "mix", "manifest": MIXTURE},
        {"name": "candidate", "manifest": planted},
        {"name": "train", "manifest": training(pre, cpt("anneal", mixture="step:candidate", steps=20))},
    ]
    arms = [
        {"name": name, "set": {"candidate.sources.planted.path": f"data/{file}"}}
        for name, file in (("en", "en.parquet"), ("ko", "ko.parquet"), ("noise", "noise.jsonl"))
    ]
    wanted = manifest(place, steps=steps, of="train.anneal", arms=arms, baseline="ko", seeds=[0, 1, 2, 3, 4])
    summary, _ = ablate(wanted, str(place))
    assert counted.stages == {"pre": 5, "anneal": 15}, "the checkpoint that all begin with is trained once per seed"
    worse = {arm.name: arm.differences["ko.bits_per_byte"] for arm in summary.arms if not arm.is_baseline}
    assert list(worse) == ["en", "noise"] and all(difference.low > 0 for difference in worse.values()), "surely"
