"""What was measured on held-out text and plain multiple choice, in the form of an evaluation's results."""

from collections.abc import Iterator

from manifests.schema_training_gates import Validation
from training.evaluating.results import Evaluated, Score
from training.measuring.jobs import Measured
from training.measuring.uncertainty import Z_95


def evaluated_of(measured: Measured, validations: list[Validation]) -> Iterator[Evaluated]:
    """A result per set of `validation`: bits per byte (text), loss (mixtures of ids), or accuracy (choices)."""
    for settings in validations:
        name = settings.name
        if why := measured.not_measured.get(name):
            yield Evaluated(name=name, kind="validation", why=why)
        elif settings.choices is not None:
            yield _accuracy(settings, measured)
        else:
            yield _loss(settings, measured)


def _accuracy(settings: Validation, measured: Measured) -> Evaluated:
    found = measured.measures[settings.name]
    score = Score(
        value=found["accuracy"],
        low=found.get("accuracy_low"),
        high=found.get("accuracy_high"),
        n=int(found.get("n_questions", 0)),
    )
    return Evaluated(
        name=settings.name,
        kind="validation",
        main="accuracy",
        scores={"accuracy": score},
        units=measured.units.get(settings.name, []),
        settings={"form": settings.form, "shots": 0},
    )


def _loss(settings: Validation, measured: Measured) -> Evaluated:
    """Loss in nats per token, with the error over documents; bits per byte are that loss in another unit."""
    found = measured.measures[settings.name]
    half, n = Z_95 * found.get("loss_se", 0.0), int(found.get("n_documents", found.get("n_sequences", 0)))
    scores = {"loss": _lower(found["loss"], half, n)}
    if "bits_per_byte" in found:
        per_nat = found["bits_per_byte"] / found["loss"] if found["loss"] else 0.0
        scores["bits_per_byte"] = _lower(found["bits_per_byte"], half * per_nat, n)
    return Evaluated(
        name=settings.name,
        kind="validation",
        main="bits_per_byte" if "bits_per_byte" in scores else "loss",
        scores=scores,
        settings={"window": int(found.get("window", 0)), "tokens": int(found.get("n_tokens", 0))},
    )


def _lower(value: float, half: float, n: int) -> Score:
    """A score of which less is better; of one document nothing is known of its error."""
    if not half:
        return Score(value=value, n=n, more_is_better=False)
    return Score(value=value, low=value - half, high=value + half, n=n, more_is_better=False)
