"""Experiments as their page is given them: made up, with three seeds, one seed, and what is missing or no number."""

from collections.abc import Sequence
from math import isfinite, nan
from statistics import fmean, stdev
from typing import Any

from tests.training.summarized import HOSTILE
from training.experiments.summary_models import (
    ArmRow,
    Column,
    Expectation,
    ExperimentSummary,
    Interval,
    Point,
    RungRow,
    StepRun,
)

T_95 = {2: 12.706, 3: 4.303}
"""Student's t of so many seeds."""
COLUMNS = [
    Column(name="ko.bits_per_byte", better="lower"),
    Column(name="sums.accuracy", better="higher"),
    Column(name="answers.mean_length"),
]


def interval(*values: float) -> Interval:
    """Of the values of seeds."""
    mean, n = fmean(values), len(values)
    half = T_95[n] * (stdev(values) if isfinite(mean) else nan) / n**0.5 if n in T_95 else 0.0
    return Interval(mean=mean, low=mean - half, high=mean + half, values=list(values))


def points(of: str, seeds: Sequence[int], arm: str = "", **figures: Sequence[float]) -> list[Point]:
    """A model by seed."""
    return [
        Point(
            of=of,
            arm=arm,
            seed=seed,
            folder=f"stages/{of}-{seed}",
            fingerprint=f"{of}{arm}{seed}" + "f" * 20,
            run=f"runs/train-{seed}",
            figures={name.replace("__", "."): values[k] for name, values in figures.items()},
            n_parameters=900_000,
            n_tokens=150_000,
            flops=1e12,
            flops_total=3e12,
            seconds=12.5,
        )
        for k, seed in enumerate(seeds)
    ]


def run(seed: int, arms: Sequence[str] = ()) -> StepRun:
    """The training of a seed."""
    return StepRun(
        step="train",
        kind="training",
        folder=f"runs/train-{seed}",
        fingerprint=f"0123456789abcde{seed}",
        manifest={"kind": "training", "name": HOSTILE, "seed": seed},
        arms=list(arms),
        seeds=[seed],
        inputs={"/data/mix": "11ab"},
        outputs={"stage2": "22cd"},
        counts={"tokens": 150_000},
        seconds=12.5,
    )


def ladder(**more: Any) -> ExperimentSummary:
    """Three rungs: one that held, one that did not, and one that is only shown."""
    seeds = [0, 1, 2]
    bits = {"stage2": (2.40, 2.42, 2.41), "control": (2.60, 2.61, 2.63), "dus": (2.5, 2.39, 2.44)}
    found = [point for of, values in bits.items() for point in points(f"train.{of}", seeds, ko__bits_per_byte=values)]
    difference = interval(-0.20, -0.19, -0.22)
    return ExperimentSummary(
        kind="ladder",
        name="ladder",
        title="The ladder",
        about=f"What is it? {HOSTILE}",
        seeds=seeds,
        confidence=0.95,
        columns=COLUMNS,
        rungs=[
            RungRow(
                name="stage2",
                title="The second stage",
                of="train.stage2",
                against="train.control",
                figures={"ko.bits_per_byte": interval(*bits["stage2"]), "sums.accuracy": interval(0.5, 0.6, 0.7)},
                before={"ko.bits_per_byte": interval(*bits["control"])},
                differences={"ko.bits_per_byte": difference},
                expectations=[
                    Expectation(measure="ko.bits_per_byte", expected="lower", holds_in=3, n_seeds=3, is_sure=True)
                ],
                note="Kanana, table 3",
                n_parameters=900_000,
                n_tokens=150_000,
                flops_total=3e12,
                flops_against=6e12,
            ),
            RungRow(
                name="dus",
                title=HOSTILE,
                of="train.dus",
                against="train.stage2",
                figures={"ko.bits_per_byte": interval(*bits["dus"])},
                before={"ko.bits_per_byte": interval(*bits["stage2"])},
                differences={"ko.bits_per_byte": interval(0.1, -0.03, 0.03)},
                expectations=[
                    Expectation(measure="ko.bits_per_byte", expected="lower", holds_in=1, n_seeds=3, is_sure=False)
                ],
            ),
            RungRow(name="web", of="web", figures={}),
        ],
        points=found,
        runs=[run(seed) for seed in seeds],
        seconds=1000.0,
        manifest={"kind": "ladder", "name": HOSTILE},
        environment={"onggi": "1.0", "torch": "2.13"},
    ).model_copy(update=more)


def ablation(**more: Any) -> ExperimentSummary:
    """Three arms: a baseline, one that is surely better, and one of which half is missing or no number."""
    seeds = [0, 1, 2]
    raw, edu = (2.60, 2.61, 2.63), (2.40, 2.42, 2.41)
    baseline = ArmRow(
        name="raw",
        of="train.cpt",
        is_baseline=True,
        figures={"ko.bits_per_byte": interval(*raw), "sums.accuracy": interval(0.2, 0.3, 0.4)},
        n_parameters=900_000,
        n_tokens=150_000,
        flops_total=3e12,
    )
    better = ArmRow(
        name="edu",
        title=HOSTILE,
        of="train.cpt",
        figures={"ko.bits_per_byte": interval(*edu), "sums.accuracy": interval(0.1, 0.3, 0.5)},
        differences={
            "ko.bits_per_byte": interval(-0.20, -0.19, -0.22),
            "sums.accuracy": interval(-0.1, 0.0, 0.1),
        },
        flops_total=6e12,
        set={"mix.sources.web.where": "edu_score >= 3"},
    )
    broken = ArmRow(
        name="broken",
        of="train.cpt",
        figures={"ko.bits_per_byte": Interval(mean=nan, low=nan, high=nan, values=[nan, 2.5, nan])},
        differences={"ko.bits_per_byte": Interval(mean=nan, low=nan, high=nan, values=[nan, -0.1, nan])},
    )
    found = [
        *points("train.cpt", seeds, "raw", ko__bits_per_byte=raw),
        *points("train.cpt", seeds, "edu", ko__bits_per_byte=edu),
        *points("train.cpt", seeds, "broken", ko__bits_per_byte=(nan, 2.5, nan)),
    ]
    return ExperimentSummary(
        kind="ablation",
        name="filters",
        seeds=seeds,
        confidence=0.95,
        baseline="raw",
        columns=COLUMNS,
        arms=[baseline, better, broken],
        points=found,
        runs=[run(seed, ("raw", "edu", "broken")) for seed in seeds],
    ).model_copy(update=more)
