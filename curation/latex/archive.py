"""The files of a submission as arXiv serves it: a tar, gzipped or not, one gzipped file, or the file itself.

Nothing is written to disk, no link is followed, and what is decoded never exceeds a limit.
"""

import io
import re
import tarfile
import zlib
from dataclasses import dataclass, field

from xxhash import xxh3_128, xxh3_128_digest

from curation.charset import codec, decode
from curation.latex.main_file import SUFFIXES

GZIP, TAR_AT, TAR = b"\x1f\x8b", 257, b"ustar"
N_MEMBERS_MAX = 10_000
"""Files of one submission; arXiv's largest have some thousands."""
TEXT_SUFFIXES = (
    *SUFFIXES,
    ".sty",
    ".cls",
    ".bbl",
    ".def",
    ".ldf",
    ".clo",
    ".txt",
    ".src",
    ".inc",
    ".tikz",
    ".pgf",
    ".xxx",
)
BINARY_SUFFIXES = (
    ".pdf", ".eps", ".ps", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".bib", ".bst", ".csv", ".dat", ".zip", ".mp4",
    ".avi",
    ".epsi", ".ttf", ".otf", ".pfb", ".tfm", ".vf", ".xlsx", ".docx", ".py", ".m", ".ipynb", ".log", ".aux", ".gz",
)  # fmt: skip
ANCILLARY = "anc/"
"""Where arXiv keeps what belongs to a paper and is not part of it."""
INPUTENC = re.compile(
    rb"\\(?:usepackage|RequirePackage)\s*\[([\w.-]{1,20})\]\s*\{inputenc\}|\\inputencoding\{([\w.-]{1,20})\}"
)
KOREAN_PACKAGES = re.compile(
    rb"\\usepackage\s*(?:\[[^\]\n]{0,200}\])?\s*\{(?:hangul|hfont|hlatex|hangulcm|hanmacro)\}"
)
INPUT_ENCODINGS = {"latin9": "iso-8859-15", "ansinew": "windows-1252", "applemac": "macintosh", "utf8x": "utf-8"}
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class BrokenArchiveError(Exception):
    """An archive that cannot be read to its end: `reason` as in the ledger, `detail` in words."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(detail)


class TooLargeError(Exception):
    """More than the limit when decoded."""


@dataclass
class Submission:
    """Files by their names in the archive; `digest` does not depend on their order or on compression."""

    files: dict[str, bytes]
    digest: bytes
    left_out: list[str] = field(default_factory=list)
    """Links and names that lead out of the archive."""


def unpack(content: bytes, name: str, bytes_max: int) -> Submission:
    """The files of a submission; `name` is what a single file is called.

    Raises:
        BrokenArchiveError: damaged gzip or tar.
        TooLargeError: more than `bytes_max` bytes, or than `N_MEMBERS_MAX` files.
    """
    if content.startswith(GZIP):
        content = gunzip(content, bytes_max)
    if is_tar(content) or (content and not content.strip(b"\0")):  # of no files, a tar is two blocks of zeros
        return _untar(content, bytes_max)
    if len(content) > bytes_max:
        raise TooLargeError
    return Submission({name: content}, xxh3_128_digest(content))


def is_tar(content: bytes) -> bool:
    """Whether bytes begin a tar archive: by its magic, or, in old ones, by the checksum of its header."""
    if content[TAR_AT : TAR_AT + len(TAR)] == TAR:
        return True
    header = content[:512]
    if len(header) < 512 or not header[148:156].strip(b" \0"):
        return False
    try:
        declared = int(header[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    return declared == sum(header[:148]) + 256 + sum(header[156:])


GZIP_PIECE_BYTES = 1 << 16
"""Of gzip data that is decoded at once: what is left of it behind a member is copied."""


def gunzip(content: bytes, bytes_max: int) -> bytes:
    """The decoded members of gzip data.

    Raises:
        BrokenArchiveError: `malformed_gzip` or `truncated`.
        TooLargeError: more than `bytes_max` bytes.
    """
    parts: list[bytes] = []
    left, at, view = bytes_max, 0, memoryview(content)
    while content.startswith(GZIP, at):
        decoder = zlib.decompressobj(31)
        while at < len(content) and not decoder.eof:
            piece = bytes(view[at : at + GZIP_PIECE_BYTES])
            at += len(piece)
            try:
                parts.append(decoder.decompress(piece, left + 1))
            except zlib.error as error:
                raise BrokenArchiveError("malformed_gzip", str(error)) from None
            left -= len(parts[-1])
            if left < 0:
                raise TooLargeError
        if not decoder.eof:
            raise BrokenArchiveError("truncated", "the gzip member ends early")
        at -= len(decoder.unused_data)
    return b"".join(parts)


def _untar(content: bytes, bytes_max: int) -> Submission:
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    n_bytes = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for number, member in enumerate(archive):
                if number >= N_MEMBERS_MAX:
                    raise TooLargeError
                name = member_name(member.name)
                if not member.isreg() or name is None:
                    left_out += [] if member.isdir() else [_printable(member.name)]
                    continue
                n_bytes += member.size
                if n_bytes > bytes_max:
                    raise TooLargeError
                _add(files, name, _content(archive, member))
    except (tarfile.TarError, EOFError, ValueError, OverflowError, UnicodeError) as error:
        reason = "truncated" if "unexpected end" in str(error) else "malformed_tar"
        raise BrokenArchiveError(reason, str(error)[:200]) from None
    return Submission(files, _digest(files), sorted(left_out))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = archive.extractfile(member)
    data = opened.read(member.size) if opened else b""
    if len(data) < member.size:
        raise BrokenArchiveError("truncated", f"{_printable(member.name)} ends early")
    return data


def _add(files: dict[str, bytes], name: str, data: bytes) -> None:
    """Of two members of one name the one counts that compares greater: the order of members never matters."""
    files[name] = max(files.get(name, b""), data)


def _digest(files: dict[str, bytes]) -> bytes:
    digest = xxh3_128()
    for name in sorted(files):
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0" + xxh3_128_digest(files[name]))
    return digest.digest()


def member_name(name: str) -> str | None:
    """A member's name as the source names it: relative and normal; None where it leads out of the archive."""
    try:
        text = decode(name.encode("utf-8", "surrogateescape")).text
    except UnicodeEncodeError:
        return None
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        return None
    return "/".join(parts)


def _printable(name: str) -> str:
    return ascii(name)[1:-1][:200]


def sources(submission: Submission) -> dict[str, str]:
    """The files that may be TeX source, decoded, with `\\n` as line ends and without control characters.

    Each file is decoded by itself: UTF-8 where it is that, else what inputenc or the Korean packages of old say, else
    what is detected.
    """
    declared = _declared(submission.files)
    found: dict[str, str] = {}
    for name in sorted(submission.files):
        data = submission.files[name]
        if not name.startswith(ANCILLARY) and is_source(name, data):
            text = decode(data, declared).text.replace("\r\n", "\n").replace("\r", "\n")
            found[name] = CONTROL.sub("", text)
    return found


def is_source(name: str, data: bytes) -> bool:
    """Whether a file may be TeX: by its name, or where that says nothing, by what it begins with."""
    lower = name.lower()
    if lower.endswith(TEXT_SUFFIXES) or lower.rpartition("/")[2].startswith("00readme"):
        return kind_of(data) is None
    return (
        not lower.endswith(BINARY_SUFFIXES) and kind_of(data) is None and b"\0" not in data[:1024] and b"\\" in data
    )


def kind_of(data: bytes) -> str | None:
    """What data is that is not TeX for certain, or None."""
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        return "empty"
    if start.startswith(b"%PDF"):
        return "PDF"
    if start.startswith((b"%!PS", b"%!Adobe", b"\x04%!PS", b"\xc5\xd0\xd3\xc6")):
        return "PostScript"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip (or a document of Word)"
    if start.startswith(b"\x1f\x9d"):
        return "compress (.Z)"
    if re.match(rb"(?i)<(?:!doctype\s+html|html|\?xml|head|body)\b", start):
        return "HTML"
    return "binary data" if b"\0" in data[:1024] else None


def _declared(files: dict[str, bytes]) -> str | None:
    """The charset that any source names; UTF-8 is tried before it all the same where it proves nothing."""
    for name in sorted(files):
        if name.lower().endswith((*SUFFIXES, ".sty", ".cls")) or "." not in name:
            found = INPUTENC.search(files[name][:65_536])
            if found:
                label = (found[1] or found[2]).decode("ascii").lower()
                return codec(INPUT_ENCODINGS.get(label, label))
            if KOREAN_PACKAGES.search(files[name][:65_536]):
                return "euc-kr"
    return None
