from typing import Any

import pytest
import torch
import transformers

from tests.training import tiny
from training.pretraining import token_loss as module
from training.pretraining.head_loss import head_loss, with_head_loss
from training.pretraining.token_loss import token_loss


@pytest.fixture(autouse=True, params=[1 << 20, 40], ids=["at once", "two rows at a time"])
def chunks(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.CHUNK_ELEMENTS, "cpu", request.param)


def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(11, 5, generator=generator, dtype=torch.float64).requires_grad_()
    matrix = torch.randn(17, 5, generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.randint(0, 17, (11,), generator=generator)
    targets[[0, 5, 10]] = -100
    return hidden, matrix, targets


@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_value_and_gradients_are_those_of_the_logits(z_loss: float) -> None:
    hidden, matrix, targets = example()
    wanted, found = token_loss(hidden @ matrix.T, targets, z_loss), head_loss(hidden, matrix, targets, z_loss)
    for name in ("total", "cross_entropy", "lse", "lse_squared"):
        assert getattr(found, name).item() == pytest.approx(getattr(wanted, name).item(), rel=1e-13)
    of_wanted = torch.autograd.grad(wanted.total * 0.3, (hidden, matrix))
    of_found = torch.autograd.grad(found.total * 0.3, (hidden, matrix))
    assert all(torch.allclose(one, other, atol=1e-14) for one, other in zip(of_found, of_wanted, strict=True))


def test_a_matrix_that_is_not_trained_gets_no_gradient() -> None:
    hidden, matrix, targets = example()
    head_loss(hidden, matrix.requires_grad_(False), targets).total.backward()
    assert hidden.grad is not None and matrix.grad is None


def test_in_bfloat16() -> None:
    """As autocast has it: products in bfloat16, sums and the matrix's gradient in float32."""
    hidden, matrix, targets = (value.detach() for value in example())
    hidden, matrix = hidden.float().requires_grad_(), matrix.float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = head_loss(hidden, matrix, targets)
        wanted = token_loss(hidden @ matrix.T, targets)
    assert found.total.dtype == torch.float32
    assert found.total.item() == pytest.approx(wanted.total.item(), rel=1e-6)
    of_found, of_wanted = (torch.autograd.grad(of.total, (hidden, matrix)) for of in (found, wanted))
    for one, other in zip(of_found, of_wanted, strict=True):
        assert one.dtype == torch.float32
        assert torch.allclose(one, other, atol=0.05)


@pytest.mark.parametrize("tied", [False, True])
def test_a_model_gives_its_loss(tied: bool) -> None:
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(tiny.config(tie_word_embeddings=tied))
    ids = torch.randint(4, 600, (2, 9))
    targets = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=-100).flatten()
    plain = model(ids, use_cache=False)
    token_loss(plain.logits.flatten(0, 1), targets, 0.01).total.backward()
    wanted = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    assert with_head_loss(model)
    model(input_ids=ids, use_cache=False, targets=targets, z_loss=0.01)["total"].backward()
    assert all(torch.allclose(weight.grad, wanted[name], atol=1e-4) for name, weight in model.named_parameters())
    assert torch.equal(model(ids, use_cache=False).logits, plain.logits)


def test_a_model_whose_output_is_more_than_a_matrix_does_not() -> None:
    config = transformers.Gemma2Config(
        vocab_size=97, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, head_dim=8
    )
    assert not with_head_loss(transformers.Gemma2ForCausalLM(config))
