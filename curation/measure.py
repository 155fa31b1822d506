"""The measuring pass: records become rows of columns, once, before any decision."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from classifiers.language import LanguageIdentifier
from curation.addresses.columns import AddressColumns
from curation.charset import decode
from curation.datatrove_bridge import Steps
from curation.extract import Extract, ExtractError, extractor
from curation.normalize import normalize_column
from curation.pii import find_pii
from curation.scorers import score_columns
from curation.signals import SIGNAL_TYPE, measure_signals
from manifests.contracts import NOT_IN_DIGEST, address_fields, measured_schema
from manifests.digest import as_binary, row_hashes
from manifests.engine import Stopwatch
from manifests.schema import CorpusManifest


class Measurer:
    """Turns records into measured rows; holds the models, so it is made once per process."""

    def __init__(self, manifest: CorpusManifest) -> None:
        measure = manifest.measure
        self._extract: Extract = extractor(measure.extract.engine)
        self._language = (
            LanguageIdentifier(measure.language.model, measure.language.max_chars) if measure.language else None
        )
        self._signals = measure.signals
        self._metadata_names = manifest.metadata_names
        self._pii_kinds = manifest.pii_kinds
        self._datatrove = Steps(measure.datatrove)
        self._scores = measure.scored_in_pass
        self._addresses = AddressColumns.of(measure)
        self.schema = measured_schema(
            self._metadata_names,
            SIGNAL_TYPE if measure.signals else None,
            store_text=True,
            pii=bool(self._pii_kinds),
            datatrove=list(self._datatrove.filters),
            scores=[score.name for score in self._scores],
            notes=manifest.has_notes,
            addresses=address_fields(measure),
        )
        self.watch = Stopwatch()

    def measure(self, records: pa.RecordBatch) -> pa.Table:
        """Measured rows of the records, in their order; columns as `contracts.measured_schema`."""
        columns: dict[str, Any] = {
            name: records.column(name) for name in self.schema.names if name in records.schema.names
        }
        with self.watch("addresses"):
            columns |= self._addresses.measure(records)
        with self.watch("extract"):
            texts, causes = self._texts(records)
        if self._datatrove.formatters:
            with self.watch("datatrove"):
                texts = self._datatrove.format(texts, causes.fail)
        with self.watch("normalize"):
            texts = normalize_column(texts)
        causes.mark_empty(texts)
        columns |= causes.columns(records)
        texts = pc.if_else(pc.is_null(columns["verdict"]), texts, pa.scalar(None, pa.large_string()))
        columns["id"] = record_ids(records)
        columns["text"] = texts
        columns["text_digest"] = _text_digests(texts)
        columns["n_text_bytes"] = pc.fill_null(pc.cast(pc.binary_length(texts), pa.int64()), 0)
        columns |= self._measure_texts(texts)
        if self._datatrove.filters:
            with self.watch("datatrove"):
                columns["datatrove"] = self._datatrove.judge(texts, columns)
        fields = [field for field in self.schema if field.name != "row_hash"]
        arrays = [columns.get(field.name, pa.nulls(len(texts), field.type)) for field in fields]
        table = pa.table(arrays, names=[field.name for field in fields])
        with self.watch("digest"):
            hashes = as_binary(row_hashes(table, NOT_IN_DIGEST))
        return table.append_column("row_hash", hashes).select(self.schema.names).cast(self.schema)

    def _texts(self, records: pa.RecordBatch) -> tuple[pa.Array, "_Causes"]:
        """The records' texts, null where reading or extraction gave none, and why."""
        causes = _Causes(len(records))
        utf8 = pc.and_(records.column("utf8"), pc.equal(records.column("kind"), "text"))
        if pc.all(pc.and_(utf8, pc.is_null(records.column("verdict")))).as_py():
            return records.column("content").cast(pa.large_string()), causes
        fields = ("content", "kind", "utf8", "charset", "url", "verdict")
        rows = zip(*(records.column(name).to_pylist() for name in fields), strict=True)
        texts = [self._text(i, causes, *row) for i, row in enumerate(rows)]
        return pa.array(texts, pa.large_string()), causes

    def _text(
        self,
        i: int,
        causes: "_Causes",
        content: bytes | None,
        kind: str,
        utf8: bool,
        charset: str | None,
        url: str | None,
        verdict: str | None,
    ) -> str | None:
        if verdict is not None or content is None:
            return None
        try:
            text = content.decode() if utf8 else decode(content, charset).text
            return self._extract(text, url) if kind == "html" else text
        except ExtractError as error:
            causes.fail(i, error.reason, str(error))
        except Exception as error:  # a page that breaks an extraction engine is a failed record, not a failed run
            causes.fail(i, "extraction_error", f"{type(error).__name__}: {error}")
        return None

    def _measure_texts(self, texts: pa.Array) -> dict[str, pa.Array]:
        """Language, signals, personal data and scores of the texts; null for records that have none."""
        present = pc.is_valid(texts)
        known = texts.filter(present) if texts.null_count else texts
        columns: dict[str, pa.Array] = {}
        if self._language:
            with self.watch("language"):
                found = self._language.identify(known)
            columns["language"] = found.language
            columns["language_score"] = pc.cast(found.score, pa.float64())
            columns["hangul_frac"] = pc.cast(found.hangul_frac, pa.float64())
        if self._signals:
            with self.watch("signals"):
                columns["signals"] = measure_signals(known)
        if self._pii_kinds:
            with self.watch("pii"):
                columns["pii"] = find_pii(known, self._pii_kinds)
                columns["pii_count"] = pc.list_value_length(columns["pii"])
        if self._scores:
            with self.watch("score"):
                columns |= score_columns(self._scores, known, columns.get("language"))
        if len(known) == len(texts):
            return columns
        where = pa.array(np.where(np.asarray(present), np.cumsum(np.asarray(present)) - 1, -1))
        where = pc.if_else(pc.less(where, 0), pa.scalar(None, pa.int64()), where)
        return {name: column.take(where) for name, column in columns.items()}


class _Causes:
    """Why records ended before they could be measured."""

    def __init__(self, n_rows: int) -> None:
        self._reasons: list[str | None] = [None] * n_rows
        self._details: list[str | None] = [None] * n_rows

    def fail(self, row: int, reason: str, detail: str) -> None:
        """Record that extraction failed."""
        self._reasons[row], self._details[row] = reason, detail[:500]

    def mark_empty(self, texts: pa.Array) -> None:
        """A record in which there is no text at all failed: nothing could be read from it."""
        blank = pc.invert(pc.match_substring_regex(texts, r"\S"))
        for row in np.flatnonzero(np.asarray(pc.fill_null(blank, False))):
            self.fail(int(row), "no_text", "nothing but white space was found")

    def columns(self, records: pa.RecordBatch) -> dict[str, pa.Array]:
        """The cause columns: those of reading, and those of extraction where reading went well."""
        reasons = pa.array(self._reasons, pa.string())
        failed = pc.is_valid(reasons)
        mine = {
            "verdict": pc.if_else(failed, "failed", pa.scalar(None, pa.string())),
            "stage": pc.if_else(failed, "extract", pa.scalar(None, pa.string())),
            "reason": reasons,
            "detail": pa.array(self._details, pa.string()),
        }
        return {name: pc.coalesce(records.column(name), column) for name, column in mine.items()}


def record_ids(records: pa.RecordBatch) -> pa.Array:
    """`xxh3_128(source, key, content digest)` of each record, 32 hexadecimal digits (DESIGN: identity)."""
    rows = zip(*(records.column(name).to_pylist() for name in ("source", "key", "content_digest")), strict=True)
    digest = xxhash.xxh3_128_hexdigest
    return pa.array(
        [digest(b"%b\0%b\0%b" % (source.encode(), key.encode(), content)) for source, key, content in rows],
        pa.string(),
    )


def _text_digests(texts: pa.Array) -> pa.Array:
    """XXH3-128 of each text, hexadecimal; null where there is no text."""
    digest = xxhash.xxh3_128_hexdigest
    views = texts.cast(pa.large_binary())
    return pa.array([digest(v.as_buffer()) if v.is_valid else None for v in views], pa.string())
