"""Licences of code: what a repository says, what each of its files says, and what that means for a corpus.

The nearest statement counts: a file's own tag or notice, then the licence file of its folder or of the nearest folder
above, then the README's section at the root. What nobody stated is `none`, what could not be recognised is `unknown`;
neither is ever taken for permissive.
"""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from curation import code_license_index
from curation.code_license_declared import declared, is_metadata
from curation.code_license_notice import Notices
from curation.code_license_text import (
    LICENSE_BYTES_MAX,
    decoded,
    is_license,
    is_readme,
    notices_of,
    readme_section,
    speaks,
    tags,
)
from curation.code_license_verdicts import Verdict, all_of, canonical, join, verdict_of


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
class RepositoryLicense:
    """What a repository says of itself; empty for one that says nothing."""

    folders: Mapping[str, FileLicense] = field(default_factory=dict)
    """By folder, "" being the root: what its licence files say."""
    declared: Mapping[str, FileLicense] = field(default_factory=dict)
    """By folder: what the metadata of packages declares."""
    trusts_declared: bool = False
    """Whether a declaration alone is evidence."""

    @property
    def root(self) -> FileLicense:
        """The licence of the repository as a whole."""
        return self.of("")

    def of(self, folder: str) -> FileLicense:
        """What holds in a folder: the nearest licence at or above it, and what metadata declares against it."""
        found, said = self._nearest(self.folders, folder), self._nearest(self.declared, folder)
        if found is None:
            return said if said is not None and self.trusts_declared else NOTHING
        if said is None or found.verdict != "permissive" or said.verdict in ("permissive", "unknown"):
            return found
        return _together([found, said])

    @staticmethod
    def _nearest(by_folder: Mapping[str, FileLicense], folder: str) -> FileLicense | None:
        while folder and folder not in by_folder:
            folder = posixpath.dirname(folder)
        return by_folder.get(folder)


class LicenseDetector:
    """Detects licences; one per process is enough, and threads may share it."""

    def __init__(self, trust_declared: bool = False) -> None:
        """`trust_declared` takes what metadata declares (`"license": "MIT"`) for evidence where no text is found.

        Raises RequestError where scancode-toolkit is not installed.
        """
        code_license_index.require()
        self._notices = Notices()
        self._trusts_declared = trust_declared

    @staticmethod
    def wants(path: str) -> bool:
        """Whether `repository` looks at a file of this path; others need not be read for it."""
        folder, name = posixpath.split(path)
        return is_license(name) or is_metadata(name) or (not folder and is_readme(name)) or _in_licenses(path)

    def repository(self, files: Iterable[tuple[str, bytes]]) -> RepositoryLicense:
        """What the licence files, the README and the metadata of a repository say.

        Paths are relative to its root, with `/`; files that `wants` refuses are passed over. Their order does not
        matter.
        """
        texts: dict[str, list[FileLicense]] = defaultdict(list)
        said: dict[str, list[FileLicense]] = defaultdict(list)
        readmes: list[FileLicense] = []
        for path, content in sorted(files):
            folder, name = posixpath.split(path)
            if _in_licenses(path):
                texts[posixpath.dirname(folder)].append(self._text(path, content))
            elif is_license(name):
                texts[folder].append(self._text(path, content))
            elif is_metadata(name):
                said[folder].append(_declared(path, content))
            elif is_readme(name) and not folder:
                readmes.append(self._readme(path, content))
        stated = {folder: _together(found) for folder, found in texts.items()}
        stated = {folder: found for folder, found in stated.items() if found.verdict != "none"}
        if "" not in stated and any(found.verdict != "none" for found in readmes):
            stated[""] = _together(readmes)
        declarations = {folder: _together(found) for folder, found in said.items()}
        kept = {folder: found for folder, found in declarations.items() if found.verdict != "none"}
        return RepositoryLicense(stated, kept, self._trusts_declared)

    def file(self, path: str, content: bytes, repository: RepositoryLicense) -> FileLicense:
        """The licence of one file: its own tag or notice, else that of its folder in the repository."""
        around = repository.of(posixpath.dirname(path))
        if not speaks(content):
            return around
        tagged = tags(content)
        if tagged:
            return _tagged(tagged)
        own, inner = self._header(path, content)
        return _together([own if own.verdict != "none" else around, inner])

    def _text(self, path: str, content: bytes) -> FileLicense:
        """What a licence file says; of one that is too long only the beginning is read, so it proves nothing."""
        notice = self._notices.read(decoded(content[:LICENSE_BYTES_MAX]), whole=True)
        verdict = notice.verdict if len(content) <= LICENSE_BYTES_MAX or notice.verdict != "permissive" else "unknown"
        return FileLicense(notice.expression, verdict, f"{path} (score {notice.score})" if notice.score else path)

    def _readme(self, path: str, content: bytes) -> FileLicense:
        section = readme_section(decoded(content[:LICENSE_BYTES_MAX]))
        notice = self._notices.read(section, whole=False)
        return FileLicense(notice.expression, notice.verdict, f"{path} (section, score {notice.score})")

    def _header(self, path: str, content: bytes) -> tuple[FileLicense, FileLicense]:
        """What the comments at the top of a file say, and what those further down do."""
        top, below = notices_of(path, content)
        return self._said(top, "header"), self._said(below, "comment")

    def _said(self, texts: list[str], where: str) -> FileLicense:
        found = [self._notices.read(text, whole=False) for text in texts]
        told = [notice for notice in found if notice.verdict != "none"]
        if not told:
            return NOTHING
        score = min(notice.score for notice in told)
        expression = join(notice.expression for notice in told if notice.expression)
        verdict = all_of(notice.verdict for notice in told)
        return FileLicense(expression, _checked(expression, verdict), f"{where} (score {score})" if score else where)


def _together(found: list[FileLicense]) -> FileLicense:
    """All of several statements; what states nothing does not count."""
    told = [one for one in found if one.verdict != "none"]
    if len(told) <= 1:
        return told[0] if told else NOTHING
    expression = join(one.expression for one in told if one.expression)
    verdict = _checked(expression, all_of(one.verdict for one in told))
    return FileLicense(expression, verdict, ", ".join(dict.fromkeys(one.evidence for one in told)))


def _checked(expression: str | None, verdict: Verdict) -> Verdict:
    """A choice among the parts (`MIT OR GPL-2.0-only`) may settle what the parts one by one do not."""
    if verdict == "copyleft" and expression is not None:
        return verdict_of(expression)
    return verdict


def _tagged(written: list[str]) -> FileLicense:
    known = [canonical(text) for text in written]
    expression = join(text for text in known if text)
    verdict = all_of("unknown" if text is None else verdict_of(text) for text in known)
    return FileLicense(expression, verdict, "SPDX-License-Identifier")


def _declared(path: str, content: bytes) -> FileLicense:
    expression = declared(posixpath.basename(path), content)
    return NOTHING if expression is None else FileLicense(expression, verdict_of(expression), f"{path} (declared)")


def _in_licenses(path: str) -> bool:
    """Whether it is a text of REUSE: a file of the folder LICENSES."""
    return posixpath.basename(posixpath.dirname(path)) == "LICENSES"
