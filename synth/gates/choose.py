"""The gates that a manifest names, ready to judge."""

from typing import assert_never

from manifests import schema_synthesis as schema
from manifests.store import resolve
from synth.gates.decontaminate import Decontaminate
from synth.gates.diversity import Diversity
from synth.gates.gate import Gate, Panel, Seeds
from synth.gates.language import Language
from synth.gates.length import Length
from synth.gates.near import Near
from synth.gates.refusal import Refusal
from synth.gates.repetition import Repetition
from synth.gates.score import AskedScore, ClassifierScore, judge_request, read_judge, read_reward, reward_request
from synth.prompts import Prompts

ANSWERS_ARE_SEEDS = ("annotations", "backtranslation")
"""Tasks whose samples hold the text of their seed by design."""


def gates_of(manifest: schema.SynthesisManifest, base: str, panel: Panel, seeds: Seeds) -> list[Gate]:
    """The gates, in the order of the manifest.

    Args:
        manifest: what each sample has to pass.
        base: where its relative paths start.
        panel: who scores, where a gate wants a judge or a reward model.
        seeds: gives all seeds anew.

    Raises:
        RequestError: something that a gate needs is not there: a benchmark, a classifier, an encoder.
    """
    return [_gate(settings, manifest, base, panel, seeds) for settings in manifest.gates]


def _gate(settings: schema.Gate, manifest: schema.SynthesisManifest, base: str, panel: Panel, seeds: Seeds) -> Gate:
    match settings:
        case schema.LanguageGate():
            return Language(settings)
        case schema.LengthGate():
            return Length(settings)
        case schema.RepetitionGate():
            return Repetition(settings)
        case schema.RefusalGate():
            return Refusal(settings)
        case schema.NearGate():
            return Near(settings, seeds, manifest.task.kind in ANSWERS_ARE_SEEDS)
        case schema.DecontaminateGate():
            return Decontaminate(settings, base)
        case schema.ScoreGate():
            return _score(settings, manifest, base, panel)
        case schema.DiversityGate():
            return Diversity(settings, base)
    assert_never(settings)


def _score(settings: schema.ScoreGate, manifest: schema.SynthesisManifest, base: str, panel: Panel) -> Gate:
    if settings.by == "classifier":
        return ClassifierScore(settings, base)
    if settings.by == "reward":
        return AskedScore(settings.min, panel, "reward", reward_request, read_reward, attempts=1)
    task = manifest.task
    prompts = Prompts(resolve(task.prompts, base) if task.prompts else None)
    sampling = manifest.judge.sampling if manifest.judge else manifest.judge_sampling
    return AskedScore(settings.min, panel, "judge", judge_request(prompts, sampling), read_judge, task.attempts)
