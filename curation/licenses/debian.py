"""`debian/copyright` in its machine-readable form, and the same of REUSE (`.reuse/dep5`): a licence for each file.

https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/: paragraphs of fields; `Files` holds patterns in
which `*` and `?` also match `/`; of several paragraphs that match a file the last counts; the first line of `License`
names it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from curation.licenses.verdicts import canonical, verdict_of

SHORT = {
    "agpl": "AGPL",
    "apache": "Apache",
    "artistic": "Artistic",
    "gpl": "GPL",
    "lgpl": "LGPL",
    "mpl": "MPL",
    "gfdl": "GFDL",
    "zpl": "ZPL",
    "afl": "AFL",
    "epl": "EPL",
    "cddl": "CDDL",
    "lppl": "LPPL",
    "ofl": "OFL",
}
NAMES = {
    "expat": "MIT",
    "mit": "MIT",
    "public-domain": "LicenseRef-scancode-public-domain",
    "pd": "LicenseRef-scancode-public-domain",
    "bsd": "BSD-3-Clause",
    "artistic": "Artistic-1.0-Perl",
    "gpl": "GPL-1.0-or-later",
    "lgpl": "LGPL-2.0-or-later",
    "permissive": "LicenseRef-scancode-other-permissive",
    "unicode": "Unicode-DFS-2016",
    "bzip2": "bzip2-1.0.6",
}
VERSIONED = re.compile(r"([a-z]+)-v?(\d+(?:\.\d+)*)(\+)?", re.IGNORECASE)
HEAD = re.compile(r"^Format(?:-Specification)?:.*(?:copyright-format|dep5|DEP-5)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class FilesParagraph:
    """What one paragraph says of the files that its patterns match."""

    patterns: tuple[str, ...]
    license: str
    """The short name or expression as written."""

    @property
    def regexes(self) -> tuple[re.Pattern[str], ...]:
        """The patterns, each for a whole path relative to the root."""
        return tuple(_pattern(text) for text in self.patterns)

    def matches(self, path: str) -> bool:
        """Whether a path relative to the root falls under it."""
        return any(one.fullmatch(path) for one in self.regexes)


def paragraphs(text: str) -> list[FilesParagraph]:
    """The paragraphs with `Files`, in order; none where the text is not in the machine-readable form."""
    if not HEAD.search(text[:4096]):
        return []
    found = (dict(_fields(paragraph)) for paragraph in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")))
    return [
        FilesParagraph(tuple(fields["files"].split()), fields["license"].split("\n")[0].strip())
        for fields in found
        if fields.get("files") and fields.get("license")
    ]


def paragraph_of(path: str, found: list[FilesParagraph]) -> FilesParagraph | None:
    """The paragraph that counts for a file: the last that matches."""
    return next((one for one in reversed(found) if one.matches(path)), None)


MIXED_STARS_MAX = 3
EXCEPTION = re.compile(r"(\S+)\s+with\s+[\w.+-]+(?:\s+[\w.+-]+)?\s+exceptions?", re.IGNORECASE)
CONJUNCTION = re.compile(r"\s(and|or|and/or)\s")


def spdx(written: str) -> str | None:
    """A Debian expression (`GPL-2+ with OpenSSL exception or Expat`) in SPDX; None where a name is not known.

    Exceptions to copyleft licences are left out, as none makes one permissive; other conditions are not known.
    """
    excepted = [found[1] for found in EXCEPTION.finditer(written)]
    if any((name := _named(word)) is None or verdict_of(name) == "permissive" for word in excepted):
        return None
    text = EXCEPTION.sub(r"\1", written.strip())
    if re.search(r",\s+(?:and|or)\s", text, re.IGNORECASE) and len(set(CONJUNCTION.findall(text.lower()))) > 1:
        return None  # `A or B, and C` is (A or B) and C
    text = re.sub(r",?\s+(and|or|and/or)\s+", lambda found: f" {found.group(1).upper()} ", text, flags=re.IGNORECASE)
    if "," in text:  # `A, B and C` is all three; `A or B, and C` is (A or B) and C, which this is not exact about
        return None
    words = text.replace("AND/OR", "OR").replace("(", " ( ").replace(")", " ) ").split()
    known = [word if word in ("AND", "OR", "(", ")") else _named(word) for word in words]
    return canonical(" ".join(word for word in known if word)) if known and all(known) else None


def _named(word: str) -> str | None:
    name = word.lower()
    if name in NAMES:
        return NAMES[name]
    versioned = VERSIONED.fullmatch(word)
    if versioned and versioned[1].lower() in SHORT:
        family, number, later = SHORT[versioned[1].lower()], versioned[2], versioned[3]
        number = number if "." in number else f"{number}.0"
        known = [f"{family}-{number}{end}" for end in (("-or-later", "") if later else ("-only", ""))]
        return next((one for one in known if verdict_of(one) != "unknown"), None)
    return word if verdict_of(word) != "unknown" else None


def _fields(paragraph: str) -> Iterator[tuple[str, str]]:
    for field in re.split(r"\n(?=[^\s#])", paragraph.strip("\n")):
        name, colon, value = field.partition(":")
        if colon:
            yield name.strip().lower(), "\n".join(line.strip() for line in value.split("\n")).strip()


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    """A glob of the format: only `*`, `?` and backslashes are special."""
    return glob(text.removeprefix("./"), {"*": ".", "?": "."})


def glob(text: str, signs: Mapping[str, str]) -> re.Pattern[str]:
    """A pattern for whole paths, in which signs stand for characters: any number of them, but for `?`, which is one.

    What follows a star is found where it first occurs and not looked for again (`(?>...)`, as in `fnmatch`), so that
    no glob takes longer than its length times the path's. Where two kinds of stars are mixed that is not exact; a few
    of them are matched with all that it takes, more as if all were of the wider kind.
    """
    stars = [sign for sign in signs if sign != "?"]
    pieces = re.findall(r"\\.|" + "|".join(re.escape(sign) for sign in stars) + "|.", text, flags=re.DOTALL)
    used = {piece for piece in pieces if piece in stars}
    if len(used) > 1 and sum(piece in used for piece in pieces) <= MIXED_STARS_MAX:
        return re.compile("".join(_sign(piece, signs) for piece in pieces), re.DOTALL)
    held = signs[stars[0]] if len(used) > 1 else signs[next(iter(used), stars[0])]
    chunks = [""]
    for piece in pieces:
        if piece not in stars:
            chunks[-1] += _sign(piece, signs)
        elif len(chunks) == 1 or chunks[-1]:
            chunks.append("")
    middle = "".join(f"(?>{held}*?{chunk})" for chunk in chunks[1:-1])
    return re.compile(chunks[0] + middle + (f"{held}*{chunks[-1]}" if len(chunks) > 1 else ""), re.DOTALL)


def _sign(piece: str, signs: Mapping[str, str]) -> str:
    if piece == "?":
        return signs.get("?", re.escape(piece))
    return f"{signs[piece]}*" if piece in signs else re.escape(piece.removeprefix("\\") or piece)
