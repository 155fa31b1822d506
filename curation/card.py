"""The dataset card: what the corpus is, where it came from, how it was made; a README with front matter for hubs."""

from collections import Counter
from collections.abc import Iterable, Mapping

import yaml

from curation.summary_models import Summary, Tally
from manifests.record import RunRecord

SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
SIZES += [(10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B")]


def dataset_card(record: RunRecord, summary: Summary) -> str:
    """Markdown with YAML front matter; `datasets.load_dataset` reads from it which files are the documents."""
    kept = [tally for tally in summary.tallies if tally.verdict == "kept"]
    languages = _count(kept, "language")
    front = {
        "pretty_name": record.name,
        "language": sorted(name for name in languages if name not in ("zxx", "und", "unknown")),
        "size_categories": [_size_category(record.counts["kept"])],
        "tags": ["onggi"],
        "configs": [
            {"config_name": "default", "data_files": "documents/*.parquet"},
            {"config_name": "ledger", "data_files": "ledger/*.parquet"},
        ],
    }
    if not front["language"]:
        del front["language"]
    return "\n".join(
        [
            "---",
            yaml.safe_dump(front, allow_unicode=True, sort_keys=False).rstrip(),
            "---",
            "",
            f"# {record.name}",
            "",
            f"{record.counts['kept']:,} documents, {record.counts['kept_text_bytes'] / 1e6:,.1f} MB of text, "
            f"curated by Onggi {record.onggi_version} on {record.created[:10]}.",
            "",
            "```python",
            "from datasets import load_dataset",
            'documents = load_dataset("path/to/this/folder", split="train")',
            "```",
            "",
            *_table("Languages", "language", languages),
            *_table("Sources", "source", _count(kept, "source")),
            *_table("Licences", "licence", record.licenses),
            "## How it was made",
            "",
            f"Of {record.counts['read']:,} records read, {record.counts['kept']:,} were kept, "
            f"{record.counts['dropped']:,} dropped and {record.counts['failed']:,} failed; "
            "`ledger/` says of each one why.",
            "",
            *_table("Dropped and failed", "reason", _reasons(summary.tallies)),
            "The resolved manifest:",
            "",
            "```yaml",
            yaml.safe_dump(_readable(record.manifest), allow_unicode=True, sort_keys=False).rstrip(),
            "```",
            "",
            f"Digests: documents `{record.digests['documents']}`, ledger `{record.digests['ledger']}`.",
            "",
        ]
    )


def _size_category(n_documents: int) -> str:
    return next((name for limit, name in SIZES if n_documents < limit), "n>1B")


def _count(tallies: Iterable[Tally], field: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for tally in tallies:
        counts[getattr(tally, field) or "unknown"] += tally.n_docs
    return counts


def _reasons(tallies: Iterable[Tally]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for tally in tallies:
        if tally.verdict != "kept":
            counts[f"{tally.stage}: {tally.reason}"] += tally.n_docs
    return counts


def _table(title: str, what: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    cells = [f"| {name.replace('|', chr(92) + '|')} | {count:,} |" for name, count in rows]
    return [f"## {title}", "", f"| {what} | documents |", "|---|---:|", *cells, ""]


def _readable(manifest: Mapping[str, object]) -> dict[str, object]:
    """The manifest without what was left out of it."""
    found = {name: _written(value) for name, value in manifest.items()}
    return {name: value for name, value in found.items() if value not in (None, [], {})}


def _written(value: object) -> object:
    """A part of a manifest, its rules without what they leave out."""
    if isinstance(value, list):
        return [_readable(item) if isinstance(item, Mapping) else item for item in value]
    return value
