"""Gates of the manifest's evaluation: a benchmark that falls, hidden sentences that are not found."""

from math import isfinite
from statistics import fmean

from manifests.schema_evaluation import NEEDLE
from manifests.schema_training_gates import NeedleGate, ScoreGate
from training.evaluating.results import Evaluated, Score
from training.gates.facts import OURS, THEIRS, CannotJudgeError, Found, excess
from training.measuring.jobs import Measured


def score_found(gate: ScoreGate, of: Measured, other: Measured | None, to: str) -> Found:
    """How far a score fell, and by how much it misses its least value; the worse of both."""
    name = _named(gate, _result(of, gate.of, OURS))
    ours = _score(of, gate, OURS)
    found, said, figures = list[float](), list[str](), {"after": ours.value}
    if gate.max_fall is not None:
        assert other is not None
        theirs = _score(other, gate, THEIRS)
        fall = theirs.value - ours.value if ours.more_is_better else ours.value - theirs.value
        found.append(excess(fall, gate.max_fall))
        said.append(
            f"{theirs.value:.4g} -> {ours.value:.4g}{to} (a fall of {fall:+.4g}; at most {gate.max_fall:.4g})"
        )
        figures |= {"before": theirs.value, "fall": fall}
    if gate.min is not None:
        found.append(excess(gate.min, ours.value))
        said.append(f"{ours.value:.4g} (at least {gate.min:.4g})")
    interval = f"; {ours.low:.4g} to {ours.high:.4g} at 95%" if ours.low is not None and ours.high is not None else ""
    return Found(max(found), f"{gate.of} {name}: {', '.join(said)}{interval}", figures)


def needle_found(gate: NeedleGate, of: Measured) -> Found:
    """The length and language at which fewest are found."""
    shares = dict[tuple[int, str], list[float]]()
    for cell in _result(of, NEEDLE, OURS).cells:
        languages = list[str](gate.languages) or [cell.language]
        if cell.length in (gate.lengths or [cell.length]) and cell.language in languages:
            shares.setdefault((cell.length, cell.language), []).append(cell.score)
    if not shares:
        raise CannotJudgeError(f"{OURS} has no cell of the lengths and languages that are judged")
    missing = sorted({*gate.lengths} - {length for length, _ in shares})
    missing = missing or sorted({length for (length, _), found in shares.items() if not all(map(isfinite, found))})
    if missing:
        lengths = ", ".join(f"{length:,}" for length in missing)
        raise CannotJudgeError(
            f"{OURS} has no figure of `{NEEDLE}` at {lengths} tokens; name `lengths` that it can read"
        )
    found = {key: fmean(values) for key, values in sorted(shares.items())}
    (length, language), least = min(found.items(), key=lambda item: item[1])
    said = f"{NEEDLE}: {least:.1%} found at {length:,} tokens, {language} (at least {gate.min:.1%} at each length)"
    figures = {f"{key[1]} {key[0]}": value for key, value in found.items()}
    return Found(excess(gate.min, least), said, figures)


def _result(measured: Measured, name: str, whose: str) -> Evaluated:
    found = measured.evaluated.get(name)
    if found is None:
        raise CannotJudgeError(f"{whose} was not evaluated by `{name}`")
    if found.why:
        raise CannotJudgeError(f"{whose} could not be evaluated by `{name}`: {found.why}")
    return found


def _named(gate: ScoreGate, result: Evaluated) -> str:
    name = gate.score or result.main
    if name not in result.scores:
        raise CannotJudgeError(f"`{gate.of}` has no score `{name}`; it has {', '.join(result.scores) or 'none'}")
    return name


def _score(measured: Measured, gate: ScoreGate, whose: str) -> Score:
    result = _result(measured, gate.of, whose)
    score = result.scores[_named(gate, result)]
    if score.value != score.value:
        raise CannotJudgeError(f"{whose}: `{gate.of}` is no number")
    return score
