"""The model card of a training, README.md in its folder: made from what, on which data, its measures, how to load it.

It says what the records say and no more: licences of data that no record names are not known, and no model is called
fit for anything.
"""

import re
from collections.abc import Sequence

import yaml

from curation.report_values import number
from manifests.schema_surgery import NewModel
from manifests.schema_training import MAKES_ENCODER, MAKES_POLICY, Role, TrainingManifest, TrainingStage, role_of
from manifests.store import resolve
from synth.card import code, plain
from training.pages.card_sources import DataUsed, data_used, model_license
from training.pages.measures import TEXT, kinds
from training.pages.report import account
from training.pages.values import amount, power
from training.record import TrainingRecord
from training.summary_models import StageSummary, TrainingSummary

TASKS: dict[Role, str] = {
    "policy": "text-generation",
    "reward": "text-classification",
    "encoder": "feature-extraction",
}
LANGUAGE = re.compile(r"(?:^|[^a-z])(ko|en)(?:$|[^a-z])")
"""A set of validation that is named after a language."""


def model_card(summary: TrainingSummary, record: TrainingRecord) -> str:
    """Markdown with YAML front matter, as model hubs read it.

    Args:
        summary: of all stages.
        record: of the finished run; the records of its inputs are read for their licences.
    """
    manifest = TrainingManifest.model_validate(record.manifest)
    last = _last(manifest)
    model, role = record.models.get(last.name, last.name), role_of(last.kind)
    parts = [
        "---",
        yaml.safe_dump(_front(summary, record, role), allow_unicode=True, sort_keys=False).rstrip(),
        "---",
        "",
        f"# {plain(summary.name)}",
        "",
        f"{len(manifest.stages)} stage{'s' if len(manifest.stages) > 1 else ''} of training, on from "
        f"{_begun_with(manifest)}, by Onggi {plain(record.onggi_version)} on {plain(record.created[:10])}. The model "
        f"of the last one is in {code(model)}; {code('report.html')} shows how each came about.",
        "",
        *_loading(model, role),
        *_stages(summary, record),
        *_measures(summary),
        *_gates(summary),
        *_data(data_used(manifest, record.manifest_base)),
        *_licenses(manifest, record),
    ]
    return "\n".join(parts)


def _last(manifest: TrainingManifest) -> TrainingStage:
    """The stage whose model the training is for: the last language model, or the encoder made of it."""
    if manifest.stages[-1].kind in MAKES_ENCODER:
        return manifest.stages[-1]
    return next((stage for stage in reversed(manifest.stages) if stage.kind in MAKES_POLICY), manifest.stages[-1])


def _front(summary: TrainingSummary, record: TrainingRecord, role: Role) -> dict[str, object]:
    sets = {name for stage in summary.stages for name in stage.measures}
    languages = sorted({found[1] for name in sets if (found := LANGUAGE.search(name))})
    base = record.manifest.get("base", "")
    front: dict[str, object] = {
        "base_model": base if isinstance(base, str) else "",  # of new weights there is none
        "language": languages,
        "library_name": "transformers",
        "pipeline_tag": TASKS[role],
        "tags": ["onggi", *dict.fromkeys(stage.kind for stage in summary.stages if stage.kind != "base")],
    }
    return {name: value for name, value in front.items() if value}


def _loading(model: str, role: Role) -> list[str]:
    if role == "encoder":
        return _loading_encoder(model)
    kind = "AutoModelForCausalLM" if role == "policy" else "AutoModelForSequenceClassification"
    return [
        "## How to load it",
        "",
        "```python",
        f"from transformers import {kind}, AutoTokenizer",
        "",
        f'model = {kind}.from_pretrained("path/to/this/folder/{_in_quotes(model)}", dtype="auto")',
        f'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder/{_in_quotes(model)}")',
        "```",
        "",
    ]


def _loading_encoder(model: str) -> list[str]:
    return [
        "## How to load it",
        "",
        "```python",
        "from training.encoders.encoder import load_encoder",
        "",
        f'encoder = load_encoder("path/to/this/folder/{_in_quotes(model)}")',
        'vectors = encoder.encode(["a text"])  # float32 (n, width), of length 1: their products are cosines',
        "```",
        "",
        "It is a model of transformers, too (`AutoModel`, 5.23 tried), whose `config.json` says whether it sees both "
        "ways (`is_causal`) and how vectors are made (`onggi_encoder`).",
        "",
    ]


def _stages(summary: TrainingSummary, record: TrainingRecord) -> list[str]:
    lines = ["## Stages", "", "| stage | kind | from | weights trained | tokens read | FLOPs (6 N D) | folder |"]
    lines += ["|---|---|---|---:|---:|---:|---|"]
    found = account(summary)
    for item in found.items:
        stage = item.stage
        trained = amount(stage.n_trained_parameters) if item.n_tokens else "–"
        cells = [plain(stage.name), plain(stage.kind), ", ".join(map(code, stage.starts_from)) or "–", trained]
        cells += [f"{item.n_tokens:,}", power(item.flops), code(record.models.get(stage.name, ""))]
        lines.append(_row(cells))
    return [*lines, "", f"Together {found.n_tokens:,} tokens and {power(found.flops)} FLOPs.", ""]


def _measures(summary: TrainingSummary) -> list[str]:
    stages = [stage for stage in summary.stages if stage.measures]
    shown = kinds(stages)
    if not shown:
        return ["## Measures", "", "Nothing was measured: the manifest names no validation.", ""]
    lines = ["## Measures", "", _row(["model", *(f"{plain(name)}: {kind.title}" for name, kind in shown)])]
    lines.append(_row(["---", *["---:"] * len(shown)]))
    for stage in stages:
        values = (stage.measures.get(name, {}).get(kind.key) for name, kind in shown)
        texts = ("–" if value is None else kind.text(value) for value, (_, kind) in zip(values, shown, strict=True))
        lines.append(_row([plain(stage.name), *texts]))
    return [*lines, "", _of_what(stages), ""]


def _of_what(stages: Sequence[StageSummary]) -> str:
    """How much each set holds: of the last model that was measured."""
    found = []
    for name, figures in stages[-1].measures.items():
        for key, unit in (("n_questions", "questions"), ("n_tokens", "tokens")):
            if key in figures:
                found.append(f"{plain(name)} {number(figures[key])} {unit}")
                break
    by = {key for figures in stages[-1].measures.values() for key in figures}
    words = "Lower is better of bits per byte and loss. " if by & {kind.key for kind in TEXT} else ""
    return f"{words}Measured on {', '.join(found)}." if found else words.rstrip()


def _gates(summary: TrainingSummary) -> list[str]:
    rows = [
        _row([plain(stage.name), plain(gate.gate), "passed" if gate.passed else "**failed**", plain(gate.found)])
        for stage in summary.stages
        for gate in stage.gates
    ]
    return ["## Gates", "", "| stage | gate | | found |", "|---|---|---|---|", *rows, ""] if rows else []


def _data(data: Sequence[DataUsed]) -> list[str]:
    lines = ["## Data", "", "| stage | path | what it is | licences, as its record tells |", "|---|---|---|---|"]
    for used in data:
        counted = ", ".join(f"{plain(name or 'not known')} {count:,}" for name, count in used.licenses.items())
        said = [f"its manifest says {plain(used.says)}"] if used.says else []
        told = "; ".join([*said, *([counted] if counted else [])]) or "not known"
        lines.append(_row([plain(used.stage), code(used.path), plain(used.what), told]))
    return [*lines, ""] if data else []


def _licenses(manifest: TrainingManifest, record: TrainingRecord) -> list[str]:
    if isinstance(manifest.base, NewModel):
        told = "depends on the licences of the data above and, where a model wrote it, on that model's terms."
        return ["## Licence", "", f"Weights began as random numbers. What may be done with this model {told}", ""]
    found = model_license(resolve(manifest.base, record.manifest_base))
    told = f"its card says {code(found)}" if found else "its card, if there is one, names none"
    return [
        "## Licence",
        "",
        f"That of the base model binds what is made from it: {told}. What else may be done with this model depends "
        "on the licences of the data above and, where a model wrote it, on that model's terms.",
        "",
    ]


def _begun_with(manifest: TrainingManifest) -> str:
    return "new weights" if isinstance(manifest.base, NewModel) else code(manifest.base)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _in_quotes(path: str) -> str:
    return path.replace("\\", "/").replace('"', "'").replace("`", "'").replace("\n", " ")
