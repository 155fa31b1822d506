import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from manifests.schema_distillation import DistillLoss
from tests.training.distilling.heads import IDS, ROWS, heads
from tests.training.distilling.references import divergence
from training.distilling import output_layer
from training.distilling.divergences import Divergence, divergence_of_logits, fused_divergence

KINDS = get_args(DistillLoss)


@pytest.fixture(params=[1 << 23, 40], ids=["one block", "three rows at a time"])
def blocks(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(output_layer.BLOCK_LOGITS, "cpu", request.param)


def of_row(kind: DistillLoss, student: list[float], teacher: list[float], skew: float = 0.1) -> float:
    rows = [torch.tensor([row], dtype=torch.float64) for row in (student, teacher)]
    return divergence_of_logits(rows[0], rows[1], Divergence(kind, skew)).item()


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("forward_kl", 0.912983), ("reverse_kl", 0.982577), ("skew_kl", 0.705873), ("skew_reverse_kl", 0.731383)],
)
def test_golden_values(kind: DistillLoss, wanted: float) -> None:
    """Of papers.md 3.2."""
    assert of_row(kind, [0, 1, 0], [2, 0, -1]) == pytest.approx(wanted, abs=1e-6)


def test_the_code_of_distillm_leaves_out_the_teachers_entropy() -> None:
    p = torch.tensor([2.0, 0, -1], dtype=torch.float64).softmax(0)
    entropy = -(p * p.log()).sum().item()
    assert of_row("skew_kl", [0, 1, 0], [2, 0, -1]) + entropy == pytest.approx(1.230140, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("skew", [0.0, 0.1, 0.9, 1.0])
def test_values_are_those_of_the_definition(kind: DistillLoss, temperature: float, skew: float) -> None:
    student, teacher = heads().logits
    found = divergence_of_logits(student, teacher, Divergence(kind, skew, temperature))
    rows = zip(student.detach().numpy(), teacher.numpy(), strict=True)
    wanted = [divergence(kind, ours, theirs, skew, temperature) for ours, theirs in rows]
    assert np.allclose(found.detach().numpy(), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_plain_form(kind: DistillLoss) -> None:
    student, teacher = (logits.detach() for logits in heads().logits)
    settings = Divergence(kind, 0.2, 1.5)
    student.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda logits: divergence_of_logits(logits, teacher, settings), student, atol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("temperature", "ce_weight"), [(1.0, 0.0), (2.0, 0.3)])
@pytest.mark.usefixtures("blocks")
def test_gradients_of_the_fused_form(kind: DistillLoss, temperature: float, ce_weight: float) -> None:
    given_heads, settings = heads(), Divergence(kind, 0.2, temperature, chunk=4)

    def loss(*student: torch.Tensor) -> torch.Tensor:
        return fused_divergence(*student, *given_heads.teacher, settings, given_heads.labels, ce_weight)

    assert torch.autograd.gradcheck(loss, given_heads.student, atol=1e-6)


SETTINGS = [*((kind, False) for kind in KINDS), ("skew_reverse_kl", True)]


@pytest.mark.parametrize(("kind", "detached"), SETTINGS)
@pytest.mark.parametrize("chunk", [1, 4, 100])
@pytest.mark.parametrize("own_skews", [False, True])
@pytest.mark.usefixtures("blocks")
def test_fused_in_chunks_is_plain_at_once(kind: DistillLoss, detached: bool, chunk: int, own_skews: bool) -> None:
    """Values, and gradients where each row weighs differently."""
    given_heads, settings = heads(), Divergence(kind, 0.2, 1.5, chunk, detached)
    skews = torch.linspace(0.05, 0.95, ROWS, dtype=torch.float64) if own_skews else None
    found = fused_divergence(*given_heads.student, *given_heads.teacher, settings, skews=skews)
    wanted = divergence_of_logits(*given_heads.logits, settings, skews)
    assert torch.allclose(found, wanted, rtol=0, atol=1e-12)
    weights = torch.arange(ROWS, dtype=torch.float64)
    of_found, of_wanted = (
        torch.autograd.grad((loss * weights).sum(), given_heads.student) for loss in (found, wanted)
    )
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(of_found, of_wanted, strict=True))


def test_cross_entropy_is_weighed_against_the_divergence() -> None:
    given_heads, settings = heads(), Divergence("js", 0.4, 3.0)
    found = fused_divergence(*given_heads.student, *given_heads.teacher, settings, given_heads.labels, 0.25)
    student, teacher = given_heads.logits
    entropy = torch.nn.functional.cross_entropy(student, given_heads.labels, reduction="none")
    wanted = 0.75 * divergence_of_logits(student, teacher, settings) + 0.25 * entropy
    assert torch.allclose(found, wanted.masked_fill(given_heads.labels == -100, 0), atol=1e-12)
    (of_hidden,) = torch.autograd.grad(found.sum(), given_heads.student[0])
    assert torch.equal(of_hidden[2], torch.zeros_like(of_hidden[2]))  # the row without a label


def test_only_what_is_trained_gets_a_gradient() -> None:
    given_heads = heads()
    hidden, weight, _ = given_heads.student
    teacher = tuple(part.requires_grad_() for part in given_heads.teacher)
    fused_divergence(hidden, weight.detach(), None, *teacher, Divergence()).sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None and all(part.grad is None for part in teacher)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fused", [False, True])
def test_finite_where_probabilities_underflow(kind: DistillLoss, dtype: torch.dtype, fused: bool) -> None:
    """Logits of 10,000 one way and the other, and ids that the teacher cannot say."""
    student = torch.tensor([[1e4, -1e4, 0, 3], [-1e4, 1e4, 0, 0], [1, 2, 3, 4], [0, 0, 0, 1e4]], dtype=dtype)
    teacher = torch.tensor([[-1e4, 1e4, 0, 0], [1e4, 0, -1e4, 0], [1e4, 0, 2, 0], [1, 2, 3, 4]], dtype=dtype)
    teacher[:, 3] = -torch.inf
    student.requires_grad_()
    for temperature in (1.0, 0.5):
        settings = Divergence(kind, 0.1, temperature, chunk=3)
        if fused:  # the output matrix is the identity, so that hidden states are logits
            bias = torch.tensor([0, 0, 0, -torch.inf], dtype=dtype)
            one, finite = torch.eye(4, dtype=dtype), teacher.nan_to_num(neginf=0)
            found = fused_divergence(student, one, None, finite, one, bias, settings)
        else:
            found = divergence_of_logits(student, teacher, settings)
        (gradient,) = torch.autograd.grad(found.sum(), student)
        assert found.isfinite().all() and (found >= 0).all() and found.dtype == dtype
        assert gradient.isfinite().all()
    assert found[0] > 0.01  # they disagree there


@pytest.mark.parametrize("kind", ["reverse_kl", "symmetric_kl"])
def test_what_the_teacher_cannot_say_is_left_out_where_the_divergence_would_be_infinite(kind: DistillLoss) -> None:
    found = of_row(kind, [0, 1, 0, 5], [2, 0, -1, -math.inf])
    assert found == pytest.approx(of_row(kind, [0, 1, 0], [2, 0, -1]), abs=1e-12)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("reverse_kl", "symmetric_kl")])
def test_what_the_teacher_cannot_say_counts_otherwise(kind: DistillLoss) -> None:
    teacher = [2, 0, -1, -math.inf]
    wanted = divergence(kind, np.array([0.0, 1, 0, 5]), np.array(teacher), 0.3)
    assert of_row(kind, [0, 1, 0, 5], teacher, 0.3) == pytest.approx(wanted, abs=1e-12)


def test_padding_of_both_vocabularies() -> None:
    for kind in KINDS:
        found = of_row(kind, [0, 1, 0, -math.inf], [2, 0, -1, -math.inf])
        assert found == pytest.approx(of_row(kind, [0, 1, 0], [2, 0, -1]), abs=1e-12)


LOGITS = st.lists(st.floats(-50, 50, width=32), min_size=5, max_size=5)


@given(kind=st.sampled_from(KINDS), student=LOGITS, teacher=LOGITS, skew=st.floats(0, 1))
def test_never_below_zero_and_zero_among_equals(
    kind: DistillLoss, student: list[float], teacher: list[float], skew: float
) -> None:
    assert of_row(kind, student, teacher, skew) >= -1e-12
    assert of_row(kind, student, [x + 1 for x in student], skew) == pytest.approx(0, abs=1e-12)


@given(student=LOGITS, teacher=LOGITS, skew=st.floats(0, 1))
def test_bounds(student: list[float], teacher: list[float], skew: float) -> None:
    """Jensen-Shannon at most the entropy of its weights; total variation at most 1; a skewed KL at most -log skew."""
    entropy = sum(-x * math.log(x) for x in (skew, 1 - skew) if x > 0)
    assert of_row("js", student, teacher, skew) <= entropy + 1e-12
    assert of_row("total_variation", student, teacher) <= 1 + 1e-12
    for kind in ("skew_kl", "skew_reverse_kl"):
        assert skew == 0 or of_row(kind, student, teacher, skew) <= -math.log(skew) + 1e-12


@given(student=LOGITS, teacher=LOGITS)
def test_the_reverse_is_the_forward_of_the_other_side(student: list[float], teacher: list[float]) -> None:
    for kind, reverse in (("forward_kl", "reverse_kl"), ("skew_kl", "skew_reverse_kl")):
        assert of_row(kind, student, teacher) == pytest.approx(of_row(reverse, teacher, student), rel=1e-9, abs=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_js_is_trls() -> None:
    """Its `beta` is the teacher's weight."""
    from trl.experimental.gkd import GKDTrainer

    student, teacher = (logits.detach() for logits in heads().logits)
    for skew in (0.1, 0.5, 0.9):
        found = divergence_of_logits(student, teacher, Divergence("js", skew, 2.0))
        wanted = GKDTrainer.generalized_jsd_loss(
            student[None], teacher[None], beta=1 - skew, temperature=2.0, reduction="none"
        )
        assert torch.allclose(found, 4 * wanted.reshape(ROWS, IDS).sum(1), atol=1e-7)


def test_under_autocast_products_are_in_bfloat16_and_sums_in_float32() -> None:
    given_heads = heads()
    student, teacher = (
        [part.detach().float() for part in side] for side in (given_heads.student, given_heads.teacher)
    )
    for part in student:
        part.requires_grad_()
    settings = Divergence("skew_kl", chunk=4)
    wanted = fused_divergence(*student, *teacher, settings, given_heads.labels, 0.3)
    with torch.autocast("cpu", torch.bfloat16):
        found = fused_divergence(*student, *teacher, settings, given_heads.labels, 0.3)
    assert found.dtype == torch.float32
    assert torch.allclose(found, wanted, atol=0.1) and not torch.equal(found, wanted)
    of_found, of_wanted = (torch.autograd.grad(loss.sum(), student) for loss in (found, wanted))
    for one, other in zip(of_found, of_wanted, strict=True):
        assert one.dtype == torch.float32 and torch.allclose(one, other, atol=0.2)


def test_no_rows() -> None:
    given_heads = heads()
    (hidden, *layer), (theirs, *teacher) = given_heads.student, given_heads.teacher
    assert fused_divergence(hidden[:0], *layer, theirs[:0], *teacher, Divergence()).shape == (0,)


def test_requests_that_cannot_be_met() -> None:
    given_heads = heads()
    (hidden, weight, bias), teacher = given_heads.student, given_heads.teacher
    with pytest.raises(RequestError, match=r"10 ids and the teacher of 11.*train on its texts"):
        fused_divergence(hidden, weight[:10], bias[:10], *teacher, Divergence())
    with pytest.raises(RequestError, match="5 rows of the student, 6 of the teacher"):
        fused_divergence(hidden[:5], weight, bias, *teacher, Divergence())
    with pytest.raises(RequestError, match="with labels"):
        fused_divergence(hidden, weight, bias, *teacher, Divergence(), ce_weight=0.5)
    with pytest.raises(RequestError, match=r"skew is 1\.5"):
        Divergence(skew=1.5)
    with pytest.raises(RequestError, match="temperature is 0"):
        Divergence(temperature=0)
    with pytest.raises(RequestError, match=r"'kl' is none; valid: forward_kl"):
        Divergence("kl")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="only skew_reverse_kl"):
        Divergence("js", detached=True)
