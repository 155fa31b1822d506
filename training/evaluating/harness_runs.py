"""Runs tasks through lm-eval's evaluator."""

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.evaluator import evaluate

from training.evaluating.engine import Engine, Told

Sample = Mapping[str, Any]
"""What lm-eval logs of a question: its prompts in `arguments`, what came of them in `filtered_resps`."""


def logged(
    engine: Engine,
    tasks: Mapping[str, Any],
    in_chat: bool,
    seed: int,
    told: Told | None,
    groups: Mapping[str, Any] | None = None,
    samples: Mapping[str, list[int]] | None = None,
) -> tuple[dict[str, list[Sample]], Mapping[str, Any]]:
    """Ask tasks of lm-eval: what it logs of each question in their order, by task, and all its results."""
    engine.lm.watch.begin(told, seed)
    found = evaluate(
        engine.lm,
        {"tasks": dict(tasks), "groups": dict(groups or {})},
        samples=dict(samples) if samples else None,
        bootstrap_iters=0,
        log_samples=True,
        apply_chat_template=in_chat,
        fewshot_as_multiturn=in_chat,
    )
    assert found is not None
    return dict(found["samples"]), found


def notes_of(engine: Engine, samples: Sequence[Sample], max_new_tokens: int) -> list[str]:
    """What readers must know: prompts that lost their beginning, answers that were cut.

    Args:
        engine: the model that was asked.
        samples: what lm-eval logged, once for each question and filter.
        max_new_tokens: longest answer; 0 where none was written.
    """
    window, notes = engine.window, list[str]()
    samples = [sample for sample in samples if sample["filter"] == samples[0]["filter"]]
    if any(len(of) < 2 for sample in samples for of in sample["arguments"]):
        return notes  # whole texts, which are read in windows one after the other
    if max_new_tokens:
        longest = [sample["arguments"][0][0] for sample in samples]
    else:
        longest = [max(("".join(of) for of in sample["arguments"]), key=len) for sample in samples]
    n_long = sum(engine.n_tokens(text) + max_new_tokens > window for text in longest)
    if n_long:
        notes.append(
            f"{n_long} of {len(samples)} prompts were too long for the model's {window} tokens and lost their "
            "beginning"
        )
    if max_new_tokens:
        n_cut = sum(sample["arguments"][0][0] in engine.lm.watch.cut for sample in samples)
        if n_cut:
            notes.append(f"{n_cut} of {len(samples)} answers were cut at {max_new_tokens} tokens")
    return notes
