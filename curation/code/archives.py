"""Archives of source code, read member by member: tar (plain, gzip, bzip2, xz, zstandard), zip, wheels, crates, gems.

Nothing is written to disk. Memory is bounded whatever an archive claims: members are streams, decompression goes
piece by piece, headers and dictionaries have limits, and an archive that decodes to more than it may ends there.
"""

import io
import lzma
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, Protocol

import zstandard

from curation.code.decompress import PIECE_BYTES, BrokenArchiveError, Decompressed
from manifests.schema import MIB

ARCHIVES = (
    *(".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz", ".tar.zst"),
    *(".zip", ".whl", ".crate", ".gem"),
)
"""What archives of repositories are called."""

HEADER_BYTES = 1 * MIB
"""An extended header of tar is held whole; real ones have some hundred bytes."""
LINK_BYTES = 4096
"""Where a link of a zip may point to."""
_BAD = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, tarfile.TarError, zipfile.BadZipFile)
_MALFORMED = (
    *_BAD,
    ValueError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    KeyError,
    IndexError,
)
"""What the libraries raise on archives that are damaged or made to confuse them."""


@dataclass(frozen=True)
class Bounds:
    """What one archive may hold."""

    n_bytes: int  # once decompressed
    n_files: int


class Readable(Protocol):
    """What the content of a member is read from."""

    def read(self, n_bytes: int, /) -> bytes:
        """Up to so many bytes."""


@dataclass
class Member:
    """One member of an archive. `stream` can be read until the next member is asked for."""

    name: str
    kind: Literal["file", "folder", "link", "special", "encrypted"]
    detail: str | None = None  # where a link points
    stream: "Readable" = field(default_factory=io.BytesIO)

    def read(self, n_bytes: int) -> bytes:
        """Up to so many bytes of its content.

        Raises:
            BrokenArchiveError: the content cannot be decompressed.
        """
        try:
            return self.stream.read(n_bytes)
        except BrokenArchiveError:
            raise
        except _MALFORMED as error:
            raise BrokenArchiveError("malformed_member", f"{type(error).__name__}: {error}"[:200]) from error


def archive_ending(name: str) -> str | None:
    """The ending that says that a file is an archive; None where it is none."""
    return next((ending for ending in sorted(ARCHIVES, key=len, reverse=True) if name.lower().endswith(ending)), None)


def members(file: BinaryIO, name: str, bounds: Bounds) -> Iterator[Member]:
    """The members of an archive in their order; the format goes by its first bytes.

    Raises:
        BrokenArchiveError: what follows cannot be read (`malformed_archive`), or is too much (`archive_too_large`).
    """
    try:
        found = _zip_members(file, bounds) if _is_zip(file) else _tar_members(file, name, bounds)
        for n_before, member in enumerate(found):
            if n_before >= bounds.n_files:
                raise BrokenArchiveError("archive_too_large", f"more than {bounds.n_files} members")
            yield member
    except BrokenArchiveError:
        raise
    except _MALFORMED as error:
        raise BrokenArchiveError("malformed_archive", f"{type(error).__name__}: {error}"[:200]) from error


def clean_path(name: str) -> str | None:
    """A member's path below the archive's root, in NFC; None where it leads out of it or means nothing."""
    if "\\" in name and "/" not in name:
        name = name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    is_outside = name.startswith("/") or ".." in parts or (parts and len(parts[0]) == 2 and parts[0][1] == ":")
    if not parts or is_outside or "\0" in name:
        return None
    return unicodedata.normalize("NFC", "/".join(parts))


def _is_zip(file: BinaryIO) -> bool:
    """By its first bytes; a program that unpacks itself has the zip behind it."""
    file.seek(0)
    head = file.read(4)
    is_zip = head in (b"PK\x03\x04", b"PK\x05\x06") or (head[:2] in (b"MZ", b"#!") and zipfile.is_zipfile(file))
    file.seek(0)
    return is_zip


class _TarInfo(tarfile.TarInfo):
    """A member of a tar; a header that is none is an error, not the end, and none may be larger than HEADER_BYTES."""

    _EXTENDED = (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "_TarInfo":
        try:
            return super().fromtarfile(tar)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise BrokenArchiveError("malformed_archive", f"a tar header is broken: {error}") from error

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in self._EXTENDED and not 0 <= self.size <= HEADER_BYTES:
            raise BrokenArchiveError("malformed_archive", f"an extended tar header of {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc, no-any-return]


def _tar_members(file: BinaryIO, name: str, bounds: Bounds) -> Iterator[Member]:
    stream = io.BufferedReader(Decompressed(file, bounds.n_bytes), PIECE_BYTES)
    is_gem = name.lower().endswith(".gem")
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarInfo, encoding="utf-8", errors="surrogateescape") as tar:
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # or it would remember all of them
            member = _tar_member(tar, info)
            if is_gem and member.name == "data.tar.gz" and member.kind == "file":
                yield from _tar_members(io.BytesIO(_whole(member, bounds)), "data.tar.gz", bounds)
            else:
                yield member


def _whole(member: Member, bounds: Bounds) -> bytes:
    """The inner archive of a gem, compressed."""
    content = member.read(min(bounds.n_bytes, 256 * MIB) + 1)
    if len(content) > 256 * MIB:
        raise BrokenArchiveError("archive_too_large", f"its data.tar.gz has more than {256 * MIB} bytes")
    return content


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    name = name_of(info.name.encode("utf-8", "surrogateescape"))
    if info.isdir():
        return Member(name, "folder")
    if info.issym() or info.islnk():
        return Member(name, "link", name_of(info.linkname.encode("utf-8", "surrogateescape")))
    if not info.isreg():
        return Member(name, "special")
    if info.issparse():  # it claims any size, and is given as zeros that nobody stored
        return Member(name, "special", "a sparse file")
    stream = tar.extractfile(info)
    return Member(name, "file", stream=stream) if stream else Member(name, "special")


def _zip_members(file: BinaryIO, bounds: Bounds) -> Iterator[Member]:
    n_left = bounds.n_bytes
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            name = info.filename if info.flag_bits & 0x800 else name_of(_raw_name(info.orig_filename))
            if info.is_dir():
                yield Member(name, "folder")
            elif info.flag_bits & 1:
                yield Member(name, "encrypted")
            elif stat.S_ISLNK(mode):
                yield _zip_link(archive, info, name)
            elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                yield Member(name, "special")
            else:
                stream = _Lazy(archive, info, n_left)
                yield Member(name, "file", stream=stream)
                n_left -= stream.n_out


def _zip_link(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Member:
    """A link; of one that is damaged nobody knows where it points, and the members after it are read."""
    try:
        return Member(name, "link", name_of(archive.open(info).read(LINK_BYTES)))
    except _MALFORMED:
        return Member(name, "link", "nowhere: its content is damaged")


class _Lazy:
    """A member of a zip that is opened when it is read, and counted."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit_bytes: int) -> None:
        self._archive, self._info, self._limit_bytes = archive, info, limit_bytes
        self._stream: Any = None
        self.n_out = 0

    def read(self, n_bytes: int = -1) -> bytes:
        self._stream = self._stream or self._archive.open(self._info)
        data: bytes = self._stream.read(n_bytes)
        self.n_out += len(data)
        if self.n_out > self._limit_bytes:
            raise BrokenArchiveError("archive_too_large", "its members hold more bytes than an archive may")
        return data


def _raw_name(name: str) -> bytes:
    """The bytes of a name that zipfile read as code page 437."""
    try:
        return name.encode("cp437")
    except UnicodeEncodeError:
        return name.encode("utf-8", "replace")


def name_of(raw: bytes) -> str:
    """A name in UTF-8, as most tools write it, or in CP949, as Korean Windows does."""
    for charset in ("utf-8", "cp949"):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")
