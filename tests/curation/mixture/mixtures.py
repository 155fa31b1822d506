"""Finished mixtures of random documents, written to the contract by hand, without the pipeline that makes them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.mixture.record import MixtureRecord, SourceRecord, StageRecord, TokenizerRecord
from manifests.contracts import TOKEN_LEDGER, tokens_schema, versioned
from manifests.record import Entry
from manifests.store import Folder

EOD, PAD = 1, 0


@dataclass(frozen=True)
class Span:
    """A document, or a piece of one that is longer than a sequence."""

    ids: tuple[int, ...]
    document: bytes
    offset: int
    source: str


@dataclass(frozen=True)
class Row:
    """A packed sequence."""

    stage: str
    spans: tuple[Span, ...]
    cross: bool

    @property
    def n_tokens(self) -> int:
        return sum(len(span.ids) for span in self.spans)

    @property
    def starts(self) -> list[int]:
        ends = np.cumsum([0, *(len(span.ids) for span in self.spans)])
        return ends[:-1].tolist()

    def padded(self, length: int) -> list[int]:
        ids = [id_ for span in self.spans for id_ in span.ids]
        return ids + [PAD] * (length - len(ids))


@dataclass(frozen=True)
class Mixture:
    """A mixture as it was written."""

    path: Path
    rows: tuple[Row, ...]
    held_out: tuple[Row, ...]
    length: int

    def of(self, stage: str) -> list[Row]:
        return [row for row in self.rows if row.stage == stage]

    @property
    def ids(self) -> np.ndarray:
        return np.array([row.padded(self.length) for row in self.rows])


def write_mixture(
    path: Path,
    *,
    length: int = 16,
    n_documents: tuple[int, ...] = (40, 25),
    vocab_size: int = 300,
    seed: int = 0,
    rows_per_group: int = 4,
    groups_per_file: int = 2,
    cross_every: int = 5,
    emptied: tuple[int, ...] = (),
) -> Mixture:
    """Write a mixture with a stage per number of documents, of the sources `ko` and `en`, and something held out.

    All documents of the sequences `emptied` were taken down since.
    """
    random = np.random.default_rng(seed)
    rows = [
        row
        for number, n_docs in enumerate(n_documents)
        for row in _packed(f"stage{number + 1}", n_docs, length, vocab_size, random, cross_every)
    ]
    rows = [Row(row.stage, () if at in emptied else row.spans, row.cross) for at, row in enumerate(rows)]
    held_out = _packed("validation", 6, length, vocab_size, random, cross_every)
    for table, of, base in (("tokens", rows, 0), ("validation", held_out, len(rows))):
        _write_table(path / table, of, base, length, rows_per_group, groups_per_file)
    (path / "ledger").mkdir()
    pq.write_table(_ledger(rows), path / "ledger" / "part-00000.parquet")
    Folder(str(path)).write_json("run.json", _record(rows, held_out, length, vocab_size).model_dump(mode="json"))
    return Mixture(path, tuple(rows), tuple(held_out), length)


def _packed(
    stage: str, n_docs: int, length: int, vocab_size: int, random: np.random.Generator, cross_every: int
) -> list[Row]:
    """Documents one after the other into sequences; none that fits is cut."""
    rows, open_spans = list[Row](), list[Span]()
    for number in range(n_docs):
        ids = [*random.integers(2, vocab_size, random.integers(1, 2 * length)).tolist(), EOD]
        document, source = random.bytes(16), ("ko", "en")[number % 2]
        for offset in range(0, len(ids), length):
            span = Span(tuple(ids[offset : offset + length]), document, offset, source)
            if sum(len(other.ids) for other in open_spans) + len(span.ids) > length:
                rows.append(Row(stage, tuple(open_spans), len(rows) % cross_every == cross_every - 1))
                open_spans = []
            open_spans.append(span)
    return [*rows, Row(stage, tuple(open_spans), False)]


def _write_table(folder: Path, rows: list[Row], base: int, length: int, rows_per_group: int, per_file: int) -> None:
    folder.mkdir(parents=True)
    schema = versioned(tokens_schema(length), "tokens")
    for number, first in enumerate(range(0, len(rows), rows_per_group * per_file)):
        with pq.ParquetWriter(
            folder / f"part-{number:05d}.parquet",
            schema,
            compression="zstd",
            use_dictionary=["stage"],
            column_encoding={"input_ids.list.element": "BYTE_STREAM_SPLIT"},
        ) as writer:
            for start in range(first, min(first + rows_per_group * per_file, len(rows)), rows_per_group):
                part = rows[start : min(start + rows_per_group, first + rows_per_group * per_file)]
                writer.write_table(_table(part, base + start, length).cast(schema))


def _table(rows: list[Row], first: int, length: int) -> pa.Table:
    columns = {
        "sequence": list(range(first, first + len(rows))),
        "stage": [row.stage for row in rows],
        "input_ids": [row.padded(length) for row in rows],
        "n_tokens": [row.n_tokens for row in rows],
        "cross_document": [row.cross for row in rows],
        "document_starts": [row.starts for row in rows],
        "document_ids": [[span.document for span in row.spans] for row in rows],
        "document_copies": [[0] * len(row.spans) for row in rows],
        "document_offsets": [[span.offset for span in row.spans] for row in rows],
        "source_of_span": [[span.source for span in row.spans] for row in rows],
    }
    schema = tokens_schema(length)
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def taken(rows: list[Row], source: str) -> tuple[int, int]:
    """Tokens of a source in sequences, and its documents that begin there."""
    spans = [span for row in rows for span in row.spans if span.source == source]
    return sum(len(span.ids) for span in spans), sum(span.offset == 0 for span in spans)


def _ledger(rows: list[Row]) -> pa.Table:
    entries = []
    for stage in dict.fromkeys(row.stage for row in rows):
        of_stage = [number for number, row in enumerate(rows) if row.stage == stage]
        for source in ("ko", "en"):
            n_tokens, n_documents = taken([rows[number] for number in of_stage], source)
            spans = [span for number in of_stage for span in rows[number].spans if span.source == source]
            ids = sorted(span.document for span in spans)
            entries.append(
                {
                    "stage": stage,
                    "category": source,
                    "source": source,
                    "epoch": 0,
                    "id_from": ids[0],
                    "id_to": ids[-1],
                    "n_documents": n_documents,
                    "n_spans": len(spans),
                    "n_tokens": n_tokens,
                    "first_sequence": of_stage[0],
                    "last_sequence": of_stage[-1],
                }
            )
    return pa.Table.from_pylist(entries, schema=versioned(TOKEN_LEDGER, "token_ledger"))


def _record(rows: list[Row], held_out: list[Row], length: int, vocab_size: int) -> MixtureRecord:
    stages, first = list[StageRecord](), 0
    for name in dict.fromkeys(row.stage for row in rows):
        of_stage = [row for row in rows if row.stage == name]
        n_tokens = sum(row.n_tokens for row in of_stage)
        stages.append(
            StageRecord(
                name=name,
                first_sequence=first,
                n_sequences=len(of_stage),
                n_tokens=n_tokens,
                asked_tokens=n_tokens,
                overshoot=0,
                transition=0,
                shares={},
                taken={source: taken(of_stage, source)[0] for source in ("ko", "en")},
            )
        )
        first += len(of_stage)
    return MixtureRecord(
        name="small",
        kind="mixture",
        fingerprint="5" * 32,
        onggi_version="0",
        created="2026-01-01T00:00:00+00:00",
        manifest=_manifest(length, [(stage.name, stage.asked_tokens) for stage in stages]),
        manifest_base="/data",
        measured_in="",
        inputs=[
            Entry(path="/data/ko-0.parquet", size_bytes=1, source="ko"),
            Entry(path="/data/ko-1.parquet", size_bytes=1, source="ko"),
            Entry(path="/data/en.jsonl.zst", size_bytes=1, source="en"),
        ],
        outputs=[
            Entry(path="tokens", size_bytes=1, rows=len(rows)),
            Entry(path="validation", size_bytes=1, rows=len(held_out)),
        ],
        counts={"tokens": sum(row.n_tokens for row in rows), "sequences": len(rows)},
        skipped={},
        licenses={},
        shards={},
        digests={},
        timings={},
        throughput={},
        peak_memory_bytes=0,
        n_workers=1,
        sequence_length=length,
        tokenizer=TokenizerRecord(
            path="tokenizer.json",
            digest="d" * 32,
            vocab_size=vocab_size,
            eod_id=EOD,
            bos_id=None,
            pad_id=PAD,
            engine="tokenizers",
            engine_version="0",
            checked={},
        ),
        stages=stages,
        sources=[_source(rows, "ko", "korean", 3), _source(rows, "en", "english", 1)],
        validation={},
        store="store",
    )


def _source(rows: list[Row], name: str, category: str, n_passes: int) -> SourceRecord:
    n_tokens, n_documents = taken(rows, name)
    return SourceRecord(
        name=name,
        category=category,
        n_documents=n_documents // n_passes,
        n_tokens=n_tokens // n_passes,
        n_bytes=n_tokens,
        taken_tokens=n_tokens,
        epochs=n_passes,
        left_out={},
        held_out_documents=0,
    )


def _manifest(length: int, stages: list[tuple[str, int]]) -> dict[str, object]:
    return {
        "kind": "mixture",
        "name": "small",
        "tokenizer": {"path": "tokenizer.json"},
        "sequence_length": length,
        "seed": 7,
        "sources": [
            {"name": "ko", "path": "ko-*.parquet", "category": "korean", "where": "edu_score >= 3", "epochs_max": 4},
            {"name": "en", "path": "en.jsonl.zst", "category": "english", "epochs_max": 0.5},
        ],
        "stages": [
            {"name": name, "tokens": n_tokens, "weights": {"korean": 1, "english": 1}} for name, n_tokens in stages
        ],
        "output": {"path": "mixture"},
    }
