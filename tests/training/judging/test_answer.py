"""Each turn is answered in the chat template, with the model's own answers before it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RequestError
from tests.training.judging.judged_rows import LOGICKOR, MT_BENCH, WILDBENCH, judged_of, save
from training.evaluating.engine import Engine, Messages, Said, Told
from training.judging.answer import answer_questions


class Scribe:
    """An engine that says how often it was asked, and keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[str], float, int, int]] = []
        self.lm = self.tokenizer = None
        self.window = 1000

    def n_tokens(self, prompt: str) -> int:
        return len(prompt)

    def rendered(self, messages: Messages) -> str:
        return "".join(f"<{message['role']}>{message['content']}" for message in messages) + "<assistant>"

    def write(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
        told: Told | None = None,
    ) -> list[Said]:
        self.batches.append((list(prompts), temperature, seed, max_new_tokens))
        for n in range(1, len(prompts) + 1):
            if told is not None:
                told(n, len(prompts))
        return [Said(f" said {len(prompt)} ", 3, len(prompt) % 2 == 0) for prompt in prompts]


def test_turns_follow_each_other(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    scribe, told = Scribe(), list[tuple[int, int]]()
    engine: Engine = scribe
    found = answer_questions(
        engine, judged_of("mt-bench", max_new_tokens=77), str(tmp_path), 5, lambda *n: told.append(n)
    )
    assert [one.id for one in found] == ["81", "111", "101", "141"]
    assert [
        (turn, batch[1], len(batch[0])) for turn, batch in zip((1, 1, 1, 2, 2, 2), scribe.batches, strict=True)
    ] == [
        (1, 0.0, 2),
        (1, 0.1, 1),
        (1, 0.7, 1),
        (2, 0.0, 2),
        (2, 0.1, 1),
        (2, 0.7, 1),
    ]
    first = "<user>Write a haiku about a jar.<assistant>"
    assert scribe.batches[2][0] == [first]
    assert scribe.batches[5][0] == [f"{first}said {len(first)}<user>Now make it rhyme.<assistant>"]
    assert found[0].turns[0].answered == f"said {len(first)}"
    assert found[1].references == ["42", "21"]
    assert told == [(n, 8) for n in range(1, 9)]
    assert len({batch[2] for batch in scribe.batches}) == 6, "each batch has a seed of its own"
    assert {batch[3] for batch in scribe.batches} == {77}
    again = Scribe()
    assert answer_questions(again, judged_of("mt-bench", max_new_tokens=77), str(tmp_path), 5) == found
    assert again.batches == scribe.batches


def test_temperatures_of_other_benchmarks_and_of_the_manifest(tmp_path: Path) -> None:
    for form, rows, more, temperatures in (
        ("logickor", LOGICKOR, {}, {0.0}),
        ("wildbench", WILDBENCH, {}, {0.0}),
        ("mt-bench", MT_BENCH, {"temperature": 1.0}, {1.0}),
        ("komt-bench", [MT_BENCH[0] | {"category": "haiku"}], {}, {0.7}),
    ):
        save(tmp_path, rows)
        scribe = Scribe()
        answer_questions(scribe, judged_of(form, **more), str(tmp_path), 0)
        assert {batch[1] for batch in scribe.batches} == temperatures


def test_what_was_said_before_is_shown(tmp_path: Path) -> None:
    save(tmp_path, WILDBENCH)
    scribe = Scribe()
    found = answer_questions(scribe, judged_of("wildbench"), str(tmp_path), 0)
    assert scribe.batches[0][0][0] == "<user>I keep bees.<assistant>Lovely!<user>Plan my spring.<assistant>"
    assert [turn.asked for turn in found[0].turns] == ["Plan my spring."]


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    class Base(Scribe):
        def rendered(self, messages: Any) -> str:
            raise RequestError("the model has no chat template")

    save(tmp_path, MT_BENCH)
    with pytest.raises(RequestError, match="no chat template"):
        answer_questions(Base(), judged_of("mt-bench"), str(tmp_path), 0)
