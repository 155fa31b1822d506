"""What docs/needles.md shows: manifests that load, the prompt as it is asked, and intervals as they come out."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from manifests.schema_evaluation import EvaluationManifest
from manifests.schema_training_gates import NeedleGate, TrainingGate
from tests.training.needles.engines import Counting
from training.measuring.uncertainty import wilson
from training.needles.haystack import Haystack
from training.needles.needle import FORMS, Hidden
from training.needles.prompts import TOLERANCE, Prompts, TooShortError

GUIDE = (Path(__file__).parents[3] / "docs" / "needles.md").read_text("utf-8")


def test_manifests_load() -> None:
    manifest, gates = (yaml.safe_load(shown) for shown in re.findall(r"```yaml\n(.*?)```", GUIDE, re.S))
    needle = EvaluationManifest.model_validate(manifest).needle
    assert needle is not None and (max(needle.lengths), needle.n, needle.max_new_tokens) == (32768, 5, 32)
    (gate,) = (TypeAdapter(TrainingGate).validate_python(gate) for gate in gates["gates"])
    assert isinstance(gate, NeedleGate) and set(gate.lengths) <= set(needle.lengths)


def test_the_prompt_is_the_one_that_is_asked() -> None:
    form = FORMS["en"][0]
    words = {"name": "Luvidras", "code": "1729595"}
    said = (text.format(**words) for text in (form.sentence, form.question, form.begun))
    hidden = Hidden("en", form.kind, *said, *words.values())
    prompts = Prompts(Counting(str), Haystack("en", (" [sentences]",)), False)
    with pytest.raises(TooShortError) as least:
        prompts.prompt(hidden, 1, 0.5, 0)
    made = prompts.prompt(hidden, least.value.n_tokens + 6, 0.5, 0)
    assert f"```\n{made.text}\n```" in GUIDE
    assert f"up to {TOLERANCE} fewer" in GUIDE


def test_intervals_are_wilsons() -> None:
    for n in (5, 25):
        low, high = wilson(n, n)
        assert f"{low:.0%} to {high:.0%}" in GUIDE
