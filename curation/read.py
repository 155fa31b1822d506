"""Reading: input files found by name, cut into splits of bounded size, and read as batches of records.

Every record of an input becomes exactly one row: to go on, dropped (not a document: HTTP status, content type) or
failed with the error. docs/reading.md says what becomes what.
"""

import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from xxhash import xxh3_128, xxh3_128_hexdigest

from curation.code.paths import is_own, place_of
from curation.datatrove_bridge import check_reader, read_datatrove
from curation.latex.licenses import check_licenses
from curation.read_batch import Batch, Split
from curation.read_code import check_code, read_code
from curation.read_crawl import plan_crawl, read_crawl
from curation.read_jsonl import cut_jsonl, read_jsonl
from curation.read_latex import read_latex
from curation.read_mediawiki import check_mediawiki, cut_mediawiki, read_mediawiki
from curation.read_parquet import check_columns, cut_parquet, open_parquet, read_parquet
from curation.read_pdf import check_pdf, read_pdf
from curation.read_stream import digest_range, open_input
from curation.read_text import read_text
from curation.read_warc import read_warc
from curation.read_warc_frames import cut_warc
from curation.template import compile_template
from manifests.errors import MissingExtra, RequestError
from manifests.schema import Input, Limits

__all__ = ["Batch", "InputFile", "Split", "find_files", "plan_splits", "read_split"]

FORMATS = {
    "warc": (".warc", ".warc.gz", ".warc.wet", ".warc.wet.gz"),
    "jsonl": (".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".ndjson.gz", ".ndjson.zst"),
    "parquet": (".parquet",),
    "text": (".txt", ".md"),
    "code": ("",),
    "pdf": (".pdf",),
    "mediawiki": (".xml", ".xml.bz2", ".xml.gz"),
    "latex": (".gz", ".tgz", ".tar", ".tex", ".ltx", ".latex", ".pdf"),
}
"""What a format's files are called."""

BY_REQUEST = frozenset({"latex", "mediawiki", "code", "pdf"})
"""Formats that a name does not tell; `format` asks for them."""

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")
"""What may hold a repository, or (but for `.zip`) the sources of a paper."""

_SUGGESTED = ("warc", "jsonl", "parquet", "text", "pdf", "mediawiki", "latex")
"""Formats that are proposed for a file by its name: the first that fits."""
N_NAMES = 3
"""Files that are named where none of a folder is read."""

FILES_PER_SPLIT = 10_000

BY_FILE = frozenset({"text", "latex", "code", "pdf"})
"""Formats whose files are not cut: a split holds some of them, whole."""

NO_COLUMNS = {
    "warc": {"text", "html", "charset", "template"},
    **{
        name: {"text", "html", "template", "key", "url", "date", "license", "category", "charset"}
        for name in ("text", "latex", "mediawiki", "code", "pdf")
    },
}
"""What cannot be mapped, since the format has no columns; what its records say of themselves its reader fills in."""

_READERS: dict[str, Callable[..., Iterator[Batch]]] = {
    "crawl": read_crawl,
    "datatrove": read_datatrove,
    "warc": read_warc,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "text": read_text,
    "code": read_code,
    "pdf": read_pdf,
    "mediawiki": read_mediawiki,
    "latex": read_latex,
}


_CUTTERS = {"warc": cut_warc, "jsonl": cut_jsonl, "mediawiki": cut_mediawiki}
"""Where files of a format may be cut, by bytes."""


@dataclass(frozen=True)
class InputFile:
    """A file of an input; `root` and `name` joined by a slash are its path."""

    root: str  # the folder that the input names, or the part of its glob before the first wildcard
    name: str
    format: str
    size_bytes: int

    @property
    def path(self) -> str:
        """An fsspec URL or an absolute path."""
        return f"{self.root}/{self.name}"


def find_files(item: Input, base: str, leave_out: str | None = None) -> list[InputFile]:
    """The files of an input, ordered by path. Relative paths start at `base`, a folder or an fsspec URL.

    Of a folder, the files are taken whose names tell the format; hidden ones (`.`, `_`) are not. What a path or a
    glob names is taken whatever it is called, if `format` says what it is. What lies in the folder `leave_out` (the
    run's output, which may be inside an input) is not taken.

    Raises:
        RequestError: nothing matches, or the format of a file cannot be told.
    """
    filesystem, pattern = fsspec.core.url_to_fs(_absolute(item.path, base))
    pattern = pattern.rstrip("/") or pattern
    literal = filesystem.exists(pattern)
    found = {pattern: filesystem.info(pattern)} if literal else filesystem.glob(pattern, detail=True)
    is_folder = literal and found[pattern]["type"] == "directory"
    root = pattern if is_folder else _parent(pattern) if literal else _fixed_part(pattern)
    files = []
    for path, info in found.items():
        if info["type"] == "directory":
            inside = filesystem.find(path, detail=True)
            files += [_input_file(filesystem, root, p, i, item, named=False) for p, i in inside.items()]
        else:
            files.append(_input_file(filesystem, root, path, info, item, named=True))
    is_own = _inside(leave_out) if leave_out else lambda path: False
    taken = {file.path: file for file in files if file and not is_own(file.path)}
    if not taken:
        inside = filesystem.find(pattern) if is_folder else []
        there = sorted(path[len(root) :].lstrip("/") for path in inside if not is_own(path))
        names = ", ".join(suffix for name in _formats(item) for suffix in FORMATS[name])
        raise RequestError(
            f"source {item.source!r}: nothing to read at {item.path!r} ({pattern}); looked for {names}"
            f"{_what_lies_there(there, item)}"
        )
    return [taken[path] for path in sorted(taken)]


def _what_lies_there(names: list[str], item: Input) -> str:
    """Of files that are not read, the first names, and the formats that would read them."""
    shown = [name for name in names if not any(part[0] in "._" for part in name.split("/"))]
    if not shown:
        return ""
    others = f" and {len(shown) - N_NAMES:,} more" if len(shown) > N_NAMES else ""
    fitting = {kind: None for name in shown for kind in _fitting(name) if kind != item.format}
    hint = f"; to read them say `format: {'` or `format: '.join(fitting)}`" if fitting else ""
    return f"; there is {', '.join(map(_printable, shown[:N_NAMES]))}{others}{hint}"


def _printable(name: str) -> str:
    """A name that can be printed."""
    return name if name.isprintable() else ascii(name)


def _fitting(name: str) -> list[str]:
    """The formats that a file of this name may have."""
    name = name.lower()
    if name.endswith(ARCHIVES):
        return ["latex", "code"] if name.endswith(FORMATS["latex"]) else ["code"]
    return [kind for kind in _SUGGESTED if name.endswith(FORMATS[kind])][:1]


def plan_splits(item: Input, base: str, shard_bytes: int, leave_out: str | None = None) -> list[Split]:
    """The splits of an input, of about `shard_bytes` of its files as stored (Parquet: before compression).

    Together they hold each record exactly once. Files that are one compressed stream are one split. Local files are
    read once, for their digest.

    Raises:
        RequestError: as `find_files`; and where the mapping names columns that are not there.
    """
    if item.crawl:
        with _of_source(item):
            return plan_crawl(item, _absolute(item.path, base) if item.path else "")
    files = find_files(item, base, leave_out)
    with _of_source(item):
        _check_mapping(item, {file.format for file in files})
    splits = [split for file in files if file.format not in BY_FILE for split in _splits_of(file, item, shard_bytes)]
    for name in sorted(BY_FILE):
        splits += _splits_of_files([file for file in files if file.format == name], item, shard_bytes)
    return splits


def read_split(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """The records of a split in batches of at most 4 MiB of content, or one larger record.

    Args:
        cursor: of a batch read before, to get exactly what follows it; 0 for all.
        metadata_names: the fields of the `metadata` struct; those that the input does not map are null.

    Raises:
        RequestError: a Parquet file without the columns that the input maps.
        RunError: a damaged Parquet file. Whatever is wrong with other records becomes a failed row.
    """
    return _READERS[split.format](split, item, limits, metadata_names, cursor)


@contextmanager
def _of_source(item: Input) -> Iterator[None]:
    """Name the source that asks for what is not installed."""
    try:
        yield
    except MissingExtra as error:
        raise MissingExtra(f"source {item.source!r}: {error}") from error


def _check_mapping(item: Input, formats: set[str]) -> None:
    """Refuse columns that a format cannot have.

    Raises:
        RequestError: names the fields of the input.
    """
    check_reader(item)
    check_licenses(item.latex.licenses)
    if "pdf" in formats:
        check_pdf()
    if "mediawiki" in formats:
        check_mediawiki()
    if "code" in formats:
        check_code(item)
    if item.template:
        compile_template(item.template, f"source {item.source!r}")
    for kind in sorted(formats & NO_COLUMNS.keys()):
        columns = NO_COLUMNS[kind] | ({"metadata"} if kind == "text" else set())
        given = sorted(name for name in columns if getattr(item, name))
        if given:
            raise RequestError(
                f"source {item.source!r}: {', '.join(given)} cannot be mapped: {item.path!r} holds files of the "
                f"format {kind}, which has no such columns; constants go under `set`"
            )


def _absolute(path: str, base: str) -> str:
    if "://" in path or "::" in path or Path(path).is_absolute():
        return path
    if "://" in base:
        return f"{base}{path}" if base.endswith("/") else f"{base}/{path}"
    return str(Path(base, path).absolute())


def _inside(folder: str) -> Callable[[str], bool]:
    """Whether a path lies in a folder, whichever way both are written."""
    filesystem, own = fsspec.core.url_to_fs(folder)
    own = f"{posixpath.normpath(own)}/"

    def is_inside(path: str) -> bool:
        protocol = path.partition("://")[0] if "://" in path else "file"
        same = protocol == filesystem.protocol or protocol in filesystem.protocol
        return same and posixpath.normpath(filesystem._strip_protocol(path)).startswith(own)

    return is_inside


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _fixed_part(pattern: str) -> str:
    return _parent(pattern[: min((pattern.find(c) for c in "*?[" if c in pattern), default=None)])


def _formats(item: Input) -> list[str]:
    return [name for name in FORMATS if name not in BY_REQUEST] if item.format == "auto" else [item.format]


def _format_of(name: str, item: Input) -> str | None:
    if item.datatrove:
        return "datatrove"
    return next((f for f in _formats(item) if name.lower().endswith(FORMATS[f])), None)


def _input_file(
    filesystem: fsspec.AbstractFileSystem, root: str, path: str, info: dict[str, object], item: Input, *, named: bool
) -> InputFile | None:
    name = path[len(root) :].lstrip("/")
    kind = _format_of(name, item)
    if kind is None and named:
        if item.format == "auto":
            names = ", ".join(suffix for name in _formats(item) for suffix in FORMATS[name])
            raise RequestError(
                f"source {item.source!r}: the name of {path!r} does not tell its format; known are {names}, or give "
                f"`format`: {', '.join(FORMATS)}"
            )
        kind = item.format
    if kind is None or (not named and _is_passed_over(name, kind, info)):
        return None
    if not path.isprintable() and any("\ud800" <= character <= "\udfff" for character in path):
        raise RequestError(f"source {item.source!r}: {path!a}: its name is not UTF-8; rename it")
    local = isinstance(filesystem, LocalFileSystem)
    return InputFile(root if local else filesystem.unstrip_protocol(root), name, kind, int(str(info["size"])))


def _is_passed_over(name: str, kind: str, info: dict[str, object]) -> bool:
    """Whether a file in a folder is hidden; of a repository all is read but what git and its like keep, and pipes."""
    if kind == "code":
        return is_own(name) or not (info["type"] == "file" or info.get("islink"))
    return any(part[0] in "._" for part in name.split("/"))


def _digest(path: str) -> str:
    """XXH3-128 of a local file's bytes; of a remote one's size and tag, since reading it twice costs."""
    filesystem, inner = fsspec.core.url_to_fs(path)
    if isinstance(filesystem, LocalFileSystem):
        if Path(inner).is_symlink() and not Path(inner).is_file():  # to nothing, or to a folder
            return xxh3_128_hexdigest(str(Path(inner).readlink()).encode("utf-8", "surrogateescape"))
        with open(inner, "rb") as file:
            return digest_range(file, 0, filesystem.size(inner)).hex()
    info = filesystem.info(inner)
    tag = next((str(info[k]) for k in ("ETag", "etag", "md5Hash", "content_md5") if info.get(k)), None)
    return xxh3_128_hexdigest(f"{info['size']} {tag or filesystem.ukey(inner)}".encode())


def _splits_of(file: InputFile, item: Input, shard_bytes: int) -> Iterator[Split]:
    if file.format == "datatrove":
        yield Split(item.source, file.path, file.format, 0, 1, file.size_bytes, _digest(file.path))
        return
    with open_input(file.path) as opened:
        if file.format == "parquet":
            parquet = open_parquet(opened, file.path)
            check_columns(parquet, item, file.path)
            bounds = cut_parquet(parquet, shard_bytes)
        else:
            bounds = _CUTTERS[file.format](opened, file.path, file.size_bytes, shard_bytes)
    digest = _digest(file.path)
    for start, end in pairwise(bounds):
        yield Split(item.source, file.path, file.format, start, end, file.size_bytes, digest)


def _splits_of_files(files: list[InputFile], item: Input, shard_bytes: int) -> list[Split]:
    groups: list[list[InputFile]] = []
    n_bytes = 0
    of, last = "", ""
    for file in files:
        if item.format == "code":
            of = _repository(file, item)
        is_full = n_bytes + file.size_bytes > shard_bytes or (groups and len(groups[-1]) >= FILES_PER_SPLIT)
        if not groups or (is_full and (not of or of != last)):
            groups.append([])
            n_bytes = 0
        groups[-1].append(file)
        n_bytes += file.size_bytes
        last = of
    return [_split_of_files(group, item) for group in groups]


def _repository(file: InputFile, item: Input) -> str:
    """The repository that a file belongs to: it is not cut, since its licence is that of all its files."""
    place = place_of(file.name, item.code.repositories, file.root)
    return place.repository if place else ""


def _split_of_files(files: list[InputFile], item: Input) -> Split:
    digest = xxh3_128()
    for file in files:
        digest.update(f"{file.name}\0{file.size_bytes}\0{_digest(file.path)}\0".encode())
    return Split(
        source=item.source,
        path=files[0].root,
        format=files[0].format,
        start=0,
        end=len(files),
        file_bytes=sum(file.size_bytes for file in files),
        file_digest=digest.hexdigest(),
        files=tuple(file.name for file in files),
    )
