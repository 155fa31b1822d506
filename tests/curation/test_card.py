"""The dataset card: front matter that parses, counts that are right, names that cannot break out."""

import pytest
import yaml

from curation.card import dataset_card
from curation.summary_models import Summary, Tally
from manifests.record import RunRecord


def record(kept: int) -> RunRecord:
    counts = {"read": 10, "kept": kept, "dropped": 3, "failed": 2, "kept_text_bytes": 1_500_000}
    return RunRecord(
        name="web", kind="corpus", fingerprint="f", onggi_version="0.1.0", created="2026-11-21T00:00:00+00:00",
        manifest={"kind": "corpus", "rules": [], "inputs": [{"path": "a: b # c"}]},
        manifest_base="/", measured_in="/",
        inputs=[], outputs=[], counts=counts, skipped={}, licenses={"MIT | x": 4, "unknown": 1}, shards={},
        digests={"documents": "d1", "ledger": "l1"}, timings={}, throughput={}, peak_memory_bytes=1, n_workers=1,
    )  # fmt: skip


def tally(verdict: str, language: str | None, n_docs: int, reason: str | None = None) -> Tally:
    return Tally(
        source="crawl", language=language, verdict=verdict, stage="rules" if reason else None, reason=reason,
        n_docs=n_docs, content_bytes=0, text_bytes=0, n_chars=0,
    )  # fmt: skip


SUMMARY = Summary(tallies=(tally("kept", "ko", 3), tally("kept", "zxx", 2), tally("dropped", "en", 3, "gopher.x")))


@pytest.mark.parametrize(("kept", "size"), [(5, "n<1K"), (1_000, "1K<n<10K"), (2_000_000_000, "n>1B")])
def test_front_matter(kept: int, size: str) -> None:
    _, front, body = dataset_card(record(kept), SUMMARY).split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["language"] == ["ko"]
    assert card["size_categories"] == [size]
    assert [config["data_files"] for config in card["configs"]] == ["documents/*.parquet", "ledger/*.parquet"]
    assert f"{kept:,} documents, 1.5 MB of text" in body


def test_tables_count_documents_and_escape_names() -> None:
    body = dataset_card(record(5), SUMMARY)
    assert "| ko | 3 |\n| zxx | 2 |" in body
    assert "| MIT \\| x | 4 |" in body
    assert "| rules: gopher.x | 3 |" in body


def test_the_manifest_on_the_card_parses() -> None:
    body = dataset_card(record(5), SUMMARY)
    manifest = yaml.safe_load(body.split("```yaml\n")[1].split("```")[0])
    assert manifest == {"kind": "corpus", "inputs": [{"path": "a: b # c"}]}
