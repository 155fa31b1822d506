"""Gates of encoders: what is found of what belongs to a question."""

from math import isfinite

from manifests.schema_training_gates import RetrievalGate
from training.gates.facts import CannotJudgeError, Found, excess
from training.gates.words import limited, number, signed
from training.jobs import Made


def retrieval_found(gate: RetrievalGate, made: Made) -> Found:
    """nDCG@10 and its rise; the worse of both."""
    name = f"_{gate.set}" if gate.set else ""
    before, after = (_figure(made, f"ndcg{name}_{when}") for when in ("before", "after"))
    shown, limit = limited(after, gate.min, number)
    past, risen = excess(gate.min, after), f"{after - before:+z.4f}"
    if gate.min_rise is not None:
        past = max(past, excess(gate.min_rise, after - before))
        risen, wanted = limited(after - before, gate.min_rise, signed)
        risen += f"; at least {wanted}"
    said = f"{gate.set or 'held-out questions'}: nDCG@10 {before:.4f} -> {shown} ({risen}), at least {limit}"
    return Found(past, said, {"before": before, "after": after, "min": gate.min})


def _figure(made: Made, name: str) -> float:
    value = made.figures.get(name)
    if value is None or not isfinite(value):
        raise CannotJudgeError(f"there is no figure `{name}`" if value is None else f"`{name}` is {value}")
    return value
