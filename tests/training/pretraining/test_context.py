import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, Gemma3TextConfig, GPT2Config, LlamaForCausalLM

from manifests.errors import RequestError
from manifests.schema_training_stages import Context
from tests.training import tiny
from training.pretraining.context import extended


def context(**spec: Any) -> Context:
    return Context.model_validate(spec)


def frequencies(config: Any) -> tuple[Any, float]:
    rotary = LlamaForCausalLM(config).model.rotary_emb
    return rotary.inv_freq.double().numpy(), rotary.attention_scaling


def yarn(dim: int, theta: float, factor: float, original: int, fast: float, slow: float) -> Any:
    """Frequencies by sections 3.2 and 3.4 of the paper, in float64."""
    plain = theta ** -(np.arange(0, dim, 2) / dim)
    bounds = [dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta)) for turns in (fast, slow)]
    low, high = max(math.floor(bounds[0]), 0), min(math.ceil(bounds[1]), dim - 1)
    ramp = np.clip((np.arange(dim // 2) - low) / (high - low), 0, 1)
    return plain / factor * ramp + plain * (1 - ramp)


@pytest.mark.parametrize(("fast", "slow", "theta"), [(32.0, 1.0, None), (16.0, 2.0, 500_000.0)])
def test_yarn_is_that_of_the_paper_and_of_transformers(fast: float, slow: float, theta: float | None) -> None:
    spec = context(length=2048, rope_theta=theta, yarn={"factor": 4, "beta_fast": fast, "beta_slow": slow})
    found, scaling = frequencies(extended(tiny.config(head_dim=64), spec))
    assert np.allclose(found, yarn(64, theta or 10_000, 4, 512, fast, slow), rtol=1e-6)
    assert scaling == pytest.approx(0.1 * math.log(4) + 1)
    by_hand = {
        "rope_type": "yarn",
        "rope_theta": theta or 10_000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 512,
        "beta_fast": fast,
        "beta_slow": slow,
    }
    of_transformers = frequencies(tiny.config(head_dim=64, max_position_embeddings=2048, rope_parameters=by_hand))
    assert (found == of_transformers[0]).all()
    assert scaling == of_transformers[1]


def test_a_saved_model_has_the_same_frequencies(tiny_model: Path, tmp_path: Path) -> None:
    spec = context(length=1024, rope_theta=100_000, yarn={"factor": 2})
    config = extended(AutoConfig.from_pretrained(tiny_model), spec)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, config=config)
    plain = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.config.max_position_embeddings == 1024
    assert torch.equal(again.model.rotary_emb.inv_freq, model.model.rotary_emb.inv_freq)
    assert again.model.rotary_emb.attention_scaling == model.model.rotary_emb.attention_scaling
    ids = torch.arange(4, 30)[None]
    assert torch.equal(again(ids).logits, model(ids).logits)
    assert not torch.allclose(plain(ids).logits, model(ids).logits, atol=1e-6)
    assert plain.config.max_position_embeddings == 512


def test_another_base_of_the_frequencies() -> None:
    config = tiny.config()
    found, scaling = frequencies(extended(config, context(length=1024, rope_theta=1e6)))
    assert np.allclose(found, 1e6 ** -(np.arange(0, 32, 2) / 32), rtol=1e-6)
    assert scaling == 1
    assert config.rope_parameters["rope_theta"] == 10_000
    llama3 = {
        "rope_type": "llama3",
        "rope_theta": 5e5,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
    }
    config = tiny.config(rope_parameters={**llama3, "original_max_position_embeddings": 256})
    rope = extended(config, context(length=1024, rope_theta=1e6)).rope_parameters
    assert rope == {**config.rope_parameters, "rope_theta": 1e6}


def test_yarn_again_goes_on_from_the_original_length() -> None:
    once = extended(tiny.config(), context(length=1024, yarn={"factor": 2}))
    twice = extended(once, context(length=4096, yarn={"factor": 8}))
    assert twice.rope_parameters["original_max_position_embeddings"] == 512
    assert twice.max_position_embeddings == 4096


@pytest.mark.parametrize(
    ("config", "spec", "said"),
    [
        (tiny.config(), {"length": 256}, "256 is less than the model's 512"),
        (tiny.config(), {"length": 4096, "yarn": {"factor": 4}}, "it takes a factor of 8"),
        (tiny.config(), {"length": 4096, "yarn": {"factor": 4, "original": 1000}}, "it takes a factor of 4.096"),
        (
            tiny.config(rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}),
            {"length": 1024, "yarn": {"factor": 2}},
            "the model's RoPE is 'linear'",
        ),
        (GPT2Config(), {"length": 2048}, "type 'gpt2' has no RoPE"),
        (Gemma3TextConfig(), {"length": 1 << 20, "rope_theta": 2e6}, "RoPE of several kinds"),
    ],
)
def test_what_cannot_be_extended(config: Any, spec: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        extended(config, context(**spec))
