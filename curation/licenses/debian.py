"""`debian/copyright` in its machine-readable form, and the same of REUSE (`.reuse/dep5`): a licence for each file.

https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/: paragraphs of fields; `Files` holds patterns in
which `*` and `?` also match `/`; of several paragraphs that match a file the last counts; the first line of `License`
names it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from curation.globs import Glob, Token, literal
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
EXCEPTION = re.compile(r"\s+with\s+((?:[\w./+-]+\s+){1,3}?)exceptions?\b", re.IGNORECASE)
KNOWN_EXCEPTION = re.compile(
    r"^\W*(?:openssl|open-?ssl|font|autoconf|bison|libtool|gcc|classpath|llvm|linking|link|runtime|qt|foss|ecos|texinfo"
    r"|archive|freertos|apache|cygwin|u-boot|mif|ocaml|sqlitestudio|gpl)\b",
    re.IGNORECASE,
)
HEAD = re.compile(r"^Format(?:-Specification)?:.*(?:copyright-format|dep5|DEP-5)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class FilesParagraph:
    """What one paragraph says of the files that its patterns match."""

    patterns: tuple[str, ...]
    license: str
    """The short name or expression as written."""

    @property
    def globs(self) -> tuple[Glob, ...]:
        """The patterns, each for a whole path relative to the root."""
        return tuple(_pattern(text) for text in self.patterns)

    def matches(self, path: str) -> bool:
        """Whether a path relative to the root falls under it."""
        return any(one.fullmatch(path) for one in self.globs)


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


def spdx(written: str) -> str | None:
    """A Debian expression (`GPL-2+ with OpenSSL exception or Expat`) in SPDX; None where a name is not known.

    Exceptions that give more rights are left out: they are to copyleft licences, and none makes one permissive. Of
    another one nobody knows what it takes away. `A or B, and C` is (A or B) and C: a comma closes what is before it.
    """
    exceptions = EXCEPTION.findall(written)
    text = re.sub(
        r"\s(and/or|and|or)\s", lambda found: f" {found[1].upper()} ", EXCEPTION.sub("", written), flags=re.I
    )
    *closed, last = re.split(r",\s+(?=(?:AND|OR|AND/OR)\s)", text)
    if "," in text.replace(", AND ", " ").replace(", OR ", " ").replace(", AND/OR ", " "):
        return None  # `A, B and C`: of all three, or of one
    text = "(" * len(closed) + ") ".join([*closed, last])
    found = _expression(text)
    is_known = all(KNOWN_EXCEPTION.search(name) for name in exceptions)
    return found if found is None or is_known or verdict_of(found) == "copyleft" else None


def _expression(text: str) -> str | None:
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
def _pattern(text: str) -> Glob:
    """A glob of the format: only `*`, `?` and backslashes are special."""
    text = text.removeprefix("./")
    parts = re.findall(r"\\.|\*+|.", text, flags=re.DOTALL)
    signs = {"*": Token(".", "star"), "?": Token(".")}
    found = ([signs[part[0]]] if part[0] in signs else literal(part.removeprefix("\\")) for part in parts)
    return Glob(tuple(token for tokens in found for token in tokens))
