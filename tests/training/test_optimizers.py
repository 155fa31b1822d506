import io
from typing import Any

import pytest
import torch

from manifests.schema_training_steps import Optimizer
from training.optimizers import adamw, decays


def weights(seed: int = 0) -> list[tuple[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "model.embed_tokens.weight": (7, 4),
        "model.layers.0.mlp.up_proj.weight": (6, 4),
        "model.layers.0.input_layernorm.weight": (4,),
        "model.layers.0.self_attn.q_proj.bias": (4,),
        "model.layers.0.mlp.experts.gate_up_proj": (2, 4, 6),
        "lm_head.weight": (7, 4),
    }
    return [(name, torch.nn.Parameter(torch.randn(s, generator=generator))) for name, s in shapes.items()]


DECAYING = {"model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.experts.gate_up_proj", "lm_head.weight"}


def set_gradients(named: list[tuple[str, Any]], seed: int | None) -> None:
    generator = torch.Generator().manual_seed(seed or 0)
    for _, weight in named:
        noise = torch.randn(weight.shape, generator=generator)
        weight.grad = torch.zeros_like(weight) if seed is None else noise


def test_only_matrices_decay() -> None:
    assert {name for name, weight in weights() if decays(name, weight)} == DECAYING
    assert not decays("transformer.wte.weight", torch.zeros(3, 3))
    assert decays("base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight", torch.zeros(3, 3))


@pytest.mark.parametrize("peak", [1e-6, 3e-4, 1.0])
def test_independent_decay_does_not_know_the_peak(peak: float) -> None:
    """Row 31: steps of pure decay shrink matrices by share_t * weight_decay whatever the peak is."""
    named, before = weights(), {name: weight.detach().double() for name, weight in weights()}
    optimizer = adamw(named, Optimizer(weight_decay=0.01, decay="independent"), peak)
    schedule, kept = [0.0, 0.5, 1.0, 0.316], 1.0
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: [*schedule, 0.0][step])
    for share in schedule:
        set_gradients(named, None)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(peak * share)
        optimizer.step()
        scheduler.step()
        kept *= 1 - share * 0.01
    for name, weight in named:
        wanted = before[name] * (kept if name in DECAYING else 1.0)
        assert torch.allclose(weight.double(), wanted, rtol=3e-7, atol=0), name


def test_coupled_decay_does() -> None:
    shrunk = []
    for peak in (0.01, 0.1):
        named = weights()
        optimizer = adamw(named, Optimizer(weight_decay=0.5), peak)
        set_gradients(named, None)
        optimizer.step()
        before = dict(weights())["lm_head.weight"]
        shrunk.append(float((1 - dict(named)["lm_head.weight"] / before).mean().detach()))
    assert shrunk == pytest.approx([0.005, 0.05], rel=1e-4)


@pytest.mark.parametrize("decay", ["coupled", "independent"])
def test_steps_are_adamw_by_its_formulas(decay: Any) -> None:
    """Against the algorithm written down in float64, weights that decay and those that do not."""
    spec, peak = Optimizer(weight_decay=0.1, decay=decay, betas=(0.8, 0.9), eps=1e-6), 0.02
    named = weights()
    optimizer = adamw(named, spec, peak)
    wanted = {name: weight.detach().double() for name, weight in weights()}
    mean = {name: torch.zeros_like(weight) for name, weight in wanted.items()}
    square = {name: torch.zeros_like(weight) for name, weight in wanted.items()}
    for step, share in enumerate([1.0, 0.5, 0.25], start=1):
        set_gradients(named, step)
        for group in optimizer.param_groups:
            group["lr"] = peak * share
        optimizer.step()
        for name, weight in named:
            gradient = weight.grad.double()
            mean[name] = 0.8 * mean[name] + 0.2 * gradient
            square[name] = 0.9 * square[name] + 0.1 * gradient**2
            shrink = 0.1 * (share if decay == "independent" else share * peak) if name in DECAYING else 0.0
            change = mean[name] / (1 - 0.8**step) / ((square[name] / (1 - 0.9**step)).sqrt() + 1e-6)
            wanted[name] = wanted[name] - shrink * wanted[name] - peak * share * change
            assert torch.allclose(weight.double(), wanted[name], atol=1e-6), (name, step)


def test_a_state_goes_on_bit_by_bit() -> None:
    """Saved after three steps and loaded into a new optimiser, the next three are the same."""
    spec, peak = Optimizer(weight_decay=1e-2, decay="independent"), 1e-3
    whole, stopped = weights(), weights()
    optimizers = [adamw(named, spec, peak) for named in (whole, stopped)]
    for step in range(6):
        if step == 3:
            file = io.BytesIO()
            torch.save(optimizers[1].state_dict(), file)
            file.seek(0)
            stopped = [(name, torch.nn.Parameter(weight.detach().clone())) for name, weight in stopped]
            optimizers[1] = adamw(stopped, spec, peak)
            optimizers[1].load_state_dict(torch.load(file, weights_only=True))
        for named, optimizer in zip((whole, stopped), optimizers, strict=True):
            set_gradients(named, step)
            optimizer.step()
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(whole, stopped, strict=True))


def test_what_cannot_be_trained() -> None:
    frozen = [(name, weight.requires_grad_(False)) for name, weight in weights()]
    with pytest.raises(ValueError, match="nothing to train"):
        adamw(frozen, Optimizer(), 1e-3)
    with pytest.raises(ValueError, match="needs one above 0"):
        adamw(weights(), Optimizer(decay="independent"), 0.0)
    assert len(adamw(weights()[:1], Optimizer(), 0.0).param_groups) == 1
