from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from manifests.schema_distillation import DistillLoss
from tests.training.distilling.heads import IDS, heads
from training.distilling import output_layer
from training.distilling.divergences import Divergence, divergence_of_logits, fused_divergence
from training.distilling.stored import KINDS, stored_divergence


@pytest.fixture(params=[1 << 23, 40], ids=["one block", "three rows at a time"])
def blocks(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(output_layer.BLOCK_LOGITS, "cpu", request.param)


def stored(teacher: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, logarithms in float32) as a server gives them."""
    values, ids = teacher.log_softmax(1).topk(k, 1)
    return ids.int(), values.float()


def reduced(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Logits of the stored tokens and, as one, of all others: what the online teacher would be reduced to."""
    values = logits.log_softmax(1)
    others = torch.ones_like(values, dtype=torch.bool).scatter(1, ids.long(), False)
    rest = values.masked_fill(~others, -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([values.gather(1, ids.long()), rest], 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 4, IDS - 1])
@pytest.mark.usefixtures("blocks")
def test_top_k_is_the_online_teacher_reduced(kind: DistillLoss, k: int) -> None:
    given_heads, settings = heads(), Divergence(kind, 0.2, chunk=4)
    student, teacher = given_heads.logits
    ids, logprobs = stored(teacher, k)
    found = stored_divergence(*given_heads.student, ids, logprobs, settings)
    wanted = divergence_of_logits(reduced(student, ids), reduced(teacher, ids), settings)
    assert torch.allclose(found, wanted, atol=1e-6)
    of_found, of_wanted = (torch.autograd.grad(loss.sum(), given_heads.student) for loss in (found, wanted))
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(of_found, of_wanted, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ce_weight", [0.0, 0.3])
@pytest.mark.usefixtures("blocks")
def test_all_tokens_are_the_online_teacher(kind: DistillLoss, ce_weight: float) -> None:
    """Exactly: in float64, with probabilities in float64."""
    given_heads, settings = heads(), Divergence(kind, 0.2, chunk=4)
    values, ids = given_heads.logits[1].log_softmax(1).topk(IDS, 1)
    found = stored_divergence(*given_heads.student, ids, values, settings, given_heads.labels, ce_weight)
    wanted = fused_divergence(*given_heads.student, *given_heads.teacher, settings, given_heads.labels, ce_weight)
    assert torch.allclose(found, wanted, rtol=0, atol=1e-14)
    of_found, of_wanted = (torch.autograd.grad(loss.sum(), given_heads.student) for loss in (found, wanted))
    assert all(torch.allclose(one, other, atol=1e-13) for one, other in zip(of_found, of_wanted, strict=True))


@pytest.mark.parametrize("k", [1, 4, IDS])
@pytest.mark.usefixtures("blocks")
def test_gradients(k: int) -> None:
    given_heads, settings = heads(), Divergence("skew_kl", 0.2, chunk=4)
    ids, logprobs = stored(given_heads.logits[1], k)

    def loss(*student: torch.Tensor) -> torch.Tensor:
        return stored_divergence(*student, ids, logprobs, settings, given_heads.labels, 0.3)

    assert torch.autograd.gradcheck(loss, given_heads.student, atol=1e-6)


@given(seed=st.integers(0, 1000), k=st.integers(1, IDS), kind=st.sampled_from(KINDS))
def test_between_zero_and_the_whole_and_rising_with_k(seed: int, k: int, kind: DistillLoss) -> None:
    given_heads, settings = heads(seed), Divergence(kind)
    ids, logprobs = (part[:, :k] for part in stored(given_heads.logits[1], IDS))
    found = stored_divergence(*given_heads.student, ids, logprobs, settings)
    fewer = stored_divergence(*given_heads.student, ids[:, : max(1, k - 1)], logprobs[:, : max(1, k - 1)], settings)
    whole = divergence_of_logits(*given_heads.logits, settings)
    assert (found >= -1e-6).all() and (found >= fewer - 1e-6).all() and (found <= whole + 1e-6).all()


def test_the_order_of_what_is_stored_changes_nothing() -> None:
    given_heads = heads()
    ids, logprobs = stored(given_heads.logits[1], 4)
    found = stored_divergence(*given_heads.student, ids, logprobs, Divergence())
    turned = stored_divergence(*given_heads.student, ids.flip(1), logprobs.flip(1), Divergence())
    assert torch.allclose(found, turned, atol=1e-14)


def test_finite_where_probabilities_underflow() -> None:
    """A teacher that is sure, of whom nothing is left for the rest, and a student that is sure of something else."""
    one = torch.eye(4)
    hidden = torch.tensor([[1e4, -1e4, 0, 0], [0, 0, 0, 1e4]]).requires_grad_()
    ids, logprobs = torch.tensor([[1, 2], [3, 0]]), torch.tensor([[0.0, -2e4], [0.0, -torch.inf]])
    for kind in KINDS:
        found = stored_divergence(hidden, one, None, ids, logprobs, Divergence(kind))
        (gradient,) = torch.autograd.grad(found.sum(), hidden)
        assert found.isfinite().all() and gradient.isfinite().all()
        assert found[0] > 1 and found[1].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": Divergence("reverse_kl")}, "reverse_kl cannot be had; valid: forward_kl, skew_kl"),
        ({"settings": Divergence(temperature=2.0)}, "of temperature 1; the loss has 2.0"),
        ({"top_ids": torch.tensor([[0, 1]] * 5)}, r"ids are \(5, 2\)"),
        ({"top_ids": torch.tensor([[0, IDS]] * 6)}, "id 0 to 11; the student has 0 to 10"),
        ({"top_ids": torch.tensor([[0, 1]] * 5 + [[3, 3]])}, "row 5 has an id twice"),
        ({"top_logprobs": torch.tensor([[-0.1, -0.1]] * 6)}, "row 0 sum to 1.80967, above 1"),
        ({"top_logprobs": torch.tensor([[-1.0, -1.0]] * 5 + [[-1.0, torch.nan]])}, "row 5 sum to nan"),
        ({"ce_weight": 0.5}, "with labels"),
    ],
)
def test_requests_that_cannot_be_met(changes: dict[str, Any], message: str) -> None:
    request = {
        "top_ids": torch.tensor([[0, 1]] * 6),
        "top_logprobs": torch.tensor([[-1.0, -1.0]] * 6),
        "settings": Divergence(),
    } | changes
    with pytest.raises(RequestError, match=message):
        stored_divergence(*heads().student, **request)
