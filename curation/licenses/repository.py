"""What a repository says of its files: licence files by folder, declarations by folder, statements by pattern."""

import posixpath
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from curation.globs import Glob, Token, literal
from curation.licenses import debian
from curation.licenses.declared import declared
from curation.licenses.verdicts import (
    Verdict,
    all_of,
    canonical,
    family,
    join,
    leaves,
    offers_choice,
    verdict_of,
)

POINTER_CHARACTERS_MAX = 2_000
CHOICE = re.compile(r"\beither\b|\bany of\b|\bone of\b|at your (?:option|choice)|\bdual[- ]licen", re.IGNORECASE)
SUMMARIES = ("debian/copyright", ".reuse/dep5", "REUSE.toml")
SUMMARY_BYTES_MAX = 4_194_304


@dataclass(frozen=True)
class FileLicense:
    """The licence of a file, or of all that stands in a folder."""

    expression: str | None
    """SPDX, in SPDX's spelling; what ScanCode knows and SPDX does not is `LicenseRef-scancode-...`."""
    verdict: Verdict
    evidence: str
    """Which file says so, and how: `SPDX-License-Identifier`, `header (score 100)`, `LICENSE (score 100)`."""


NOTHING = FileLicense(None, "none", "")


@dataclass(frozen=True)
class Statement:
    """What a summary (debian/copyright, REUSE.toml) says of the files whose paths match."""

    paths: tuple[Glob, ...]
    license: FileLicense


@dataclass(frozen=True)
class RepositoryLicense:
    """What a repository says of itself; empty for one that says nothing."""

    folders: Mapping[str, FileLicense] = field(default_factory=dict)
    """By folder, "" being the root: what its licence files say."""
    declared: Mapping[str, FileLicense] = field(default_factory=dict)
    """By folder: what the metadata of packages declares."""
    files: Mapping[str, FileLicense] = field(default_factory=dict)
    """By path: what a file `NAME.license` beside it says (REUSE)."""
    statements: Sequence[Statement] = ()
    """What summaries say; of several that match a path the last counts."""
    trusts_declared: bool = False
    """Whether a declaration alone is evidence."""

    @property
    def root(self) -> FileLicense:
        """The licence of the repository as a whole."""
        return self.of("")

    def around(self, path: str) -> FileLicense:
        """What the repository says of one file: a file beside it first, then a summary, then its folder."""
        if path in self.files:
            return self.files[path]
        named = (
            one.license for one in reversed(self.statements) if any(path_.fullmatch(path) for path_ in one.paths)
        )
        return next(named, None) or self.of(posixpath.dirname(path))

    def of(self, folder: str) -> FileLicense:
        """What holds in a folder: the nearest licence at or above it, and what metadata declares against it."""
        found, said = _nearest(self.folders, folder), _nearest(self.declared, folder)
        if found is None:
            return said if said is not None and self.trusts_declared else NOTHING
        if said is None or found.verdict != "permissive" or said.verdict in ("permissive", "unknown"):
            return found
        return together([found, said])


def together(found: Iterable[FileLicense], one_offer: bool = False) -> FileLicense:
    """All of several statements; what states nothing does not count. `one_offer` as in `join`."""
    told = [one for one in found if one.verdict != "none"]
    if len(told) <= 1:
        return told[0] if told else NOTHING
    expression = join((one.expression for one in told if one.expression), one_offer)
    verdict = all_of(one.verdict for one in told)
    if verdict == "copyleft" and expression is not None:  # a choice among the parts may settle what they do not
        verdict = verdict_of(expression)
    return FileLicense(expression, verdict, ", ".join(dict.fromkeys(one.evidence for one in told)))


def of_folder(found: Mapping[str, FileLicense], short_texts: Mapping[str, str]) -> FileLicense:
    """What the licence files of one folder come to, by name; all of them hold unless one of them offers a choice.

    A file that names the others (`either of the licenses found in LICENSE.APACHE or LICENSE.BSD`) only says how.
    """
    for name, text in short_texts.items():
        others = {other: one for other, one in found.items() if other != name}
        if others and all(other in text for other in others) and found[name].expression is None:
            return _chosen(others) if CHOICE.search(text) else together(others.values())
    return together(found.values(), one_offer=True)


def _chosen(found: Mapping[str, FileLicense]) -> FileLicense:
    expression = canonical(" OR ".join(f"({one.expression})" for one in found.values() if one.expression))
    if expression is None or any(one.verdict == "unknown" for one in found.values()):
        return together(found.values())
    return FileLicense(expression, verdict_of(expression), ", ".join(one.evidence for one in found.values()))


def settled(stated: FileLicense, choices: Iterable[FileLicense]) -> FileLicense:
    """Of licence files that all hold, unless a README or metadata offers exactly these licences as a choice."""
    if stated.verdict != "copyleft" or stated.expression is None or offers_choice(stated.expression):
        return stated
    texts = {family(name) for name in leaves(stated.expression)}
    for one in choices:
        if one.expression and offers_choice(one.expression) and one.verdict == "permissive":
            offered = {family(name) for name in leaves(one.expression)}
            if len(texts) > 1 and texts <= offered:
                return FileLicense(one.expression, one.verdict, f"{stated.evidence}, {one.evidence}")
    return stated


def of_metadata(path: str, content: bytes) -> FileLicense:
    """What a file of package metadata declares."""
    expression = declared(posixpath.basename(path), content)
    return NOTHING if expression is None else FileLicense(expression, verdict_of(expression), f"{path} (declared)")


def of_summary(path: str, content: bytes) -> list[Statement]:
    """The statements of debian/copyright, .reuse/dep5 or REUSE.toml; none where it is not in a form that is known."""
    text = content[:SUMMARY_BYTES_MAX].decode("utf-8", "replace")
    if path == "REUSE.toml":
        return _annotations(path, text)
    return [
        Statement(one.globs, _stated(debian.spdx(one.license) or canonical(one.license), path))
        for one in debian.paragraphs(text)
    ]


def _annotations(path: str, text: str) -> list[Statement]:
    """https://reuse.software/spec-3.3/#reusetoml: globs in which only `**` matches `/`; several licences all hold."""
    try:
        entries = tomllib.loads(text).get("annotations", [])
        return [
            Statement(
                tuple(_glob(one) for one in _listed(entry["path"])),
                _stated(join(_listed(entry["SPDX-License-Identifier"])), path),
            )
            for entry in entries
            if "SPDX-License-Identifier" in entry
        ]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):
        return []


def _stated(expression: str | None, path: str) -> FileLicense:
    return FileLicense(expression, "unknown" if expression is None else verdict_of(expression), path)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value]


def _glob(text: str) -> Glob:
    signs = {"**": Token(".", "star"), "*": Token("[^/]", "star")}
    parts = re.findall(r"\\.|\*\*|.", text, flags=re.DOTALL)
    found = ([signs[part]] if part in signs else literal(part.removeprefix("\\")) for part in parts)
    return Glob(tuple(token for tokens in found for token in tokens))


def _nearest(by_folder: Mapping[str, FileLicense], folder: str) -> FileLicense | None:
    while folder and folder not in by_folder:
        folder = posixpath.dirname(folder)
    return by_folder.get(folder)
