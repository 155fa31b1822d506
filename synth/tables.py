"""The tables of a run: its samples in TRL's columns, with where each came from; and those that were not kept."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from manifests.contracts import check_version, conform
from manifests.contracts_synthetic import (
    FORMS,
    MESSAGES_WITH_TOOLS,
    REJECTED,
    Columns,
    rejected_schema,
    synthetic_schema,
)
from manifests.digest import TableDigest
from manifests.errors import RunError
from manifests.record import Entry
from manifests.schema_synthesis import SynthesisManifest
from manifests.schema_teacher import Teacher
from manifests.store import Folder, TableWriter
from synth.drafts import Draft, Drafts
from synth.samples import Ask, Message, Rejection, Role, Sample, as_json
from synth.teacher import as_asked

GROUP_ROWS = 1000
GROUP_BYTES = 32 * 1024**2
"""A row group ends at the first of these."""

STRINGS = pa.list_(pa.field("element", pa.string()))


def makers_of(manifest: SynthesisManifest) -> dict[Role, Teacher]:
    """Who answers in each role: where the manifest names no judge, the teacher is."""
    teacher = manifest.teacher
    return {"teacher": teacher, "judge": manifest.judge or teacher, "reward": manifest.reward or teacher}


def key_of(ask: Ask, makers: Mapping[Role, Teacher]) -> str:
    """What the answer to a question is kept by."""
    maker = makers[ask.role]
    return as_asked(ask.request, maker).key(maker.model, maker.revision)


# What a sample is known by.


def id_of(sample: Sample, task: str) -> str:
    """XXH3-128 of what it says, the task, and what it was made from; 32 hexadecimal digits."""
    item = sample.item
    content = [_json(messages) for messages in (sample.prompt, sample.answer, sample.worse)]
    parts = [task, sample.form, item.id, item.parents, sample.parents, *content, sample.text, sample.tools]
    return xxhash.xxh3_128_hexdigest(orjson.dumps(parts))


def equal_samples(drafts: Drafts, task: str) -> Iterator[Rejection | None]:
    """A verdict per sample that is in: of those that say the same on the same item the first may stay.

    Without it the tables would hold two rows of one id. It remembers 16 bytes of each sample.
    """
    seen = set[bytes]()
    for batch in drafts:
        for sample in batch:
            name = id_of(sample, task)
            yield Rejection("duplicate", "equal", detail=name) if bytes.fromhex(name) in seen else None
            seen.add(bytes.fromhex(name))


def _json(messages: tuple[Message, ...]) -> list[str]:
    return [orjson.dumps(as_json(message)).decode() for message in messages]


# Samples as rows.


@dataclass(frozen=True)
class Rows:
    """How the samples of a run become rows."""

    task: str
    makers: Mapping[Role, Teacher]
    has_tools: bool
    """Of the run: messages of all its tables are written in the same way."""

    def kept(self, draft: Draft, columns: Columns) -> dict[str, Any]:
        """A row of the table of its form."""
        sample = draft.sample
        return {
            **dict.fromkeys((*columns.numbers, *columns.tags)),
            **self._content(sample),
            **self._description(draft),
            **sample.numbers,
            **sample.tags,
        }

    def rejected(self, draft: Draft, columns: Columns) -> dict[str, Any]:
        """A row of the table of samples that were not kept."""
        sample, why = draft.sample, draft.sample.rejection
        assert why
        return {
            "form": sample.form,
            "rejection": {
                "stage": why.stage,
                "reason": why.reason,
                "value": why.value,
                "threshold": why.threshold,
                "detail": why.detail,
            },
            **self._content(sample),
            **self._description(draft),
            "numbers": {**dict.fromkeys(columns.numbers), **sample.numbers},
            "tags": {**dict.fromkeys(columns.tags), **sample.tags},
        }

    def _content(self, sample: Sample) -> dict[str, Any]:
        """What TRL reads."""
        tools = {"tools": f"[{','.join(sample.tools)}]" if sample.tools else None} if self.has_tools else {}
        if sample.form == "text":
            return {"text": sample.text}
        if sample.form == "messages":
            return {"messages": self._messages((*sample.prompt, *sample.answer)), **tools}
        parts = {"prompt": sample.prompt, "chosen": sample.answer, "rejected": sample.worse}
        return {name: self._messages(part) for name, part in parts.items()} | tools

    def _messages(self, messages: tuple[Message, ...]) -> list[Any]:
        if self.has_tools:
            return _json(messages)
        return [{"role": message.role, "content": message.content} for message in messages]

    def _description(self, draft: Draft) -> dict[str, Any]:
        sample = draft.sample
        return {
            "id": id_of(sample, self.task),
            "language": sample.language,
            "task": self.task,
            "variety": sample.variety,
            "source": sample.item.source,
            "license": sample.item.license,
            "n_chars": len(sample.answer_text),
            "is_translated": sample.is_translated,
            "provenance": self._provenance(draft),
        }

    def _provenance(self, draft: Draft) -> dict[str, Any]:
        """Of the answer, and the keys of all that was asked for it."""
        sample, item = draft.sample, draft.sample.item
        seeds = list(dict.fromkeys([*(item.parents or [item.id]), *sample.parents]))
        found: dict[str, Any] = {
            "item": item.id,
            "parent": seeds[0],
            "parents": seeds[1:],
            "requests": [key_of(ask, self.makers) for ask in sample.made_by],
            "verdicts": [
                {"gate": verdict.gate, "value": verdict.value, "threshold": verdict.threshold}
                for verdict in draft.verdicts
            ],
        }
        for ask in sample.made_by[:1]:
            maker = self.makers[ask.role]
            found |= {"teacher": maker.model, "revision": maker.revision}
            found |= {"sampling": ask.request.sampling, "seed": orjson.loads(ask.request.sampling).get("seed")}
            found |= {"template": ask.template, "template_digest": ask.template_digest}
        return found


# Tables.


@dataclass(frozen=True)
class Written:
    """A table that was written."""

    name: str
    n_rows: int
    digest: str
    """Of its rows; their order and the files that they lie in do not matter."""
    files: tuple[Entry, ...]


def write_tables(run: Folder, drafts: Drafts, manifest: SynthesisManifest) -> list[Written]:
    """Write the tables of a run; those of a run before it in the same folder go.

    `equal_samples` must have been settled.

    Returns:
        The tables that have rows: those of the forms that occur, and `rejected`.

    Raises:
        RunError: two samples have one id.
    """
    for name in (*FORMS, REJECTED):
        run.remove(name)
    found = _survey(drafts)
    rows = Rows(manifest.task.kind, makers_of(manifest), any(columns.has_tools for columns in found.values()))
    ids = set[bytes]()
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(_Parts(run / name, name, columns, manifest.output.shard_bytes))
            for name, columns in _alike(found, rows.has_tools).items()
        }
        for draft in drafts.all():
            name = draft.sample.form if draft.is_kept else REJECTED
            row = (rows.kept if draft.is_kept else rows.rejected)(draft, tables[name].columns)
            if draft.is_kept:
                _check_new(row["id"], ids)
            tables[name].write(row)
    return [table.written() for table in tables.values()]


def _check_new(name: str, ids: set[bytes]) -> None:
    if bytes.fromhex(name) in ids:
        raise RunError(f"two samples of the run have the id {name}: equal samples were not taken out")
    ids.add(bytes.fromhex(name))


def _survey(drafts: Drafts) -> dict[str, Columns]:
    """What the samples of each table have."""
    numbers: dict[str, set[str]] = {}
    tags: dict[str, set[str]] = {}
    with_tools = set[str]()
    for draft in drafts.all():
        sample = draft.sample
        name = sample.form if draft.is_kept else REJECTED
        numbers.setdefault(name, set()).update(sample.numbers)
        tags.setdefault(name, set()).update(sample.tags)
        if sample.tools or any(m.calls or m.name for m in (*sample.prompt, *sample.answer, *sample.worse)):
            with_tools.add(name)
    return {
        name: Columns(name in with_tools, sorted(numbers[name]), sorted(tags[name]))
        for name in (*FORMS, REJECTED)
        if name in numbers
    }


def _alike(found: Mapping[str, Columns], has_tools: bool) -> dict[str, Columns]:
    """With messages written in one way in all tables."""
    return {name: Columns(has_tools, columns.numbers, columns.tags) for name, columns in found.items()}


@dataclass
class _Parts:
    """Writes a table in parts of about so many bytes of text; what lies where depends on the rows alone."""

    folder: Folder
    name: str
    columns: Columns
    shard_bytes: int
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _group_bytes: int = 0
    _part_bytes: int = 0
    _n_parts: int = 0
    _n_rows: int = 0
    _digest: TableDigest = field(default_factory=TableDigest)
    _part: ExitStack = field(default_factory=ExitStack)
    _writer: TableWriter | None = None

    def __enter__(self) -> "_Parts":
        is_rejected = self.name == REJECTED
        self.schema = rejected_schema(self.columns) if is_rejected else synthetic_schema(self.name, self.columns)  # type: ignore[arg-type]
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self._end_group()
            self._part.close()
        else:
            self._part.__exit__(*error)

    def write(self, row: dict[str, Any]) -> None:
        """Append a row."""
        size = _text_bytes(row)
        if self._writer and self._part_bytes and self._part_bytes + size > self.shard_bytes:
            self._end_group()
            self._end_part()
        self._rows.append(row)
        self._group_bytes += size
        self._part_bytes += size
        if not self._writer:
            self._begin_part()
        if len(self._rows) >= GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
            self._end_group()

    def _begin_part(self) -> None:
        name = f"part-{self._n_parts:05d}.parquet"
        self._writer = self._part.enter_context(self.folder.table_writer(name, self.schema, self.name))
        self._n_parts += 1

    def _end_part(self) -> None:
        self._part.close()
        self._writer, self._part_bytes = None, 0

    def _end_group(self) -> None:
        if self._rows and self._writer:
            table = conform(as_table(self._rows, self.schema), self.schema, self.name)
            self._digest += TableDigest.of(table)
            self._writer.write(table)
            self._n_rows += len(self._rows)
        self._rows, self._group_bytes = [], 0

    def written(self) -> Written:
        """What came of it."""
        files = [
            Entry(path=f"{self.name}/{name}", size_bytes=self.folder.size_bytes(name), rows=self._rows_of(name))
            for name in self.folder.names(".parquet")
        ]
        return Written(self.name, self._n_rows, self._digest.hex, tuple(files))

    def _rows_of(self, name: str) -> int:
        return int(self.folder.parquet_metadata(name).num_rows)


def as_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table of this schema; what they lack is null. Messages may be JSON."""
    plain = [
        pa.field(field.name, STRINGS if field.type == MESSAGES_WITH_TOOLS else field.type, field.nullable)
        for field in schema
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(plain)).cast(schema)


def _text_bytes(row: Mapping[str, Any]) -> int:
    """About how much text a row holds, in UTF-8."""
    texts = [row.get("text") or "", row.get("tools") or ""]
    for name in ("messages", "prompt", "chosen", "rejected"):
        texts += [part if isinstance(part, str) else part["content"] for part in row.get(name) or []]
    return sum(len(text.encode()) for text in texts)


def read_table(run: Folder, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a table of a run, in its order, with messages as dictionaries; none where there is no such table.

    Raises:
        RequestError: a file is of another table, or of a version that this Onggi does not read.
    """
    folder = run / name
    for part in folder.names(".parquet"):
        with folder.fs.open(folder.file(part), "rb") as file:
            source = pq.ParquetFile(file)
            check_version(source.schema_arrow, name, folder.url(part))
            as_json_text = [field.name for field in source.schema_arrow if field.type == MESSAGES_WITH_TOOLS]
            for group in range(source.num_row_groups):
                for row in source.read_row_group(group).to_pylist():
                    read = {key: [orjson.loads(text) for text in row[key]] for key in as_json_text if row[key]}
                    yield row | read
