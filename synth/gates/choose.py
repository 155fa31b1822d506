"""The gates that a manifest names, ready to judge."""

from manifests import schema_synthesis as schema
from manifests.errors import RequestError
from synth.gates.gate import Gate, Panel, Seeds
from synth.gates.language import Language
from synth.gates.length import Length


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
    raise RequestError(f"gates: `{settings.gate}` is not there yet")
