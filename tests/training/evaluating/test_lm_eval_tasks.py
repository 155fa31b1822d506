"""Tasks of lm-eval itself: YAML files over local data, those that it ships, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

from manifests.errors import RequestError
from manifests.schema_evaluation import Benchmark
from tests.training import tiny
from tests.training.evaluating.questions import GSM8K_YAML, KMMLU_YAML, by_hand, choice_rows, job_of, sum_rows
from training.evaluating.engine import Engine
from training.evaluating.engines import open_engine
from training.evaluating.harness import run_benchmark

SEED = 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("tasks")
    tiny.save_model(here / "model", seed=3, template=None, max_position_embeddings=2048)
    tiny.write_jsonl(here / "kmmlu.jsonl", choice_rows(12))
    tiny.write_jsonl(here / "kmmlu_dev.jsonl", choice_rows(20)[12:])
    tiny.write_jsonl(here / "sums.jsonl", sum_rows(6))
    return here


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    with open_engine(job_of(folder / "model", folder)) as opened:
        yield opened


def run(engine: Engine, folder: Path, **fields: Any) -> Any:
    return run_benchmark(engine, Benchmark(name="mine", **fields), False, str(folder), SEED)


def write(folder: Path, name: str, text: str | None = None, **config: Any) -> str:
    folder.mkdir(exist_ok=True)
    hub = {"task": name, "dataset_path": "nobody/nothing", "test_split": "test", "fewshot_split": "dev"}
    text = yaml.safe_dump({**hub, **config}, allow_unicode=True) if text is None else text
    (folder / f"{name}.yaml").write_text(text, "utf-8")
    return str(folder / f"{name}.yaml")


@pytest.mark.parametrize("shots", [0, 3])
def test_a_yaml_over_local_files_is_as_by_hand(engine: Engine, folder: Path, tmp_path: Path, shots: int) -> None:
    named = write(tmp_path, "kmmlu_mine", **{**KMMLU_YAML, "metadata": {"version": 2.5}})
    result, items = run(engine, folder, lm_eval=named, data="kmmlu.jsonl", examples="kmmlu_dev.jsonl", shots=shots)
    model = AutoModelForCausalLM.from_pretrained(folder / "model").eval()
    lm = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(folder / "model"), batch_size=1)
    (tmp_path / "hand").mkdir()
    results, samples = by_hand(
        lm, KMMLU_YAML, folder / "kmmlu.jsonl", folder / "kmmlu_dev.jsonl", shots, SEED, tmp_path / "hand"
    )
    assert {name: score.value for name, score in result.scores.items()} == pytest.approx(results)
    assert result.units == [sample["acc"] for sample in samples]
    assert [item.prompt for item in items] == [sample["arguments"][0][0] for sample in samples]
    assert result.main == "acc"
    assert result.settings["version"] == "2.5"
    assert result.settings["shots"] == str(shots)
    assert result.scores["acc"].low is not None


def test_filters_are_scores_of_their_own(engine: Engine, folder: Path, tmp_path: Path) -> None:
    config = {**GSM8K_YAML, "num_fewshot": 0}
    named = write(tmp_path, "sums", **config)
    result, items = run(engine, folder, lm_eval=named, data="sums.jsonl", limit=4, max_new_tokens=3)
    assert list(result.scores) == ["exact_match,flexible-extract"]
    assert result.settings["form"] == "generate_until"
    assert len(result.units) == len(items) == 4
    assert result.notes == ["4 of 4 answers were cut at 3 tokens"]


def test_a_task_that_includes_another(engine: Engine, folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "parent", **KMMLU_YAML)
    named = write(tmp_path, "child", text="include: parent.yaml\ntask: child\n")
    result, _ = run(engine, folder, lm_eval=named, data="kmmlu.jsonl")
    assert result.scores["acc"].n == 12


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task: x\ndoc_to_text: !function mine.text\n", r"`!function` runs Python code, which is not run from files"),
        ("task: x\nmetric_list: [{metric: !function mine.score}]\n", r"`!function` runs"),
        ("task: x\nclass: !function mine.Task\n", r"`class` runs"),
        ("include: other.yaml\n", r"other.yaml: `!function` runs"),
        ("- a\n", r"expected a task of lm-eval"),
        ("task: [a, b]\ngroup: g\n", r"`task`: expected the name of one task"),
        ("task: {", r"is no YAML that can be read"),
    ],
)
def test_files_that_run_code_are_refused(engine: Engine, folder: Path, tmp_path: Path, text: str, said: str) -> None:
    marked = tmp_path / "ran"
    (tmp_path / "mine.py").write_text(f"open({str(marked)!r}, 'w')\ntext = score = Task = None\n")
    (tmp_path / "other.yaml").write_text("task: y\ndoc_to_text: !function mine.text\n")
    with pytest.raises(RequestError, match=said):
        run(engine, folder, lm_eval=write(tmp_path, "bad", text), data="kmmlu.jsonl")
    assert not marked.exists()


def test_what_is_missing_is_named(
    engine: Engine, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def unreachable(*names: Any, **more: Any) -> Any:
        raise ConnectionError("no way there")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    named = write(tmp_path, "kmmlu_mine", **KMMLU_YAML)
    with pytest.raises(
        RequestError, match=r"ConnectionError: no way there. Where the hub cannot be reached, name `data`"
    ):
        run(engine, folder, lm_eval=named)
    with pytest.raises(RequestError, match="3 shots; name `examples`"):
        run(engine, folder, lm_eval=named, data="kmmlu.jsonl", shots=3)
    with pytest.raises(RequestError, match="there is no such file"):
        run(engine, folder, lm_eval="nothing.yaml")


@pytest.mark.slow
def test_tasks_that_lm_eval_ships(engine: Engine, folder: Path) -> None:
    """By name, over local files; reading the index of all of them takes half a minute."""
    result, items = run(engine, folder, lm_eval="kmmlu_criminal_law", data="kmmlu.jsonl", shots=0)
    assert result.scores["acc"].n == 12
    assert items[0].prompt.endswith("정답：")
    with pytest.raises(RequestError, match="lm-eval ships no task `kmmlu_nothing`"):
        run(engine, folder, lm_eval="kmmlu_nothing", data="kmmlu.jsonl")
    with pytest.raises(RequestError, match="`mmlu` is several tasks"):
        run(engine, folder, lm_eval="mmlu", data="kmmlu.jsonl")
