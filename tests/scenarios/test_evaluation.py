"""`onggi eval` from end to end, and evaluations within a training, on models too tiny to know anything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval")

import torch
import yaml

from manifests.errors import RequestError, RunError
from manifests.load import load_kind
from manifests.schema_evaluation import EvaluationManifest
from manifests.store import Folder
from synth.teachers import courier_process
from tests.scenarios.training_runs import in_this_process, load, write_training
from tests.synth.chat_server import ChatServer
from tests.training import tiny
from tests.training.judging.judged_rows import LOGICKOR
from training import stages
from training.evaluating import ask, evaluate, evaluation
from training.evaluating.item_files import read_items
from training.evaluating.record import EvaluationSummary, read_evaluation
from training.summary_models import TrainingSummary

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]
LAW = [
    {
        "question": f"{n}번 법의 이름은?",
        "A": "민법",
        "B": "형법",
        "C": "상법",
        "D": "헌법",
        "answer": 1 + n % 4,
        "Category": "Law",
    }
    for n in range(12)
]
SUMS = [{"question": f"What is {n} plus {n}?", "answer": f"{n} + {n} = {2 * n}\n#### {2 * n}"} for n in range(6)]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (stages, ask, evaluation):
        monkeypatch.setattr(module, "run", in_this_process)
    monkeypatch.setattr(courier_process, "BACKOFF_S", 0.001)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def judge(body: dict[str, Any], n_before: int) -> str:
    return "Looked at it.\nScore: [[4]]"


def prepare(folder: Path, **more: Any) -> Path:
    """Two models, questions, and a manifest that asks for all kinds of results."""
    tiny.save_model(folder / "one", max_position_embeddings=512)
    tiny.save_model(folder / "plain", seed=1, template=None, max_position_embeddings=512)
    tiny.write_jsonl(folder / "law.jsonl", LAW)
    tiny.write_jsonl(folder / "sums.jsonl", SUMS)
    tiny.write_jsonl(folder / "logickor.jsonl", LOGICKOR)
    tiny.write_jsonl(folder / "ko.jsonl", [{"text": text} for text in tiny.KOREAN])
    written = {
        "kind": "evaluation",
        "name": "tiny",
        "models": [{"name": "one", "path": "one", "chat": True}, {"name": "plain", "path": "plain"}],
        "validation": [{"name": "ko", "text": "ko.jsonl"}],
        "benchmarks": [
            {"name": "kmmlu", "data": "law.jsonl", "shots": 0},
            {"name": "gsm8k-cot", "data": "sums.jsonl", "max_new_tokens": 8, "limit": 4},
        ],
        "needle": {"lengths": [448], "depths": [0, 1], "languages": ["en"], "n": 1, "max_new_tokens": 4},
        "threads": 1,
        "output": "out",
    }
    path = folder / "e.yaml"
    path.write_text(yaml.safe_dump(written | more, sort_keys=False, allow_unicode=True))
    return path


def run(path: Path, *overrides: str) -> EvaluationSummary:
    manifest = load_kind(EvaluationManifest, str(path), overrides)
    _, folder = evaluation.evaluate(manifest, str(path.parent))
    return EvaluationSummary.model_validate_json(Path(folder, "summary.json").read_bytes())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("evaluation")
    with pytest.MonkeyPatch.context() as patched, ChatServer(judge) as server:
        for module in (ask, evaluation):
            patched.setattr(module, "run", in_this_process)
        judged = {
            "name": "logickor",
            "form": "logickor",
            "data": "logickor.jsonl",
            "judge": {"model": "j", "url": server.url, "retries": 0},
            "max_new_tokens": 8,
        }
        run(prepare(folder, judged=[judged]))
    yield folder


def test_all_of_it_is_measured_written_and_shown(finished: Path) -> None:
    out = finished / "out"
    summary = EvaluationSummary.model_validate_json((out / "summary.json").read_bytes())
    one, plain = summary.models
    assert [result.name for result in one.results] == ["ko", "kmmlu", "gsm8k-cot", "logickor", "needle"]
    assert all(result.score is not None for result in one.results)
    assert one.of("logickor").score.value == 4  # type: ignore[union-attr]
    assert len(one.of("kmmlu").units) == 12  # type: ignore[union-attr]
    why = {result.name: result.why for result in plain.results if result.why}
    assert set(why) == {"gsm8k-cot", "logickor"} and "no chat template" in why["logickor"]
    items = read_items(out, one.of("kmmlu"))  # type: ignore[arg-type]
    assert len(items) == 12 and "민법" in items[0].prompt and items[0].expected == "A"
    record = read_evaluation(Folder(str(out)))
    inputs = {Path(entry.path).name: entry for entry in record.inputs}
    assert inputs["law.jsonl"].digest and inputs["law.jsonl"].source == "benchmarks.kmmlu.data"
    assert {entry.path for entry in record.outputs} >= {"items/one/kmmlu.jsonl", "items/one/logickor.jsonl"}
    assert set(record.models) == {"one", "plain"} and record.results["plain"]["logickor"] is None
    page = (out / "report.html").read_text("utf-8")
    assert "kmmlu" in page and "Found in English" in page and "<script" not in page


def test_what_is_known_is_not_asked_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of the judge is gone, and no model may be read."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a model was read")

    monkeypatch.setattr(evaluate, "open_engine", refuse)
    before = (finished / "out/summary.json").read_bytes()
    run(finished / "e.yaml")
    assert (finished / "out/summary.json").read_bytes() == before
    run(finished / "e.yaml", "batch=8", "benchmarks.kmmlu.side=chat")
    for other in ("benchmarks.kmmlu.limit=3", "benchmarks.gsm8k-cot.chat=false", "needle.chat=false", "batch=4"):
        with pytest.raises(AssertionError, match="a model was read"):
            run(finished / "e.yaml", other)
    changed = run(finished / "e.yaml")
    assert changed.models[0].of("kmmlu").side == "core"  # type: ignore[union-attr]


def test_a_task_of_ones_own_is_asked_again_when_it_changes(tmp_path: Path) -> None:
    task = {
        "task": "law",
        "output_type": "multiple_choice",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "law.jsonl")}},
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_choice": ["A", "B", "C", "D"],
        "doc_to_target": "{{answer-1}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    path = prepare(
        tmp_path,
        models=[{"name": "one", "path": "one"}],
        benchmarks=[{"name": "law", "lm_eval": "law.yaml", "data": "law.jsonl"}],
        needle=None,
        validation=[],
    )
    prompts = list[str]()
    for text in ("{{question}}", "질문: {{question}}"):
        (tmp_path / "law.yaml").write_text(yaml.safe_dump(task | {"doc_to_text": text}, allow_unicode=True))
        found = run(path).models[0].of("law")
        assert found is not None
        prompts.append(read_items(tmp_path / "out", found)[0].prompt)
    assert prompts[1] == f"질문: {prompts[0]}"


def test_a_killed_one_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked, real = prepare(tmp_path, needle=None, validation=[]), list[str](), evaluate.run_benchmark

    def once(engine: Any, benchmark: Any, *more: Any) -> Any:
        asked.append(benchmark.name)
        if asked == ["kmmlu", "gsm8k-cot"]:
            raise KeyboardInterrupt
        return real(engine, benchmark, *more)

    monkeypatch.setattr(evaluate, "run_benchmark", once)
    with pytest.raises(KeyboardInterrupt):
        run(path)
    assert not (tmp_path / "out/run.json").exists()
    killed = run(path)
    assert asked == ["kmmlu", "gsm8k-cot", "gsm8k-cot", "kmmlu"]  # `plain` has no template for the second
    monkeypatch.undo()
    for module in (ask, evaluation):
        monkeypatch.setattr(module, "run", in_this_process)
    assert run(path, "output=other") == killed


WRONG = [
    ("models.one.path=nowhere", r"models\[0\].path: .*nowhere: is no model"),
    ("benchmarks.kmmlu.data=nowhere.jsonl", "benchmarks.kmmlu.data: .*nowhere.jsonl"),
    ("benchmarks.kmmlu.data=sums.jsonl", r"kmmlu: .*sums.jsonl:1: `A` is not there|kmmlu.*choices"),
    ("benchmarks.kmmlu.data=null", "kmmlu: .*cannot be had.*name `data`"),
    ("benchmarks.kmmlu.shots=5", "kmmlu: .*name `examples`"),
    ("benchmarks.kmmlu.examples=nowhere", "benchmarks.kmmlu.examples: .*nowhere"),
]


@pytest.mark.parametrize(("override", "said"), WRONG)
def test_what_is_wrong_is_said(override: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(RequestError, match=said):
        run(prepare(tmp_path, needle=None, validation=[]), override)
    assert not (tmp_path / "out/run.json").exists()


def test_stages_of_a_training_are_evaluated_and_gates_judge_it(tmp_path: Path) -> None:
    evaluated = {"benchmarks": [{"name": "kmmlu", "data": "law.jsonl", "shots": 0}]}
    path = write_training(tmp_path, steps=2, evaluation=evaluated, prompts=None)
    tiny.write_jsonl(tmp_path / "law.jsonl", LAW)
    held = "stages.cpt.gates=[{gate: score, of: kmmlu, max_fall: 1.0, against: base}]"
    failed = "stages.sft.gates=[{gate: score, of: kmmlu, min: 1.0}, {gate: score, of: kmmlu, max_fall: 1.0}]"
    elsewhere = "stages.sft.model=./instruct"  # which no stage made, and the gate compares with
    with pytest.raises(RunError, match="sft: a gate failed") as raised:
        stages.train(load(path, held, failed, elsewhere), str(tmp_path))
    assert "score: kmmlu acc: " in str(raised.value)
    summary = TrainingSummary.model_validate_json((tmp_path / "run/summary.json").read_bytes())
    assert [stage.name for stage in summary.stages] == ["base", "cpt", "sft"]
    assert all(stage.evaluated[0].score for stage in summary.stages)
    assert summary.stages[1].gates[0].passed
    assert [gate.passed for gate in summary.stages[2].gates] == [False, True]
    page = (tmp_path / "run/report.html").read_text("utf-8")
    assert 'id="scores"' in page and "acc, 0 shots" in page
    with pytest.raises(RequestError, match=r"evaluation\.benchmarks\.kmmlu\.data: .*nowhere"):
        stages.train(load(path, "evaluation.benchmarks.kmmlu.data=nowhere"), str(tmp_path))
