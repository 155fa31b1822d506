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
from training.evaluating.chat_models import NO_TEMPLATE
from training.evaluating.engine import Engine
from training.evaluating.engines import open_engine
from training.evaluating.harness import run_benchmark
from training.evaluating.task_files import SHIPPED

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


TEMPLATE = "{{ cycler.__init__.__globals__.os.system('touch " + "%s') }}"


@pytest.mark.parametrize("field", ["doc_to_text", "doc_to_choice", "doc_to_target", "description", "gen_prefix"])
def test_templates_reach_no_python(engine: Engine, folder: Path, tmp_path: Path, field: str) -> None:
    import lm_eval.utils

    marked, before = tmp_path / "ran", lm_eval.utils.env
    named = write(tmp_path, "bad", **{**KMMLU_YAML, field: TEMPLATE % marked})
    with pytest.raises(RequestError, match=r"a template runs what a template may not: .*__init__"):
        run(engine, folder, lm_eval=named, data="kmmlu.jsonl")
    shots = {"fewshot_config": {"doc_to_text": TEMPLATE % marked}}
    named = write(tmp_path, "worse", **{**KMMLU_YAML, **shots})
    with pytest.raises(RequestError, match="a template runs"):
        run(engine, folder, lm_eval=named, data="kmmlu.jsonl", examples="kmmlu_dev.jsonl", shots=1)
    assert not marked.exists() and lm_eval.utils.env is before


def test_templates_have_the_filters_of_lm_eval(engine: Engine, folder: Path, tmp_path: Path) -> None:
    said = "{{question | regex_replace('\\\\(.*', '!') | upper}}\n"
    _, items = run(
        engine, folder, lm_eval=write(tmp_path, "x", **{**KMMLU_YAML, "doc_to_text": said}), data="kmmlu.jsonl"
    )
    assert all(item.prompt.endswith(" !\n") for item in items)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric_list": [{"metric": "{here}/mine", "hf_evaluate": True}]}, "`hf_evaluate` runs Python code"),
        ({"metric_list": [{"metric": "{here}/mine"}]}, "lm-eval has no metric `.*mine`; valid: .*acc_norm"),
        ({"metric_list": [{"metric": "acc", "aggregation": "mine"}]}, "no aggregation `mine`; valid: .*mean"),
        ({"metric_list": "acc"}, "`metric_list`: expected a list"),
        ({"process_results": "mine", "metric_list": [{"metric": "{here}/mine"}]}, "lm-eval has no metric"),
        ({"dataset_kwargs": {"trust_remote_code": True}}, "`dataset_kwargs.trust_remote_code` runs"),
        ({"dataset_kwargs": ["trust_remote_code"]}, "`dataset_kwargs`: expected a mapping"),
        ({"dataset_path": "{here}/mine"}, "mine` is a script"),
        ({"dataset_path": "{here}/mine/mine.py"}, "is a script"),
        ({"use_prompt": "mine.yaml:x"}, "`use_prompt` runs"),
        ({"unsafe_code": False}, "`unsafe_code` runs"),
        ({"include": "bad.yaml"}, "`include` goes round"),
        ({"include": str(SHIPPED / "ruler" / "niah_single_1.yaml")}, "a function makes the dataset"),
    ],
)
def test_fields_that_load_code_are_refused(
    engine: Engine, folder: Path, tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    whole = yaml.safe_load(yaml.safe_dump(fields).replace("{here}", str(tmp_path)))
    with pytest.raises(RequestError, match=said):
        run(engine, folder, lm_eval=write(tmp_path, "bad", **{**KMMLU_YAML, **whole}), data="kmmlu.jsonl")
    assert not (tmp_path / "ran").exists()


def test_a_limit_holds_what_is_asked_and_not_its_examples(engine: Engine, folder: Path, tmp_path: Path) -> None:
    named = write(tmp_path, "same", **{**KMMLU_YAML, "fewshot_split": "test"})
    result, items = run(engine, folder, lm_eval=named, data="kmmlu.jsonl", limit=2, shots=5)
    assert len(items) == result.scores["acc"].n == 2
    assert all(item.prompt.count("정답：") == 6 for item in items)
    _, all_items = run(engine, folder, lm_eval=named, data="kmmlu.jsonl", shots=0)
    _, few = run(engine, folder, lm_eval=named, data="kmmlu.jsonl", shots=0, limit=2)
    assert [item.id for item in few] == [item.id for item in items]
    assert {item.id for item in items} < {item.id for item in all_items}
    _, most = run(engine, folder, lm_eval=named, data="kmmlu.jsonl", limit=1, shots=11)
    assert len(most) == 1


@pytest.mark.parametrize("sampler", ["default", "first_n"])
def test_too_few_examples_are_told(engine: Engine, folder: Path, tmp_path: Path, sampler: str) -> None:
    more = {**KMMLU_YAML, "fewshot_config": {"sampler": sampler}}
    same, other = (write(tmp_path, split, **{**more, "fewshot_split": split}) for split in ("test", "dev"))
    said = r"benchmarks.mine.lm_eval: `test`: 12 shots, and there are 11 examples beside the question itself"
    with pytest.raises(RequestError, match=said):
        run(engine, folder, lm_eval=same, data="kmmlu.jsonl", shots=12)
    with pytest.raises(RequestError, match=r"`dev`: 9 shots, and there are 8 examples; name fewer"):
        run(engine, folder, lm_eval=other, data="kmmlu.jsonl", examples="kmmlu_dev.jsonl", shots=9)
    own = {"fewshot_split": None, "test_split": None, "validation_split": "test"}
    samples = {"fewshot_config": {"sampler": sampler, "samples": choice_rows(2)}}
    few = write(tmp_path, "few", **{**KMMLU_YAML, **own, **samples})
    if sampler == "first_n":
        _, items = run(engine, folder, lm_eval=few, data="kmmlu.jsonl", limit=1, shots=1)
        assert len(items) == 1
    with pytest.raises(RequestError, match=r"`few`: 3 shots, and there are [12] examples"):
        run(engine, folder, lm_eval=few, data="kmmlu.jsonl", limit=1, shots=3)
    tiny.write_jsonl(tmp_path / "twice.jsonl", choice_rows(3) * 2)
    with pytest.raises(RequestError, match=r"5 shots, and there are 4 examples"):
        run(engine, tmp_path, lm_eval=same, data="twice.jsonl", shots=5)


def test_questions_are_counted_once_in_notes(engine: Engine, folder: Path, tmp_path: Path) -> None:
    filters = [{"name": name, "filter": [{"function": "take_first"}]} for name in ("one", "two")]
    named = write(tmp_path, "sums", **{**GSM8K_YAML, "num_fewshot": 0, "filter_list": filters})
    result, _ = run(engine, folder, lm_eval=named, data="sums.jsonl", max_new_tokens=3)
    assert list(result.scores) == ["exact_match,one", "exact_match,two"]
    assert result.notes == ["6 of 6 answers were cut at 3 tokens"]


def test_texts_that_are_read_in_windows_lose_nothing(engine: Engine, folder: Path, tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "texts.jsonl", [{"text": "길다 " * 900}, {"text": "short"}])
    config = {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "word_perplexity"}],
    }
    result, _ = run(engine, tmp_path, lm_eval=write(tmp_path, "texts", **config), data="texts.jsonl")
    assert result.main == "word_perplexity" and result.scores["word_perplexity"].value > 1
    assert not result.notes


def test_a_model_without_a_template_says_why(engine: Engine, folder: Path, tmp_path: Path) -> None:
    named = write(tmp_path, "sums", **{**GSM8K_YAML, "num_fewshot": 0})
    result, items = run(engine, folder, lm_eval=named, data="sums.jsonl", limit=1, chat=True)
    assert (result.name, result.why, result.scores, items) == ("mine", NO_TEMPLATE, {}, [])
    result, _ = run_benchmark(
        engine, Benchmark(name="mine", lm_eval=named, data="sums.jsonl"), True, str(folder), SEED
    )
    assert result.why == NO_TEMPLATE


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
