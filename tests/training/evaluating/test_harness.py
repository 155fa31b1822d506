"""A benchmark through lm-eval: the same numbers as lm-eval run by hand, per question too."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

from manifests.errors import RequestError
from manifests.schema_evaluation import Benchmark
from tests.training import tiny
from tests.training.benchmarks import shipped_tasks
from tests.training.benchmarks.code_rows import HUMANEVAL
from tests.training.evaluating.questions import (
    GSM8K_YAML,
    KMMLU_YAML,
    by_hand,
    choice_rows,
    gsm8k,
    job_of,
    kmmlu,
    sum_rows,
)
from tests.training.online.test_generators import VLLM_PYTHON
from training.benchmarks.code import TASKS
from training.benchmarks.task import Marked, Task
from training.evaluating.chat_models import NO_TEMPLATE
from training.evaluating.engine import Engine
from training.evaluating.engines import open_engine
from training.evaluating.harness import run_task
from training.evaluating.local_data import file_rows
from training.measuring.uncertainty import wilson

SEED = 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a chat template that reads five examples, and files of questions."""
    here = tmp_path_factory.mktemp("harness")
    tiny.save_model(here / "model", seed=3, template=None, max_position_embeddings=2048)
    tiny.write_jsonl(here / "kmmlu.jsonl", choice_rows(24))
    tiny.write_jsonl(here / "kmmlu_dev.jsonl", choice_rows(36)[24:])
    tiny.write_jsonl(here / "sums.jsonl", sum_rows(12))
    tiny.write_jsonl(here / "sums_train.jsonl", sum_rows(30)[12:])
    return here


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    with open_engine(job_of(folder / "model", folder)) as opened:
        yield opened


@pytest.fixture(scope="module")
def lm(folder: Path) -> HFLM:
    """lm-eval's own model, with a batch of one."""
    model = AutoModelForCausalLM.from_pretrained(folder / "model").eval()
    return HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(folder / "model"), batch_size=1)


def run(engine: Engine, task: Task, folder: Path, data: str, examples: str | None = None, **more: Any) -> Any:
    chat = more.pop("in_chat", False)
    benchmark = Benchmark(name=task.name, data=data, examples=examples, **more)
    return run_task(engine, task, benchmark, chat, str(folder), SEED)


@pytest.mark.parametrize("shots", [0, 5])
def test_choices_are_as_lm_eval_has_them(engine: Engine, lm: HFLM, folder: Path, shots: int) -> None:
    result, items = run(engine, kmmlu(), folder, "kmmlu.jsonl", "kmmlu_dev.jsonl", shots=shots)
    results, samples = by_hand(
        lm, KMMLU_YAML, folder / "kmmlu.jsonl", folder / "kmmlu_dev.jsonl", shots, SEED, folder
    )
    assert {name: score.value for name, score in result.scores.items()} == pytest.approx(results)
    assert result.units == [sample["acc"] for sample in samples]
    assert [item.prompt for item in items] == [sample["arguments"][0][0] for sample in samples]
    assert 0 < result.scores["acc"].value < 1, "else they agree by chance"
    assert result.settings["shots"] == shots
    assert result.settings["form"] == "log-likelihood"


@pytest.mark.parametrize("shots", [0, 5])
def test_answers_are_as_lm_eval_has_them(engine: Engine, lm: HFLM, folder: Path, shots: int) -> None:
    result, items = run(engine, gsm8k(), folder, "sums.jsonl", "sums_train.jsonl", shots=shots)
    results, samples = by_hand(
        lm, GSM8K_YAML, folder / "sums.jsonl", folder / "sums_train.jsonl", shots, SEED, folder
    )
    assert result.scores["exact_match"].value == pytest.approx(results["exact_match"])
    assert [item.prompt for item in items] == [sample["arguments"][0][0] for sample in samples]
    assert [item.answer for item in items] == [sample["resps"][0][0] for sample in samples]
    assert result.units == [sample["exact_match"] for sample in samples]
    assert any(item.answer.strip() for item in items)


def test_right_answers_are_found_as_lm_eval_finds_them(
    engine: Engine, lm: HFLM, folder: Path, tmp_path: Path
) -> None:
    """What the model says to every other question is made the right answer."""
    _, said = run(engine, gsm8k(), folder, "sums.jsonl", shots=0)
    reads = [item.note.removeprefix("read: ") for item in said]
    rows = [
        row | ({"answer": f"so #### {read}"} if number % 2 else {})
        for number, (row, read) in enumerate(zip(sum_rows(12), reads, strict=True))
    ]
    tiny.write_jsonl(tmp_path / "right.jsonl", rows)
    result, _ = run(engine, gsm8k(), tmp_path, "right.jsonl", shots=0)
    results, samples = by_hand(lm, GSM8K_YAML, tmp_path / "right.jsonl", tmp_path / "right.jsonl", 0, SEED, tmp_path)
    assert result.scores["exact_match"].value == pytest.approx(results["exact_match"])
    assert result.units == [sample["exact_match"] for sample in samples]
    assert 0.3 < results["exact_match"] < 1


def test_examples_of_the_same_file_are_drawn_as_lm_eval_does(engine: Engine, lm: HFLM, folder: Path) -> None:
    """There one more is drawn, and the question left out."""
    import datasets
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate

    rows = datasets.Dataset.from_list(choice_rows(24))
    more = {"task": "same", "test_split": "test", "fewshot_split": "test", "num_fewshot": 3}
    task = ConfigurableTask(config={**KMMLU_YAML, **more, "custom_dataset": lambda **_: {"test": rows}})
    task.set_fewshot_seed(SEED)
    # one group of all subjects, as in lm-eval's task
    _, items = run(engine, kmmlu(group=None), folder, "kmmlu.jsonl", "kmmlu.jsonl", shots=3)
    found = evaluate(lm, {"tasks": {"same": task}}, bootstrap_iters=0)
    assert found is not None
    assert [item.prompt for item in items] == [one["arguments"][0][0] for one in found["samples"]["same"]]
    for item, row in zip(items, choice_rows(24), strict=True):
        assert item.prompt.count(row["question"]) == 1, "no question is its own example"


def test_examples_of_the_own_group(engine: Engine, folder: Path) -> None:
    task = kmmlu(same_group_examples=True, sampler="first")
    _, items = run(engine, task, folder, "kmmlu.jsonl", "kmmlu.jsonl", shots=2)
    rows = choice_rows(24)
    for number, item in enumerate(items):
        own = [row for row in rows if row["Category"] == item.group and row is not rows[number]][:2]
        assert [item.prompt.index(row["question"]) for row in own] == sorted(
            item.prompt.index(r["question"]) for r in own
        )
        assert sum(row["question"] in item.prompt for row in rows) == 3


def test_too_few_examples(engine: Engine, folder: Path) -> None:
    with pytest.raises(RequestError, match=r"kmmlu.jsonl:1: 24 shots, and there are 23 examples beside the question"):
        run(engine, kmmlu(), folder, "kmmlu.jsonl", "kmmlu.jsonl", shots=24)
    with pytest.raises(RequestError, match=r"there are 4 examples of its group `지리` beside"):
        run(engine, kmmlu(same_group_examples=True), folder, "kmmlu.jsonl", "kmmlu_dev.jsonl", shots=5)


def test_scores_have_intervals_and_groups(engine: Engine, folder: Path) -> None:
    told = list[tuple[int, int]]()
    benchmark = Benchmark(name="kmmlu", data="kmmlu.jsonl", shots=0)
    result, items = run_task(
        engine, kmmlu(), benchmark, True, str(folder), SEED, lambda done, total: told.append((done, total))
    )
    score = result.scores["acc"]
    assert (score.low, score.high) == wilson(sum(result.units), 24)
    assert list(result.groups) == ["지리", "법", "history"]
    assert sum(group.value * group.n for group in result.groups.values()) == pytest.approx(sum(result.units))
    assert told[-1] == (96, 96)
    assert result.settings["chat"] == "no", "choices are never asked in a chat template of themselves"
    assert {item.answer for item in items} <= set("ABCD")
    assert items[1].expected == "B"


def test_what_all_questions_make_together(engine: Engine, folder: Path) -> None:
    def spread(docs: Any, scores: Any) -> dict[str, float]:
        return {"share": sum(one["odd"] for one in scores) / len(docs)}

    def odd(docs: Any, answers: Any) -> list[Marked]:
        return [Marked({"odd": float(len(doc["question"]) % 2)}) for doc in docs]

    result, _ = run(engine, gsm8k(aggregate=spread, mark=odd, main="odd"), folder, "sums.jsonl", shots=0)
    share = result.scores["share"]
    assert share.value == pytest.approx(result.scores["odd"].value)
    assert share.low is not None
    assert share.low <= share.value
    assert result.main == "odd"


def test_cut_answers_and_long_prompts_are_told(engine: Engine, folder: Path) -> None:
    long = {"question": "길다 " * 900, "answer": "#### 1"}
    tiny.write_jsonl(folder / "long.jsonl", [long, *sum_rows(3)])
    result, _ = run(engine, gsm8k(), folder, "long.jsonl", shots=0, max_new_tokens=2)
    assert result.notes[0] == "1 of 4 prompts were too long for the model's 2048 tokens and lost their beginning"
    assert result.notes[1].endswith("of 4 answers were cut at 2 tokens")
    with pytest.raises(RequestError, match=r"answers of 2048 tokens.*set a smaller `max_new_tokens`"):
        run(engine, gsm8k(), folder, "long.jsonl", shots=0, max_new_tokens=2048)


def test_a_limit_takes_the_same_questions(engine: Engine, folder: Path) -> None:
    whole, all_items = run(engine, kmmlu(), folder, "kmmlu.jsonl", shots=0)
    result, items = run(engine, kmmlu(), folder, "kmmlu.jsonl", shots=0, limit=8)
    places = [all_items.index(item) for item in items]
    assert len(places) == 8
    assert places == sorted(places)
    assert result.units == [whole.units[place] for place in places]


def test_a_model_that_is_not_finite(folder: Path, tmp_path: Path) -> None:
    import torch

    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(folder / "model").save_pretrained(tmp_path / "model")
    with open_engine(job_of(tmp_path / "model", tmp_path)) as engine:
        result, items = run(engine, kmmlu(), folder, "kmmlu.jsonl", shots=0, limit=2)
    assert "no number" in result.why
    assert not result.scores
    assert not items


# In a chat template


@pytest.fixture(scope="module")
def chat_engine(tiny_model: Path, folder: Path) -> Iterator[Engine]:
    with open_engine(job_of(tiny_model, folder)) as opened:
        yield opened


def test_examples_are_turns_in_a_chat(chat_engine: Engine, folder: Path) -> None:
    task = gsm8k(description="Add.\n\n")
    result, items = run(chat_engine, task, folder, "sums.jsonl", "sums_train.jsonl", shots=1, limit=2, in_chat=True)
    assert result.settings["chat"] == "yes"
    row = next(row for row in sum_rows(12) if row["question"] in items[0].prompt)
    tail = f"<|im_start|>user\nQuestion: {row['question']}\nAnswer:<|im_end|>\n<|im_start|>assistant\n"
    assert items[0].prompt.endswith(tail)
    assert items[0].prompt.startswith("<|im_start|>system\nAdd.")
    assert items[0].prompt.count("<|im_start|>assistant\n") == 2


def test_who_is_asked_in_a_chat(engine: Engine, chat_engine: Engine, folder: Path) -> None:
    def chat_of(engine: Engine, task: Task, **more: Any) -> object:
        return run(engine, task, folder, "sums.jsonl", shots=0, limit=1, **more)[0].settings["chat"]

    assert chat_of(chat_engine, gsm8k()) == "no"
    assert chat_of(chat_engine, gsm8k(is_instruct=True)) == "yes"
    assert chat_of(chat_engine, gsm8k(), in_chat=True, chat=False) == "no"
    assert chat_of(engine, gsm8k(), in_chat=True, chat=False) == "no"


def test_a_model_without_a_template_says_why(engine: Engine, folder: Path) -> None:
    """Of the benchmark that asks for one alone: others go on."""
    fields: list[tuple[Task, dict[str, Any]]] = [
        (gsm8k(), {"chat": True}),
        (gsm8k(), {"in_chat": True}),
        (gsm8k(is_instruct=True, side="chat"), {}),
    ]
    for task, more in fields:
        result, items = run(engine, task, folder, "sums.jsonl", shots=0, **more)
        assert (result.why, result.scores, result.side) == (NO_TEMPLATE, {}, task.side)
        assert result.name == task.name and result.kind == "benchmark" and not items
    result, _ = run(engine, gsm8k(is_instruct=True), folder, "sums.jsonl", shots=0, limit=1, chat=False)
    assert result.score is not None and result.settings["chat"] == "no"
    assert "made for chat models, and asked without a chat template" in result.notes


@pytest.mark.parametrize("in_chat", [True, False])
@pytest.mark.parametrize("shots", [0, 1])
@pytest.mark.parametrize("name", ["humaneval-instruct", "humaneval-plus-instruct"])
def test_an_answer_goes_on_from_its_beginning(
    chat_engine: Engine, tiny_model: Path, tmp_path: Path, name: str, shots: int, in_chat: bool
) -> None:
    """As lm-eval's own humaneval_instruct is asked."""
    import datasets
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate

    rows = [{**row, "prompt": f"# {number}\n{row['prompt']}"} for number, row in enumerate(HUMANEVAL)]
    tiny.write_jsonl(tmp_path / "code.jsonl", rows)
    task = replace(TASKS[name], mark=lambda docs, answers: [Marked({"pass@1": 1.0}) for _ in answers])
    more = {"shots": shots, "max_new_tokens": 4, "chat": in_chat}
    result, items = run(chat_engine, task, tmp_path, "code.jsonl", "code.jsonl", **more)
    declared = shipped_tasks.declared("humaneval/humaneval_instruct.yaml")
    theirs = {key: declared[key] for key in ("task", "doc_to_text", "gen_prefix", "output_type", "test_split")}
    own = {
        "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(rows)},
        "doc_to_target": "{{canonical_solution}}",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "num_fewshot": shots,
        "fewshot_split": "test",
        "fewshot_config": {"sampler": "first_n"},
    }
    oracle = ConfigurableTask(config={**theirs, **own})
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    lm = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(tiny_model), batch_size=1)
    found = evaluate(
        lm, {"tasks": {"x": oracle}}, bootstrap_iters=0, apply_chat_template=in_chat, fewshot_as_multiturn=in_chat
    )
    assert found is not None
    assert [item.prompt for item in items] == [one["arguments"][0][0] for one in found["samples"]["x"]]
    assert items[0].prompt.rstrip().endswith(rows[0]["prompt"].rstrip())
    assert ("<|im_start|>assistant\nHere is the completed function:" in items[0].prompt) == in_chat
    assert result.settings["version"] == 2


def test_a_description_is_no_template(engine: Engine, folder: Path) -> None:
    said = "Braces {{question}} and {% raw %} stay.\n\n"
    _, items = run(engine, gsm8k(description=said), folder, "sums.jsonl", shots=0, limit=1)
    assert items[0].prompt.startswith(said)
    task = gsm8k(describe=lambda doc: f"Of {len(doc['question'])}:\n")
    _, items = run(engine, task, folder, "sums.jsonl", shots=0, limit=1)
    assert items[0].prompt.startswith("Of 1")


def test_marks_and_notes_of_answers(engine: Engine, folder: Path) -> None:
    result, items = run(engine, gsm8k(), folder, "sums.jsonl", shots=0, limit=3)
    assert all(item.note.startswith("read: ") for item in items)
    assert result.settings["max_new_tokens"] == 24


# A real model


@pytest.mark.slow
@pytest.mark.parametrize("shots", [0, 5])
def test_a_real_model_is_as_lm_eval_has_it(shared_data: Path, tmp_path: Path, shots: int) -> None:
    """SmolLM2-135M on questions of KMMLU's criminal law and of GSM8K; see `make judge`."""
    smol = VLLM_PYTHON.parent.parent / "smollm2-135m-instruct"
    if not smol.is_dir():
        pytest.skip(f"{smol} is not there: `make judge` unpacks it")
    law = list(file_rows("kmmlu_criminal_law_test.jsonl", str(shared_data / "benchmarks"), "data"))
    sums = list(file_rows("gsm8k_test.jsonl", str(shared_data / "benchmarks"), "data"))
    rows = sorted((as_kmmlu(row.doc) for row in law), key=lambda row: len(str(row)))[:14]  # the shortest take seconds
    more = sorted((row.doc for row in sums), key=lambda row: len(row["question"] + row["answer"]))[:11]
    files = {
        "law.jsonl": rows[::2],
        "law_dev.jsonl": rows[1::2],
        "sums.jsonl": more[::4],
        "sums_train.jsonl": more[1::2],
    }
    for name, of in files.items():
        tiny.write_jsonl(tmp_path / name, of)
    lm = HFLM(
        pretrained=AutoModelForCausalLM.from_pretrained(smol).eval(),
        tokenizer=AutoTokenizer.from_pretrained(smol),
        batch_size=1,
    )
    with open_engine(job_of(smol, tmp_path)) as engine:
        choices, items = run(engine, kmmlu(group=None), tmp_path, "law.jsonl", "law_dev.jsonl", shots=shots)
        answers, said = run(engine, gsm8k(), tmp_path, "sums.jsonl", "sums_train.jsonl", shots=shots)
    for config, name, result, of in ((KMMLU_YAML, "law", choices, items), (GSM8K_YAML, "sums", answers, said)):
        train = tmp_path / ("law_dev.jsonl" if name == "law" else "sums_train.jsonl")
        results, samples = by_hand(lm, config, tmp_path / f"{name}.jsonl", train, shots, SEED, tmp_path)
        assert {key: score.value for key, score in result.scores.items()} == pytest.approx(results)
        assert [item.prompt for item in of] == [sample["arguments"][0][0] for sample in samples]
        assert result.units == [sample[result.main] for sample in samples]
        print(name, shots, results)
    assert [item.answer for item in said] == [sample["resps"][0][0] for sample in samples]


def as_kmmlu(doc: Any) -> dict[str, Any]:
    """A row of the shared file in KMMLU's columns."""
    letters = dict(zip("ABCD", doc["choices"], strict=True))
    return {"question": doc["question"], **letters, "answer": "ABCD".index(doc["answer"]) + 1}
