"""Sequences of a finished mixture, in the order of training: at random by their numbers, or one after the other.

What is held in memory is a row group (some hundred sequences), whatever the size of the mixture.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray

from curation.mixture.record import MixtureRecord, read_mixture
from manifests.contracts import check_version
from manifests.errors import RequestError
from manifests.store import Folder

Split = Literal["train", "validation"]
TABLES: dict[Split, str] = {"train": "tokens", "validation": "validation"}

COLUMNS = ["sequence", "stage", "input_ids", "n_tokens", "cross_document", "document_starts"]
"""What a trainer needs; who each span is, is for `explain`."""


@dataclass(frozen=True)
class Stretch:
    """Sequences `first` to `end` (exclusive) of a split, which are those of a stage."""

    stage: str
    first: int
    end: int


@dataclass(frozen=True)
class Sequences:
    """Some sequences that follow each other."""

    first: int
    """Number of the first in its split."""
    stages: Sequence[str]
    input_ids: NDArray[np.uint32]
    """(sequences, sequence length); what follows the first `n_tokens` of each is padding."""
    n_tokens: NDArray[np.int32]
    cross_document: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    """(sequences + 1): sequence i has the spans offsets[i] to offsets[i + 1]."""
    starts: NDArray[np.int32]
    """(spans): where each begins in its sequence."""

    def __len__(self) -> int:
        return len(self.n_tokens)

    def __getitem__(self, rows: slice) -> "Sequences":
        start, stop, _ = rows.indices(len(self))
        spans = slice(self.offsets[start], self.offsets[stop])
        return Sequences(
            self.first + start,
            self.stages[start:stop],
            self.input_ids[start:stop],
            self.n_tokens[start:stop],
            self.cross_document[start:stop],
            self.offsets[start : stop + 1] - self.offsets[start],
            self.starts[spans],
        )

    def starts_of(self, row: int) -> NDArray[np.int32]:
        """Where the spans of a sequence begin."""
        return self.starts[self.offsets[row] : self.offsets[row + 1]]

    def is_token(self) -> NDArray[np.bool_]:
        """(sequences, sequence length): false where padding is."""
        return np.arange(self.input_ids.shape[1]) < self.n_tokens[:, None]

    def span_ends(self, padding: bool) -> NDArray[np.int64]:
        """Where each span ends, counted from the first token of all; `padding`, where there is any, counts as a span.

        Without it, its tokens are not counted either.
        """
        counts, length = self.n_tokens.astype(np.int64), self.input_ids.shape[1]
        bases = np.arange(len(self)) * length if padding else np.cumsum(counts) - counts
        of = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        begins = bases[of] + self.starts
        ends = bases + counts
        if padding:
            ends = np.union1d(ends, bases + length)
        found = np.union1d(begins, ends)
        return found[found > 0]


class SequenceFiles:
    """The Parquet files of one split of a mixture."""

    def __init__(self, mixture: str, split: Split = "train") -> None:
        """Open a mixture.

        Args:
            mixture: its folder, any fsspec URL.
            split: `train`, or `validation` for what is held out.

        Raises:
            RequestError: there is no complete mixture, it has no such split, or files are missing or of another
                version.
        """
        self.folder = Folder(mixture)
        self.record: MixtureRecord = read_mixture(self.folder)
        self.split = split
        self._table = self.folder / TABLES[split]
        self._names = self._table.names(".parquet")
        self._open: tuple[int, pq.ParquetFile] | None = None
        self._groups: list[tuple[int, int]] = []  # (file, row group)
        self._firsts: list[int] = []  # number of the first sequence of each group
        self._count()

    def _count(self) -> None:
        """Find where each row group begins; footers only."""
        first, length = 0, self.record.sequence_length
        for number, name in enumerate(self._names):
            metadata = self._table.parquet_metadata(name)
            schema = metadata.schema.to_arrow_schema()
            check_version(schema, "tokens", self._table.url(name))
            if schema.field("input_ids").type.list_size != length:
                raise RequestError(
                    f"{self._table.url(name)}: sequences of {schema.field('input_ids').type.list_size} tokens; the "
                    f"record of the mixture says {length}: they are not of one run"
                )
            for group in range(metadata.num_row_groups):
                self._groups.append((number, group))
                self._firsts.append(first)
                first += metadata.row_group(group).num_rows
        self.n_sequences = first
        told = next((entry.rows for entry in self.record.outputs if entry.path == TABLES[self.split]), None)
        if told is not None and told != first:
            raise RequestError(
                f"{self._table.path}: {first:,} sequences are there, {told:,} were written: a file is missing"
            )
        self._base = self._number_of_first() if first else 0

    def _number_of_first(self) -> int:
        table = self._file(0).read_row_group(self._groups[0][1], columns=["sequence"], use_threads=False)
        return int(table.column("sequence")[0].as_py())

    @property
    def n_groups(self) -> int:
        """Number of row groups."""
        return len(self._groups)

    def stretches(self, stage: str | None = None) -> list[Stretch]:
        """The stages in their order, or the one that is named; held-out documents are one.

        Raises:
            RequestError: there is no stage of that name, or nothing in this split.
        """
        if not self.n_sequences:
            raise RequestError(f"{self.folder.path}: {self.split}: holds no sequences")
        found = [Stretch("validation", 0, self.n_sequences)]
        if self.split == "train":
            stages = self.record.stages
            found = [Stretch(of.name, of.first_sequence, of.first_sequence + of.n_sequences) for of in stages]
        if stage is None:
            return found
        chosen = [stretch for stretch in found if stretch.stage == stage]
        if not chosen:
            valid = ", ".join(stretch.stage for stretch in found)
            raise RequestError(f"{self.folder.path}: {self.split}: no stage {stage!r}; valid: {valid}")
        return chosen

    def read(self, first: int = 0, end: int | None = None) -> Iterator[Sequences]:
        """The sequences `first` to `end` (exclusive), a row group or less at a time."""
        end = self.n_sequences if end is None else end
        while first < end:
            found = self.group(self.group_of(first))
            part = found[first - found.first : end - found.first]
            yield part
            first += len(part)

    @property
    def rows_per_group(self) -> int:
        """Sequences in the first row group, which is as large as any."""
        return self._firsts[1] if len(self._firsts) > 1 else self.n_sequences

    def columns(self, names: list[str]) -> Iterator[tuple[int, pa.Table]]:
        """Columns of each row group, without the others, and the number of its first sequence."""
        for number, (of_file, of_group) in enumerate(self._groups):
            yield self._firsts[number], self._file(of_file).read_row_group(of_group, columns=names, use_threads=False)

    def group_of(self, sequence: int) -> int:
        """The row group that holds a sequence."""
        return bisect_right(self._firsts, sequence) - 1

    def group(self, number: int) -> Sequences:
        """The sequences of a row group.

        Raises:
            RequestError: they are not those that are expected there.
        """
        of_file, of_group = self._groups[number]
        table = self._file(of_file).read_row_group(of_group, columns=COLUMNS, use_threads=False)
        found = _sequences(table, self._firsts[number])
        numbers = table.column("sequence").to_numpy()
        wanted = self._base + found.first
        if len(numbers) and not np.array_equal(numbers, np.arange(wanted, wanted + len(numbers))):
            raise RequestError(
                f"{self._table.url(self._names[of_file])}: row group {of_group} begins with sequence {numbers[0]:,}, "
                f"expected {wanted:,} to {wanted + len(numbers) - 1:,}: a file is missing or another one's"
            )
        return found

    def _file(self, number: int) -> pq.ParquetFile:
        """A file, memory-mapped where that is possible; the last one stays open."""
        if self._open is None or self._open[0] != number:
            self.close()
            path = self._table.file(self._names[number])
            if isinstance(self._table.fs, LocalFileSystem):
                self._open = number, pq.ParquetFile(path, memory_map=True)
            else:
                self._open = number, pq.ParquetFile(self._table.fs.open(path, "rb"), pre_buffer=True)
        return self._open[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}  # another process opens files of its own

    def close(self) -> None:
        """Let go of the file that is open; another read opens it again."""
        if self._open is not None:
            self._open[1].close(force=True)
            self._open = None


def _sequences(table: pa.Table, first: int) -> Sequences:
    """The columns of some rows as arrays."""
    ids, starts = (_one(table, name) for name in ("input_ids", "document_starts"))
    offsets = np.asarray(starts.offsets).astype(np.int64)
    return Sequences(
        first,
        table.column("stage").to_pylist(),
        np.asarray(ids.flatten()).reshape(len(ids), -1),
        table.column("n_tokens").to_numpy(),
        table.column("cross_document").to_numpy(),
        offsets - offsets[0],
        np.asarray(starts.flatten()),
    )


def _one(table: pa.Table, name: str) -> pa.Array:
    """A column as one array."""
    column = table.column(name).combine_chunks()
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
