from typing import Any

import pytest
import torch
import torch.nn.functional as functional

from training.pretraining import token_loss as module
from training.pretraining.token_loss import token_loss


@pytest.fixture(autouse=True, params=[1 << 20, 40], ids=["at once", "two rows at a time"])
def chunks(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.CHUNK_ELEMENTS, "cpu", request.param)


def example(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(11, 17, generator=generator, dtype=torch.float64) * 3).to(dtype).requires_grad_()
    targets = torch.randint(0, 17, (11,), generator=generator)
    targets[[0, 5, 10]] = -100
    return logits, targets


def plain(logits: torch.Tensor, targets: torch.Tensor, z_loss: float) -> torch.Tensor:
    """The definition, by autograd."""
    lse = torch.logsumexp(logits, 1)[targets != -100]
    return functional.cross_entropy(logits, targets, reduction="sum") + (z_loss * lse**2).sum()


@pytest.mark.parametrize("z_loss", [0.0, 5e-6, 0.3])
def test_gradient_is_that_of_autograd(z_loss: float) -> None:
    """In float64: cross entropy and c * lse^2, value and gradient."""
    logits, targets = example()
    wanted = plain(logits, targets, z_loss)
    (of_logits,) = torch.autograd.grad(wanted * 0.7, logits)
    found = token_loss(logits, targets, z_loss)
    (gradient,) = torch.autograd.grad(found.total * 0.7, logits)
    assert torch.allclose(found.total, wanted, rtol=1e-14)
    assert torch.allclose(gradient, of_logits, atol=1e-15)
    assert torch.equal(gradient[targets == -100], torch.zeros(3, 17, dtype=torch.float64))


def test_z_loss_alone() -> None:
    """Row 32: what 5e-6 * lse^2 adds to the gradient is what autograd says it is."""
    logits, targets = example()
    with_z, without = (torch.autograd.grad(token_loss(logits, targets, c).total, logits)[0] for c in (5e-6, 0.0))
    lse = torch.logsumexp(logits, 1)[targets != -100]
    (wanted,) = torch.autograd.grad((5e-6 * lse**2).sum(), logits)
    assert torch.allclose(with_z - without, wanted, atol=1e-15)
    assert wanted.abs().max() > 1e-6


def test_gradient_by_finite_differences() -> None:
    logits, targets = example()
    (gradient,) = torch.autograd.grad(token_loss(logits, targets, 0.1).total, logits)
    for place in [(1, 3), (4, 16), (5, 0)]:
        step = torch.zeros_like(logits)
        step[place] = 1e-6
        above, below = (token_loss(logits + sign * step, targets, 0.1).total.item() for sign in (1, -1))
        assert gradient[place].item() == pytest.approx((above - below) / 2e-6, abs=1e-7)


def test_sums_that_are_logged() -> None:
    logits, targets = example()
    found, counted = token_loss(logits, targets, 0.1), targets != -100
    lse = torch.logsumexp(logits, 1)[counted]
    assert found.cross_entropy.item() == pytest.approx(plain(logits, targets, 0.0).item(), rel=1e-12)
    assert found.lse.item() == pytest.approx(lse.sum().item(), rel=1e-12)
    assert found.lse_squared.item() == pytest.approx((lse**2).sum().item(), rel=1e-12)
    assert not found.cross_entropy.requires_grad


def test_logits_of_half_width_are_summed_in_float32() -> None:
    logits, targets = example(torch.bfloat16)
    found = token_loss(logits, targets, 1e-3)
    exact = logits.detach().double().requires_grad_()
    assert found.total.dtype == torch.float32
    assert found.total.item() == pytest.approx(plain(exact, targets, 1e-3).item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(found.total, logits)
    (wanted,) = torch.autograd.grad(plain(exact, targets, 1e-3), exact)
    assert gradient.dtype == torch.bfloat16
    assert torch.allclose(gradient.double(), wanted, atol=2e-3)


def test_great_logits_and_no_target() -> None:
    logits = torch.tensor([[1e4, -1e4, 9e3]], requires_grad=True)
    assert token_loss(logits, torch.tensor([1])).total.item() == pytest.approx(2e4)
    nothing = token_loss(logits, torch.tensor([-100]), 1.0)
    nothing.total.backward()
    assert nothing.total.item() == 0
    assert logits.grad is not None and not logits.grad.any()


def test_without_a_gradient() -> None:
    logits, targets = example()
    with torch.no_grad():
        assert not token_loss(logits, targets).total.requires_grad
