"""Repositories and archives of them: one record per file."""

import os
from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem
from xxhash import xxh3_128

from curation.code.archives import Bounds, Member, clean_path, members, name_of
from curation.code.decompress import BrokenArchiveError
from curation.code.file import FileReader
from curation.code.paths import Chooser, Place, is_own, place_of
from curation.licenses.declared import is_metadata
from curation.read_batch import Batch, Note, Record, Split, batches
from curation.read_files import file_events
from curation.read_stream import READ_BYTES, digest_range, open_input
from manifests.schema import Input, Limits

if TYPE_CHECKING:
    from curation.licenses.detector import LicenseDetector, RepositoryLicense

LICENSE_FILE_BYTES = 512 * 1024
LICENSE_FILES = 2000
"""What is looked at to find a repository's licence: so many texts and so many files of metadata, of these bytes."""


class _Looked:
    """The files that say something of a licence: of too many those that come first, in an order that no archive
    decides; licence texts and metadata each for themselves."""

    def __init__(self) -> None:
        self._found: tuple[list[tuple[int, str, bytes]], ...] = ([], [])
        self.is_partial = False

    def add(self, name: str, content: bytes) -> None:
        found = self._found[is_metadata(name.rpartition("/")[2])]
        insort(found, (name.count("/"), name, content))
        if len(found) > LICENSE_FILES:
            found.pop()
            self.is_partial = True

    def files(self) -> list[tuple[str, bytes]]:
        return sorted((name, content) for found in self._found for _, name, content in found)


def read_code(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of one split of repositories or archives; see `curation.read.read_split`.

    Raises:
        RequestError: a language is unknown, or a library of the extra `onggi[code]` is missing.
    """
    reader = _Reader(item, limits)
    yield from batches(file_events(split, cursor, reader.records_of), split, item, metadata_names)


def check_code(item: Input) -> None:
    """Refuse what `read_code` would refuse, before any work.

    Raises:
        RequestError: as `read_code`.
    """
    FileReader(item.code, _detector(item.code.licenses))
    Chooser(item.code)


def load_licenses(item: Input) -> None:
    """Load what recognises licences, where an input asks for it: more than a gigabyte, once per process."""
    if item.format == "code" and item.code.licenses != "skip":
        from curation.licenses.index import database

        database()


@lru_cache(maxsize=2)
def _detector(licenses: str) -> "LicenseDetector | None":
    if licenses == "skip":
        return None
    from curation.licenses.detector import LicenseDetector

    return LicenseDetector(trust_declared=licenses == "declared")


class _Reader:
    """Records of files and of archives, by the settings of an input."""

    def __init__(self, item: Input, limits: Limits) -> None:
        self._settings = item.code
        self._file_bytes = min(item.code.file_bytes, limits.record_bytes)
        self._bounds = Bounds(item.code.archive_bytes, item.code.archive_files)
        self._detector = _detector(item.code.licenses)
        self._files = FileReader(item.code, self._detector)
        self._is_chosen = Chooser(item.code)
        self._folder: tuple[str, _Repository] | None = None  # the one that was read last

    def records_of(self, folder: str, name: str) -> Iterator[Record | str]:
        """The records of one file of an input: its own, or those of the members of an archive."""
        place = place_of(name, self._settings.repositories, folder)
        if place is None:
            yield "outside a repository"
        elif place.is_archive:
            yield from self._archive(f"{folder}/{name}", place)
        else:
            yield self._file(folder, name, place)

    def _file(self, folder: str, name: str, place: Place) -> Record | str:
        path = f"{folder}/{name}"
        skipped = self._skipped(place.path)
        if skipped:
            return skipped
        record = _record(place, path)
        if "://" not in path and Path(path).is_symlink():
            target = os.fsencode(Path(path).readlink())
            return record.drop("link", f"to {name_of(target)}", *_digest_of(target))
        repository = self._repository(folder if self._settings.repositories == "path" else f"{folder}/{_first(name)}")
        with open_input(path) as file:
            return self._content(record, place.path, file, repository)

    def _content(self, record: Record, path: str, file: BinaryIO | Member, repository: "_Repository") -> Record | str:
        content = file.read(self._file_bytes + 1)
        module = next((outer for outer in repository.submodules if path.startswith(f"{outer}/")), None)
        if module is not None:
            return record.drop("submodule", f"of {module}", *_digest_rest(content, file.read))
        if len(content) <= self._file_bytes:
            return repository.doubted(self._files.fill(record, path, content, repository.licenses))
        digest, n_bytes = _digest_rest(content, file.read)
        record.value, record.threshold = n_bytes, self._file_bytes
        return record.drop("file_too_large", None, digest, n_bytes)

    def _skipped(self, path: str) -> str | None:
        if is_own(path):
            return "of version control"
        return None if self._is_chosen(path) else "not chosen by include and exclude"

    def _repository(self, folder: str) -> "_Repository":
        """What is known of a repository that is a folder: its files that speak of licences are read once."""
        if self._folder is None or self._folder[0] != folder:
            looked = _Looked()
            for path, content in _folder_files(folder, self._wants):
                looked.add(path, content)
            self._folder = folder, self._look(looked.files(), looked.is_partial)
        return self._folder[1]

    def _wants(self, path: str) -> bool:
        """Whether a file says something of all of its repository."""
        return path == ".gitmodules" or (self._detector is not None and bool(self._detector.wants(path)))

    def _look(self, files: Iterable[tuple[str, bytes]], is_partial: bool) -> "_Repository":
        found = dict(files)
        modules = _submodules(found.pop(".gitmodules", b""))
        return _Repository(self._detector.repository(found.items()) if self._detector else None, modules, is_partial)

    def _archive(self, path: str, place: Place) -> Iterator[Record | str]:
        """The members of an archive as records. It is read twice: what it says of its licence may come last."""
        with open_input(path) as file:
            top, files, is_partial = survey(file, path, self._bounds, self._wants)
            repository = self._look(files, is_partial)
            file.seek(0)
            number = 0
            try:
                for number, member in enumerate(members(file, path, self._bounds), 1):
                    yield self._member(member, place.repository, path, top, number, repository)
            except BrokenArchiveError as error:
                record = _record(place, path, number + 1)
                yield record.fail(error.reason, error.detail, *_digest_file(file))

    def _member(
        self, member: Member, name: str, archive: str, top: str, number: int, repository: "_Repository"
    ) -> Record | str:
        if member.kind == "folder":
            return "folder"
        path = below(clean_path(member.name), top)
        place = Place(name, path or member.name)
        record = _record(place, archive, number)
        if path is None:
            return record.drop("unsafe_path", None, *_digest_of(member.name.encode("utf-8", "replace")))
        if skipped := self._skipped(path):
            return skipped
        if member.kind != "file":
            return _not_a_file(record, member)
        try:
            return self._content(record, path, member, repository)
        except BrokenArchiveError as error:
            if error.reason != "malformed_member":
                raise
            return record.fail(error.reason, error.detail, *_digest_of(b""))


class _Repository:
    """What holds for all files of a repository."""

    def __init__(self, licenses: "RepositoryLicense | None", submodules: tuple[str, ...], is_partial: bool) -> None:
        self.licenses, self.submodules, self.is_partial = licenses, submodules, is_partial

    def doubted(self, record: Record | str) -> Record | str:
        """A file as it was read; where not all of the licences was looked at, none is surely permissive."""
        if self.is_partial and not isinstance(record, str) and record.metadata.get("license_verdict"):
            record.notes.append(Note("licenses_unread", f"the repository has over {LICENSE_FILES} files of licences"))
            if record.metadata["license_verdict"] == "permissive":
                record.metadata["license_verdict"] = "unknown"
        return record


def _not_a_file(record: Record, member: Member) -> Record:
    """The record of a link, a device or what needs a password; a link has the digest of where it points."""
    digest = _digest_of((member.detail or "").encode("utf-8", "surrogateescape"))
    if member.kind == "encrypted":
        return record.fail("encrypted", "it needs a password", *digest)
    if member.kind == "link":
        return record.drop("link", f"to {member.detail}", *digest)
    return record.drop("content_type", "a device or a pipe", *digest)


def _record(place: Place, file: str, offset: int = 0) -> Record:
    record = Record(offset=offset, kind="text", key=place.key, category="code", utf8=True, file=file)
    record.metadata = {"repository": place.repository or None, "path": place.path or None}
    return record


def _first(name: str) -> str:
    return name.partition("/")[0]


def _folder_files(folder: str, wants: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """The files of a repository that are wanted, with their paths in it."""
    filesystem, inner = fsspec.core.url_to_fs(folder)
    is_local = isinstance(filesystem, LocalFileSystem)
    for path in sorted(filesystem.find(inner)):
        name = clean_path(path[len(inner) :].lstrip("/"))
        if name is None or is_own(name) or not wants(name):
            continue
        if not is_local or (Path(path).is_file() and not Path(path).is_symlink()):
            with filesystem.open(path, "rb") as file:
                yield name, file.read(LICENSE_FILE_BYTES)


def survey(
    file: BinaryIO, path: str, bounds: Bounds, wants: Callable[[str], bool]
) -> tuple[str, list[tuple[str, bytes]], bool]:
    """The folder that all members of an archive lie in, "" where there is none; the files that are wanted; and
    whether there are more of them than are looked at.

    Where the archive is broken, what comes before the damage counts.
    """
    tops: set[str] = set()
    looked = _Looked()
    try:
        for member in members(file, path, bounds):
            name = clean_path(member.name)
            if name is None or member.kind == "folder":
                continue
            first, _, rest = name.partition("/")
            tops = {""} if not rest or (tops and first not in tops) else tops | {first}
            if member.kind == "file" and (wants(name) or wants(rest) or wants(_of_wheel(name, path))):
                looked.add(name, member.read(LICENSE_FILE_BYTES))
    except BrokenArchiveError:
        pass
    top = next(iter(tops)) if len(tops) == 1 else ""
    inside = [(_of_wheel(below(name, top) or name, path), content) for name, content in looked.files()]
    return top, [(name, content) for name, content in inside if wants(name)], looked.is_partial


def _of_wheel(name: str, archive: str) -> str:
    """A wheel keeps the metadata and the licences of all of it in a folder beside its packages."""
    first, _, rest = name.partition("/")
    is_metadata = archive.lower().endswith(".whl") and first.endswith(".dist-info") and rest
    return rest.removeprefix("license_files/").removeprefix("licenses/") if is_metadata else name


def below(name: str | None, top: str) -> str | None:
    """A path in an archive below the folder that all of it lies in."""
    return name.removeprefix(f"{top}/") if name and top else name


def _submodules(content: bytes) -> tuple[str, ...]:
    """The paths of other repositories that `.gitmodules` names."""
    lines = [line.partition("=") for line in content.decode("utf-8", "replace").splitlines()]
    paths = [clean_path(value.strip()) for name, _, value in lines if name.strip() == "path"]
    return tuple(path for path in paths if path)


def _digest_of(content: bytes) -> tuple[bytes, int]:
    return xxh3_128(content).digest(), len(content)


def _digest_rest(first: bytes, read: Callable[[int], bytes]) -> tuple[bytes, int]:
    """The digest and the size of a file whose first bytes were read already."""
    digest, n_bytes = xxh3_128(first), len(first)
    while block := read(READ_BYTES):
        digest.update(block)
        n_bytes += len(block)
    return digest.digest(), n_bytes


def _digest_file(file: BinaryIO) -> tuple[bytes, int]:
    n_bytes = file.seek(0, 2)
    return digest_range(file, 0, n_bytes), n_bytes
