import math

import pytest
import torch

from manifests.errors import RequestError
from tests.training.distilling.heads import Heads, heads
from training.distilling.contrastive import (
    Anchor,
    Answers,
    Contrasted,
    Layer,
    adaptive_skews,
    beta_at,
    contrastive_loss,
    means_of_answers,
)
from training.distilling.divergences import Divergence

WHICH = torch.tensor([0, 0, 0, 0, 1, 1])


def answers(given: Heads) -> Answers:
    return Answers(given.student[0], given.teacher[0], given.labels.clamp(min=0), WHICH)


def contrasted(beta: float, refs: tuple[float | None, float | None] | None = None) -> tuple[Contrasted, Heads, Heads]:
    first, second = heads(1), heads(2)
    student, teacher = Layer(*first.student[1:]), Layer(*first.teacher[1:])
    return (
        contrastive_loss(student, teacher, answers(first), answers(second), beta, Divergence(), refs),
        first,
        second,
    )


def test_beta_rises_over_the_first_half() -> None:
    assert [beta_at(step, 8) for step in (0, 1, 2, 4, 6, 8)] == [1, 1.125, 1.25, 1.5, 1.5, 1.5]
    assert beta_at(3, 8, ramp=False) == 1
    with pytest.raises(RequestError, match="step 9 of 8"):
        beta_at(9, 8)


def test_skews_by_hand() -> None:
    """1 - .9 ref / (gap + 1e-5), between .01 and .1."""
    gaps = torch.tensor([0.095, 0.098, 0.2, 0.05, -0.3], dtype=torch.float64)
    wanted = [1 - 0.9 * 0.1 / (0.095 + 1e-5), 1 - 0.9 * 0.1 / (0.098 + 1e-5), 0.1, 0.01, 0.1]
    assert adaptive_skews(gaps, 0.1).tolist() == pytest.approx(wanted, abs=1e-12)
    assert adaptive_skews(gaps, None).tolist() == pytest.approx([0.1] * 5)


def test_an_anchor_is_the_mean_of_the_first_steps() -> None:
    anchor = Anchor(2)
    assert anchor.ref is None
    anchor = anchor.with_gap(0.2)
    assert anchor.ref is None
    anchor = anchor.with_gap(0.4)
    assert anchor.ref == pytest.approx(0.3)
    assert anchor.with_gap(9.0) == anchor


def plain(given: Heads, layer: Heads, kind: str, skews: list[float]) -> torch.Tensor:
    """Means per answer, by the definition; SRKL's mixture without a gradient."""
    student = torch.addmm(layer.student[2], given.student[0], layer.student[1].T).log_softmax(1)
    teacher = torch.addmm(layer.teacher[2], given.teacher[0], layer.teacher[1].T).log_softmax(1)
    share = torch.tensor(skews, dtype=torch.float64)[WHICH].unsqueeze(1)
    if kind == "skew_kl":
        mixed = (share * teacher.exp() + (1 - share) * student.exp()).log()
        rows = (teacher.exp() * (teacher - mixed)).sum(1)
    else:
        mixed = ((1 - share) * teacher.exp() + share * student.detach().exp()).log()
        rows = (student.exp() * (student - mixed)).sum(1)
    return torch.stack([rows[number == WHICH].mean() for number in (0, 1)])


@pytest.mark.parametrize("beta", [1.0, 1.5])
def test_the_loss_and_its_gradient_are_those_of_the_definition(beta: float) -> None:
    found, first, second = contrasted(beta)
    of_teacher, of_student = (
        plain(first, first, "skew_kl", [0.1] * 2),
        plain(second, first, "skew_reverse_kl", [0.1] * 2),
    )
    wanted = (2 - beta) * of_teacher.mean() + beta * of_student.mean()
    assert found.total.item() / 2 == pytest.approx(wanted.item(), rel=1e-12)
    assert found.of_teacher.gap is None
    trained = (*first.student, second.student[0])
    gradients = [torch.autograd.grad(loss, trained) for loss in (found.total / 2, wanted)]
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(*gradients, strict=True))


def geometric(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, labels: torch.Tensor) -> list[float]:
    logprobs = torch.addmm(bias, hidden, weight.T).log_softmax(1)
    each = [logprobs[row, label].item() for row, label in enumerate(labels.tolist())]
    return [math.exp(sum(each[:4]) / 4), math.exp(sum(each[4:]) / 2)]


def test_skews_adapt_to_each_answer() -> None:
    """q - p on the student's own answers."""
    found, first, second = contrasted(1.2, (0.05, 0.02))
    for side, given, ref, sign, kind in (
        (found.of_teacher, first, 0.05, 1, "skew_kl"),
        (found.of_student, second, 0.02, -1, "skew_reverse_kl"),
    ):
        labels = given.labels.clamp(min=0)
        p = geometric(given.teacher[0], *first.teacher[1:], labels)
        q = geometric(given.student[0], *first.student[1:], labels)
        gaps = [sign * (of_teacher - of_student) for of_teacher, of_student in zip(p, q, strict=True)]
        skews = [min(max(1 - 0.9 * ref / (gap + 1e-5), 0.01), 0.1) for gap in gaps]
        assert side.gap == pytest.approx(sum(gaps) / 2)
        assert side.skews.tolist() == pytest.approx(skews)
        assert torch.allclose(side.losses, plain(given, first, kind, skews), atol=1e-12)


def test_before_there_is_a_ref_the_gap_is_told_and_the_skew_is_the_base() -> None:
    found, *_ = contrasted(1.0, (None, None))
    assert found.of_teacher.gap is not None
    assert found.of_student.skews.tolist() == pytest.approx([0.1, 0.1])


def test_an_answer_without_tokens() -> None:
    with pytest.raises(RequestError, match="answer 1 has no tokens"):
        means_of_answers(torch.ones(3), torch.tensor([0, 0, 2]))
