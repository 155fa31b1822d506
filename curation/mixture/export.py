"""`onggi export`: a finished mixture in the format of another trainer, whole or not at all."""

import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from pydantic import BaseModel, ConfigDict

from curation.mixture.export_datatrove import write_datatrove
from curation.mixture.export_mds import write_mds
from curation.mixture.export_megatron import write_megatron
from curation.mixture.export_specs import write_interleave, write_megatron_blend, write_olmo_core
from curation.mixture.sequences import TABLES, SequenceFiles, Sequences, Split, Stretch
from manifests.errors import RequestError
from manifests.store import Folder

Format = Literal["megatron", "mds", "datatrove", "olmo-core", "megatron-blend", "hf-interleave"]
FORMATS: tuple[Format, ...] = get_args(Format)
TOKENS = {"megatron": write_megatron, "mds": write_mds, "datatrove": write_datatrove}
SPECS = {"olmo-core": write_olmo_core, "megatron-blend": write_megatron_blend, "hf-interleave": write_interleave}

RECORD = "export.json"
"""What was exported from what; written last. A folder that holds it may be exported to again."""

Progress = Callable[[int, int], None]
"""Is told how many sequences are done, of how many."""


class ExportRecord(BaseModel):
    """What was exported, from what."""

    model_config = ConfigDict(frozen=True)

    format: str
    mixture: str
    fingerprint: str
    """Of the mixture."""
    tokenizer_digest: str
    vocab_size: int
    eod_id: int
    pad_id: int
    sequence_length: int
    split: str
    stages: list[str]
    documents: bool
    n_sequences: int
    n_tokens: int
    files: dict[str, int]
    """Size in bytes by name."""


@dataclass(frozen=True)
class Export:
    """What is wanted."""

    mixture: str
    """Folder of a finished mixture."""
    format: Format
    output: str
    """Folder that is made."""
    split: Split = "train"
    stage: str | None = None
    """Only this one."""
    documents: bool = False
    """One entry per document without padding, instead of the packed sequences as they stand (megatron, datatrove)."""
    paths: str | None = None
    """Where the consumer finds a source, with `{source}` for its name (specifications)."""


@dataclass
class _Read:
    """Counts what goes through."""

    files: SequenceFiles
    stretches: list[Stretch]
    tell: Progress
    n_sequences: int = 0
    n_tokens: int = 0
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(stretch.end - stretch.first for stretch in self.stretches)

    def stages(self) -> Iterator[tuple[str, Iterator[Sequences]]]:
        """Each stage with its sequences."""
        for stretch in self.stretches:
            if stretch.end > stretch.first:
                yield stretch.stage, self._sequences(stretch)

    def _sequences(self, stretch: Stretch) -> Iterator[Sequences]:
        for part in self.files.read(stretch.first, stretch.end):
            yield part
            self.n_sequences += len(part)
            self.n_tokens += int(part.n_tokens.sum())
            self.tell(self.n_sequences, self.total)


def requested(
    mixture: str, format_: str, output: str, split: str, stage: str | None, documents: bool, paths: str | None
) -> Export:
    """What is wanted, from words.

    Raises:
        RequestError: there is no such format or split.
    """
    for what, word, valid in (("format", format_, FORMATS), ("split", split, tuple(TABLES))):
        if word not in valid:
            raise RequestError(f"no {what} {word!r}; valid: {', '.join(valid)}")
    return Export(mixture, cast(Format, format_), output, cast(Split, split), stage, documents, paths)


def export(wanted: Export, tell: Progress = lambda done, total: None) -> ExportRecord:
    """Write a mixture, or what it is made of, in another format.

    Raises:
        RequestError: there is no complete mixture; the format, the stage or an option does not fit; the output folder
            holds something that no export wrote.
        RunError: the disk is full, or ids do not fit the tokenizer that the mixture names.
    """
    _check(wanted)
    files = SequenceFiles(wanted.mixture, wanted.split)
    read = _Read(files, files.stretches(wanted.stage), tell)
    with _replacing(wanted.output) as folder:
        if wanted.format in TOKENS:
            TOKENS[wanted.format](read.stages(), files.record, folder, wanted.documents)
        else:
            SPECS[wanted.format](files.record, files.folder, read.stretches, folder, wanted.paths)
        record = _record(wanted, read, folder)
        folder.write_json(RECORD, record.model_dump())
    files.close()
    return record


def _check(wanted: Export) -> None:
    """That the options fit each other."""
    if wanted.documents and wanted.format not in ("megatron", "datatrove"):
        raise RequestError(f"{wanted.format}: --documents is for megatron and datatrove")
    if wanted.paths is not None and wanted.format not in SPECS:
        raise RequestError(f"{wanted.format}: --paths is for {', '.join(SPECS)}")
    if wanted.format in SPECS and wanted.split != "train":
        raise RequestError(f"{wanted.format}: says how training is mixed; --split is for token formats")


@contextmanager
def _replacing(output: str) -> Iterator[Folder]:
    """A folder beside the output, which takes its place when the block ends well.

    Raises:
        RequestError: the output holds something that no export wrote.
    """
    there = Folder(output)
    if "://" in there.path and there.path.count("/") < 3:
        raise RequestError(f"{output}: is a whole bucket; name a folder in it")
    if there.fs.exists(there.root) and not there.fs.isdir(there.root):
        raise RequestError(f"{output}: is a file; name a folder")
    if foreign := _foreign(there):
        raise RequestError(f"{output}: holds what no export wrote ({foreign[0]}); name another folder")
    parent, name = Folder(posixpath.dirname(there.path) or "."), posixpath.basename(there.path)
    aside = parent / f".{name}.partial"
    parent.remove(f".{name}.partial")  # of one that was killed
    try:
        yield aside
        parent.move_in(aside, name)
    finally:
        parent.remove(f".{name}.partial")


def _foreign(there: Folder) -> list[str]:
    """What stands in a folder and is not of an earlier export, nor a cache that Megatron keeps beside its files."""
    own = {RECORD, *there.folders()} if there.exists(RECORD) else set[str]()
    if own:
        own.update(there.read_json(RECORD).get("files", ()))
    return [name for name in there.names() if name not in own]


def _record(wanted: Export, read: _Read, folder: Folder) -> ExportRecord:
    mixture = read.files.record
    return ExportRecord(
        format=wanted.format,
        mixture=mixture.name,
        fingerprint=mixture.fingerprint,
        tokenizer_digest=mixture.tokenizer.digest,
        vocab_size=mixture.tokenizer.vocab_size,
        eod_id=mixture.tokenizer.eod_id,
        pad_id=mixture.tokenizer.pad_id,
        sequence_length=mixture.sequence_length,
        split=wanted.split,
        stages=[stretch.stage for stretch in read.stretches],
        documents=wanted.documents,
        n_sequences=read.n_sequences,
        n_tokens=read.n_tokens,
        files={name: folder.size_bytes(name) for name in folder.names()},
    )
