"""Small benchmarks for tests: tasks of known prompts, rows for them, and models that are asked."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.training import tiny
from training.benchmarks.task import Doc, Marked, Task
from training.evaluating.jobs import EvaluateJob

LETTERS = "ABCD"
SUBJECTS = ("지리", "법", "history")


def job_of(folder: Path, here: Path, **more: Any) -> EvaluateJob:
    """A job that evaluates a model."""
    paths = {"manifest_base": str(here), "cache": str(here / "cache"), "items": str(here / "items")}
    return EvaluateJob(name="m", folder=str(folder), threads=1, **{**paths, "batch": 4, **more})


def choice_rows(n: int, *, subjects: Sequence[str] = SUBJECTS) -> list[dict[str, Any]]:
    """Questions in KMMLU's columns, all different, with answers that the letters share evenly."""
    return [
        {
            "question": f"{tiny.KOREAN[i % len(tiny.KOREAN)]} ({i}) 옳은 것은?",
            "A": f"가 {i}",
            "B": f"나나 {i * 3}",
            "C": "the third one",
            "D": f"라 ㅋㅋ {i}",
            "answer": i % 4 + 1,
            "Category": subjects[i % len(subjects)],
        }
        for i in range(n)
    ]


def sum_rows(n: int) -> list[dict[str, Any]]:
    """Questions in GSM8K's columns."""
    return [
        {"question": f"Add {i} to {i * i}.", "answer": f"{i} + {i * i} = {i + i * i}\n#### {i + i * i}"}
        for i in range(n)
    ]


def kmmlu(**changes: Any) -> Task:
    """KMMLU as lm-eval asks it."""
    settings: dict[str, Any] = {
        "name": "kmmlu",
        "columns": ("question", "A", "B", "C", "D", "answer"),
        "hub": ("HAERAE-HUB/KMMLU", None),
        "form": "choices",
        "ask": lambda doc: "\n".join(
            [doc["question"].strip(), *(f"{letter}. {doc[letter]}" for letter in LETTERS), "정답："]
        ),
        "right": lambda doc: doc["answer"] - 1,
        "choices": lambda doc: list(LETTERS),
        "main": "acc",
        "shots": 5,
        "sampler": "random",
        "example_split": "dev",
        "group": lambda doc: doc.get("Category", ""),
    }
    return Task(**(settings | changes))


def gsm8k(**changes: Any) -> Task:
    """GSM8K as lm-eval asks it; the last number counts."""
    settings: dict[str, Any] = {
        "name": "gsm8k",
        "columns": ("question", "answer"),
        "hub": ("openai/gsm8k", "main"),
        "form": "generation",
        "ask": lambda doc: f"Question: {doc['question']}\nAnswer:",
        "right": lambda doc: doc["answer"],
        "main": "exact_match",
        "shots": 5,
        "sampler": "random",
        "example_split": "train",
        "mark": mark_sums,
        "stop": ("Question:", "</s>", "<|im_end|>"),
        "max_new_tokens": 24,
    }
    return Task(**(settings | changes))


FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
"""lm-eval's `flexible-extract` of gsm8k: the last number."""


def mark_sums(docs: Sequence[Doc], answers: Sequence[str]) -> list[Marked]:
    """As lm-eval's gsm8k with `flexible-extract`."""
    found = list[Marked]()
    for doc, answer in zip(docs, answers, strict=True):
        read = _last_number(answer)
        right = _plain(str(doc["answer"]))
        found.append(Marked({"exact_match": float(_plain(read) == right)}, read=read))
    return found


def _last_number(text: str) -> str:
    matches = FLEXIBLE.findall(text)
    return next((part for part in matches[-1] if part), "") if matches else "[invalid]"


def _plain(text: str) -> str:
    for pattern in (",", r"\$", r"(?s).*#### ", r"\.$"):
        text = re.sub(pattern, "", text)
    return text.lower()


KMMLU_YAML: Mapping[str, Any] = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{question.strip()}}\nA. {{A}}\nB. {{B}}\nC. {{C}}\nD. {{D}}\n정답：",
    "doc_to_choice": ["A", "B", "C", "D"],
    "doc_to_target": "{{answer-1}}",
    "metric_list": [
        {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")
    ],
}
"""`kmmlu` of lm-eval 0.4.13, with its second metric."""
GSM8K_YAML: Mapping[str, Any] = {
    "output_type": "generate_until",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_target": "{{answer}}",
    "metric_list": [
        {
            "metric": "exact_match",
            "aggregation": "mean",
            "higher_is_better": True,
            "ignore_case": True,
            "ignore_punctuation": False,
            "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"],
        }
    ],
    "generation_kwargs": {"until": ["Question:", "</s>", "<|im_end|>"], "do_sample": False, "max_gen_toks": 24},
    "filter_list": [
        {
            "name": "flexible-extract",
            "filter": [
                {"function": "regex", "group_select": -1, "regex_pattern": FLEXIBLE.pattern},
                {"function": "take_first"},
            ],
        }
    ],
}
"""`gsm8k` of lm-eval 0.4.13, with shorter answers."""


def by_hand(
    model: Any, config: Mapping[str, Any], data: Path, examples: Path, shots: int, seed: int, folder: Path
) -> tuple[dict[str, float], list[Mapping[str, Any]]]:
    """What lm-eval's own `HFLM` comes to on a YAML task over local files: results, and what it logs by question."""
    import yaml
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    named = {"task": "by_hand", "dataset_path": "json", "test_split": "test", "fewshot_split": "examples"}
    files = {"data_files": {"test": str(data), "examples": str(examples)}, "cache_dir": str(folder / "datasets")}
    (folder / "by_hand.yaml").write_text(
        yaml.safe_dump({**config, **named, "dataset_kwargs": files, "num_fewshot": shots or None}, allow_unicode=True)
    )
    found = simple_evaluate(
        model,
        tasks=["by_hand"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
        fewshot_random_seed=seed,
    )
    assert found is not None
    results = {key.split(",")[0]: value for key, value in found["results"]["by_hand"].items()}
    results = {key: value for key, value in results.items() if key in ("acc", "acc_norm", "exact_match")}
    return results, list(found["samples"]["by_hand"])
