"""Onggi inside datatrove: the measuring pass and the rules as pipeline steps, for its local, Slurm and Ray executors.

This module is for users of datatrove and needs `onggi[datatrove]`; nothing else of Onggi imports it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter
from xxhash import xxh3_128_digest

from curation.measure import Measurer
from curation.read_batch import BATCH_BYTES, BATCH_RECORDS
from curation.rules import CheckedRule, columns_needed, judge
from curation.verdicts import checked_rules, stored_schema
from manifests.contracts import records_schema
from manifests.errors import RequestError
from manifests.schema import CorpusManifest

FROM_METADATA = ("url", "date", "license", "category")
MEASURED = (
    *("language", "language_score", "hangul_frac", "signals", "pii", "pii_count", "datatrove", "n_text_bytes"),
    *("canonical_url", "url_host", "url_domain", "blocklists"),
)
"""What the measuring pass adds to a document's metadata, as far as it is asked for."""


class OnggiMeasure(PipelineStep):  # type: ignore[misc]
    """Normalises each document's text and puts what is measured of it into its metadata; see `MEASURED`.

    A document that cannot be measured goes on with the reason in its metadata, `onggi_failed`; `OnggiRules` drops it.

    Args:
        measure: as `measure` in a manifest, {"language": {}, "signals": True}.
        source: name of the source in the documents' ids (`onggi_id` in the metadata).
    """

    name = "🏺 Onggi measures"
    type = "📏 - MEASURE"

    def __init__(self, measure: dict[str, Any], source: str = "datatrove") -> None:
        super().__init__()
        self._manifest, self._source = _manifest(measure, []), source

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """The documents, measured in batches of bounded size, in their order."""
        measurer = Measurer(self._manifest)
        for documents in _batched(iter(data)):
            with self.track_time("batch"):
                rows = measurer.measure(_records(documents, self._source))
                _into_metadata(documents, rows)
            for document in documents:
                self.stat_update("failed" if "onggi_failed" in document.metadata else "measured")
                self.update_doc_stats(document)
                yield document


class OnggiRules(BaseFilter):  # type: ignore[misc]
    """Drops documents by Onggi's rules over what `OnggiMeasure` measured.

    A dropped document carries, for the exclusion writer, `filter_reason` (the first rule that it fails, as in the
    ledger) and `onggi`: `failed_rules` (all of them), `value`, `threshold` and `detail`.

    Args:
        rules: as `rules` in a manifest: {"name", "keep", "when"} or {"ruleset", "when"}.
        measure: the settings that the documents were measured with.
        exclusion_writer: where dropped documents go.
        base: folder in which paths of rulesets start.
    """

    name = "🏺 Onggi rules"

    def __init__(
        self,
        rules: Sequence[dict[str, Any]],
        measure: dict[str, Any],
        exclusion_writer: DiskWriter | None = None,
        base: str = ".",
    ) -> None:
        super().__init__(exclusion_writer, batch_size=BATCH_RECORDS // 4)
        self._manifest, self._base = _manifest(measure, rules), base
        if self._manifest.measure.scored_after_rules or any(rule.top for rule in checked_rules(self._manifest, base)):
            raise RequestError(
                "rules: `top` and scores with `after: rules` need the whole corpus, which a step of datatrove never "
                "sees; give a threshold as a number, and score with `after: measure`"
            )

    def filter(self, document: Document) -> bool | tuple[bool, str]:
        """Whether one document is kept, or (False, reason)."""
        return self.filter_batch([document])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        """Whether each document is kept, or (False, reason)."""
        rules = checked_rules(self._manifest, self._base)  # parsed once per process
        said = judge(_frame(batch, self._manifest, rules), rules)
        results: list[bool | tuple[bool, str]] = []
        for document, cause in zip(batch, said.iter_rows(named=True), strict=True):
            if failed := document.metadata.get("onggi_failed"):
                results.append((False, str(failed)))
            elif reason := cause.pop("reason"):
                document.metadata["onggi"] = cause
                results.append((False, reason))
            else:
                results.append(True)
        return results


def _manifest(measure: dict[str, Any], rules: Sequence[dict[str, Any]]) -> CorpusManifest:
    inputs = [{"source": "datatrove", "path": "."}]
    written = {"kind": "corpus", "name": "datatrove", "inputs": inputs, "measure": measure, "rules": list(rules)}
    return CorpusManifest.model_validate({**written, "output": "."})


def _batched(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch, n_bytes = list[Document](), 0
    for document in documents:
        batch.append(document)
        n_bytes += len(document.text) * 3  # in UTF-8, at most for nearly all texts
        if n_bytes >= BATCH_BYTES or len(batch) == BATCH_RECORDS:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


def _records(documents: list[Document], source: str) -> pa.RecordBatch:
    schema = records_schema([])
    rows = []
    for document in documents:
        content = document.text.encode("utf-8", "replace")
        given = {name: document.metadata.get(name) for name in FROM_METADATA}
        rows.append(
            dict.fromkeys(schema.names)
            | {name: None if value is None else str(value) for name, value in given.items()}
            | {"source": source, "key": str(document.id), "kind": "text", "utf8": True, "file": "", "offset": 0}
            | {"content": content, "content_digest": xxh3_128_digest(content), "n_bytes": len(content)}
        )
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def _into_metadata(documents: list[Document], rows: pa.Table) -> None:
    names = [name for name in rows.column_names if name in MEASURED or name.endswith("_score")]
    for document, row in zip(documents, rows.select(["id", "text", "reason", *names]).to_pylist(), strict=True):
        document.metadata["onggi_id"] = row["id"]
        document.metadata |= {name: row[name] for name in names if row[name] is not None}
        if row["text"] is None:
            document.metadata["onggi_failed"] = row["reason"]
        else:
            document.text = row["text"]


def _frame(documents: list[Document], manifest: CorpusManifest, rules: list[CheckedRule]) -> pl.DataFrame:
    """The columns that the rules need, from the documents' metadata."""
    needed = columns_needed(rules)
    schema = pa.schema([field.with_nullable(True) for field in stored_schema(manifest) if field.name in needed])
    own = [{"text": document.text, "key": str(document.id)} for document in documents]
    rows = [{**document.metadata, **mine} for document, mine in zip(documents, own, strict=True)]
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
    count = pl.Series("n", range(len(documents)))
    frame = pl.from_arrow(pa.table(columns, schema=schema)) if columns else pl.DataFrame()
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(count) if columns else count.to_frame()
