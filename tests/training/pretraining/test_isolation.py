from itertools import pairwise
from typing import Any

import pytest
import torch
import transformers

from manifests.errors import RequestError
from tests.training import tiny
from training.pretraining.isolation import check_isolation, inputs_of, leak

SMALL = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}
CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**SMALL),
    "mistral with a window": lambda: transformers.MistralConfig(**SMALL, sliding_window=4),
    "qwen3": lambda: transformers.Qwen3Config(**SMALL),
    "gemma3 with windows": lambda: transformers.Gemma3TextConfig(**SMALL, sliding_window=4),
    "mixtral": lambda: transformers.MixtralConfig(**SMALL, num_local_experts=4),
}


def model_of(config: Any, attention: str = "sdpa") -> Any:
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


def logits_of(model: Any) -> Any:
    attention = model.config._attn_implementation
    return lambda ids, positions: model(**inputs_of(ids, positions, attention)).logits


def some_ids(length: int = 40, n_rows: int = 2) -> torch.Tensor:
    return torch.randint(2, 97, (n_rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", CONFIGS)
def test_no_logit_of_another_document_changes(name: str, attention: str) -> None:
    model = model_of(CONFIGS[name](), attention)
    others, own = leak(logits_of(model), some_ids())
    assert others == 0
    assert own > 0.01
    check_isolation(logits_of(model), some_ids(), model.config)


def test_documents_of_a_packed_row_are_as_if_alone() -> None:
    """To 1e-6, each document at its place in the row has the logits that it has in a row of its own."""
    model, ids, bounds = model_of(CONFIGS["llama"]()), some_ids(n_rows=1), [0, 7, 8, 29, 40]
    positions = torch.cat([torch.arange(end - start) for start, end in pairwise(bounds)])[None]
    packed = logits_of(model)(ids, positions)
    for start, end in pairwise(bounds):
        assert torch.allclose(packed[:, start:end], model(ids[:, start:end]).logits, atol=1e-6)


@pytest.mark.parametrize("trap", [{"use_cache": True}, {"attention_mask": torch.ones(2, 40, dtype=torch.int64)}])
def test_the_traps_are_caught(trap: dict[str, Any]) -> None:
    """A cache or a mask makes transformers forget what positions say."""
    model = model_of(CONFIGS["llama"]())

    def trapped(ids: torch.Tensor, positions: torch.Tensor) -> Any:
        return model(input_ids=ids, position_ids=positions, **trap).logits

    assert leak(trapped, some_ids())[0] > 0.001
    with pytest.raises(RequestError, match=r"'llama' with attention 'sdpa' lets documents .* see each other"):
        check_isolation(trapped, some_ids(), model.config)


def test_a_model_with_layers_that_do_not_heed_positions_is_refused() -> None:
    """A short convolution beside attention: it leaks little, and is caught."""
    model = model_of(transformers.Lfm2Config(**SMALL, layer_types=["conv", "full_attention"]))
    assert 0 < leak(logits_of(model), some_ids())[0] < 0.001
    with pytest.raises(RequestError, match="recurrent and convolutional layers do not"):
        check_isolation(logits_of(model), some_ids(), model.config)


def test_a_single_row_is_enough() -> None:
    model = model_of(tiny.config())
    assert leak(logits_of(model), some_ids(length=3, n_rows=1))[0] == 0


def test_flash_attention_is_told_the_ends_of_documents() -> None:
    """Two rows of 8: documents of 3 and 5, and one of 8."""
    positions = torch.tensor([[0, 1, 2, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6, 7]])
    inputs = inputs_of(torch.ones(2, 8, dtype=torch.int64), positions, "flash_attention_2")
    assert inputs["cu_seq_lens_q"].tolist() == inputs["cu_seq_lens_k"].tolist() == [0, 3, 8, 16]
    assert inputs["cu_seq_lens_q"].dtype == torch.int32
    assert inputs["max_length_q"] == inputs["max_length_k"] == 8
    assert "attention_mask" not in inputs and not inputs["use_cache"]
