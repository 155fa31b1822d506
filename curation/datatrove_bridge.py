"""datatrove inside Onggi: its readers as inputs, its filters and formatters as steps of the measuring pass.

A manifest names a class; only classes of `datatrove.pipeline` are ever looked up. The other direction, Onggi inside
datatrove, is curation/datatrove_steps.py.
"""

import importlib
import inspect
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
from xxhash import xxh3_128_digest

from curation.read_batch import Batch, Event, Record, Split, batches
from manifests.errors import RequestError
from manifests.schema import DatatroveReader, DatatroveStep, Input, Limits

if TYPE_CHECKING:
    from datatrove.data import Document

CLASS = re.compile(r"datatrove\.pipeline(\.[a-z][a-z0-9_]*)*\.[A-Z][A-Za-z0-9]*")

BASES = {
    "reader": "datatrove.pipeline.readers.base.BaseDiskReader",
    "filter": "datatrove.pipeline.filters.base_filter.BaseFilter",
    "formatter": "datatrove.pipeline.formatters.base.BaseFormatter",
}
"""What can be named, and what it must be."""

KEPT = "kept"
"""What a filter says of a text that it lets through; otherwise its reason, or `dropped` where it gives none."""


def read_datatrove(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of a file through a datatrove reader; see `curation.read.read_split`. The cursor counts records."""
    assert item.datatrove
    events = _events(split, item, item.datatrove, limits)
    for _ in range(cursor):
        next(events)
    yield from batches(events, split, item, metadata_names)


def check_reader(item: Input) -> None:
    """Check that an input's datatrove reader exists and takes its arguments.

    Raises:
        RequestError: it does not; or the input maps columns that the reader itself maps.
    """
    if item.datatrove is None:
        return
    taken = [name for name in ("text", "html", "key", "charset") if getattr(item, name)]
    if taken:
        raise RequestError(
            f"source {item.source!r}: {', '.join(taken)} is for the reader to know: give it in `datatrove.args`, as "
            "text_key and id_key"
        )
    _reader(item.datatrove, "/")


def _reader(reader: DatatroveReader, folder: str) -> Any:
    fixed = {"data_folder": folder, "file_progress": False, "doc_progress": False}
    return _make(reader.reader, ["reader"], {**reader.args, **fixed})[1]


def _events(split: Split, item: Input, named: DatatroveReader, limits: Limits) -> Iterator[Event]:
    """Records in the reader's order; what it cannot read, or would leave out, is a failed one."""
    folder, _, name = split.path.rpartition("/")
    reader, failed = _reader(named, folder), deque[Record]()
    _watch_documents(reader, failed)
    n_read = 0
    with _watch_warnings(failed):
        documents = iter(reader.read_file(name))
        while True:
            document = _next(documents, failed)
            records = [*failed, *([_record(document, item, limits)] if document else [])]
            failed.clear()
            for record in records:
                record.offset = n_read
                n_read += 1
                yield record, n_read
            if document is None:
                return


def _next(documents: Iterator["Document"], failed: deque[Record]) -> "Document | None":
    try:
        return next(documents, None)
    except Exception as error:  # whatever a foreign reader raises ends the file, and is told
        failed.append(_failed("datatrove_reader", f"{type(error).__name__}: {error}"))
        return None


def _record(document: "Document", item: Input, limits: Limits) -> Record:
    known = {name: None if value is None else str(value) for name, value in document.metadata.items()}
    record = Record(0, "text", key=str(document.id), utf8=True)
    for name in ("url", "date", "license", "category"):
        setattr(record, name, known.get(getattr(item, name)))
    record.metadata = {name: known.get(column) for name, column in item.metadata.items()}
    try:
        content = document.text.encode()
    except UnicodeEncodeError as error:
        raw = document.text.encode("utf-8", "surrogatepass")
        return record.fail("invalid_utf8", str(error), xxh3_128_digest(raw), len(raw))
    if len(content) > limits.record_bytes:
        return record.too_large(limits.record_bytes, len(content), xxh3_128_digest(content), len(content))
    return record.keep(content)


def _failed(reason: str, detail: str, raw: bytes | None = None) -> Record:
    raw = detail.encode() if raw is None else raw
    return Record(0, "text").fail(reason, detail, xxh3_128_digest(raw), len(raw))


def _watch_documents(reader: Any, failed: deque[Record]) -> None:
    """Note the records that the reader leaves out because they have no text, or because its adapter raises."""
    real = reader.get_document_from_dict

    def watched(data: dict[str, Any], *where: Any) -> "Document | None":
        raw = orjson.dumps(data, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        try:
            document: Document | None = real(data, *where)
        except Exception as error:
            failed.append(_failed("datatrove_reader", f"{type(error).__name__}: {error}", raw))
            return None
        if document is None:
            failed.append(_failed("no_text", f"datatrove found no text under {reader.text_key!r}", raw))
        return document

    reader.get_document_from_dict = watched


@contextmanager
def _watch_warnings(failed: deque[Record]) -> Iterator[None]:
    """Note the records of which datatrove's readers only log that they could not be read."""
    from loguru import logger

    def note(message: Any) -> None:
        if not message.record["message"].startswith("Found document without text"):  # told by _watch_documents
            failed.append(_failed("datatrove_reader", message.record["message"]))

    def from_reader(record: Any) -> bool:
        return bool(record["name"].startswith("datatrove.pipeline.readers"))

    handler = logger.add(note, level="WARNING", filter=from_reader, catch=False)
    try:
        yield
    finally:
        logger.remove(handler)


FOR_FILTERS = ("id", "source", "key", "url", "date", "license", "category", "language", "language_score")
"""The columns that a filter finds in a document's metadata, beside those of the column `metadata`."""


class Steps:
    """The datatrove steps of a measuring pass; made once per process, since filters load models."""

    def __init__(self, steps: Sequence[DatatroveStep]) -> None:
        made = [(step.name, *_make(step.step, ["filter", "formatter"], step.args)) for step in steps]
        self.formatters = {name: step for name, kind, step in made if kind == "formatter"}
        self.filters = {name: step for name, kind, step in made if kind == "filter"}

    def format(self, texts: pa.Array, fail: Callable[[int, str, str], None]) -> pa.Array:
        """The texts as the formatters leave them, one after the other.

        `fail` is told (row, reason, detail) of a text at which one raises; that text becomes null.
        """
        return pa.array([self._format(row, text, fail) for row, text in enumerate(texts.to_pylist())], texts.type)

    def _format(self, row: int, text: str | None, fail: Callable[[int, str, str], None]) -> str | None:
        if text is None:
            return None
        for name, step in self.formatters.items():
            try:
                text = step.format(text)
            except ImportError as error:
                raise RequestError(f"measure.datatrove: {name} needs what is not installed: {error}") from error
            except Exception as error:  # a text that breaks a foreign formatter is a failed record, not a failed run
                fail(row, "datatrove_formatter", f"{name}: {type(error).__name__}: {error}")
                return None
        return text

    def judge(self, texts: pa.Array, columns: Mapping[str, pa.Array]) -> pa.StructArray:
        """What each filter says of each text: a struct of strings by the filters' names, null where there is no text.

        A filter that changes a text changes a copy of it. One that raises at a text has dropped it.

        Raises:
            RequestError: a filter needs a library that is not installed.

        Args:
            texts: normalised texts.
            columns: what was measured of them; filters find FOR_FILTERS of it, and `metadata`, in their documents.
        """
        known = {name: columns[name].to_pylist() for name in (*FOR_FILTERS, "metadata") if name in columns}
        rows = [dict(zip(known, values, strict=True)) for values in zip(*known.values(), strict=True)]
        documents = [
            (text, row | (row.pop("metadata", None) or {})) for text, row in zip(texts.to_pylist(), rows, strict=True)
        ]
        said = [[_verdict(step, *document) for document in documents] for step in self.filters.values()]
        return pa.StructArray.from_arrays([pa.array(column, pa.string()) for column in said], list(self.filters))


def _verdict(step: Any, text: str | None, metadata: dict[str, Any]) -> str | None:
    from datatrove.data import Document

    if text is None:
        return None
    try:
        said = step.filter_batch([Document(text=text, id=metadata["id"], metadata=dict(metadata))])[0]
    except ImportError as error:
        raise RequestError(
            f"measure.datatrove: {type(step).__name__} needs what is not installed: {error}"
        ) from error
    except Exception as error:  # a text that breaks a foreign filter is not kept, and says why
        return f"error: {type(error).__name__}"
    keeps, reason = said if isinstance(said, tuple) else (said, None)
    return KEPT if keeps else str(reason or "dropped")


def filter_names(steps: Sequence[DatatroveStep]) -> list[str]:
    """The names of those steps that are filters: the fields of the column `datatrove`.

    Raises:
        RequestError: a class does not exist or cannot be named.
    """
    return [step.name for step in steps if _find(step.step, ["filter", "formatter"])[0] == "filter"]


def check_steps(steps: Sequence[DatatroveStep]) -> None:
    """Check that the steps exist and take their arguments, and that no two are called the same.

    Raises:
        RequestError: names the step and what is wrong with it.
    """
    twice = [name for name, n in Counter(step.name for step in steps).items() if n > 1]
    if twice:
        raise RequestError(f"measure.datatrove: names used twice: {', '.join(twice)}")
    for step in steps:
        _make(step.step, ["filter", "formatter"], step.args)


def _make(path: str, kinds: list[str], args: dict[str, Any]) -> tuple[str, Any]:
    kind, found = _find(path, kinds)
    try:
        return kind, found(**args)
    except ImportError as error:
        raise RequestError(f"{path}: {error}") from error
    except (TypeError, ValueError) as error:
        raise RequestError(f"{path}: {error}; it takes {inspect.signature(found)}") from error


def _find(path: str, kinds: list[str]) -> tuple[str, type]:
    """A class of datatrove's pipeline that is one of these kinds; nothing else is imported or called."""
    if not CLASS.fullmatch(path):
        raise RequestError(f"{path}: name a class of datatrove.pipeline, as {BASES[kinds[0]]}")
    if find_spec("datatrove") is None:
        raise RequestError(f"{path}: datatrove is not installed: pip install 'onggi[datatrove]'")
    module, _, name = path.rpartition(".")
    try:
        found = getattr(_load(module), name)
    except (ImportError, AttributeError) as error:
        raise RequestError(f"{path}: datatrove has no such class ({error})") from error
    for kind in kinds:
        base_module, _, base = BASES[kind].rpartition(".")
        wanted = getattr(_load(base_module), base)
        if isinstance(found, type) and issubclass(found, wanted) and not inspect.isabstract(found):
            return kind, found
    names = " or ".join(f"a {kind} ({BASES[kind]})" for kind in kinds)
    raise RequestError(f"{path}: is not {names}")


def _load(module: str) -> ModuleType:
    """A module of datatrove, whose log would tell on stderr, line by line, what the ledger holds.

    Where the program that uses Onggi logs through loguru itself, its handlers stay as they are.
    """
    own = "loguru" not in sys.modules
    found = importlib.import_module(module)
    if own:
        from loguru import logger

        logger.remove()
    return found
