"""A model that reduces its predictions still draws as the model that it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from tests.training import tiny
from training.distilling.predictions import with_reduction
from training.online.sampling import draw_ids
from training.trainers import load_model

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    yield
    AcceleratorState._reset_state()  # it is of one precision


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_logits_of_a_prompt_are_made_of_its_last_place(tiny_model: Path, precision: str) -> None:
    """Also as accelerate wraps it."""
    model, tokenizer = load_model(str(tiny_model)), AutoTokenizer.from_pretrained(tiny_model)
    with_reduction(model)
    AcceleratorState._reset_state()
    model = Accelerator(mixed_precision=precision, cpu=True).prepare_model(model)
    shapes = list[Any]()
    model.lm_head.register_forward_hook(lambda _, given, made: shapes.append(tuple(made.shape[:2])))
    draw_ids(model, tokenizer, PROMPTS, max_new_tokens=3)
    assert shapes and set(shapes) == {(2, 1)}


def test_answers_drawn_together_are_those_drawn_alone(tiny_model: Path) -> None:
    """GPT-2 learns a vector per place, so padding on the left may not count as places."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=tiny.VOCABULARY, n_embd=32, n_layer=2, n_head=2, initializer_range=0.5, eos_token_id=1
    )
    model, tokenizer = GPT2LMHeadModel(config), AutoTokenizer.from_pretrained(tiny_model)
    with_reduction(model)
    together = draw_ids(model, tokenizer, PROMPTS, max_new_tokens=8, seed=1)
    alone = [draw_ids(model, tokenizer, [prompt], max_new_tokens=8, seed=1)[0] for prompt in PROMPTS]
    assert [one.ids for one, *_ in together] == [one.ids for one, *_ in alone]
