"""The dataset card of a run of synthetic data: what it is, of what and by whom it was made; a README for hubs."""

import re
from collections.abc import Mapping, Sequence

import yaml

from curation.card import SIZES
from manifests.contracts_synthetic import FORMS, REJECTED
from manifests.schema_synthesis import SynthesisManifest
from synth.summary_models import Split, SynthesisSummary

_TRAINED = {
    "messages": "SFTTrainer(model, train_dataset=dataset)",
    "preference": "DPOTrainer(model, ref_model, train_dataset=dataset)",
    "text": "SFTTrainer(model, train_dataset=dataset)",
}
_LICENSES = frozenset(
    ["apache-2.0", "bsd-3-clause", "cc0-1.0", "cdla-permissive-2.0", "mit", "odbl", "odc-by", "pddl"]
    + [
        f"cc-by{kind}-{version}"
        for kind in ("", "-sa", "-nc", "-nd", "-nc-sa", "-nc-nd")
        for version in ("3.0", "4.0")
    ]
)
"""Names of licences as hubs know them; others are given as `other`, with their name."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def dataset_card(summary: SynthesisSummary, manifest: SynthesisManifest, created: str, version: str) -> str:
    """Markdown with YAML front matter, from which `datasets` reads which files belong to which form.

    Args:
        summary: what the run came to.
        manifest: of the run.
        created: when, in ISO 8601.
        version: of Onggi.
    """
    shown = [table.name for table in summary.tables if table.name in FORMS]
    parts = [
        "---",
        yaml.safe_dump(_front(summary, manifest, shown), allow_unicode=True, sort_keys=False).rstrip(),
        "---",
        "",
        f"# {plain(manifest.name)}",
        "",
        f"{summary.n_kept:,} samples of synthetic data, made from {summary.n_seeds:,} seeds by "
        f"{code(manifest.teacher.model)} for the task {code(summary.task)}, with Onggi {plain(version)} on "
        f"{plain(created[:10])}. No person wrote the answers, and none has read them all.",
        "",
        *_loading(shown, summary.task),
        *_makers(summary, manifest),
        *_prompts(summary),
        *_gates(summary),
        *_table("Languages", "language", summary.languages),
        *_licenses(summary, manifest),
        "## Provenance",
        "",
        "Each row has a struct `provenance`: the teacher and its revision, how the answer was drawn, the prompt and "
        "its digest, the keys of all answers that went into it, the ids of its seeds (`parent`, `parents`), and what "
        "each gate measured. `onggi remove` finds by it what was made from a document that is taken down.",
        "",
        f"Translated text: {summary.translated.n_kept:,} of {summary.n_kept:,} samples.",
        "",
        *[f"Digest of {code(table.name)}: {code(table.digest)}, {table.n_rows:,} rows." for table in summary.tables],
        "",
    ]
    return "\n".join(parts)


def _front(summary: SynthesisSummary, manifest: SynthesisManifest, shown: Sequence[str]) -> dict[str, object]:
    languages = [split.name for split in summary.languages if split.n_kept and re.fullmatch("[a-z]{2,3}", split.name)]
    configs = [
        {"config_name": name, "data_files": f"{name}/*.parquet"} | ({"default": True} if name == shown[0] else {})
        for name in shown
    ]
    if any(table.name == REJECTED for table in summary.tables):
        configs.append({"config_name": REJECTED, "data_files": f"{REJECTED}/*.parquet"})
    size = next((name for limit, name in SIZES if summary.n_kept < limit), "n>1B")
    named = " ".join((manifest.license or "").split())
    given = named.lower()
    front: dict[str, object] = {
        "pretty_name": manifest.name,
        "language": sorted(languages),
        "license": given if given in _LICENSES else "other" if named else None,
        "license_name": named if given not in _LICENSES else None,
        "task_categories": ["text-generation"] if shown else [],
        "size_categories": [size],
        "tags": ["synthetic", "onggi", summary.task],
        "configs": configs,
    }
    return {name: value for name, value in front.items() if value}


def _loading(shown: Sequence[str], task: str) -> list[str]:
    """How to load and train, of each form; labels are nothing that TRL trains on."""
    lines = ["## How to load it", "", "```python", "from datasets import load_dataset", ""]
    for name in FORMS:
        if name in shown:
            lines += [f'dataset = load_dataset("path/to/this/folder", "{name}", split="train")']
            lines += [f"trainer = {_TRAINED[name]}  # of trl; no conversion"] if task != "annotations" else []
            lines += [""]
    lines[-1:] = ["```", ""]
    return lines if shown else ["No sample was kept.", ""]


def _makers(summary: SynthesisSummary, manifest: SynthesisManifest) -> list[str]:
    lines = ["## Who made it", "", "| role | model | revision | temperature | requests | tokens out |"]
    lines += ["|---|---|---|---:|---:|---:|"]
    roles = {"teacher": manifest.teacher, "judge": manifest.judge, "reward": manifest.reward}
    for role, settings in roles.items():
        if settings:
            spent = summary.spent.get(role)
            numbers = [f"{spent.n_requests:,}", f"{spent.n_output_tokens:,}"] if spent else ["0", "0"]
            revision, temperature = code(settings.revision or "none"), f"{settings.sampling.temperature:g}"
            lines.append(_row([role, code(settings.model), revision, temperature, *numbers]))
    return [*lines, "", "Requests and tokens are those of the last command, which pays no answer twice.", ""]


def _prompts(summary: SynthesisSummary) -> list[str]:
    rows = [
        _row([code(prompt.template or "none"), code(prompt.digest or "none"), prompt.role, f"{prompt.n_kept:,}"])
        for prompt in summary.prompts
    ]
    return ["## Prompts", "", "| prompt | digest | asked of | kept samples |", "|---|---|---|---:|", *rows, ""]


def _gates(summary: SynthesisSummary) -> list[str]:
    lines = ["## What was rejected", ""]
    lines += [
        f"Of {summary.n_samples:,} samples {summary.n_kept:,} were kept; `rejected/` says of each other one why."
    ]
    lines += ["", "| stage | in | rejected | reasons |", "|---|---:|---:|---|"]
    for stage in summary.stages:
        reasons = ", ".join(f"{plain(reason.reason)} {reason.n_samples:,}" for reason in stage.reasons)
        lines.append(_row([plain(stage.name), f"{stage.n_in:,}", f"{stage.n_rejected:,}", reasons]))
    return [*lines, ""]


def _table(title: str, what: str, splits: Sequence[Split]) -> list[str]:
    rows = [_row([plain(split.name or "not known"), f"{split.n_kept:,}"]) for split in splits if split.n_kept]
    return [f"## {title}", "", f"| {what} | samples |", "|---|---:|", *rows, ""] if rows else []


def _licenses(summary: SynthesisSummary, manifest: SynthesisManifest) -> list[str]:
    says = f"The manifest says {code(manifest.license)}." if manifest.license else "The manifest names none."
    return [
        "## Licence",
        "",
        f"{says} What may be done with the data depends on the licences of the seeds, below, and on the terms of the "
        f"model that wrote it, {code(manifest.teacher.model)}.",
        "",
        *_table("Licences of the seeds", "licence", summary.licenses),
        *_table("Sources of the seeds", "source", summary.sources),
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """A text of strangers on one line, in which nothing is Markdown or HTML."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """The same as code, which a table may hold: without backticks and bars, which would end it."""
    return f"`{' '.join(text.split()).translate(_NOT_IN_CODE)}`"


_NOT_IN_CODE: Mapping[int, str] = {ord("`"): "'", ord("|"): "¦"}
