"""The loss is TRL's and the papers', each pair counts alike, and ties change nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from manifests.errors import RunError
from tests.training import planted, tiny
from training.checkpoints import Curve
from training.online.batches import Answer, Batch, Draw, Pair, Question
from training.online.online_dpo import without_dropout
from training.online.policy_copies import PolicyCopy
from training.online.trainer import (
    OnlineDpoTrainer,
    answer_logps,
    curve_line,
    pair_deltas,
    pair_losses,
)
from training.trainers import arguments, load_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:You are importing from 'trl.experimental'"),
    pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated:FutureWarning"),
]

PROMPTS = ((4, 5, 6), (7, 8), (9, 10, 11, 12), (13,))
END = 1


def answered(*tokens: int, score: float, ended: bool = True) -> Answer:
    return Answer(((*tokens, END) if ended else tokens), ended, score)


DRAWS = (
    Draw(0, (answered(20, 21, score=1.0), answered(22, score=0.0))),
    Draw(1, (answered(23, score=-1.0), answered(24, 25, 26, score=0.5, ended=False))),
    Draw(2, (answered(27, 28, 29, score=3.0), answered(30, 31, score=2.0))),
    Draw(3, (answered(32, score=0.0), answered(33, 34, 35, 36, score=0.25))),
)


class Given:
    """Hands out batches that were made beforehand."""

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches

    def batch(self, step: int, policy: Any) -> Batch:
        return self._batches[step]

    def pending(self) -> None:
        return None


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A policy and another model as the reference, so that losses are not those of equal models."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    options = {"initializer_range": 0.3}
    return tiny.save_model(folder / "a", seed=1, **options), tiny.save_model(folder / "b", seed=2, **options)


def trainer(folder: Path, models: tuple[Path, Path], *draws: tuple[Draw, ...], **changes: Any) -> OnlineDpoTrainer:
    settings = {"steps": len(draws), "batch": 4, "missing_eos_penalty": 1.0, "checkpoints": {"every": 100}}
    job = planted.online_job(folder, models[0], models[1], **(settings | changes))
    questions = [Question("", ids) for ids in PROMPTS] * len(draws)
    policy = load_model(str(models[0]))
    made = OnlineDpoTrainer(policy, arguments(job, len(draws)), job.stage, questions)
    made.reference = load_model(str(models[1])).eval()
    placed = [
        Batch(step, step, tuple(Draw(step * 4 + k, draw.answers) for k, draw in enumerate(some)))
        for step, some in enumerate(draws)
    ]
    made.drawer = Given(*placed)  # type: ignore[assignment]
    made.begin(job, lambda *_: None)
    job.path.mkdir(parents=True, exist_ok=True)
    made.curve = Curve(job.path / "curve.jsonl", 0)
    return made


def trained(made: OnlineDpoTrainer) -> list[dict[str, Any]]:
    with made.curve:
        made.train()
    return made.curve.lines()


def gradients(model: Any) -> np.ndarray[Any, Any]:
    return np.concatenate([weight.grad.flatten().numpy() for weight in model.parameters()])


def by_trl(models: tuple[Path, Path], folder: Path, loss: str, beta: float) -> tuple[float, np.ndarray[Any, Any]]:
    """Loss and gradient of TRL's trainer for the same answers and rewards."""
    from datasets import Dataset
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    rewards = [draw.answers[side].score for side in (0, 1) for draw in DRAWS]
    config = OnlineDPOConfig(
        output_dir=str(folder), per_device_train_batch_size=4, beta=beta, loss_type=loss, missing_eos_penalty=1.0,
        max_new_tokens=6, max_length=64, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
    )  # fmt: skip
    made = OnlineDPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(models[0]),
        ref_model=AutoModelForCausalLM.from_pretrained(models[1]),
        reward_funcs=lambda **_: rewards,
        args=config,
        train_dataset=Dataset.from_dict({"prompt": ["x"] * 4}),
        processing_class=AutoTokenizer.from_pretrained(models[0]),
    )

    def padded(rows: list[tuple[int, ...]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, rows))
        gaps = [[0] * (width - len(row)) for row in rows]
        ids = [[*gap, *row] if left else [*row, *gap] for row, gap in zip(rows, gaps, strict=True)]
        mask = [
            [*gap, *[1] * len(row)] if left else [*[1] * len(row), *gap] for row, gap in zip(rows, gaps, strict=True)
        ]
        return torch.tensor(ids), torch.tensor(mask)

    prompts = padded([*PROMPTS, *PROMPTS], left=True)
    answers = padded([draw.answers[side].ids for side in (0, 1) for draw in DRAWS], left=False)
    made._generate = lambda *_: (*prompts, *answers, None)
    made.create_optimizer()
    value = made.training_step(made.model, {"prompt": ["x"] * 4})
    return float(value), gradients(made.model)


@pytest.mark.parametrize(("loss", "beta"), [("sigmoid", 0.1), ("ipo", 0.3)])
def test_loss_and_gradient_are_those_of_trl(
    models: tuple[Path, Path], tmp_path: Path, loss: str, beta: float
) -> None:
    value, gradient = by_trl(models, tmp_path / "trl", loss, beta)
    made = trainer(tmp_path / "ours", models, DRAWS, loss=loss, beta=beta)
    inputs, n_pairs = made.get_batch_samples(iter([torch.arange(4)]), 1, "cpu")
    found = float(made.training_step(made.model, inputs[0], n_pairs))
    assert n_pairs == 4
    assert found == pytest.approx(value, rel=1e-5)
    assert found != pytest.approx(0.6931, abs=0.01)
    assert np.abs(gradients(made.model) - gradient).max() < 1e-5 * np.abs(gradient).max()


def test_losses_are_the_formulas_in_float64(models: tuple[Path, Path], tmp_path: Path) -> None:
    """Against each answer alone, without padding, in float64."""
    policy, reference = (AutoModelForCausalLM.from_pretrained(one, dtype=torch.float64) for one in models)

    def total(model: Any, prompt: tuple[int, ...], answer: tuple[int, ...]) -> float:
        with torch.no_grad():
            logps = model(torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
        return float(sum(logps[len(prompt) + k - 1, token] for k, token in enumerate(answer)))

    expected = []
    for draw, prompt in zip(DRAWS, PROMPTS, strict=True):
        ranked = sorted(draw.answers, key=lambda answer: answer.score - (0 if answer.ended else 1))
        ratio = [total(policy, prompt, answer.ids) - total(reference, prompt, answer.ids) for answer in ranked]
        expected.append(ratio[1] - ratio[0])

    made = trainer(tmp_path, models, DRAWS)
    inputs = made.get_batch_samples(iter([torch.arange(4)]), 1, "cpu")[0][0]
    deltas = pair_deltas(answer_logps(made.model, inputs), answer_logps(made.reference, inputs)).detach().double()
    assert deltas.tolist() == pytest.approx(expected, abs=1e-4)
    sigmoid = [-np.log(1 / (1 + np.exp(-0.1 * delta))) for delta in expected]
    assert pair_losses(deltas, "sigmoid", 0.1).tolist() == pytest.approx(sigmoid, abs=1e-5)
    ipo = [(delta - 1 / 0.6) ** 2 for delta in expected]
    assert pair_losses(deltas, "ipo", 0.3).tolist() == pytest.approx(ipo, rel=1e-4)


@pytest.mark.parametrize(("delta", "expected"), [(0.0, 0.693147), (1.0, 0.644397), (10.0, 0.313262)])
def test_golden_values_of_the_sigmoid_loss(delta: float, expected: float) -> None:
    assert float(pair_losses(torch.tensor(delta), "sigmoid", 0.1)) == pytest.approx(expected, abs=1e-6)


TIE = Draw(1, (answered(23, score=0.5), answered(24, 25, score=0.5)))
SAME = Draw(3, (answered(32, score=0.5), answered(32, score=0.5)))


@pytest.mark.slow
def test_each_pair_counts_alike_in_any_micro_batches(models: tuple[Path, Path], tmp_path: Path) -> None:
    """A micro-batch of which pairs are left out weighs less, and one without any nothing."""
    draws = (DRAWS[0], TIE, DRAWS[2], SAME)
    found = []
    for micro in (1, 2, 4):
        made = trainer(tmp_path / str(micro), models, draws, draws, micro_batch=micro)
        lines = trained(made)
        found.append([lines[0]["loss"], lines[0]["grad_norm"], lines[1]["loss"]])
        assert [lines[0][name] for name in ("prompts", "pairs", "ties", "identical", "tie_frac")] == [4, 2, 1, 1, 0.5]
    alone = made.inputs([Pair(0, *DRAWS[0].answers), Pair(2, *DRAWS[2].answers)])
    fresh = load_model(str(models[0]))
    deltas = pair_deltas(answer_logps(fresh, alone), answer_logps(made.reference, alone))
    assert found[0][0] == pytest.approx(float(pair_losses(deltas, "sigmoid", 0.1).mean().detach()), rel=1e-5)
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert found[2] == pytest.approx(found[0], rel=1e-5)


def test_a_step_without_a_pair_changes_no_weight_and_has_no_loss(models: tuple[Path, Path], tmp_path: Path) -> None:
    nothing = (TIE, SAME, TIE, SAME)
    options = {"learning_rate": 1e-2, "optimizer": {"weight_decay": 0.1}}
    first = trainer(tmp_path / "a", models, DRAWS, **options)
    both = trainer(tmp_path / "b", models, DRAWS, nothing, **options)
    lines = [trained(first), trained(both)]
    assert lines[1][1]["loss"] is None
    assert (lines[1][1]["pairs"], lines[1][1]["ties"], lines[1][1]["identical"]) == (0, 2, 2)
    assert "margin" not in lines[1][1]
    weights = [dict(made.model.named_parameters()) for made in (first, both)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_run_without_any_pair_says_what_to_do(models: tuple[Path, Path], tmp_path: Path) -> None:
    made = trainer(tmp_path, models, (TIE, SAME, SAME, SAME), (TIE, SAME, SAME, SAME), temperature=0.5)
    expected = r"in 2 steps no prompt .* identical 6 times.*equal 2 times.*`temperature` \(it is 0.5\).*`n` \(2\)"
    with pytest.raises(RunError, match=expected):
        trained(made)


def test_figures_of_a_step_by_hand(models: tuple[Path, Path], tmp_path: Path) -> None:
    line = trained(trainer(tmp_path, models, DRAWS))[0]
    assert line["score_mean"] == pytest.approx((1 + 0 - 1 + 0.5 + 3 + 2 + 0 + 0.25) / 8)
    assert line["reward_mean"] == pytest.approx(line["score_mean"] - 1 / 8)  # one of eight does not end
    assert line["reward_chosen"] == pytest.approx((1 - 0.5 + 3 + 0.25) / 4)
    assert line["reward_rejected"] == pytest.approx((0 - 1 + 2 + 0) / 4)
    assert line["ended_frac"] == 7 / 8
    assert line["answer_length"] == (3 + 2 + 2 + 3 + 4 + 3 + 2 + 5) / 8
    assert line["trained_tokens"] == 24
    assert line["tokens"] == 24 + 2 * (3 + 2 + 4 + 1)
    assert line["staleness"] == 0


def test_divergence_is_per_token_of_what_was_drawn(models: tuple[Path, Path], tmp_path: Path) -> None:
    made = trainer(tmp_path, models, DRAWS)
    inputs = made.get_batch_samples(iter([torch.arange(4)]), 1, "cpu")[0][0]
    with torch.no_grad():
        ratio = answer_logps(made.model, inputs) - answer_logps(made.reference, inputs)
    expected = float(ratio.sum()) / 24
    assert trained(trainer(tmp_path / "again", models, DRAWS))[0]["kl"] == pytest.approx(expected, rel=1e-4)


def test_figures_of_pairs_are_left_out_without_one() -> None:
    names = (
        "reward",
        "score",
        "answer_tokens",
        "ended",
        "ties",
        "identical",
        "staleness",
        "trained_tokens",
        "tokens",
    )
    sums = dict.fromkeys((*names, "pairs"), 0.0) | {"answers": 4.0, "prompts": 2.0, "batches": 1.0, "ties": 2.0}
    line = curve_line(sums)
    assert line["tie_frac"] == 1
    assert {"kl", "margin", "accuracy", "reward_chosen"} & set(line) == set()


def test_a_refreshed_reference_is_the_policy_of_that_step(models: tuple[Path, Path], tmp_path: Path) -> None:
    made = trainer(tmp_path, models, DRAWS, DRAWS, DRAWS, refresh_reference=2, learning_rate=1e-2)
    made.refreshed = PolicyCopy(made.model)
    made.reference = made.refreshed.model
    kl = [line["kl"] for line in trained(made)]
    assert kl[0] == 0
    assert kl[1] != 0
    assert kl[2] == 0


def test_dropout_of_the_model_itself_is_taken_away(tmp_path: Path) -> None:
    model = load_model(str(tiny.save_model(tmp_path / "model", attention_dropout=0.5)))
    model.model.layers[0].mlp.act_fn = torch.nn.Dropout(0.5)
    ids = torch.tensor([[5, 6, 7, 8]])
    assert not torch.equal(model.train()(input_ids=ids).logits, model(input_ids=ids).logits)
    without_dropout(model)
    assert torch.equal(model.train()(input_ids=ids).logits, model(input_ids=ids).logits)
