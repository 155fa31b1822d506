"""What came of supervised fine-tuning, in figures: domains, what was left out, and what each domain is worth."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from training.chat.rows import Left
from training.jobs import Cell, Made, Table
from training.preferences.pair_tables import left_out_table
from training.tuning.examples import Examples
from training.tuning.loss import Loss
from training.tuning.mixture import Mixture


class Measured(BaseModel):
    """Losses on what was held out, by domain."""

    losses: dict[str, Loss]


class Trained(Measured):
    """What came of one training: the stage's own, or one without a domain."""

    n_steps: int
    n_examples: int
    n_sequences: int
    n_tokens: int
    """That were read, over all steps, without padding."""
    n_learnt: int
    """Of these."""
    n_parameters: int
    """That were trained."""
    loss_first: float
    loss_last: float


def made_of(
    examples: Examples,
    mixture: Mixture,
    added: Sequence[str],
    before: Measured,
    trained: Trained,
    arms: Mapping[str, Trained],
) -> Made:
    """What the stage tells.

    Args:
        examples: all.
        mixture: which of them were trained on.
        added: control tokens that the tokenizer did not have.
        before: measured of the model that the stage began with.
        trained: of the stage's own training.
        arms: of those without a domain, by its name.
    """
    n_held_out = sum(map(len, mixture.held_out.values()))
    all_left = {**examples.about.left_out, "held_out": n_held_out, "over_weight": mixture.n_over_weight}
    counted = Left({reason: count for reason, count in all_left.items() if count}, examples.about.left_out_first)
    figures = {"loss_first": trained.loss_first, "loss_last": trained.loss_last}
    if n_held_out:
        figures |= {"held_out_loss_before": _all(before).mean, "held_out_loss": _all(trained).mean}
    return Made(
        counts={
            "steps": trained.n_steps,
            "tokens": trained.n_tokens,
            "trained_tokens": trained.n_learnt,
            "examples": trained.n_examples,
            "sequences": trained.n_sequences,
            "cut": examples.about.n_cut,
            "control_text": examples.about.n_with_control_text,
            "added_tokens": len(added),
            "trained_parameters": trained.n_parameters,
        },
        figures=figures,
        left_out=counted.counts,
        tables=[
            _domains(examples, mixture, before, trained),
            *([left_out] if (left_out := left_out_table(counted)) else []),
            *(_leave_one_out(mixture.domains, trained, arms) if arms else []),
        ],
    )


def _all(measured: Measured) -> Loss:
    parts = measured.losses.values()
    return Loss(nats=sum(part.nats for part in parts), n_tokens=sum(part.n_tokens for part in parts))


def _domains(examples: Examples, mixture: Mixture, before: Measured, trained: Trained) -> Table:
    n_tokens, n_learnt = examples.lengths, examples.n_learnt
    rows = [
        _domain(name, mixture, n_tokens, n_learnt, before.losses.get(name), trained.losses.get(name))
        for name in mixture.domains
    ]
    return Table(
        title="Domains",
        columns=[
            *("domain", "examples", "share", "tokens", "trained tokens", "held out", "loss before", "loss after"),
        ],
        rows=rows,
        note="Tokens of an epoch. Losses are of held-out examples: nats per token that the assistant says.",
    )


def _domain(
    name: str,
    mixture: Mixture,
    n_tokens: NDArray[np.int64],
    n_learnt: NDArray[np.int64],
    before: Loss | None,
    after: Loss | None,
) -> list[Cell]:
    mine = mixture.trained[name]
    return [
        name,
        len(mine),
        round(len(mine) / max(1, len(mixture.without(None))), 4),
        int(n_tokens[mine].sum()),
        int(n_learnt[mine].sum()),
        len(mixture.held_out[name]),
        None if before is None else round(before.mean, 4),
        None if after is None else round(after.mean, 4),
    ]


def _leave_one_out(domains: Sequence[str], full: Trained, arms: Mapping[str, Trained]) -> list[Table]:
    """What each measure loses without each domain: Kanana's table 9, with losses in place of benchmarks."""
    measured = [name for name in domains if name in full.losses]
    everything: list[Cell] = ["all domains", *(1.0 for _ in measured)]
    shares: list[list[Cell]] = [
        [f"without {left_out}", *(round(full.losses[name].mean / arm.losses[name].mean, 4) for name in measured)]
        for left_out, arm in arms.items()
    ]
    raw: list[list[Cell]] = [
        [title, one.n_examples, one.n_steps, *(round(one.losses[name].mean, 4) for name in measured)]
        for title, one in [("all domains", full), *((f"without {name}", arm) for name, arm in arms.items())]
    ]
    return [
        Table(
            title="What each domain is worth",
            columns=["trained on", *measured],
            rows=[everything, *shares],
            note="Loss of the training on all domains, divided by that of the training without one, on held-out "
            "examples of each domain: 1 is as good, less is worse. Kanana's table 9 has the same form with scores of "
            "benchmarks. Every training has the same settings; one without a domain has fewer examples.",
        ),
        Table(
            title="Losses without each domain",
            columns=["trained on", "examples", "steps", *measured],
            rows=raw,
            note="Nats per token that the assistant says, in held-out examples of each domain.",
        ),
    ]
