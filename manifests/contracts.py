"""The contracts of Onggi's data: one Arrow schema per table, with a version that every file carries.

Writers call `conform`, which refuses a table that does not hold its contract; readers call `check_version`.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from manifests.errors import RequestError, RunError
from manifests.schema import ALL_PII_KINDS, Measure

SCHEMA_VERSION = "1.1"
"""Major.minor. A new minor version adds columns; a new major version changes their meaning."""

TABLE_KEY = b"onggi.table"
VERSION_KEY = b"onggi.schema_version"

DIGEST = pa.binary(16)
"""An XXH3-128 digest."""

PII_TYPE = pa.list_(
    pa.field(
        "element",
        pa.struct(
            [
                pa.field("start", pa.int32()),
                pa.field("end", pa.int32()),
                pa.field("kind", pa.string()),
            ]
        ),
    )
)
"""Personal data in a text: characters [start, end) and what they are, in order, without overlaps."""

PII_COUNTS = pa.struct([(kind, pa.int32()) for kind in ALL_PII_KINDS if kind != "secret"])
"""How much of each kind was found in a text; null for kinds that were not looked for. A last field `secret` is there
where those were looked for: with it in all ledgers, ledgers of runs that know nothing of it would be others."""


def pii_counts_type(kinds: Sequence[str]) -> pa.StructType:
    """PII_COUNTS for runs that look for these kinds."""
    return pa.struct([*PII_COUNTS, *([("secret", pa.int32())] if "secret" in kinds else [])])


NOTES_TYPE = pa.list_(pa.field("element", pa.struct([("kind", pa.string()), ("detail", pa.string())])))
"""What a reader had to say of a record that went on, as `missing_input` of a TeX source."""

VERDICTS = ("kept", "dropped", "failed")

_PROVENANCE: list[pa.Field] = [
    pa.field("source", pa.string(), nullable=False),
    pa.field("key", pa.string(), nullable=False),  # the record's own name in its source; "" where it has none
    pa.field("url", pa.string()),
    pa.field("date", pa.string()),
    pa.field("license", pa.string()),
    pa.field("category", pa.string()),
]
_LOCATOR: list[pa.Field] = [
    pa.field("file", pa.string(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),  # of the record in its file: bytes, or rows of a Parquet file
]
_LANGUAGE: list[pa.Field] = [
    pa.field("language", pa.string()),  # BCP 47; zxx for code and markup
    pa.field("language_score", pa.float64()),
    pa.field("hangul_frac", pa.float64()),  # Hangul letters per letter
]
_CAUSE: list[pa.Field] = [
    pa.field("stage", pa.string()),
    pa.field("reason", pa.string()),
    pa.field("value", pa.float64()),  # what was measured, where it is a number
    pa.field("threshold", pa.float64()),
    pa.field("detail", pa.string()),  # an error's message, or a value that is not a number
]


_SEMANTIC: list[pa.Field] = [
    pa.field("semantic_cluster", pa.string()),  # null for a document that is alone
    pa.field("semantic_cluster_size", pa.int64()),  # records that mean the same, or are nearly or quite the same
]


def score_fields(names: Sequence[str]) -> list[pa.Field]:
    """The columns of classifiers, a pair per name: the score, and a whole number of it."""
    kinds = (("score", pa.float64()), ("int_score", pa.int64()))
    return [pa.field(f"{name}_{column}", kind) for name in names for column, kind in kinds]


ROBOTS_TYPE = pa.struct(
    [
        (name, pa.bool_())
        for name in ("noindex", "nofollow", "noarchive", "nosnippet", "noai", "noimageai", "tdm_reserved")
    ]
)
"""What robots must not do with a page, as it or its server says; null for what cannot say anything."""


def address_fields(measure: Measure) -> list[pa.Field]:
    """The optional columns of what was found by and about addresses: those that a manifest asks for."""
    names = ("canonical_url", "url_host", "url_domain") if measure.urls else ()
    lists = [(name, pa.string()) for name in measure.blocklists]
    return [
        *(pa.field(name, pa.string()) for name in names),
        *([pa.field("blocklists", pa.struct(lists))] if lists else []),
        *([pa.field("robots", ROBOTS_TYPE)] if measure.robots else []),
    ]


def metadata_field(names: list[str]) -> list[pa.Field]:
    """The optional `metadata` struct of strings; no field at all where a manifest asks for none."""
    return [pa.field("metadata", pa.struct([(name, pa.string()) for name in names]))] if names else []


def records_schema(metadata_names: list[str]) -> pa.Schema:
    """What readers yield: one row per input record, before extraction.

    `verdict` is null for a record that goes on; otherwise `dropped` or `failed`, and the cause says why. `content`
    is null only where there is a verdict. `content_digest` covers the record's content (for a failed record, its
    raw bytes). `n_bytes` is the size of the content. `kind` is `html` (goes through extraction) or `text`.
    `charset` is the one declared outside the content (HTTP header); null where `content` is UTF-8 by contract of its
    format (JSON, Parquet strings), in which case `utf8` is true.
    """
    return pa.schema(
        [
            *_PROVENANCE,
            *metadata_field(metadata_names),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("charset", pa.string()),
            pa.field("utf8", pa.bool_(), nullable=False),
            pa.field("content", pa.large_binary()),
            pa.field("content_digest", DIGEST, nullable=False),
            pa.field("n_bytes", pa.int64(), nullable=False),
            pa.field("verdict", pa.string()),
            *_CAUSE,
            *_LOCATOR,
            pa.field("notes", NOTES_TYPE),
            pa.field("robots_headers", pa.string()),  # those that speak to robots; null where there were no headers
        ]
    )


def measured_schema(
    metadata_names: list[str],
    signals: pa.StructType | None,
    *,
    store_text: bool,
    pii: bool = False,
    datatrove: Sequence[str] = (),
    scores: Sequence[str] = (),
    notes: bool = False,
    addresses: Sequence[pa.Field] = (),
) -> pa.Schema:
    """Every record after the measuring pass, before any decision; `pii` is whether personal data was looked for,
    `datatrove` the names of datatrove's filters that judged the text, `scores` those of its classifiers, `notes`
    whether a reader may have some, `addresses` what `address_fields` says.

    A row with a `verdict` was dropped or failed before it could be measured. `row_hash` covers what the row is, not
    where it was found; it orders records whose ids are equal. `text_digest` is that of the normalised text.
    """
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("row_hash", DIGEST, nullable=False),
            *_PROVENANCE,
            *metadata_field(metadata_names),
            *([pa.field("text", pa.large_string())] if store_text else []),
            pa.field("text_digest", pa.string()),  # 32 hexadecimal digits; null where there is no text
            pa.field("n_bytes", pa.int64(), nullable=False),  # of the record's content, as read
            pa.field("n_text_bytes", pa.int64(), nullable=False),  # of the normalised text, in UTF-8
            *_LANGUAGE,
            *([pa.field("signals", signals)] if signals else []),
            *addresses,
            *([pa.field("pii", PII_TYPE), pa.field("pii_count", pa.int32())] if pii else []),
            *score_fields(scores),
            *([pa.field("datatrove", pa.struct([(name, pa.string()) for name in datatrove]))] if datatrove else []),
            *([pa.field("notes", NOTES_TYPE)] if notes else []),
            pa.field("verdict", pa.string()),
            *_CAUSE,
            *_LOCATOR,
        ]
    )


def documents_schema(
    metadata_names: list[str],
    signals: pa.StructType | None,
    *,
    pii: bool = False,
    semantic: bool = False,
    scores: Sequence[str] = (),
    addresses: Sequence[pa.Field] = (),
) -> pa.Schema:
    """The curated corpus: one row per kept document, ordered by (id, copy); `pii` speaks of `text` as it stands here,
    `semantic` is whether documents of like meaning were looked for, `scores` are the names of classifiers,
    `addresses` what `address_fields` says."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("copy", pa.int32(), nullable=False),
            pa.field("text", pa.large_string(), nullable=False),
            *_PROVENANCE,
            *_LANGUAGE,
            *([pa.field("signals", signals)] if signals else []),
            *addresses,
            *([pa.field("pii", PII_TYPE)] if pii else []),
            *score_fields(scores),
            pa.field("exact_size", pa.int64()),  # records with this very text; null where nothing was compared
            pa.field("near_cluster", pa.string()),  # null without near-duplicates
            pa.field(
                "near_cluster_size", pa.int64()
            ),  # records with nearly this text; null where none were looked for
            *(_SEMANTIC if semantic else []),
            *metadata_field(metadata_names),
        ]
    )


EDITED = pa.struct([("rule", pa.string()), ("start", pa.int32()), ("end", pa.int32())])
"""Which rule removed the characters [start, end) of the measured text."""

LEDGER = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("copy", pa.int32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("language", pa.string()),
        pa.field("verdict", pa.string(), nullable=False),
        *_CAUSE,
        pa.field("failed_rules", pa.list_(pa.field("element", pa.string()))),  # all of them; `reason` is the first
        pa.field("duplicate_of", pa.string()),
        pa.field("duplicate_of_copy", pa.int32()),
        pa.field("edits", pa.list_(pa.field("element", EDITED))),  # in order, apart; null where the text stayed
        *_LOCATOR,
    ]
)
"""One row per input record, ordered by (id, copy); the locator is the only part that no digest covers."""


def ledger_schema(*, pii: Sequence[str] = (), notes: bool = False) -> pa.Schema:
    """LEDGER, with the counts of personal data of the kinds `pii` where any were looked for, and with what readers
    noted."""
    schema = LEDGER.append(pa.field("pii_counts", pii_counts_type(pii))) if pii else LEDGER
    return schema.append(pa.field("notes", NOTES_TYPE)) if notes else schema


def tokens_schema(sequence_length: int) -> pa.Schema:
    """A token mixture: one row per packed sequence, in the order of training (`sequence` counts from 0).

    What follows the first `n_tokens` ids is padding, excluded from every count and loss. The parallel lists speak of
    the spans in a sequence, in order: span i holds the ids from `document_starts[i]` to the next start (the last one
    to `n_tokens`), which are those of document (`document_ids[i]`, `document_copies[i]`) of the source
    `source_of_span[i]` from its token `document_offsets[i]` on. Where `cross_document` is true, documents may attend
    to each other; else each attends to itself only.
    """
    return pa.schema(
        [
            pa.field("sequence", pa.int64(), nullable=False),
            pa.field("stage", pa.string(), nullable=False),
            pa.field(
                "input_ids",
                pa.list_(pa.field("element", pa.uint32(), nullable=False), sequence_length),
                nullable=False,
            ),
            pa.field("n_tokens", pa.int32(), nullable=False),
            pa.field("cross_document", pa.bool_(), nullable=False),
            pa.field("document_starts", _spans(pa.int32()), nullable=False),
            pa.field("document_ids", _spans(DIGEST), nullable=False),
            pa.field("document_copies", _spans(pa.int32()), nullable=False),
            pa.field("document_offsets", _spans(pa.int64()), nullable=False),
            pa.field("source_of_span", _spans(pa.string()), nullable=False),
        ]
    )


def _spans(kind: pa.DataType) -> pa.DataType:
    """A value for each span of a sequence."""
    return pa.list_(pa.field("element", kind, nullable=False))


TOKEN_LEDGER = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),  # of the manifest, or `validation`
        pa.field("category", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),  # how often the source was gone through before
        pa.field("id_from", DIGEST, nullable=False),  # lowest and highest id of the documents
        pa.field("id_to", DIGEST, nullable=False),
        pa.field("n_documents", pa.int64(), nullable=False),  # that begin here
        pa.field("n_spans", pa.int64(), nullable=False),  # more, where documents are longer than a sequence
        pa.field("n_tokens", pa.int64(), nullable=False),
        pa.field("first_sequence", pa.int64(), nullable=False),  # where they lie, among others
        pa.field("last_sequence", pa.int64(), nullable=False),
    ]
)
"""What was taken for a mixture: one row per stage, source, pass through it, and range of ids."""

NOT_IN_DIGEST = frozenset({"file", "offset"})


def conform(table: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    """The table with the schema's column order, types and version; fails where it breaks the contract.

    Raises:
        RunError: a column is missing, surplus, of another type, or holds nulls where none are allowed.
    """
    if sorted(table.column_names) != sorted(schema.names):
        missing, surplus = set(schema.names) - set(table.column_names), set(table.column_names) - set(schema.names)
        raise RunError(
            f"{name}: columns do not hold the contract: missing {sorted(missing)}, surplus {sorted(surplus)}"
        )
    for field in schema:
        column = table.column(field.name)
        if column.type != field.type:
            raise RunError(f"{name}.{field.name}: type is {column.type}, the contract says {field.type}")
        if not field.nullable and column.null_count:
            raise RunError(f"{name}.{field.name}: {column.null_count} nulls in a column that allows none")
    return table.select(schema.names).cast(versioned(schema, name))


def versioned(schema: pa.Schema, name: str, extra: Mapping[str, str] | None = None) -> pa.Schema:
    """The schema with the table's name and version, and any other text, in its metadata."""
    metadata = {TABLE_KEY: name.encode(), VERSION_KEY: SCHEMA_VERSION.encode()}
    return schema.with_metadata(metadata | {key.encode(): value.encode() for key, value in (extra or {}).items()})


def check_version(schema: pa.Schema, name: str, path: str) -> None:
    """Refuse a file of another table or of an unknown major version.

    Raises:
        RequestError: names the file, what it holds and what this version of Onggi reads.
    """
    metadata = schema.metadata or {}
    table = metadata.get(TABLE_KEY, b"").decode()
    if table != name:
        raise RequestError(f"{path}: holds {table or 'no Onggi table'}, expected the table {name!r}")
    version = metadata.get(VERSION_KEY, b"0.0").decode()
    if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise RequestError(
            f"{path}: written with schema {version}, this Onggi reads {SCHEMA_VERSION.split('.')[0]}.x; "
            f"curate again with this version, or read it with the version that wrote it"
        )
