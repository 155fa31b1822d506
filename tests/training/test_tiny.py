"""The tiny models of the tests are what they are said to be."""

from pathlib import Path

import pytest

from tests.training import tiny

pytest.importorskip("torch")


def test_a_tiny_model_loads_and_its_tokenizer_loses_nothing(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    assert len(tokenizer) == tiny.VOCABULARY
    assert tokenizer.convert_tokens_to_ids(list(tiny.SPECIAL)) == [0, 1, 2, 3]
    text = "각 글자가 돌아온다 ㅋㅋ 한🙂 naïve\t漢字\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    messages = tiny.conversation("수도가 어디인가요?", "서울입니다.")
    ids = tokenizer.apply_chat_template(messages, return_dict=False)
    rendered = "<|im_start|>user\n수도가 어디인가요?<|im_end|>\n<|im_start|>assistant\n서울입니다.<|im_end|>\n"
    assert tokenizer.decode(ids) == rendered
    assert ids.count(3) == 2

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert model.get_input_embeddings().weight.shape == (tiny.VOCABULARY, 64)
    loss = model(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss
    assert abs(loss.item() - 6.4) < 0.5  # ln 600 = 6.4: it knows nothing
