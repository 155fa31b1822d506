"""datatrove's `.ds` files: ids one after the other, with `.ds.index` (where documents end) and `.ds.metadata`.

`DatatroveFolderDataset(..., seq_len=L - 1)` reads windows of L tokens that do not overlap. The packed sequences stand
in the files with their padding, and each file holds whole ones, so a window is a packed sequence; padding counts as a
document of its own in the index. With `documents` padding is left out, for those who cut at another length.

Format: `datatrove/pipeline/tokens/tokenizer.py`, `datatrove/utils/dataset.py`.
"""

from collections.abc import Iterable, Iterator

from curation.mixture.export_megatron import id_bytes, id_type
from curation.mixture.record import MixtureRecord
from curation.mixture.sequences import Sequences
from manifests.store import Folder

FILE_TOKENS = 1 << 30
"""Tokens per file, about."""


def write_datatrove(
    stages: Iterable[tuple[str, Iterable[Sequences]]], mixture: MixtureRecord, folder: Folder, documents: bool
) -> None:
    """Write NUMBER_STAGE.ds files, which sort in the order of training."""
    number, per_file = 0, max(1, FILE_TOKENS // mixture.sequence_length)
    for stage, sequences in stages:
        for parts in in_files(sequences, per_file):
            _write_file(parts, f"{number:05d}_{stage}.ds", mixture, folder, documents)
            number += 1


def in_files(sequences: Iterable[Sequences], per_file: int) -> Iterator[Iterator[Sequences]]:
    """The sequences in runs of `per_file`; each run is to be gone through before the next."""
    pending = iter(sequences)
    left = next(pending, None)

    def one_file() -> Iterator[Sequences]:
        nonlocal left
        room = per_file
        while left is not None and room:
            part, room = left[:room], room - len(left[:room])
            left = left[len(part) :] if len(part) < len(left) else None
            yield part
            if left is None:
                left = next(pending, None)

    while left is not None:
        yield one_file()


def _write_file(
    parts: Iterator[Sequences], name: str, mixture: MixtureRecord, folder: Folder, documents: bool
) -> None:
    kind, n_tokens = id_type(mixture.tokenizer.vocab_size, "uint32"), 0
    with (
        folder.writing(f"{name}.index") as index_path,
        folder.fs.open(index_path, "wb") as index,
        folder.writing(name) as path,
        folder.fs.open(path, "wb") as out,
    ):
        for part in parts:
            content = id_bytes(part, kind, padding=not documents)
            out.write(content)
            index.write((part.span_ends(padding=not documents) + n_tokens).astype("<u8").tobytes())
            n_tokens += len(content) // kind.itemsize
    about = [f"{_tokenizer_name(mixture)}|{kind.itemsize}", str(n_tokens), _metric(n_tokens)]
    folder.write_bytes(f"{name}.metadata", "\n".join(about).encode())


def _tokenizer_name(mixture: MixtureRecord) -> str:
    """The path of the tokenizer; a bar or a new line would end the field."""
    return "".join("_" if char in "|\r\n" else char for char in mixture.tokenizer.path)


def _metric(n_tokens: int) -> str:
    """A number of tokens for people, as datatrove writes it: 1.23 MT."""
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if n_tokens >= 10**power:
            value = n_tokens / 10**power
            return f"{value:.{2 - min(2, len(str(int(value))) - 1)}f} {prefix}T"
    return f"{n_tokens} T"
