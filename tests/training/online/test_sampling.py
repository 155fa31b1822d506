"""Answers that are drawn: against a model that is asked token by token, without cache, padding or a batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from tests.training import tiny
from training.chat.rendering import end_ids, prompt_ids
from training.online.sampling import Drawn, choose, draw_ids, uniforms
from training.trainers import load_tokenizer

PROMPTS = ["hi", "안녕하세요, 반갑습니다", "What is the capital of Korea?" * 3, "x"]


def draw(model: Any, tokenizer: Any, prompts: Sequence[Any], **options: Any) -> list[list[Drawn]]:
    return draw_ids(model, tokenizer, [prompt_ids(tokenizer, prompt) for prompt in prompts], **options)


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> PreTrainedTokenizerFast:
    return load_tokenizer(str(tiny_tokenizer))


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    """Its weights are wide, so that tokens differ in probability."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return LlamaForCausalLM(tiny.config(initializer_range=0.2)).eval()


def _one_by_one(
    model: LlamaForCausalLM,
    ids: list[int],
    ends: list[int],
    numbers: np.ndarray | None,
    temperature: float,
    top_p: float,
) -> list[int]:
    """The oracle: the whole forward pass for each token, and the distribution's inverse in NumPy."""
    out: list[int] = []
    for step in range(12):
        with torch.no_grad():
            logits = model(torch.tensor([ids + out])).logits[0, -1].double().numpy()
        if numbers is None:
            token = int(logits.argmax())
        else:
            probs = np.exp(logits / temperature - (logits / temperature).max())
            probs /= probs.sum()
            order = np.argsort(-probs, kind="stable")
            n_kept = int(np.searchsorted(np.cumsum(probs[order]), top_p)) + 1
            probs[order[n_kept:]] = 0
            token = int(np.searchsorted(np.cumsum(probs), numbers[step] * probs.sum(), side="right"))
        out.append(token)
        if token in ends:
            break
    return out


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 1.0), (1.0, 1.0), (0.7, 0.6)])
def test_each_token_is_what_the_model_says_alone(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, temperature: float, top_p: float
) -> None:
    drawn = draw(
        model, tokenizer, PROMPTS, n=2, temperature=temperature, top_p=top_p, max_new_tokens=12, seed=7, batch=5
    )
    ends = end_ids(tokenizer, model.generation_config)
    for prompt, answers in zip(PROMPTS, drawn, strict=True):
        ids = prompt_ids(tokenizer, prompt)
        for number, answer in enumerate(answers):
            numbers = uniforms(ids, number, 12, 7) if temperature else None
            assert list(answer.ids) == _one_by_one(model, ids, ends, numbers, temperature, top_p)


def test_an_answer_does_not_depend_on_what_is_drawn_beside_it(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    together = draw(model, tokenizer, PROMPTS, n=3, max_new_tokens=16, seed=3, batch=64)
    backwards = draw(model, tokenizer, PROMPTS[::-1], n=3, max_new_tokens=16, seed=3, batch=2)
    alone = [draw(model, tokenizer, [prompt], n=1, max_new_tokens=16, seed=3)[0][0] for prompt in PROMPTS]
    assert together == backwards[::-1]
    assert [answers[0] for answers in together] == alone
    assert len({answer.ids for answers in together for answer in answers}) == 12
    assert draw(model, tokenizer, PROMPTS, n=3, max_new_tokens=16, seed=4) != together


def test_answers_end_at_the_end_of_a_turn(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    answers = [a for some in draw(model, tokenizer, PROMPTS, n=30, max_new_tokens=60, batch=60) for a in some]
    ended, cut = [a for a in answers if a.ended], [a for a in answers if not a.ended]
    names = {tokenizer.convert_ids_to_tokens(answer.ids[-1]) for answer in ended}
    assert names == {tiny.END_OF_TURN, tiny.END_OF_TEXT} and cut
    assert all(len(answer.ids) == 60 for answer in cut)
    assert all("<|" not in answer.text for answer in answers)


def test_a_models_own_settings_change_nothing_and_stay(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    before = draw(model, tokenizer, ["hi"], max_new_tokens=16)
    own = model.generation_config
    own.update(do_sample=True, repetition_penalty=9.0, top_k=2, temperature=0.1)
    model.train()
    try:
        assert draw(model, tokenizer, ["hi"], max_new_tokens=16) == before
        assert model.training and model.generation_config is own
    finally:
        model.eval()
        own.update(do_sample=False, repetition_penalty=1.0, top_k=50, temperature=1.0)


def test_without_a_padding_token(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    other = load_tokenizer(str(tiny.save_tokenizer(tmp_path)))
    other.pad_token = None
    assert draw(model, other, PROMPTS, max_new_tokens=4) == draw(model, tokenizer, PROMPTS, max_new_tokens=4)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=40),
    st.floats(0.05, 2),
    st.floats(0.01, 1),
)
def test_tokens_come_as_often_as_their_probability(logits: list[float], temperature: float, top_p: float) -> None:
    count = 2000
    numbers = torch.arange(count, dtype=torch.float64) / count
    scores = torch.tensor(logits).expand(count, -1)
    found = np.bincount(choose(scores, numbers, temperature, top_p).numpy(), minlength=len(logits)) / count
    exact = np.exp((scores[0].double().numpy() - max(logits)) / temperature)
    exact /= exact.sum()
    order = np.argsort(-exact, kind="stable")
    kept = order[: int(np.searchsorted(np.cumsum(exact[order]), top_p - 1e-12)) + 1]
    expected = np.zeros_like(exact)
    expected[kept] = exact[kept] / exact[kept].sum()
    assert np.abs(found - expected).max() < 2 / count + 1e-6
