"""Control tokens that a base model lacks: added once, with rows of embeddings that are the mean of the others."""

from pathlib import Path
from typing import Any

import pytest

from tests.training import tiny

pytest.importorskip("transformers")

import torch

from training.chat.control_tokens import add_missing, end_answers_at, end_turns_with, fit_embeddings
from training.chat.template import FOLDER

BASE = (tiny.PAD, tiny.END_OF_TEXT)
CHATML = (FOLDER / "chatml.jinja").read_text()
LLAMA3 = (FOLDER / "llama3.jinja").read_text()


def loaded(folder: Path, **changes: Any) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tiny.save_model(folder, special=BASE, template=None, **changes)
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("tied", [False, True])
def test_rows_are_added_at_the_mean(tmp_path: Path, tied: bool) -> None:
    model, tokenizer = loaded(tmp_path / "base", tie_word_embeddings=tied)
    old = model.get_input_embeddings().weight.detach().clone()
    old_output = model.get_output_embeddings().weight.detach().clone()
    added = add_missing(tokenizer, CHATML)
    assert added == ["<|im_start|>", "<|im_end|>"]
    assert tokenizer.convert_tokens_to_ids(added) == [tiny.VOCABULARY, tiny.VOCABULARY + 1]
    assert tokenizer.encode("a<|im_end|>\n<|im_start|>b").count(tiny.VOCABULARY) == 1
    assert add_missing(tokenizer, CHATML) == []
    fit_embeddings(model, tokenizer, added)
    for weight, before in ((model.get_input_embeddings().weight, old), (model.lm_head.weight, old_output)):
        assert weight.shape == (tiny.VOCABULARY + 2, 64)
        assert torch.equal(weight[: tiny.VOCABULARY], before)
        assert torch.allclose(weight[tiny.VOCABULARY :], before.mean(0), atol=1e-7)
    assert model.config.vocab_size == tiny.VOCABULARY + 2
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == tied


def test_rows_to_spare_are_used(tmp_path: Path) -> None:
    model, tokenizer = loaded(tmp_path / "base", vocab_size=640)
    old = model.get_input_embeddings().weight.detach().clone()
    fit_embeddings(model, tokenizer, add_missing(tokenizer, LLAMA3))
    weight = model.get_input_embeddings().weight
    assert weight.shape == (640, 64)
    assert torch.allclose(weight[600:603], old[:600].mean(0).expand(3, 64), atol=1e-7)
    assert torch.equal(weight[603:], old[603:])


def test_answers_end_with_the_turn(tmp_path: Path) -> None:
    model, tokenizer = loaded(tmp_path / "base")
    add_missing(tokenizer, CHATML)
    ends = end_turns_with(tokenizer, "<|im_end|>")
    end_answers_at(model, ends)
    assert ends == [601, 1]
    assert tokenizer.eos_token == "<|im_end|>"
    assert model.config.eos_token_id == 601
    assert model.generation_config.eos_token_id == [601, 1]
    assert end_turns_with(tokenizer, "<|im_end|>") == [601]
