"""TRL's own losses in float64, beside formulas written down here from the papers: each variant, and known values."""

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trl import DPOTrainer

from training.preferences.dpo_trainer import sums

LENGTHS = ((3, 1), (2, 4), (5, 5))
"""Tokens of chosen and rejected answers of three pairs."""


class _Accelerator:
    device = torch.device("cpu")

    @staticmethod
    def gather(value: Any) -> Any:
        return value

    gather_for_metrics = gather


def _of_trl(loss: str, policy: torch.Tensor, reference: torch.Tensor, lengths: Any, **more: Any) -> float:
    """TRL's loss of pairs whose answers have these log-probabilities per token.

    Args:
        loss: name of the variant.
        policy: (2 pairs, tokens), chosen answers first, 0 where there is no token.
        reference: (2 pairs,), sums.
        lengths: (pairs, 2).
        more: beta, label_smoothing, ld_alpha.
    """
    n_tokens = policy.shape[1] + 1
    counts = torch.tensor([pair[0] for pair in lengths] + [pair[1] for pair in lengths])
    mask = (torch.arange(1, n_tokens + 1)[None] <= counts[:, None] + 1).long()
    mask[:, 0] = 0  # one token of the prompt
    zeros = torch.zeros_like(policy)
    answer = SimpleNamespace(log_probs=policy, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())

    def model(**_: Any) -> Any:
        return answer

    settings = {"beta": 0.1, "label_smoothing": 0.0, "ld_alpha": None} | more
    stub = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=_Accelerator,
        args=SimpleNamespace(discopop_tau=0.05),
        aux_loss_enabled=False,
        use_weighting=False,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=[loss],
        loss_weights=[1.0],
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        **settings,
    )
    half = len(lengths)
    inputs = {
        "input_ids": torch.zeros(2 * half, n_tokens, dtype=torch.long),
        "attention_mask": torch.ones(2 * half, n_tokens),
        "completion_mask": mask,
        "ref_chosen_logps": reference[:half],
        "ref_rejected_logps": reference[half:],
    }
    found = DPOTrainer._compute_loss(stub, model, inputs, False)
    assert found.dtype == torch.float64
    return float(found)


def _one_pair(delta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A pair whose log-ratios differ by so much."""
    return torch.tensor([[delta - 3.0], [-2.0]], dtype=torch.float64), torch.tensor([-3.0, -2.0], dtype=torch.float64)


@pytest.mark.parametrize(("delta", "golden"), [(0, 0.693147), (1, 0.644397), (10, 0.313262)])
def test_known_values(delta: float, golden: float) -> None:
    loss = _of_trl("sigmoid", *_one_pair(delta), [(1, 1)])
    assert loss == pytest.approx(golden, abs=5e-7)
    assert loss == pytest.approx(math.log1p(math.exp(-0.1 * delta)), abs=1e-14)


# Formulas of the papers, for one pair. w and l are the log-ratios of the chosen and of the rejected answer.


def _log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x)) if x > -30 else x


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _of_pair(loss: str, w: float, l: float, n_w: int, n_l: int, beta: float, eps: float) -> float:  # noqa: E741
    margin = beta * (w - l)
    match loss:
        case "sigmoid":  # Rafailov 2023, equation 7
            return -_log_sigmoid(margin)
        case "hinge":  # SLiC: Zhao 2023
            return max(0.0, 1 - margin)
        case "ipo":  # Azar 2023, equation 17, per token
            return (w / n_w - l / n_l - 1 / (2 * beta)) ** 2
        case "exo_pair":  # Ji 2024, equation 16: KL of the policy's distribution over both answers to [1 - eps, eps]
            p = _sigmoid(margin)
            return p * math.log(p / (1 - eps)) + (1 - p) * math.log((1 - p) / eps)
        case "nca_pair":  # Chen 2024
            return -_log_sigmoid(beta * w) - 0.5 * _log_sigmoid(-beta * w) - 0.5 * _log_sigmoid(-beta * l)
        case "robust":  # Chowdhury 2024
            return (-(1 - eps) * _log_sigmoid(margin) + eps * _log_sigmoid(-margin)) / (1 - 2 * eps)
        case "bco_pair":  # Jung 2024, without its shift
            return -_log_sigmoid(beta * w) - _log_sigmoid(-beta * l)
        case "sppo_hard":  # Wu 2024, equation 4.7
            return (w - 1 / (2 * beta)) ** 2 + (l + 1 / (2 * beta)) ** 2
        case "apo_zero":  # D'Oosterlinck 2024, equation 7
            return 1 - _sigmoid(beta * w) + _sigmoid(beta * l)
        case "apo_down":  # equation 8
            return _sigmoid(beta * w) + 1 - _sigmoid(margin)
        case "discopop":  # Lu 2024, equation 5
            share = _sigmoid(margin / 0.05)
            return -_log_sigmoid(margin) * (1 - share) + math.exp(-margin) * share
        case "sigmoid_norm":
            return -_log_sigmoid(beta * (w / n_w - l / n_l))
        case _:
            raise AssertionError(loss)


PAIRWISE = ["sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "apo_zero"]
PAIRWISE += ["apo_down", "discopop", "sigmoid_norm"]


def _three_pairs(seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Log-probabilities of three pairs, of the reference, and log-ratios (pairs, 2)."""
    random = np.random.default_rng(seed)
    policy, counts = np.zeros((6, 5)), [pair[0] for pair in LENGTHS] + [pair[1] for pair in LENGTHS]
    for row, count in enumerate(counts):
        policy[row, :count] = -random.exponential(2.0, count)
    reference = policy.sum(1) + random.normal(0, 4, 6)
    return torch.tensor(policy), torch.tensor(reference), (policy.sum(1) - reference).reshape(2, 3).T


@pytest.mark.parametrize("loss", PAIRWISE)
@pytest.mark.parametrize(("beta", "eps"), [(0.1, 0.1), (0.7, 0.01)])
def test_each_variant_is_its_papers(loss: str, beta: float, eps: float) -> None:
    for seed in range(5):
        policy, reference, ratios = _three_pairs(seed)
        expected = np.mean([_of_pair(loss, *ratios[n], *LENGTHS[n], beta, eps) for n in range(3)])
        found = _of_trl(loss, policy, reference, LENGTHS, beta=beta, label_smoothing=eps)
        assert found == pytest.approx(expected, rel=1e-6)  # TRL holds `exo_pair`'s epsilon in float32


@pytest.mark.parametrize("loss", ["aot", "aot_unpaired"])
def test_optimal_transport_compares_sorted_differences(loss: str) -> None:
    for seed in range(5):
        policy, reference, ratios = _three_pairs(seed)
        beta, eps = 0.3, 0.05
        if loss == "aot":  # Melnyk 2024: differences of log-probabilities, of the policy and of the reference
            of_policy = policy.sum(1).reshape(2, 3).numpy()
            of_reference = reference.reshape(2, 3).numpy()
            deltas = np.sort(of_policy[0] - of_policy[1]) - np.sort(of_reference[0] - of_reference[1])
        else:
            deltas = np.sort(ratios[:, 0]) - np.sort(ratios[:, 1])
        expected = np.mean([-(1 - eps) * _log_sigmoid(beta * d) - eps * _log_sigmoid(-beta * d) for d in deltas])
        found = _of_trl(loss, policy, reference, LENGTHS, beta=beta, label_smoothing=eps)
        assert found == pytest.approx(expected, rel=1e-12)


def test_sft_is_the_mean_over_chosen_tokens() -> None:
    policy, reference, _ = _three_pairs(0)
    expected = -policy[:3].sum() / sum(pair[0] for pair in LENGTHS)
    assert _of_trl("sft", policy, reference, LENGTHS) == pytest.approx(float(expected), rel=1e-12)


def test_all_losses_of_the_manifest_are_checked() -> None:
    from typing import get_args

    from manifests.schema_training_preferences import DpoLoss

    assert {*PAIRWISE, "aot", "aot_unpaired", "sft"} == set(get_args(DpoLoss))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.one_of(st.none(), st.floats(0, 1)))
def test_tokens_beyond_the_shorter_answer_weigh_alpha(seed: int, alpha: float | None) -> None:
    """LD-DPO (Liu 2024): what `sums` says, beside a loop, and beside TRL's loss."""
    policy, reference, _ = _three_pairs(seed)
    mask = (policy != 0).long()
    expected = np.zeros(6)
    for row in range(6):
        pair = LENGTHS[row % 3]
        for place in range(pair[row // 3]):
            weight = 1.0 if alpha is None or place < min(pair) else alpha
            expected[row] += weight * float(policy[row, place])
    assert sums(policy, mask, alpha).numpy() == pytest.approx(expected, rel=1e-6)
    ratios = (expected - reference.numpy()).reshape(2, 3)
    by_hand = np.mean([-_log_sigmoid(0.1 * (ratios[0, n] - ratios[1, n])) for n in range(3)])
    assert _of_trl("sigmoid", policy, reference, LENGTHS, ld_alpha=alpha) == pytest.approx(by_hand, rel=1e-6)
