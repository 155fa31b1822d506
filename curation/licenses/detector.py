"""Licences of code: what a repository says, what each of its files says, and what that means for a corpus.

The nearest statement counts: a file's own tag or notice, then the licence file of its folder or of the nearest folder
above, then the README's section at the root. What nobody stated is `none`, what could not be recognised is `unknown`;
neither is ever taken for permissive.
"""

import posixpath
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from curation.licenses import index
from curation.licenses.declared import is_metadata
from curation.licenses.notice import Notices
from curation.licenses.repository import (
    NOTHING,
    POINTER_CHARACTERS_MAX,
    SUMMARIES,
    FileLicense,
    RepositoryLicense,
    Statement,
    of_folder,
    of_metadata,
    of_summary,
    settled,
    together,
)
from curation.licenses.text import (
    HEADER_BYTES,
    LICENSE_BYTES_MAX,
    decoded,
    is_foreign,
    is_license,
    is_readme,
    is_sibling,
    notices_of,
    readme_section,
    speaks,
    tags,
    whole_tags,
)
from curation.licenses.verdicts import all_of, canonical, join, verdict_of

__all__ = ["FileLicense", "LicenseDetector", "RepositoryLicense"]


class LicenseDetector:
    """Detects licences; threads may share one, and all of a process share what they remember of notices."""

    def __init__(self, trust_declared: bool = False, notices: Notices | None = None) -> None:
        """`trust_declared` takes what metadata declares (`"license": "MIT"`) for evidence where no text is found.

        `notices` remembers those that were met; that of the process if it is not given.

        Raises RequestError where scancode-toolkit is not installed.
        """
        index.require()
        self._notices = notices or _remembered()
        self._trusts_declared = trust_declared

    @property
    def n_matched(self) -> int:
        """Distinct notices that were matched so far; all others had been met before."""
        return self._notices.n_matched

    @staticmethod
    def wants(path: str) -> bool:
        """Whether `repository` looks at a file of this path; others need not be read for it."""
        folder, name = posixpath.split(path)
        stated = is_license(name) or is_metadata(name) or is_sibling(name) or _in_licenses(path)
        return stated or path in SUMMARIES or (not folder and is_readme(name))

    def repository(self, files: Iterable[tuple[str, bytes]]) -> RepositoryLicense:
        """What the licence files, the README and the metadata of a repository say.

        Paths are relative to its root, with `/`; files that `wants` refuses are passed over. Their order does not
        matter.
        """
        heard = _Heard(self._notices)
        for path, content in files:
            if self.wants(path):
                heard.add(path, content)
        return heard.repository(self._trusts_declared)

    def file(self, path: str, content: bytes, repository: RepositoryLicense) -> FileLicense:
        """The licence of one file: its own tag or notice, else what the repository says of it."""
        around = repository.around(path)
        content = _in_utf8(content)
        if not speaks(content):
            return around
        tagged, others, is_conditional = tags(path, content)
        top, below = notices_of(path, content)
        own, inner = _said(self._notices, top, "header"), _said(self._notices, below, "comment")
        inner = together([inner, _tagged(others)]) if others else inner
        if tagged:  # what else is said can only take away from it
            of_tag = _tagged(tagged)
            if is_conditional and of_tag.verdict == "permissive":
                of_tag = replace(of_tag, verdict="unknown")
            return together([of_tag, *(one for one in (own, inner) if one.verdict != "permissive")])
        whole = own if own.verdict != "none" else around
        borrowed = whole.verdict == "none" and inner.verdict == "permissive"  # the licence of a part frees no file
        return whole if borrowed else together([whole, inner])


@cache
def _remembered() -> Notices:
    return Notices()


class _Heard:
    """What is gathered of a repository, file by file; contents are not kept, but for short ones that may point on."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._texts: dict[str, dict[str, FileLicense]] = defaultdict(dict)
        self._short: dict[str, dict[str, str]] = defaultdict(dict)
        self._declared: dict[str, dict[str, FileLicense]] = defaultdict(dict)
        self._readmes: dict[str, FileLicense] = {}
        self._summaries: dict[str, list[Statement]] = {}
        self._siblings: dict[str, FileLicense] = {}

    def add(self, path: str, content: bytes) -> None:
        """Read one file that says something of licences."""
        folder, name = posixpath.split(path)
        if path in SUMMARIES:
            self._summaries[path] = of_summary(path, content)
        elif is_sibling(name):
            self._siblings[path.removesuffix(".license")] = _tagged(whole_tags(content))
        elif _in_licenses(path):
            self._texts[posixpath.dirname(folder)][f"LICENSES/{name}"] = self._text(path, content)
        elif is_license(name):
            text = self._text(path, content)
            if is_foreign(name) and text.verdict == "permissive":
                return  # of a library that came along; what takes away still counts
            self._texts[folder][name] = text
            if len(content) <= POINTER_CHARACTERS_MAX:
                self._short[folder][name] = decoded(content)
        elif is_metadata(name):
            self._declared[folder][name] = of_metadata(path, content)
        else:
            self._readmes[path] = self._readme(path, content)

    def repository(self, trusts_declared: bool) -> RepositoryLicense:
        """All of it together."""
        declared = _told({folder: together(_sorted(found)) for folder, found in self._declared.items()})
        readme = together(_sorted(self._readmes))
        stated = _told({folder: self._stated(folder) for folder in self._texts})
        if "" in stated:
            stated[""] = settled(stated[""], [readme, declared.get("", NOTHING)])
        elif readme.verdict != "none":
            stated[""] = readme
        summaries = [one for path in SUMMARIES for one in self._summaries.get(path, [])]
        return RepositoryLicense(stated, declared, self._siblings, summaries, trusts_declared)

    def _stated(self, folder: str) -> FileLicense:
        found = self._texts[folder]
        return of_folder({name: found[name] for name in sorted(found)}, self._short[folder])

    def _text(self, path: str, content: bytes) -> FileLicense:
        """What a licence file says; of one that is too long only the beginning is read, so it proves nothing."""
        whole = not posixpath.basename(path).lower().startswith("copyright")  # that may name the holders only
        notice = self._notices.read(decoded(content[:LICENSE_BYTES_MAX]), whole)
        verdict = notice.verdict if len(content) <= LICENSE_BYTES_MAX or notice.verdict != "permissive" else "unknown"
        return FileLicense(notice.expression, verdict, f"{path} (score {notice.score})" if notice.score else path)

    def _readme(self, path: str, content: bytes) -> FileLicense:
        section = readme_section(decoded(content[:LICENSE_BYTES_MAX]))
        notice = self._notices.read(section, whole=False)
        return FileLicense(notice.expression, notice.verdict, f"{path} (section, score {notice.score})")


def _in_utf8(content: bytes) -> bytes:
    """The content, of UTF-16 too, as a search for bytes finds its words."""
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return decoded(content[: 2 * HEADER_BYTES]).encode("utf-8", "replace") if is_wide else content


def _said(notices: Notices, texts: list[str], where: str) -> FileLicense:
    told = [notice for notice in (notices.read(text, whole=False) for text in texts) if notice.verdict != "none"]
    if not told:
        return NOTHING
    score = min(notice.score for notice in told)
    found = [FileLicense(notice.expression, notice.verdict, where) for notice in told]
    whole = together(found)
    return FileLicense(whole.expression, whole.verdict, f"{where} (score {score})" if score else where)


def _tagged(written: list[str]) -> FileLicense:
    known = [canonical(text) for text in written]
    expression = join(text for text in known if text)
    verdict = all_of("unknown" if text is None else verdict_of(text) for text in known)
    return FileLicense(expression, verdict, "SPDX-License-Identifier")


def _told(found: dict[str, FileLicense]) -> dict[str, FileLicense]:
    return {folder: one for folder, one in found.items() if one.verdict != "none"}


def _sorted(found: dict[str, FileLicense]) -> list[FileLicense]:
    return [found[name] for name in sorted(found)]


def _in_licenses(path: str) -> bool:
    """Whether it is a text of REUSE: a file of the folder LICENSES."""
    return posixpath.basename(posixpath.dirname(path)) == "LICENSES"
