"""Importance equals what loops over tokens come to, and does not depend on batches."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RequestError
from manifests.schema_surgery import Importance
from tests.training.pruning import decoders
from training.pruning.calibration import Samples, batch_of
from training.pruning.families import FAMILIES
from training.pruning.importance import measure_importance
from training.pruning.scores import AXES, Scores

SAMPLES = [[[1, 2, 3, 4, 5, 6, 7]], [[8, 9]], [[10, 11, 12], [13, 14, 15, 16, 17]], [[18]], [[20, 21, 22, 23]]]
"""Texts of several lengths, and a packed sequence of two documents."""


def everything(model: Any, row: list[int]) -> dict[str, list[np.ndarray]]:
    """All activations of a row by hand: (tokens, channels) of each norm, each MLP and each head."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("hidden", "mlp", "gate", "up", "heads")}
    decoder, hooks = model.get_decoder(), []

    def taken(name: str, of_input: bool = False) -> Any:
        def hook(_: Any, inputs: Any, output: Any) -> None:
            found[name].append((inputs[0] if of_input else output)[0].double().numpy())

        return hook

    for layer in decoder.layers:
        names = FAMILIES[model.config.model_type].norms
        hooks += [getattr(layer, name).register_forward_hook(taken("hidden")) for name in names]
        hooks.append(layer.mlp.down_proj.register_forward_hook(taken("mlp", True)))
        hooks.append(layer.mlp.gate_proj.register_forward_hook(taken("gate")))
        hooks.append(layer.mlp.up_proj.register_forward_hook(taken("up")))
        hooks.append(layer.self_attn.o_proj.register_forward_hook(taken("heads", True)))
    hooks.append(decoder.norm.register_forward_hook(taken("hidden")))
    with torch.no_grad():
        model(torch.tensor([row]))
    for hook in hooks:
        hook.remove()
    return found


def by_hand(model: Any, asked: Importance) -> dict[str, np.ndarray]:
    """Scores by loops over samples, tokens and channels, after the formulas of Minitron."""
    rows = [[everything(model, row) for row in sample] for sample in SAMPLES]

    def table(of: Any, n: int) -> np.ndarray:
        """Of n places, `of(activations, place)` being (tokens, channels)."""
        lines = []
        for place in range(n):
            samples = []
            for sample in rows:
                tokens = [token for row in sample for token in of(row, place)]
                if asked.sequence == "mean":
                    samples.append(sum(np.abs(token) for token in tokens) / len(tokens))
                else:
                    samples.append(np.sqrt(sum(token**2 for token in tokens)))
            if asked.batch == "l2":
                lines.append(np.sqrt(sum(sample**2 for sample in samples)))
            else:
                lines.append(sum(samples) / len(samples))
        return np.array(lines)

    def heads(row: Any, place: int) -> np.ndarray:
        found = row["heads"][place]
        at = range(0, found.shape[1], decoders.WIDTH)
        return np.array([[np.sqrt((token[i : i + decoders.WIDTH] ** 2).sum()) for i in at] for token in found])

    def neurons(row: Any, place: int) -> np.ndarray:
        if asked.mlp == "intermediate":
            return np.asarray(row["mlp"][place])
        return np.asarray((np.abs(row["gate"][place]) + np.abs(row["up"][place])) / 2)

    n_norms = len(rows[0][0]["hidden"])
    return {
        "hidden": table(lambda row, place: row["hidden"][place], n_norms),
        "mlp": table(neurons, decoders.LAYERS),
        "heads": table(heads, decoders.LAYERS),
    }


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("llama", {}),
        ("gemma3_text", {}),
        ("qwen3", {"batch": "mean"}),
        ("llama", {"sequence": "l2"}),
        ("qwen2", {"mlp": "gate_up"}),
        ("gemma", {"batch": "mean", "sequence": "l2", "mlp": "gate_up"}),
    ],
)
def test_scores_are_those_of_loops(kind: str, changes: dict[str, Any]) -> None:
    model, asked = decoders.new(kind), Importance.model_validate(changes)
    found = measure_importance(model, [batch_of(SAMPLES)], asked)
    for name, expected in by_hand(model, asked).items():
        np.testing.assert_allclose(getattr(found, name), expected, rtol=2e-5, atol=1e-7, err_msg=name)
    assert (found.n_samples, found.n_tokens) == (5, 22)


MODEL = decoders.new("llama", seed=3)


@settings(max_examples=15, deadline=None)
@given(
    cuts=st.sets(st.integers(1, len(SAMPLES) - 1)),
    pad_id=st.integers(0, decoders.VOCABULARY - 1),
    sequence=st.sampled_from(["mean", "l2"]),
)
def test_how_samples_are_batched_does_not_matter(cuts: set[int], pad_id: int, sequence: str) -> None:
    asked = Importance.model_validate({"sequence": sequence})
    whole = measure_importance(MODEL, [batch_of(SAMPLES)], asked)
    split = [batch_of(SAMPLES[a:b], pad_id) for a, b in pairwise([0, *sorted(cuts), len(SAMPLES)])]
    found = measure_importance(MODEL, split, asked)
    for name in AXES:
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-5)


def test_all_micro_batches_give_the_same_but_for_rounding() -> None:
    samples = Samples(list(SAMPLES))
    one, all_ = (measure_importance(MODEL, samples.batches(n), Importance()) for n in (1, len(SAMPLES)))
    for name in AXES:
        np.testing.assert_allclose(getattr(one, name), getattr(all_, name), rtol=1e-5)


def test_a_model_is_left_as_it_was() -> None:
    model = decoders.new("llama").train()
    before = {name: of.clone() for name, of in model.state_dict().items()}
    measure_importance(model, [batch_of(SAMPLES)], Importance(mlp="gate_up"))
    assert model.training
    assert all(torch.equal(of, before[name]) for name, of in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_scores_come_back_from_a_file(tmp_path: Path) -> None:
    found = measure_importance(MODEL, [batch_of(SAMPLES)], Importance())
    found.save(tmp_path / "scores.safetensors")
    loaded = Scores.load(tmp_path / "scores.safetensors")
    assert all(np.array_equal(getattr(found, name), getattr(loaded, name)) for name in AXES)
    assert (loaded.n_samples, loaded.n_tokens) == (5, 22)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.safetensors"]
    with pytest.raises(RequestError, match=r"nowhere.safetensors: no scores"):
        Scores.load(tmp_path / "nowhere.safetensors")


def test_no_text_is_refused() -> None:
    with pytest.raises(RequestError, match="calibration: there is no text"):
        measure_importance(MODEL, [], Importance())


def test_another_family_is_refused() -> None:
    import transformers

    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=20))
    with pytest.raises(RequestError, match=r"`model_type` is 'gpt2'; can be pruned: llama, mistral"):
        measure_importance(model, [batch_of(SAMPLES)], Importance())


@pytest.mark.parametrize(
    ("name", "told"), [("mlp.up_proj", "neurons of layer 1"), ("input_layernorm", "heads of layer 1")]
)
def test_what_is_no_number_is_not_ranked(name: str, told: str) -> None:
    model = decoders.new("llama")
    with torch.no_grad():
        model.get_decoder().layers[1].get_submodule(name).weight.fill_(float("nan"))
    with pytest.raises(RequestError, match=told):
        measure_importance(model, Samples([*SAMPLES]).batches(1), Importance())
